"""Which business dates get documents, on plain values."""

from __future__ import annotations

import datetime as dt

import pytest

from pipeline.planning.billing import BillingTerms, dates_to_issue, format_spans, parse_spans

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
