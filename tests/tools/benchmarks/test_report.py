"""The table: medians, spreads and multiples of ours; what was not equal says why and counts for nothing."""

from __future__ import annotations

import json

from tools.benchmarks.measure import Measurement
from tools.benchmarks.report import EQUAL, Run, Spread, as_json, markdown, summarize


def run(contender: str, number: int, seconds: float, outcome: str = EQUAL) -> Run:
    taken = Measurement(seconds, 2 * seconds, 1_500_000_000, 2_000_000_000, 500_000_000, 0)
    return Run(1_000_000, number, contender, outcome, taken)


RUNS = [
    run("ours", 1, 10),
    run("duckdb", 1, 5),
    run("polars", 1, 3, "out of memory at 6 GB"),
    Run(1_000_000, 1, "sail", "not run: pysail is not installed", None),
    run("ours", 2, 12),
    run("duckdb", 2, 1, "differs: sales, 2026-11-01 A|G: nothing instead of (1)"),
    run("ours", 3, 11),
    run("duckdb", 3, 6),
]


def rows() -> list[str]:
    return [line for line in markdown(RUNS, {"CPU": "one"}).splitlines() if line.startswith("| ")][1:]


def test_a_row_a_contender_in_the_order_of_the_rounds() -> None:
    ours, duckdb, polars, sail = rows()
    assert ours.startswith(
        "| run_batch (ours) | 11.0 (10.0 to 12.0) | 22.0 (20.0 to 24.0) | 1.5 | 2.0 | 0.5 |"
    )
    assert ours.endswith("| 1.00 | 1.00 | equal |")
    assert duckdb.startswith("| DuckDB + deltalake | 5.5 (5.0 to 6.0) | 11.0 (10.0 to 12.0) |")
    assert duckdb.endswith("| 0.50 | 0.50 | differs: sales, 2026-11-01 A/G: nothing instead of (1) |")
    assert polars == "| Polars + deltalake |  |  |  |  |  |  |  | out of memory at 6 GB |"
    assert sail.endswith("| not run: pysail is not installed |")


def test_every_size_has_its_own_table() -> None:
    extra = [*RUNS, Run(50_000_000, 1, "duckdb", EQUAL, run("duckdb", 1, 100).measurement)]
    text = markdown(extra, {"CPU": "one"})
    assert text.index("## 1,000,000 lines") < text.index("## 50,000,000 lines")
    assert "| DuckDB + deltalake | 100 | 200 | 1.5 | 2.0 | 0.5 |  |  | equal |" in text


def test_a_spread_shows_its_ends_where_they_differ() -> None:
    assert str(Spread.of([2.0])) == "2.0"
    assert str(Spread.of([3.0, 1.0, 2.0])) == "2.0 (1.0 to 3.0)"
    assert str(Spread.of([100.4, 300.0])) == "200 (100 to 300)"


def test_the_json_holds_every_run() -> None:
    content = json.loads(as_json(RUNS, {"CPU": "one"}, {"cores": 2}))
    assert len(content["runs"]) == len(RUNS)
    assert content["runs"][0]["measurement"]["cpu_seconds"] == 20
    assert content["machine"] == {"CPU": "one"}
    assert [summary["outcome"] for summary in content["summaries"]] == [
        summary.outcome for summary in summarize(RUNS)
    ]
