"""Reconciliation, to the cent: every received line is published, a duplicate or a conflict."""

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
# decimal(38,3) has more digits than the 28 of Python's default context, which would round silently.
EXACT = Context(prec=76)
Group = TypeVar("Group")


@dataclass(frozen=True)
class ControlTotals:
    """A number of lines and their control totals.

    Attributes:
        lines: number of lines.
        gross: sum of gross_amount.
        absolute_gross: sum of absolute values of gross_amount: errors of opposite signs do not cancel out.
        own: sum of each of the team's own amounts, by column.
    """

    lines: int = 0
    gross: Decimal = ZERO
    absolute_gross: Decimal = ZERO
    own: Mapping[str, Decimal] = field(default_factory=dict)

    def __add__(self, other: ControlTotals) -> ControlTotals:
        """Sums two totals of one currency."""
        return ControlTotals(
            self.lines + other.lines,
            EXACT.add(self.gross, other.gross),
            EXACT.add(self.absolute_gross, other.absolute_gross),
            {
                name: EXACT.add(self.own.get(name, ZERO), other.own.get(name, ZERO))
                for name in {**self.own, **other.own}
            },
        )


@dataclass(frozen=True, order=True)
class ReconciliationKey:
    """The unit of reconciliation: one chunk of one business date in one currency."""

    business_date: dt.date
    chunk: str
    currency: str


@dataclass
class Balance:
    """The four totals of a reconciliation key."""

    received: ControlTotals = field(default_factory=ControlTotals)
    published: ControlTotals = field(default_factory=ControlTotals)
    duplicates: ControlTotals = field(default_factory=ControlTotals)
    conflicts: ControlTotals = field(default_factory=ControlTotals)

    @property
    def is_reconciled(self) -> bool:
        """Whether received = published + duplicates + conflicts, in lines and amounts."""
        return self.received == self.published + self.duplicates + self.conflicts

    @property
    def left_over(self) -> Decimal:
        """Received gross amount that no other total accounts for; meaningful for one currency only."""
        accounted = self.published + self.duplicates + self.conflicts
        return EXACT.subtract(self.received.gross, accounted.gross)

    def as_columns(self) -> dict[str, object]:
        """The columns of ``ledger/chunks``."""
        columns: dict[str, object] = {}
        for share in RECONCILED_SHARES:
            totals: ControlTotals = getattr(self, share)
            columns[share] = totals.lines
            columns[f"gross_{share}"] = totals.gross
            columns[f"absolute_gross_{share}"] = totals.absolute_gross
        return columns


def reconcile(
    received: Mapping[ReconciliationKey, ControlTotals],
    published: Mapping[ReconciliationKey, ControlTotals],
    duplicates: Mapping[ReconciliationKey, ControlTotals],
    left_out: Mapping[tuple[ReconciliationKey, str], ControlTotals],
) -> dict[ReconciliationKey, Balance]:
    """Builds the balance of each reconciliation key.

    Args:
        received: accepted lines in bronze.
        published: lines in ``silver/sales``.
        duplicates: equal copies that the published lines stand for.
        left_out: lines in ``silver/conflicts``, by outcome; a late duplicate counts as a duplicate.
    """
    balances: dict[ReconciliationKey, Balance] = defaultdict(Balance)
    for key, totals in received.items():
        balances[key].received = totals
    for key, totals in published.items():
        balances[key].published = totals
    for key, totals in duplicates.items():
        balances[key].duplicates += totals
    for (key, outcome), totals in left_out.items():
        if outcome == ConflictOutcome.LATE_DUPLICATE:
            balances[key].duplicates += totals
        else:
            balances[key].conflicts += totals
    return dict(sorted(balances.items()))


def unreconciled_dates(balances: Mapping[ReconciliationKey, Balance]) -> dict[dt.date, str]:
    """Dates with a key that does not reconcile, each with a description of the first such key."""
    problems: dict[dt.date, str] = {}
    for key, balance in balances.items():
        if not balance.is_reconciled:
            problems.setdefault(key.business_date, _describe_balance(key, balance))
    return problems


def conflict_ratios(balances: Mapping[ReconciliationKey, Balance]) -> dict[dt.date, float]:
    """Share of conflicting lines among the received lines, from 0 to 1, by date."""
    return {
        date: balance.conflicts.lines / balance.received.lines if balance.received.lines else 0.0
        for date, balance in totals_by(balances, lambda key: key.business_date).items()
    }


def totals_by(
    balances: Mapping[ReconciliationKey, Balance], group: Callable[[ReconciliationKey], Group]
) -> dict[Group, Balance]:
    """Sums balances by group. Sums of money are meaningful only within one currency."""
    totals: dict[Group, Balance] = defaultdict(Balance)
    for key, balance in balances.items():
        total = totals[group(key)]
        for share in RECONCILED_SHARES:
            setattr(total, share, getattr(total, share) + getattr(balance, share))
    return dict(totals)


def _describe_balance(key: ReconciliationKey, balance: Balance) -> str:
    parts = ", ".join(
        f"{share} {getattr(balance, share).lines} lines {getattr(balance, share).gross}"
        + "".join(f" {name} {amount}" for name, amount in getattr(balance, share).own.items())
        for share in RECONCILED_SHARES
    )
    return f"{key.business_date} chunk {key.chunk} {key.currency}: {parts}"
