"""Key ranges: what is one, and which of them go together."""

from __future__ import annotations

import pytest

from schemas.ranges import KeyRange, parse_ranges


def test_ranges_that_stand_in_order() -> None:
    assert parse_ranges(["A-G", "H-N"]) == (KeyRange("A-G", "A", "G"), KeyRange("H-N", "H", "N"))
    for texts in (
        ["A-Z"],
        ["A-A", "B-B"],
        ["A-CO", "CP-G"],
        ["A-C", "D-ZZ"],
        ["AA-AB", "AC-AD"],
        # A high end shorter than its low one still holds all that starts with it.
        ["CO-C", "D-Z"],
        # A gap is allowed: what falls in it is chunk other.
        ["A-B", "X-Z"],
    ):
        assert [found.name for found in parse_ranges(texts)] == texts


@pytest.mark.parametrize(
    "text",
    ["", "A", "A-", "-G", "a-g", "A-g", "A - G", "A-G ", "A-G\n", "A-G-N", "1-9", "\u00c4-Z", "A\u2013G"],
)
def test_what_is_no_range_is_named_with_the_form(text: str) -> None:
    with pytest.raises(ValueError, match="is not of the form A-G") as error:
        parse_ranges([text])
    assert repr(text) in str(error.value)


@pytest.mark.parametrize("text", ["G-A", "CP-CO", "B-A"])
def test_a_range_out_of_order_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=f"range '{text}' is out of order"):
        parse_ranges([text])


@pytest.mark.parametrize(
    ("texts", "pair"),
    [
        (["A-G", "G-N"], ("A-G", "G-N")),
        (["A-G", "F-N"], ("A-G", "F-N")),
        (["A-G", "A-G"], ("A-G", "A-G")),
        (["H-N", "A-G"], ("H-N", "A-G")),
        # All that starts with CO is in the first already.
        (["A-CO", "COB-G"], ("A-CO", "COB-G")),
        (["A-C", "CP-G"], ("A-C", "CP-G")),
        # The pair that overlaps is named, not the first.
        (["A-G", "H-N", "M-Z"], ("H-N", "M-Z")),
    ],
)
def test_ranges_that_overlap_are_both_named(texts: list[str], pair: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="overlap or are out of order") as error:
        parse_ranges(texts)
    assert f"{pair[0]!r} and {pair[1]!r}" in str(error.value)


def test_no_range_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one range is needed"):
        parse_ranges([])
