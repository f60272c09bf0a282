"""The table of the forms of delivery: medians, and each form beside the contract's own."""

from __future__ import annotations

from tools.benchmarks.forms import Round, table


def test_each_form_has_its_medians_and_its_share_of_the_first() -> None:
    rounds = {
        "contract CSV": [Round(2.0, 1.0), Round(9.0, 4.0), Round(4.0, 2.0)],
        "Parquet": [Round(3.0, 1.0)] * 3,
    }
    assert table(rounds, {"contract CSV": 43_400_000, "Parquet": 5_000_000}, 300_000).splitlines() == [
        "| 300,000 lines as | MB | CPU s | of contract CSV | lines a second |",
        "|---|---:|---:|---:|---:|",
        "| contract CSV | 43 | 4.0 | 1.00 | 150,000 |",
        "| Parquet | 5 | 3.0 | 0.75 | 300,000 |",
    ]
