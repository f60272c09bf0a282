"""Which business dates get documents, and which numbers are known to be given, on plain values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass


@dataclass(frozen=True)
class BillingTerms:
    """When a business date gets documents.

    Attributes:
        first: first business date that gets documents; None for all.
        today: local date of the issue.
        hold_days: days after a business date during which it gets none; 0 for no wait.
        billed_elsewhere: dates that get none, since another system has billed them.
    """

    first: dt.date | None
    today: dt.date
    hold_days: int
    billed_elsewhere: Set[dt.date] = frozenset()

    def is_billed(self, date: dt.date) -> bool:
        """Whether a business date gets documents at all."""
        return date not in self.billed_elsewhere and (self.first is None or date >= self.first)

    def is_held(self, date: dt.date) -> bool:
        """Whether a business date still waits; without a hold, no clock is asked."""
        return self.hold_days > 0 and date + dt.timedelta(days=self.hold_days) > self.today


def format_spans(dates: Iterable[dt.date]) -> str:
    """Formats dates as spans, for example ``2026-03-02/2026-03-05,2026-03-07/2026-03-07``."""
    spans: list[tuple[dt.date, dt.date]] = []
    for date in sorted(dates):
        if spans and date - spans[-1][1] == dt.timedelta(days=1):
            spans[-1] = spans[-1][0], date
        else:
            spans.append((date, date))
    return ",".join(f"{first}/{last}" for first, last in spans)


def parse_spans(text: str) -> frozenset[dt.date]:
    """Returns the dates of spans that :func:`format_spans` wrote."""
    dates: set[dt.date] = set()
    for span in filter(None, text.split(",")):
        first, last = map(dt.date.fromisoformat, span.split("/"))
        dates |= {first + dt.timedelta(days=n) for n in range((last - first).days + 1)}
    return frozenset(dates)


def dates_to_issue(
    published: Mapping[dt.date, int], issued: Mapping[dt.date, int], terms: BillingTerms
) -> dict[dt.date, int]:
    """Returns the revision of each date whose documents may differ from what is published, in order.

    Args:
        published: revision that readers see, by business date.
        issued: revision that the documents of a date were last compared with.
        terms: when a date gets documents; a date that has some is compared again, whatever they say.
    """
    return {
        date: revision
        for date, revision in sorted(published.items())
        if issued.get(date) != revision
        and (date in issued or (terms.is_billed(date) and not terms.is_held(date)))
    }


def lost_numbers(present: Mapping[str, int], given: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Returns the first and last number of each series that was given and that the lake does not hold.

    Args:
        present: last number by series, as ``billing/documents`` holds it.
        given: last number by series, as the ledger or a result file knows it.
    """
    return {
        series: (present.get(series, 0) + 1, number)
        for series, number in sorted(given.items())
        if number > present.get(series, 0)
    }
