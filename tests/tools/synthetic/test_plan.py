"""A plan refuses what it cannot mean, and says what would be valid."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from tools.synthetic.catalogue import Catalogue, chunk_of, read_range
from tools.synthetic.plan import SyntheticPlan

RANGES = tuple(read_range(one) for one in ("A-G", "H-N", "O-U", "V-Z"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"rows": -1}, ("rows", "greater than or equal to 0")),
        ({"row": 1}, ("row", "Extra inputs are not permitted")),
        ({"reject_share": 1.5}, ("reject_share", "less than or equal to 1")),
        ({"timezone": "New York"}, ("timezone", "'New York'", "America/New_York")),
        ({"hot_letter": "s"}, ("hot_letter", "'s'", "capital letter")),
        ({"ranges": ("A-G", "E-N")}, ("ranges", "'A-G' and 'E-N' overlap")),
        ({"ranges": ("H-N", "A-G")}, ("ranges", "out of order")),
        ({"ranges": ("G-A",)}, ("ranges", "'G-A'", "as 'A-G'")),
        ({"rejects": {"bad_luck": 1.0}}, ("rejects", "'bad_luck'", "malformed_line")),
        ({"rejects": {}}, ("rejects", "above 0")),
        ({"currencies": {"XYZ": 1.0}}, ("currencies", "'XYZ'", "USD")),
        ({"currencies": {}}, ("currencies", "{'USD': 1.0}")),
        ({"formats": ("parquet",)}, ("formats", "'csv', 'csv.gz' or 'json'")),
        ({"last_date": date(2026, 1, 1)}, ("last_date 2026-01-01 is before first_date",)),
        ({"last_drop_date": date(2026, 1, 1)}, ("last_drop_date 2026-01-01 is before last_date",)),
        ({"duplicate_share": 0.6, "conflict_share": 0.5}, ("duplicate_share + conflict_share", "at most 1")),
        ({"letter_skew": 0.2, "hot_product_share": 0.3}, ("hot_product_share 0.3", "letter_skew 0.2")),
        ({"late_days": 0}, ("late_share must be 0",)),
    ],
)
def test_a_wrong_plan_names_the_field_and_the_valid_form(
    wrong: dict[str, Any], said: tuple[str, ...]
) -> None:
    with pytest.raises(ValidationError) as refused:
        SyntheticPlan(**wrong)
    for part in said:
        assert part in str(refused.value)


@pytest.mark.parametrize(
    ("name", "chunk"),
    [
        ("Grapes", "A-G"),
        ("  hazelnuts", "H-N"),
        ("Éclair", "A-G"),
        ("E\u0301pices", "A-G"),
        ("ábaco", "A-G"),
        ("ñoquis", "H-N"),
        ("Über", "O-U"),
        ("Žito", "V-Z"),
        ("\uff32amen", "O-U"),
        ("\ufb01g", "A-G"),
        ("Ørred", "other"),
        ("Молоко", "other"),
        ("7 Up", "other"),
        ('"Old"', "other"),
        ("", "other"),
    ],
)
def test_the_chunk_of_a_name(name: str, chunk: str) -> None:
    assert chunk_of(name, RANGES) == chunk


def test_a_range_holds_all_that_starts_with_its_last_prefix() -> None:
    ranges = tuple(read_range(one) for one in ("A-CH", "CI-Z"))
    assert [chunk_of(name, ranges) for name in ("Cheddar", "Chz", "Cider", "Cz")] == [
        "A-CH",
        "A-CH",
        "CI-Z",
        "CI-Z",
    ]


def test_names_of_the_catalogue_differ() -> None:
    names = Catalogue.of(("A-Z",)).names
    assert len(set(names)) == len(names)
