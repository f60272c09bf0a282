"""Which business dates get documents, and which numbers are known to be given, on plain values."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

_NUMBER = re.compile(r"(.*\D)([1-9]\d{0,17})")


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


@dataclass(frozen=True, order=True)
class NumberSpan:
    """Numbers of a series that follow each other.

    Attributes:
        series: what stands before the running number.
        first: first running number, 1 or more.
        last: last running number, not below the first.
    """

    series: str
    first: int
    last: int

    def __str__(self) -> str:
        """For example ``2026-8 to 2026-11``, or ``2026-8`` for one number."""
        first, last = f"{self.series}{self.first}", f"{self.series}{self.last}"
        return first if first == last else f"{first} to {last}"

    def __contains__(self, number: tuple[str, int]) -> bool:
        """Whether a series and running number is one of these."""
        series, running = number
        return series == self.series and self.first <= running <= self.last


@dataclass(frozen=True, order=True)
class LostNumbers:
    """Numbers that were written off.

    Attributes:
        span: the numbers.
        recorded_on: local date of the record.
        reason: why their documents are lost.
    """

    span: NumberSpan
    recorded_on: dt.date
    reason: str

    def __str__(self) -> str:
        """For example ``2026-8 to 2026-11, on 2026-03-04: disk lost``."""
        return f"{self.span}, on {self.recorded_on}: {self.reason}"


def lost_numbers(present: Mapping[str, int], given: Mapping[str, int]) -> list[NumberSpan]:
    """Returns the numbers of each series that were given and that the lake does not hold.

    Args:
        present: last number by series, as the lake holds it.
        given: last number by series, as the ledger or a result file knows it.
    """
    return [
        NumberSpan(series, present.get(series, 0) + 1, number)
        for series, number in sorted(given.items())
        if number > present.get(series, 0)
    ]


def highest_numbers(*known: Mapping[str, int]) -> dict[str, int]:
    """Returns the highest number of each series."""
    every = sorted({series for numbers in known for series in numbers})
    return {series: max(numbers.get(series, 0) for numbers in known) for series in every}


def split_number(number: str) -> tuple[str, int] | None:
    """Splits a document number into series and running number; None if it is none."""
    match = _NUMBER.fullmatch(number)
    return None if match is None else (match[1], int(match[2]))
