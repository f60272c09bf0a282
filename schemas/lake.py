"""Every table of a lake."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.billing import DOCUMENT_LINES, DOCUMENTS, LOST_NUMBERS
from schemas.gold import GOLD_TABLES, GoldTable
from schemas.tables import (
    CONFLICTS,
    LEDGER_BUILDS,
    LEDGER_CHUNKS,
    LEDGER_DATES,
    LEDGER_DROPS,
    LEDGER_RULES,
    LEDGER_RUNS,
    LEDGER_SERIES,
    LEDGER_STAGES,
    LEDGER_STORES,
    LEDGER_TASKS,
    RECEIVED_SALES,
    REFUSED_SALES,
    SALES,
    Table,
)

_LEDGER: tuple[Table, ...] = (
    LEDGER_DROPS,
    LEDGER_STORES,
    LEDGER_RULES,
    LEDGER_DATES,
    LEDGER_RUNS,
    LEDGER_CHUNKS,
    LEDGER_TASKS,
    LEDGER_BUILDS,
    LEDGER_SERIES,
    LEDGER_STAGES,
)


@dataclass(frozen=True)
class LakeTables:
    """The tables of a lake, as one run knows them.

    Attributes:
        gold: gold tables: the built-in ones, then those of the config, each after those that it selects from.
    """

    gold: tuple[GoldTable, ...] = GOLD_TABLES

    @property
    def recorded(self) -> tuple[Table, ...]:
        """Tables whose commits the ledger records by version."""
        return (RECEIVED_SALES, SALES, *self.gold, DOCUMENTS)

    @property
    def replaced(self) -> tuple[Table, ...]:
        """Tables whose dates the batch replaces. To the others it only appends."""
        return (RECEIVED_SALES, REFUSED_SALES, SALES, CONFLICTS, *self.gold)

    @property
    def data(self) -> tuple[Table, ...]:
        """Tables that the batch publishes, or publishes from."""
        return (*self.replaced, DOCUMENTS, DOCUMENT_LINES)

    @property
    def every(self) -> tuple[Table, ...]:
        """Every table."""
        return (*self.data, LOST_NUMBERS, *_LEDGER)


# The tables of a lake whose config declares none.
TABLES: tuple[Table, ...] = LakeTables().every
