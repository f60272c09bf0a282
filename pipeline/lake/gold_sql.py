"""Selects the rows of gold tables with their SQL."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from pyspark.sql import DataFrame

from schemas.gold import SALES_VIEW, GoldTable
from transforms.gold import with_sales_revision
from transforms.sums import expand_exact_sums


def select_rows(query: str, sources: Mapping[str, DataFrame]) -> DataFrame:
    """Selects with the SQL of a gold table.

    Args:
        query: SQL; it may call ``exact_sum``.
        sources: the frames that it selects from, by name; one of them is ``sales``.

    Returns:
        The columns that it selects.

    Raises:
        AnalysisException: the SQL does not fit the frames.
    """
    # Spark resolves the names at once, so the views need not outlive the call.
    spark = sources[SALES_VIEW].sparkSession
    try:
        for name, frame in sources.items():
            frame.createOrReplaceTempView(name)
        return spark.sql(expand_exact_sums(query))
    finally:
        for name in sources:
            spark.catalog.dropTempView(name)


def gold_rows_of(
    table: GoldTable, sources: Mapping[str, DataFrame], revisions: Mapping[dt.date, int]
) -> DataFrame:
    """Computes the rows of a gold table.

    Args:
        table: the gold table.
        sources: ``silver/sales``, and gold tables, of whole periods, by the names in ``table.sources``.
        revisions: revision of each business date in them.

    Returns:
        The columns of the table.
    """
    rows = select_rows(table.query, sources)
    if table.has_revision:
        rows = with_sales_revision(rows, revisions)
    return rows.select(*table.columns)
