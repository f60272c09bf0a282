"""Which business dates are stale: computed from content, never from what a run remembers.

The content of a date follows from its own lines and from lines that these may lose against: lines of earlier
drops that have the same sale dates but belong to other business dates. The inputs hash covers the digests of
both. A changed delivery makes exactly the dates stale that it may have changed. A delivery that is read again
with equal content makes none stale.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from pipeline.planning.pinned import Chunking
from pipeline.planning.reconciliation import EXACT, ZERO
from schemas.drops import DateContent
from schemas.states import DateStatus, DropReason, DropStatus

# Recorded instead of a hash if a date's content is known to be wrong. It matches no inputs, so the date is
# stale.
KNOWN_WRONG = "wrong"


@dataclass(frozen=True)
class AcceptedDelivery:
    """The delivery of a drop whose lines are in bronze.

    Attributes:
        fingerprint: fingerprint of its files.
        content: its accepted lines by business date and sale date.
        bronze_version: version of ``bronze/received_sales`` that added it.
        settings_sequence: number of the pinned-settings record that it was ingested under.
        run_id: run that ingested it.
    """

    fingerprint: str
    content: tuple[DateContent, ...]
    bronze_version: int
    settings_sequence: int = 0
    run_id: str = ""


@dataclass(frozen=True)
class DropState:
    """A drop as the ledger knows it.

    Attributes:
        date: drop date.
        status: status of its last ingest that was not ``unchanged``.
        fingerprint: fingerprint of the delivery that this ingest read.
        accepted: the delivery whose lines bronze holds; None if it holds none.
        refused: content of the last delivery if an audit refused it.
        reason: why the last delivery is not in bronze, for people; None if it is.
        reason_code: the same, where a run decides by it; None for every other reason.
        settings_sequence: number of the pinned-settings record of the last ingest.
        max_rejected_share: the limit of the last ingest's audit, from 0 to 1; None if unknown.
        min_share_of_previous: the smallest share of the usual lines that it let pass; None if unknown.
        ingest_version: bronze version that wrote the last delivery; None if none did.
    """

    date: dt.date
    status: DropStatus
    fingerprint: str
    accepted: AcceptedDelivery | None
    refused: tuple[DateContent, ...] = ()
    reason: str | None = None
    reason_code: DropReason | None = None
    settings_sequence: int = 0
    max_rejected_share: float | None = None
    min_share_of_previous: float | None = None
    ingest_version: int | None = None

    @property
    def is_in_trouble(self) -> bool:
        """Whether its last delivery was refused or could not be read."""
        return self.status in (DropStatus.BLOCKED, DropStatus.FAILED)

    @property
    def content(self) -> tuple[DateContent, ...]:
        """Accepted lines in bronze."""
        return self.accepted.content if self.accepted else ()

    @property
    def lines(self) -> int:
        """Number of its accepted lines in bronze."""
        return sum(content.lines for content in self.content)


@dataclass(frozen=True)
class DateState:
    """A business date as it was last published.

    Attributes:
        date: business date.
        status: status of its last publication.
        revision: revision of its content in ``silver/sales``; 0 if it was never published.
        inputs_hash: inputs hash of that content.
        drop_dates: drops that the content comes from.
        sale_dates: sale dates of that content.
        silver_version: version of ``silver/sales`` that published it; None if it was never published.
        chunking: how its lines were split into chunks; None if unknown.
        is_restored: whether an earlier revision was restored: its lines differ from those in bronze now.
    """

    date: dt.date
    status: DateStatus
    revision: int
    inputs_hash: str | None
    drop_dates: frozenset[dt.date]
    sale_dates: frozenset[dt.date] = frozenset()
    silver_version: int | None = None
    chunking: Chunking | None = None
    is_restored: bool = False


@dataclass(frozen=True)
class DateInputs:
    """What a business date must be published from.

    Attributes:
        date: business date.
        lines: accepted lines.
        drop_dates: drops that hold them.
        sale_dates: their sale dates.
        inputs_hash: hash over the content that decides the date.
        gross: sum of gross_amount by currency, as the ingests counted it.
        chunking: how its lines are split into chunks; None for a date without lines.
        resent_sale_dates: its sale dates that earlier drops have lines of, under other business dates.
        resent_drop_dates: those earlier drops.
        linked_hash: like inputs_hash, plus later drops of the same sale dates. A restored date is stale if
            this hash changes.
    """

    date: dt.date
    lines: int
    drop_dates: frozenset[dt.date]
    sale_dates: frozenset[dt.date]
    inputs_hash: str
    gross: Mapping[str, Decimal] = field(default_factory=dict)
    chunking: Chunking | None = None
    resent_sale_dates: frozenset[dt.date] = frozenset()
    resent_drop_dates: frozenset[dt.date] = frozenset()
    linked_hash: str = ""


_Part = tuple[dt.date, DateContent]


def date_inputs(
    drops: Iterable[DropState],
    chunkings: Mapping[dt.date, Chunking] | None = None,
    published: Mapping[dt.date, DateState] | None = None,
) -> dict[dt.date, DateInputs]:
    """Inputs of every business date that has lines in a drop or was restored.

    Args:
        drops: every drop.
        chunkings: how the lines of each drop are split into chunks. A date is split like its latest drop.
        published: every date as it was published. The linked hash of a restored date also covers the sale
            dates that readers see in it.
    """
    by_date: dict[dt.date, list[_Part]] = defaultdict(list)
    by_sale_date: dict[dt.date, list[_Part]] = defaultdict(list)
    for drop in drops:
        for content in drop.content:
            by_date[content.business_date].append((drop.date, content))
            by_sale_date[content.sale_date].append((drop.date, content))
    restored = {date: state.sale_dates for date, state in (published or {}).items() if state.is_restored}
    return {
        date: _inputs(date, by_date[date], by_sale_date, restored.get(date, frozenset()), chunkings or {})
        for date in {*by_date, *restored}
    }


def no_inputs(date: dt.date) -> DateInputs:
    """Inputs of a date that has no lines left."""
    return DateInputs(date, 0, frozenset(), frozenset(), _hash([]), linked_hash=_hash([]))


def stale_dates(inputs: Mapping[dt.date, DateInputs], published: Mapping[dt.date, DateState]) -> set[dt.date]:
    """Dates whose inputs differ from those that they were published from."""
    changed = {date for date, wanted in inputs.items() if _is_stale(published.get(date), wanted)}
    emptied = {
        date
        for date, state in published.items()
        if date not in inputs and state.revision > 0 and _is_stale(state, no_inputs(date))
    }
    return changed | emptied


def misplaced_dates(
    inputs: Mapping[dt.date, DateInputs], published: Mapping[dt.date, DateState]
) -> set[dt.date]:
    """Published dates whose lines are in outdated chunks; a restored date keeps its chunks."""
    return {
        date
        for date, state in published.items()
        if date in inputs
        and state.revision > 0
        and not state.is_restored
        and state.chunking is not None
        and inputs[date].chunking not in (None, state.chunking)
    }


def _is_stale(state: DateState | None, wanted: DateInputs) -> bool:
    if state is None or state.revision == 0:
        return True
    expected = wanted.linked_hash if state.is_restored else wanted.inputs_hash
    return state.inputs_hash != expected


def _inputs(
    date: dt.date,
    own: list[_Part],
    by_sale_date: Mapping[dt.date, list[_Part]],
    seen_sale_dates: frozenset[dt.date],
    chunkings: Mapping[dt.date, Chunking],
) -> DateInputs:
    last_drops: dict[dt.date, dt.date] = {}
    for drop, content in own:
        last_drops[content.sale_date] = max(drop, last_drops.get(content.sale_date, drop))
    elsewhere = [
        (drop, content)
        for sale_date in {*last_drops, *seen_sale_dates}
        for drop, content in by_sale_date.get(sale_date, ())
        if content.business_date != date
    ]
    earlier = [
        (drop, content)
        for drop, content in elsewhere
        if content.sale_date in last_drops and drop <= last_drops[content.sale_date]
    ]
    return DateInputs(
        date=date,
        lines=sum(content.lines for _, content in own),
        drop_dates=frozenset(drop for drop, _ in own),
        sale_dates=frozenset(last_drops),
        inputs_hash=_hash([*own, *earlier]),
        gross=_gross(content for _, content in own),
        chunking=chunkings.get(max(drop for drop, _ in own)) if own else None,
        resent_sale_dates=frozenset(content.sale_date for _, content in earlier),
        resent_drop_dates=frozenset(drop for drop, _ in earlier),
        linked_hash=_hash([*own, *elsewhere]),
    )


def _gross(parts: Iterable[DateContent]) -> dict[str, Decimal]:
    total: dict[str, Decimal] = {}
    for content in parts:
        for currency, amount in content.gross.items():
            total[currency] = EXACT.add(total.get(currency, ZERO), amount)
    return total


def _hash(parts: Iterable[_Part]) -> str:
    lines = sorted(
        f"{drop.isoformat()}|{c.business_date.isoformat()}|{c.sale_date.isoformat()}|{c.is_adjustment}|"
        f"{c.lines}|{c.digest}"
        for drop, c in parts
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
