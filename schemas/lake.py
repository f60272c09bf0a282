"""Every table of a lake."""

from __future__ import annotations

from schemas.billing import DOCUMENT_LINES, DOCUMENTS
from schemas.gold import GOLD_TABLES
from schemas.tables import (
    CONFLICTS,
    LEDGER_BUILDS,
    LEDGER_CHUNKS,
    LEDGER_DATES,
    LEDGER_DROPS,
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

# Tables whose commits the ledger records by version.
RECORDED_TABLES: tuple[Table, ...] = (RECEIVED_SALES, SALES, *GOLD_TABLES, DOCUMENTS)

# Tables that the batch publishes, or publishes from.
DATA_TABLES: tuple[Table, ...] = (
    RECEIVED_SALES,
    REFUSED_SALES,
    SALES,
    CONFLICTS,
    *GOLD_TABLES,
    DOCUMENTS,
    DOCUMENT_LINES,
)

TABLES: tuple[Table, ...] = (
    *DATA_TABLES,
    LEDGER_DROPS,
    LEDGER_STORES,
    LEDGER_DATES,
    LEDGER_RUNS,
    LEDGER_CHUNKS,
    LEDGER_TASKS,
    LEDGER_BUILDS,
    LEDGER_SERIES,
    LEDGER_STAGES,
)
