"""Checks published tables against each other. Each check returns the rows that are wrong."""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import NumericType

from transforms.copies import COPY_ORDER
from transforms.hashing import KEY_COLUMNS, payload_hash

_NUMBERS = ("store_id", "transaction_id", "line_number")


def find_repeated_keys(sales: DataFrame) -> DataFrame:
    """Finds keys that are published more than once, under any business dates.

    Args:
        sales: ``silver/sales``.

    Returns:
        One row per key: store_id, transaction_id, line_number, sale_date, copies bigint, business_dates
        array<date>.
    """
    keys = sales.groupBy(*KEY_COLUMNS).agg(
        F.count(F.lit(1)).alias("copies"), F.collect_set("business_date").alias("business_dates")
    )
    return keys.filter(F.col("copies") > 1)


def find_reused_numbers(sales: DataFrame, wanted: DataFrame) -> DataFrame:
    """Finds receipt line numbers that occur on several sale dates. They are valid but may show an error.

    Args:
        sales: ``silver/sales``.
        wanted: the lines of ``sales`` whose numbers to look up.

    Returns:
        One row per number, in order: store_id, transaction_id, line_number, sale_dates array<date>, sorted.
    """
    numbers = wanted.select(*_NUMBERS).distinct()
    dates = (
        sales.join(numbers, list(_NUMBERS), "left_semi")
        .groupBy(*_NUMBERS)
        .agg(F.array_sort(F.collect_set("sale_date")).alias("sale_dates"))
    )
    return dates.filter(F.size("sale_dates") > 1).orderBy(*_NUMBERS)


def row_differences(wanted: DataFrame, found: DataFrame, period: str = "business_date") -> DataFrame:
    """Compares a gold table with the rows that the sales produce, by period and currency.

    Args:
        wanted: rows that the sales produce; a table may lack currency, lines and net_amount.
        found: rows of the table, with the same columns.
        period: date column that holds the first date of a row's period.

    Returns:
        One row per (period, currency) that differs. It covers the rows that only one side has: wanted and
        found bigint, number of rows; wanted_lines and found_lines bigint; wanted_net and found_net
        decimal(38,3). What the table lacks is null.
    """
    sides = {
        "wanted": wanted.exceptAll(found.select(wanted.columns)),
        "found": found.select(wanted.columns).exceptAll(wanted),
    }
    # Only what is told, under names of its own: a declared table may have columns of any name.
    both = reduce(DataFrame.unionByName, [_told(rows, side, period) for side, rows in sides.items()])
    totals = []
    for side in sides:
        is_side = F.col("side") == side
        totals.append(F.count_if(is_side).alias(side))
        for name, data_type in _TOLD_SUMS.values():
            total = F.coalesce(F.sum(F.when(is_side, F.col(name))), F.lit(0))
            is_there = F.count_if(F.col(f"has_{name}")) > 0
            totals.append(F.when(is_there, total).cast(data_type).alias(f"{side}_{name}"))
    grain = ["period", "currency"]
    return both.groupBy(*grain).agg(*totals).orderBy(*grain)


# Sums of rows that a difference tells, by column: their name and type.
_TOLD_SUMS = {"lines": ("lines", "bigint"), "net_amount": ("net", "decimal(38,3)")}


def _told(rows: DataFrame, side: str, period: str) -> DataFrame:
    """Side, period and currency of rows, and the numbers that are summed; null for what they lack."""
    currency = F.col("currency") if "currency" in rows.columns else F.lit(None)
    numbers: list[Column] = []
    for column, (name, data_type) in _TOLD_SUMS.items():
        is_there = column in rows.columns and isinstance(rows.schema[column].dataType, NumericType)
        number = F.col(column).try_cast(data_type) if is_there else F.lit(None).cast(data_type)
        numbers += [number.alias(name), F.lit(is_there).alias(f"has_{name}")]
    return rows.select(
        F.lit(side).alias("side"),
        F.col(period).alias("period"),
        currency.cast("string").alias("currency"),
        *numbers,
    )


# Columns about the origin and copies of a line. The key and the payload hash cover all other columns.
_SALES_IDENTITY = ("chunk", "drop_date", "source_file", "is_adjustment", "duplicates")
_CONFLICTS_IDENTITY = ("chunk", "drop_date", "source_file", "is_adjustment", "outcome", "kept_drop_date")


def digest_by_date(rows: DataFrame) -> DataFrame:
    """Computes a digest of the rows of each date, independent of their order.

    Args:
        rows: ``silver/sales`` or ``silver/conflicts``.

    Returns:
        One row per business_date: digest text; sale_dates array<date>.
    """
    identity = _SALES_IDENTITY if "duplicates" in rows.columns else _CONFLICTS_IDENTITY
    line_hash = F.xxhash64(*KEY_COLUMNS, *identity, payload_hash())
    low = F.sum(F.col("line_hash").bitwiseAND(0xFFFFFFFF))
    high = F.sum(F.shiftrightunsigned("line_hash", 32))
    return (
        rows.withColumn("line_hash", line_hash)
        .groupBy("business_date")
        .agg(
            F.concat_ws(".", F.count(F.lit(1)), high, low).alias("digest"),
            F.collect_set("sale_date").alias("sale_dates"),
        )
    )


def expected_lines(accepted: DataFrame) -> DataFrame:
    """Computes the outcome of every accepted line directly from the contract: one copy of each key is kept.

    Args:
        accepted: all accepted lines of the sale dates to verify, with ``chunk``.

    Returns:
        The lines with these columns added: ``fate`` text: ``published``, ``duplicate`` (counted on the
        published line), or the outcome in ``silver/conflicts``; ``copies`` int: number of equal copies of a
        published line under its business date; ``kept_drop_date`` date.
    """
    same_key = Window.partitionBy(*KEY_COLUMNS)
    first = F.min(F.struct(*COPY_ORDER, "business_date")).over(same_key)
    # Number the equal copies in one file, so that only one of them counts as published.
    equal_copies = Window.partitionBy(*KEY_COLUMNS, *COPY_ORDER, "business_date").orderBy(F.lit(1))
    ranked = accepted.withColumns({"first": first, "position": F.row_number().over(equal_copies)})
    is_equal = F.col("payload_hash") == F.col("first.payload_hash")
    is_here = F.col("business_date") == F.col("first.business_date")
    is_first = F.struct(*COPY_ORDER, "business_date") == F.col("first")
    fate = (
        F.when(is_first & (F.col("position") == 1), F.lit("published"))
        .when(is_here & is_equal, F.lit("duplicate"))
        .when(is_here, F.lit("conflict"))
        .when(is_equal, F.lit("late_duplicate"))
        .otherwise(F.lit("late_conflict"))
    )
    copies = F.count_if(is_here & is_equal).over(same_key) - 1
    return ranked.withColumns(
        {
            "fate": fate,
            "copies": copies.cast("int"),
            "kept_drop_date": F.col("first.drop_date"),
            "source_file": F.col("source_file"),
        }
    ).drop("first", "position")


_MATCHED = (
    "business_date",
    *KEY_COLUMNS,
    "chunk",
    "outcome",
    "payload_hash",
    "drop_date",
    "source_file",
    "is_adjustment",
    "duplicates",
)


def line_differences(expected: DataFrame, sales: DataFrame, conflicts: DataFrame) -> DataFrame:
    """Finds lines that silver lacks, holds with other values, or should not hold.

    Args:
        expected: lines as :func:`expected_lines` returns them.
        sales: ``silver/sales`` of the dates to verify.
        conflicts: ``silver/conflicts`` of the same dates.

    Returns:
        One row per line that differs: business_date; the key columns; outcome text, ``published`` or the
        outcome of the conflict; wanted bigint, expected number of such rows; found bigint, actual number.
    """
    wanted = expected.filter(F.col("fate") != "duplicate").select(
        *[F.col(name) for name in _MATCHED if name not in ("outcome", "duplicates")],
        F.col("fate").alias("outcome"),
        F.when(F.col("fate") == "published", F.col("copies")).alias("duplicates"),
    )
    published = sales.withColumns({"outcome": F.lit("published"), "payload_hash": payload_hash()})
    unpublished = conflicts.withColumns(
        {"payload_hash": payload_hash(), "duplicates": F.lit(None).cast("int")}
    )
    sides = (
        wanted.select(*_MATCHED).withColumn("side", F.lit("wanted")),
        published.select(*_MATCHED).withColumn("side", F.lit("found")),
        unpublished.select(*_MATCHED).withColumn("side", F.lit("found")),
    )
    counted = (
        sides[0]
        .unionByName(sides[1])
        .unionByName(sides[2])
        .groupBy(*_MATCHED)
        .agg(
            F.count_if(F.col("side") == "wanted").alias("wanted"),
            F.count_if(F.col("side") == "found").alias("found"),
        )
    )
    return counted.filter(F.col("wanted") != F.col("found"))
