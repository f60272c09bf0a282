"""Which business dates get documents, on plain values."""

from __future__ import annotations

import datetime as dt

import pytest

from pipeline.planning.billing import (
    BillingTerms,
    NumberSpan,
    dates_to_issue,
    format_spans,
    highest_numbers,
    lost_numbers,
    parse_spans,
    split_number,
)

FRI, SAT, SUN, MON, TUE = (dt.date(2026, 2, 27) + dt.timedelta(days=n) for n in range(5))


@pytest.mark.parametrize(
    ("dates", "text"),
    [
        (set(), ""),
        ({MON}, "2026-03-02/2026-03-02"),
        ({TUE, FRI, SAT, SUN}, "2026-02-27/2026-03-01,2026-03-03/2026-03-03"),
    ],
)
def test_dates_are_written_as_spans_and_read_again(dates: set[dt.date], text: str) -> None:
    assert format_spans(dates) == text
    assert parse_spans(text) == dates


def test_only_dates_that_another_system_billed_get_no_documents() -> None:
    published = {FRI: 1, SAT: 2, SUN: 1, MON: 3}
    terms = BillingTerms(SAT, TUE, 0, frozenset({SUN}))
    assert dates_to_issue(published, {}, terms) == {SAT: 2, MON: 3}
    # A date that has documents gets notes, whatever the terms say.
    assert dates_to_issue(published, {SUN: 0, MON: 3}, terms) == {SAT: 2, SUN: 1}


def test_numbers_above_the_last_one_of_the_lake_are_lost() -> None:
    given = highest_numbers({"2026-": 4, "2026-C": 1}, {"2026-": 7, "2025-": 9}, {})
    assert given == {"2025-": 9, "2026-": 7, "2026-C": 1}
    lost = lost_numbers({"2026-": 4, "2026-C": 1, "2026-D": 3}, given)
    assert list(map(str, lost)) == ["2025-1 to 2025-9", "2026-5 to 2026-7"]
    assert [str(span) for span in lost_numbers({"2026-": 6}, {"2026-": 7})] == ["2026-7"]


def test_a_span_holds_the_numbers_of_its_series() -> None:
    span = NumberSpan("2026-", 5, 7)
    numbers = [("2026-", 4), ("2026-", 5), ("2026-", 7), ("2026-", 8), ("2026-C", 5)]
    assert [number in span for number in numbers] == [False, True, True, False, False]


@pytest.mark.parametrize(
    ("number", "parts"),
    [("2026-17", ("2026-", 17)), ("R2026/C3", ("R2026/C", 3)), ("2026-07", None), ("17", None), ("A-", None)],
)
def test_a_document_number_is_a_series_and_a_running_number(
    number: str, parts: tuple[str, int] | None
) -> None:
    assert split_number(number) == parts
