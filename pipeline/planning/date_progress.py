"""How far each business date is, and whether billing may start, from the ledger and the landing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.planning.dependencies import Dependencies
from pipeline.planning.staleness import DateState, DropState, date_inputs, stale_dates
from schemas.states import DateProgressState, DateStatus, ExitCode, Stage

# Billing waits while a date is in one of these states. The exit code tells the caller why.
WAITING: Mapping[DateProgressState, ExitCode] = {
    DateProgressState.MISSING: ExitCode.NOT_READY,
    DateProgressState.LANDED: ExitCode.NOT_READY,
    DateProgressState.STALE: ExitCode.NOT_READY,
    DateProgressState.BLOCKED: ExitCode.AUDIT,
    DateProgressState.FAILED: ExitCode.SOME_DATES_FAILED,
}


@dataclass(frozen=True)
class LakeState:
    """What the ledger and the landing say about a lake.

    Attributes:
        drops: drops in the ledger, by drop date.
        published: dates in the ledger, by business date.
        built: for each gold table, the revision that each date was last built from.
        landed: fingerprint of each drop in the landing, by drop date.
        reasons: why dates are not done, by date, as their last publication recorded it.
    """

    drops: Mapping[dt.date, DropState]
    published: Mapping[dt.date, DateState]
    built: Collection[Mapping[dt.date, int]]
    landed: Mapping[dt.date, str]
    reasons: Mapping[dt.date, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DateProgress:
    """How far a business date is.

    Attributes:
        date: business date.
        state: how far it is.
        revision: revision that readers see; 0 for none.
        lines: accepted lines to publish.
        reason: why it is not done; None if it is.
        margins: seconds from a stage's first completion of the date to the stage's deadline. If the stage
            has not completed it, seconds from now. Negative if late.
    """

    date: dt.date
    state: DateProgressState
    revision: int
    lines: int
    reason: str | None
    margins: Mapping[Stage, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The entry of the date in the result."""
        return {
            "business_date": self.date.isoformat(),
            "state": self.state.value,
            "revision": self.revision,
            "lines": self.lines,
            "reason": self.reason,
            "margin_seconds": {stage.value: round(margin, 1) for stage, margin in self.margins.items()},
        }


def standings(dates: Collection[dt.date], known: LakeState) -> list[DateProgress]:
    """Returns how far the dates are, in order."""
    inputs = date_inputs(known.drops.values(), published=known.published)
    stale = stale_dates(inputs, known.published)
    held = _held(dates, known, Dependencies(known.drops.values(), inputs, known.published), stale)
    progress = []
    for date in sorted(dates):
        state, reason = _state(date, known, stale, held)
        published = known.published.get(date)
        lines = inputs[date].lines if date in inputs else 0
        progress.append(DateProgress(date, state, published.revision if published else 0, lines, reason))
    return progress


def _why_stale(published: DateState | None, reason: str | None) -> tuple[DateProgressState, str | None]:
    """State and reason of a stale date, from the status of its last publication."""
    if published is None:
        return DateProgressState.STALE, "not published"
    if published.status is DateStatus.FAILED:
        return DateProgressState.FAILED, reason
    if published.status is DateStatus.BLOCKED:
        return DateProgressState.BLOCKED, reason
    return DateProgressState.STALE, "its lines changed since it was published"


def _held(
    dates: Collection[dt.date], known: LakeState, links: Dependencies, stale: Collection[dt.date]
) -> dict[dt.date, str]:
    """Dates that wait for a refused or failed delivery, with the reason.

    A date waits if the delivery is its own or holds refused lines of it, or if it is stale and depends on it.
    """
    troubled: set[dt.date] = set()
    for drop in known.drops.values():
        if drop.is_in_trouble:
            troubled |= {drop.date, *(content.business_date for content in drop.refused)}
    reasons = links.held_back(dates, ())
    return {date: reason for date, reason in reasons.items() if date in stale or date in troubled}


def _state(
    date: dt.date, known: LakeState, stale: Collection[dt.date], held: Mapping[dt.date, str]
) -> tuple[DateProgressState, str | None]:
    drop, published = known.drops.get(date), known.published.get(date)
    landed = known.landed.get(date)
    if landed is not None and (drop is None or drop.fingerprint != landed):
        return DateProgressState.LANDED, "its drop is landed and not ingested yet"
    if date in held:
        return DateProgressState.BLOCKED, held[date]
    if drop is None and (published is None or not published.revision):
        return DateProgressState.MISSING, "its drop is not there"
    if date in stale:
        return _why_stale(published, known.reasons.get(date))
    # A drop may hold no line of its date. Then there is nothing to build.
    revision = published.revision if published is not None else 0
    is_built = not revision or all(table.get(date) == revision for table in known.built)
    return (DateProgressState.BILLED if is_built else DateProgressState.DONE), None
