"""Selects the rows of gold tables from published sales, and checks those of declared tables."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import reduce

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from pipeline.lake.causes import cause_of
from pipeline.lake.gold_sql import gold_rows_of
from pipeline.lake.tables import filter_dates
from pipeline.steps.context import Batch
from schemas.errors import AuditError
from schemas.gold import SALES_VIEW, GoldTable
from schemas.tables import SALES
from transforms.gold import COPIES, count_currencies, find_repeated_rows, find_unreconciled

Revisions = Mapping[dt.date, int]
# The rows of each period of a table that is not separable are a query of their own: at most so many at once.
MOST_QUERIES = 31
_SHOWN = 20
# Class of SQLSTATE: the values cannot be computed, as of a division by zero.
_DATA_EXCEPTION = "22"


def gold_rows(
    batch: Batch, table: GoldTable, revisions: Revisions, sales_version: int | None = None
) -> DataFrame:
    """Computes the rows of a gold table from published sales, and from the gold tables that it selects from.

    Args:
        batch: the run.
        table: the gold table.
        revisions: revision of each business date of whole periods.
        sales_version: version of ``silver/sales``; None for the latest.

    Returns:
        The columns of the table.
    """
    parts = [dict(revisions)] if table.is_separable else by_period(table, revisions)
    rows = [gold_rows_of(table, _sources(batch, table, part, sales_version), part) for part in parts]
    return reduce(DataFrame.unionByName, rows)


def rows_of_lines(
    tables: Iterable[GoldTable], table: GoldTable, sales: DataFrame, revisions: Revisions
) -> DataFrame:
    """Computes the rows of a gold table from lines alone, without a lake.

    Args:
        tables: the gold tables that it may select from.
        table: the gold table.
        sales: lines as in ``silver/sales``, of whole periods.
        revisions: revision of each business date in them.

    Returns:
        The columns of the table.
    """
    tables = list(tables)
    rows = []
    for part in [dict(revisions)] if table.is_separable else by_period(table, revisions):
        lines = filter_dates(sales, "business_date", part)
        sources = [source for source in tables if source.view in table.sources]
        frames = {source.view: rows_of_lines(tables, source, lines, part) for source in sources}
        rows.append(gold_rows_of(table, {SALES_VIEW: lines, **frames}, part))
    return reduce(DataFrame.unionByName, rows)


def find_wrong_rows(table: GoldTable, rows: DataFrame, sales: DataFrame) -> list[tuple[dt.date | None, str]]:
    """Checks rows of a declared table: unique keys, and sums that are those of the published lines.

    Args:
        table: the gold table.
        rows: its rows, of whole periods.
        sales: ``silver/sales`` of the same periods.

    Returns:
        The period and one line for each violation; no period if all may have it.
    """
    found: list[tuple[dt.date | None, str]] = [
        (
            row[table.period_column],
            f"{table.name} {row[table.period_column]}: {row[COPIES]} rows have the same key: "
            + (", ".join(f"{name} {row[name]}" for name in table.grain) or "the period alone"),
        )
        for row in find_repeated_rows(table, rows).limit(_SHOWN).collect()
    ]
    if not table.reconcile:
        return found
    if "currency" not in table.columns:
        row = count_currencies(sales).first()
        if row is not None and row.currencies > 1:
            text = f"adds amounts of {row.currencies} currencies: put currency among its keys"
            found.append((None, f"{table.name} {text}"))
    for row in find_unreconciled(table, rows, sales).orderBy("period", "currency").limit(_SHOWN).collect():
        for column in table.reconcile:
            sums = row[f"{column}_found"], row[f"{column}_wanted"]
            if sums[0] != sums[1]:
                of_currency = f" {row.currency}" if row.currency else ""
                text = f"its {column} sums up to {sums[0]}, that of silver/sales to {sums[1]}"
                found.append((row.period, f"{table.name} {row.period}{of_currency}: {text}"))
    return found


def by_period(table: GoldTable, revisions: Revisions) -> list[dict[dt.date, int]]:
    """Returns the revisions of each period, in order; one without dates if there are none."""
    periods: dict[dt.date, dict[dt.date, int]] = defaultdict(dict)
    for date, revision in sorted(revisions.items()):
        periods[table.partition_of(date)][date] = revision
    return list(periods.values()) or [{}]


def _sources(
    batch: Batch, table: GoldTable, dates: Iterable[dt.date], sales_version: int | None
) -> dict[str, DataFrame]:
    """The frames that a table's SQL selects from, of the periods of some dates."""
    dates = list(dates)
    frames = {SALES_VIEW: batch.lake.read_dates(SALES, dates, sales_version)}
    for source in batch.lake.tables.gold:
        if source.view in table.sources:
            frames[source.view] = batch.lake.read_dates(source, set(map(source.partition_of, dates)))
    return frames


@contextmanager
def checked(
    table: GoldTable, rows: DataFrame, periods: Collection[dt.date], sales: DataFrame
) -> Iterator[DataFrame]:
    """Gives rows to commit. Those of a declared table are computed once, and checked first.

    Raises:
        AuditError: a row is of another period, a key is not unique, a sum is not that of the published lines,
            or the SQL fails for the data. Readers keep what they have.
    """
    if not table.is_declared:
        yield rows
        return
    kept = rows.persist()
    try:
        problems = _problems(table, kept, periods, sales)
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise AuditError(f"{problems[0]}{more}; readers keep what they have")
        yield kept
    finally:
        kept.unpersist()


def _problems(table: GoldTable, rows: DataFrame, periods: Collection[dt.date], sales: DataFrame) -> list[str]:
    try:
        starts = {row[0] for row in rows.select(table.period_column).distinct().collect()}
        others = sorted(starts - set(periods), key=str)
        if others:
            column = table.period_column
            text = f"rows hold {column} {others[0]}, not the first date of the {table.period} of their lines"
            return [f"{table.name}: {text}"]
        return [text for _, text in find_wrong_rows(table, rows, sales)]
    except PySparkException as error:
        if not (error.getSqlState() or "").startswith(_DATA_EXCEPTION):
            raise
        raise AuditError(f"{table.name} cannot be built: {cause_of(error)}") from None
