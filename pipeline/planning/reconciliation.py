"""Reconciliation: what was received is what was published, and what was left out and why, to the cent."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import TypeVar

from schemas.states import ConflictOutcome
from schemas.tables import RECONCILED_SHARES

ZERO = Decimal(0)
# decimal(38,3) has more digits than the default context's 28, which would round in silence.
EXACT = Context(prec=76)
Key = TypeVar("Key")


@dataclass(frozen=True)
class ControlTotals:
    """A number of lines and their control totals.

    Attributes:
        lines: lines.
        gross: sum of gross_amount.
        absolute_gross: sum of its absolute values, which errors of opposite signs cannot hide in.
    """

    lines: int = 0
    gross: Decimal = ZERO
    absolute_gross: Decimal = ZERO

    def __add__(self, other: ControlTotals) -> ControlTotals:
        """Sums two measures, of one currency."""
        return ControlTotals(
            self.lines + other.lines,
            EXACT.add(self.gross, other.gross),
            EXACT.add(self.absolute_gross, other.absolute_gross),
        )


@dataclass(frozen=True, order=True)
class ReconciliationKey:
    """What is reconciled on its own: one chunk of one business date in one currency."""

    business_date: dt.date
    chunk: str
    currency: str


@dataclass
class Balance:
    """The four shares of a cell."""

    received: ControlTotals = field(default_factory=ControlTotals)
    published: ControlTotals = field(default_factory=ControlTotals)
    duplicates: ControlTotals = field(default_factory=ControlTotals)
    conflicts: ControlTotals = field(default_factory=ControlTotals)

    @property
    def is_reconciled(self) -> bool:
        """Whether received = published + duplicates + conflicts, in every measure."""
        return self.received == self.published + self.duplicates + self.conflicts

    @property
    def left_over(self) -> Decimal:
        """Gross received that is accounted for nowhere; of cells of one currency."""
        accounted = self.published + self.duplicates + self.conflicts
        return EXACT.subtract(self.received.gross, accounted.gross)

    def as_columns(self) -> dict[str, object]:
        """The columns of ``ledger/chunks``."""
        columns: dict[str, object] = {}
        for share in RECONCILED_SHARES:
            measure: ControlTotals = getattr(self, share)
            columns[share] = measure.lines
            columns[f"gross_{share}"] = measure.gross
            columns[f"absolute_gross_{share}"] = measure.absolute_gross
        return columns


def reconcile(
    received: Mapping[ReconciliationKey, ControlTotals],
    published: Mapping[ReconciliationKey, ControlTotals],
    duplicates: Mapping[ReconciliationKey, ControlTotals],
    left_out: Mapping[tuple[ReconciliationKey, str], ControlTotals],
) -> dict[ReconciliationKey, Balance]:
    """Puts the shares of each cell side by side.

    Args:
        received: of accepted lines in bronze.
        published: of lines in ``silver/sales``.
        duplicates: of the equal copies that those stand for.
        left_out: of lines in ``silver/conflicts``, by outcome; a late duplicate is a duplicate.
    """
    cells: dict[ReconciliationKey, Balance] = defaultdict(Balance)
    for cell, measure in received.items():
        cells[cell].received = measure
    for cell, measure in published.items():
        cells[cell].published = measure
    for cell, measure in duplicates.items():
        cells[cell].duplicates += measure
    for (cell, outcome), measure in left_out.items():
        if outcome == ConflictOutcome.LATE_DUPLICATE:
            cells[cell].duplicates += measure
        else:
            cells[cell].conflicts += measure
    return dict(sorted(cells.items()))


def unreconciled_dates(cells: Mapping[ReconciliationKey, Balance]) -> dict[dt.date, str]:
    """Dates of which some cell does not reconcile, each with its first such cell in words."""
    problems: dict[dt.date, str] = {}
    for cell, shares in cells.items():
        if not shares.is_reconciled:
            problems.setdefault(cell.business_date, _in_words(cell, shares))
    return problems


def conflict_ratios(cells: Mapping[ReconciliationKey, Balance]) -> dict[dt.date, float]:
    """Share of conflicting lines among the received ones, by date."""
    return {
        date: totals.conflicts.lines / totals.received.lines if totals.received.lines else 0.0
        for date, totals in totals_by(cells, lambda cell: cell.business_date).items()
    }


def totals_by(
    cells: Mapping[ReconciliationKey, Balance], key: Callable[[ReconciliationKey], Key]
) -> dict[Key, Balance]:
    """Sums the shares of cells that have one key; sum money only over cells of one currency."""
    totals: dict[Key, Balance] = defaultdict(Balance)
    for cell, shares in cells.items():
        total = totals[key(cell)]
        for share in RECONCILED_SHARES:
            setattr(total, share, getattr(total, share) + getattr(shares, share))
    return dict(totals)


def _in_words(cell: ReconciliationKey, shares: Balance) -> str:
    parts = ", ".join(
        f"{share} {getattr(shares, share).lines} lines {getattr(shares, share).gross}"
        for share in RECONCILED_SHARES
    )
    return f"{cell.business_date} chunk {cell.chunk} {cell.currency}: {parts}"
