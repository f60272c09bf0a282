"""The gold tables. Builds, verification and reports all derive from the declarations here.

A gold table is a SQL file, a period and keys. The built-in ones are declared here, with their SQL in
``configs/gold``. A config declares further ones in the same way (config key ``gold``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pyspark.sql.types import DataType, IntegerType, StructField, StructType

from schemas.states import Stage
from schemas.tables import COUNT, DATE, SUM, TEXT, Table

GOLD = "gold/"
SQL_FOLDER = Path(__file__).resolve().parent.parent / "configs" / "gold"
# The name by which the SQL of a gold table selects from the published lines.
SALES_VIEW = "sales"
# Property of a declared table: the digest of the declaration that its rows come from.
QUERY_PROPERTY = "cymbal.queryDigest"
PERIOD_PROPERTY = "cymbal.period"


class Period(StrEnum):
    """The business dates that one row of a gold table covers; weeks start on Monday."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    def start_of(self, date: dt.date) -> dt.date:
        """Returns the first date of the period that contains a date."""
        if self is Period.WEEK:
            return date - dt.timedelta(days=date.weekday())
        return date.replace(day=1) if self is Period.MONTH else date


@dataclass(frozen=True, kw_only=True)
class GoldTable(Table):
    """The contract of one gold table.

    Attributes:
        period: business dates that one row covers. A stale date makes its whole period stale.
        grain: columns that identify a row within a period.
        identifier: columns that match two versions of a row; by default the grain.
        query: SQL that selects the rows of a period. It lacks ``sales_revision``, which a build adds.
        sources: names that the query selects from: ``sales``, and gold tables of the same period.
        is_separable: whether the rows of several periods may be selected at once.
        reconcile: amounts whose sums must be those of ``silver/sales``, by period and currency.
        digest: sha256 in hex of the declaration, for a table of the config. Empty for a built-in one.
        stage: stage of a run, and name of the job, that builds the table.
    """

    period: Period
    grain: tuple[str, ...]
    identifier: tuple[str, ...]
    query: str
    sources: tuple[str, ...] = (SALES_VIEW,)
    is_separable: bool = True
    reconcile: tuple[str, ...] = ()
    digest: str = ""
    stage: Stage

    @property
    def view(self) -> str:
        """The name by which the SQL of another gold table selects from this one."""
        return self.name.removeprefix(GOLD)

    @property
    def is_declared(self) -> bool:
        """Whether a config declares the table."""
        return bool(self.digest)

    @property
    def period_column(self) -> str:
        """Date column that holds the first date of the period; the table is partitioned by it."""
        return self.partition_by[0]

    @property
    def has_revision(self) -> bool:
        """Whether a build adds the revision of its business date to a row."""
        return not self.is_declared and REVISION in self.columns

    @property
    def properties(self) -> Mapping[str, str]:
        """Properties of a new table."""
        return {QUERY_PROPERTY: self.digest, PERIOD_PROPERTY: self.period.value} if self.digest else {}

    def partition_of(self, date: dt.date) -> dt.date:
        """The first date of the period that holds a business date."""
        return self.period.start_of(date)


_PERIOD_COLUMNS = {Period.DAY: "business_date", Period.WEEK: "week", Period.MONTH: "month"}
# What a row of gold, and a billing document, sums up.
SUMS: dict[str, DataType] = {
    "lines": COUNT,
    "units": SUM,
    "gross_amount": SUM,
    "discount_amount": SUM,
    "net_amount": SUM,
    "returns_amount": SUM,
}
REVISION = "sales_revision"
_REVISION: dict[str, DataType] = {REVISION: IntegerType()}


def _gold_table(name: str, columns: dict[str, DataType], **declared: Any) -> GoldTable:
    return GoldTable(
        name=f"{GOLD}{name}",
        base=StructType([StructField(column, data_type) for column, data_type in columns.items()]),
        partition_by=(_PERIOD_COLUMNS[declared["period"]],),
        application=declared["stage"].value,
        query=(SQL_FOLDER / f"{name}.sql").read_text(encoding="utf-8"),
        **{"identifier": declared["grain"]} | declared,
    )


DAILY_SALES = _gold_table(
    "daily_sales",
    {"business_date": DATE, "store_id": TEXT, "category": TEXT, "currency": TEXT, **SUMS, **_REVISION},
    grain=("store_id", "category", "currency"),
    period=Period.DAY,
    stage=Stage.DAILY_SALES,
)

INVOICES = _gold_table(
    "invoices",
    {"invoice_id": TEXT, "business_date": DATE, "customer_id": TEXT, "currency": TEXT, **SUMS, **_REVISION},
    grain=("customer_id", "currency"),
    identifier=("invoice_id",),
    period=Period.DAY,
    stage=Stage.INVOICES,
)

WEEKLY_PRODUCT_SALES = _gold_table(
    "weekly_product_sales",
    {"week": DATE, "product_id": TEXT, "product_name": TEXT, "currency": TEXT, **SUMS},
    grain=("product_id", "product_name", "currency"),
    period=Period.WEEK,
    stage=Stage.DAILY_SALES,
)

# The built-in tables. A run knows those of its config, too: see schemas.lake.LakeTables.
GOLD_TABLES: tuple[GoldTable, ...] = (DAILY_SALES, WEEKLY_PRODUCT_SALES, INVOICES)


def tables_of(stage: Stage, tables: Iterable[GoldTable]) -> list[GoldTable]:
    """Returns the gold tables that a stage builds, in order."""
    return [table for table in tables if table.stage is stage]
