"""Which business dates are stale: computed from what is there, never from what a run remembers.

A published date is a pure function of its inputs: the drops that its lines come from, and, for adjustments,
the drops that hold earlier lines of the same sale dates. Both go into its inputs hash, so that a changed
delivery makes stale every date that it can have changed, and no other.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from schemas.drops import DateContent
from schemas.states import DateStatus, DropStatus


@dataclass(frozen=True)
class DropState:
    """A drop as bronze and the ledger know it.

    Attributes:
        date: drop date.
        status: of its last ingest that was not ``unchanged``.
        fingerprint: of the delivery that this ingest saw.
        held_input: fingerprint of the delivery whose lines bronze holds, and digest of the terms under which
            they were judged; None where bronze holds none.
        content: accepted lines in bronze by business date.
    """

    date: dt.date
    status: DropStatus
    fingerprint: str
    held_input: str | None
    content: tuple[DateContent, ...]


@dataclass(frozen=True)
class DateState:
    """A business date as it was last published.

    Attributes:
        date: business date.
        status: of its last publication.
        revision: of the content in ``silver/sales``; 0 where it was never published.
        inputs_hash: of that content.
        drop_dates: drops that the content comes from.
        silver_version: version of ``silver/sales`` that published it; None where it was never published.
        is_restored: whether an earlier revision was brought back: its lines are not those of bronze now.
    """

    date: dt.date
    status: DateStatus
    revision: int
    inputs_hash: str | None
    drop_dates: frozenset[dt.date]
    silver_version: int | None = None
    is_restored: bool = False


@dataclass(frozen=True)
class DateInputs:
    """What a business date is to be published from.

    Attributes:
        date: business date.
        lines: accepted lines.
        drop_dates: drops that hold them.
        adjusted_sale_dates: sale dates of its adjustments.
        inputs_hash: hash over the drops that decide its content.
    """

    date: dt.date
    lines: int
    drop_dates: frozenset[dt.date]
    adjusted_sale_dates: frozenset[dt.date]
    inputs_hash: str


def date_inputs(drops: Iterable[DropState]) -> dict[dt.date, DateInputs]:
    """Inputs of every business date that any drop has lines of."""
    held = [drop for drop in drops if drop.held_input is not None]
    by_date: dict[dt.date, list[tuple[DropState, DateContent]]] = defaultdict(list)
    by_sale_date: dict[dt.date, list[DropState]] = defaultdict(list)
    for drop in held:
        for content in drop.content:
            by_date[content.business_date].append((drop, content))
            by_sale_date[content.sale_date].append(drop)
    return {date: _inputs(date, parts, by_sale_date) for date, parts in by_date.items()}


def no_inputs(date: dt.date) -> DateInputs:
    """Inputs of a date whose lines are all gone."""
    return DateInputs(date, 0, frozenset(), frozenset(), _hash([]))


def stale_dates(inputs: Mapping[dt.date, DateInputs], published: Mapping[dt.date, DateState]) -> set[dt.date]:
    """Dates whose inputs are not those that they were published from."""
    changed = {
        date
        for date, wanted in inputs.items()
        if date not in published or published[date].inputs_hash != wanted.inputs_hash
    }
    emptied = {
        date
        for date, state in published.items()
        if date not in inputs and state.revision > 0 and state.inputs_hash != no_inputs(date).inputs_hash
    }
    return changed | emptied


def held_back_dates(
    drops: Iterable[DropState], published: Mapping[dt.date, DateState], unready: Collection[dt.date]
) -> dict[dt.date, str]:
    """Dates that keep their revision for now, each with the reason.

    Args:
        drops: every drop.
        published: every published date.
        unready: drops that were asked for and are not there yet.

    Returns:
        Reason by date: the dates with lines of a blocked or failed drop, now or as published, and the own
        date of a drop of which no line is known yet.
    """
    reasons = {date: f"drop {date} is not there yet" for date in unready}
    for drop in drops:
        if drop.status not in (DropStatus.BLOCKED, DropStatus.FAILED):
            continue
        dates = {content.business_date for content in drop.content}
        dates |= {date for date, state in published.items() if drop.date in state.drop_dates}
        if drop.status is DropStatus.FAILED:
            dates.add(drop.date)
        reasons |= dict.fromkeys(dates, f"drop {drop.date} is {drop.status}")
    return reasons


def _inputs(
    date: dt.date,
    parts: list[tuple[DropState, DateContent]],
    by_sale_date: Mapping[dt.date, list[DropState]],
) -> DateInputs:
    own = {drop.date: drop for drop, _ in parts}
    adjusted = frozenset(content.sale_date for _, content in parts if content.is_adjustment)
    deciding = dict(own)
    for sale_date in adjusted:
        deciding |= {drop.date: drop for drop in by_sale_date[sale_date] if drop.date < date}
    fingerprints = [(drop.date, str(drop.held_input)) for drop in deciding.values()]
    lines = sum(content.lines for _, content in parts)
    return DateInputs(date, lines, frozenset(own), adjusted, _hash(fingerprints))


def _hash(fingerprints: Iterable[tuple[dt.date, str]]) -> str:
    text = "\n".join(f"{date.isoformat()}|{fingerprint}" for date, fingerprint in sorted(fingerprints))
    return hashlib.sha256(text.encode()).hexdigest()
