"""The gold tables. Builds, verification and reports all derive from the declarations here.

To add a gold table, add one entry to GOLD_TABLES and one function to ``transforms/totals.py``.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pyspark.sql.types import DataType, IntegerType, StructField, StructType

from schemas.states import Stage
from schemas.tables import COUNT, DATE, SUM, TEXT, Table


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
        transform: name of the function in ``transforms/totals.py`` that builds the table.
        stage: stage of a run, and name of the job, that builds the table.
    """

    period: Period
    grain: tuple[str, ...]
    identifier: tuple[str, ...]
    transform: str
    stage: Stage

    @property
    def period_column(self) -> str:
        """Date column that holds the first date of the period; the table is partitioned by it."""
        return self.partition_by[0]

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
_REVISION: dict[str, DataType] = {"sales_revision": IntegerType()}


def _gold_table(name: str, columns: dict[str, DataType], **declared: Any) -> GoldTable:
    return GoldTable(
        name=name,
        schema=StructType([StructField(column, data_type) for column, data_type in columns.items()]),
        partition_by=(_PERIOD_COLUMNS[declared["period"]],),
        application=declared["stage"].value,
        **{"identifier": declared["grain"]} | declared,
    )


DAILY_SALES = _gold_table(
    "gold/daily_sales",
    {"business_date": DATE, "store_id": TEXT, "category": TEXT, "currency": TEXT, **SUMS, **_REVISION},
    grain=("store_id", "category", "currency"),
    period=Period.DAY,
    transform="daily_sales",
    stage=Stage.DAILY_SALES,
)

INVOICES = _gold_table(
    "gold/invoices",
    {"invoice_id": TEXT, "business_date": DATE, "customer_id": TEXT, "currency": TEXT, **SUMS, **_REVISION},
    grain=("customer_id", "currency"),
    identifier=("invoice_id",),
    period=Period.DAY,
    transform="invoices",
    stage=Stage.INVOICES,
)

WEEKLY_PRODUCT_SALES = _gold_table(
    "gold/weekly_product_sales",
    {"week": DATE, "product_id": TEXT, "product_name": TEXT, "currency": TEXT, **SUMS},
    grain=("product_id", "product_name", "currency"),
    period=Period.WEEK,
    transform="weekly_product_sales",
    stage=Stage.DAILY_SALES,
)

GOLD_TABLES: tuple[GoldTable, ...] = (DAILY_SALES, WEEKLY_PRODUCT_SALES, INVOICES)


def tables_of(stage: Stage) -> list[GoldTable]:
    """Returns the gold tables that a stage builds."""
    return [table for table in GOLD_TABLES if table.stage is stage]
