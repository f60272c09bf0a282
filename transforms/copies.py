"""Resolves copies of a line: finds lines with the same key and decides which copy is published.

All lines of a sale date take part, whatever business date each copy has. Nearly every line has no copy. A
hash of the key selects the lines that may have one. Only these lines are sorted and compared.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from schemas.states import ConflictOutcome
from schemas.tables import CONFLICTS
from transforms.hashing import KEY_COLUMNS

# The first copy of a key in this order is published.
COPY_ORDER = ("drop_date", "source_file", "payload_hash")


@dataclass(frozen=True)
class Copies:
    """The lines that may have a copy.

    Attributes:
        hashes: key_hash of these lines, one row per hash.
        resolved: the lines, as :func:`resolve_copies` returns them.
    """

    hashes: DataFrame
    resolved: DataFrame


def find_suspect_hashes(lines: DataFrame, resent_sale_dates: Collection[dt.date] = ()) -> DataFrame:
    """Finds the key hashes of the lines that may have a copy.

    A line may have a copy if another line has the same hash, if it is an adjustment, or if its sale date is
    in ``resent_sale_dates``. Two different keys share a hash once in 10^19 pairs. That does no harm, because
    :func:`resolve_copies` compares whole keys.

    Args:
        lines: accepted lines with key_hash, is_adjustment and sale_date.
        resent_sale_dates: sale dates for which other business dates hold lines of earlier drops. Even a line
            that is no adjustment may repeat one of those.

    Returns:
        key_hash bigint, one row per hash.
    """
    may_be_resent = F.col("is_adjustment")
    if resent_sale_dates:
        may_be_resent = may_be_resent | F.col("sale_date").isin(sorted(resent_sale_dates))
    # Shuffle first: nearly every hash is unique, so grouping before the shuffle would save nothing.
    hashes = lines.select("key_hash", may_be_resent.alias("may_be_resent")).repartition("key_hash")
    grouped = hashes.groupBy("key_hash").agg(
        F.count(F.lit(1)).alias("lines"), F.max("may_be_resent").alias("may_be_resent")
    )
    return grouped.filter((F.col("lines") > 1) | F.col("may_be_resent")).select("key_hash")


def filter_hashes(lines: DataFrame, hashes: DataFrame) -> DataFrame:
    """Keeps the lines whose key hash is one of these.

    Args:
        lines: lines with key_hash.
        hashes: key_hash. The join has no hint: Spark broadcasts a few hashes and shuffles by many.
    """
    return lines.join(hashes, "key_hash", "left_semi")


def without_hashes(lines: DataFrame, hashes: DataFrame) -> DataFrame:
    """Drops the lines whose key hash is one of these.

    Args:
        lines: lines with key_hash.
        hashes: as for :func:`filter_hashes`.
    """
    return lines.join(hashes, "key_hash", "left_anti")


def resolve_copies(copies: DataFrame) -> DataFrame:
    """Decides which copy of each line is kept.

    Args:
        copies: accepted lines, together with all their copies in earlier drops.

    Returns:
        The lines with these columns added: ``copy`` int, 1 for the kept copy; ``kept_payload`` bigint,
        ``kept_drop_date`` date and ``kept_business_date`` date of the kept copy; ``duplicates`` int, number
        of other copies with the kept copy's payload and business date.
    """
    window = Window.partitionBy(*KEY_COLUMNS).orderBy(*COPY_ORDER)
    all_copies = window.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    ranked = copies.withColumns(
        {
            "copy": F.row_number().over(window),
            "kept_payload": F.first("payload_hash").over(window),
            "kept_drop_date": F.first("drop_date").over(window),
            "kept_business_date": F.first("business_date").over(window),
        }
    )
    is_duplicate = (F.col("payload_hash") == F.col("kept_payload")) & (
        F.col("business_date") == F.col("kept_business_date")
    )
    return ranked.withColumn("duplicates", (F.count_if(is_duplicate).over(all_copies) - 1).cast("int"))


def filter_first_copies(resolved: DataFrame) -> DataFrame:
    """Keeps the copy of each line that is published.

    Args:
        resolved: lines as :func:`resolve_copies` returns them.
    """
    return resolved.filter(F.col("copy") == 1)


def find_conflicts(resolved: DataFrame) -> DataFrame:
    """Finds the lines that are not published because another copy is kept.

    Args:
        resolved: lines as :func:`resolve_copies` returns them, with ``chunk``.

    Returns:
        The columns of ``silver/conflicts``, one row per line. The outcome is ``conflict`` if the kept copy
        has the same business date and another payload. If the kept copy has another business date, the
        outcome is ``late_duplicate`` for an equal payload and ``late_conflict`` for another payload.
    """
    is_equal = F.col("payload_hash") == F.col("kept_payload")
    is_elsewhere = F.col("business_date") != F.col("kept_business_date")
    outcome = (
        F.when(is_elsewhere & is_equal, F.lit(ConflictOutcome.LATE_DUPLICATE.value))
        .when(is_elsewhere, F.lit(ConflictOutcome.LATE_CONFLICT.value))
        .otherwise(F.lit(ConflictOutcome.CONFLICT.value))
    )
    unpublished = resolved.filter(is_elsewhere | ~is_equal)
    return unpublished.withColumn("outcome", outcome).select(CONFLICTS.columns)
