"""Copies of a line: which lines have several, which copy stays, which lose, and where.

Copies of a key are resolved over all lines of its sale date, whatever business date each copy has. Nearly
every line has no copy. Those that may have one are told by the hash of their key, and only they are sorted
and compared; all others go straight through.
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

# The order that decides which copy of a key stays.
COPY_ORDER = ("drop_date", "source_file", "payload_hash")


@dataclass(frozen=True)
class Copies:
    """The lines that are not told apart by the hash of their key alone.

    Attributes:
        hashes: key_hash of these lines, one row each.
        resolved: the lines, as :func:`resolve_copies` returns them.
    """

    hashes: DataFrame
    resolved: DataFrame


def find_suspect_hashes(lines: DataFrame, resent_sale_dates: Collection[dt.date] = ()) -> DataFrame:
    """Key hashes of the lines that may have a copy.

    Several lines have them, or a line is an adjustment or of a sale date of which other business dates hold
    lines of earlier drops. Of lines with no copy, one pair in 10^19 has one hash, and is then compared like
    any copies.

    Args:
        lines: accepted lines; key_hash, is_adjustment and sale_date of them are read.
        resent_sale_dates: sale dates of lines that are no adjustments and may have come before all the same.

    Returns:
        key_hash bigint, one row each.
    """
    may_be_resent = F.col("is_adjustment")
    if resent_sale_dates:
        may_be_resent = may_be_resent | F.col("sale_date").isin(sorted(resent_sale_dates))
    # Shuffled first: nearly every hash stands alone, so that grouping before a shuffle would be in vain.
    hashes = lines.select("key_hash", may_be_resent.alias("may_be_resent")).repartition("key_hash")
    found = hashes.groupBy("key_hash").agg(
        F.count(F.lit(1)).alias("lines"), F.max("may_be_resent").alias("may_be_resent")
    )
    return found.filter((F.col("lines") > 1) | F.col("may_be_resent")).select("key_hash")


def filter_hashes(lines: DataFrame, hashes: DataFrame) -> DataFrame:
    """Keeps the lines whose key hash is one of these.

    Args:
        lines: lines with key_hash.
        hashes: key_hash. No hint says how to look them up: Spark sends a few to all tasks, and shuffles by
            them where they are too many for that.
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
    """Adds what is to become of each copy of a line.

    Args:
        copies: accepted lines, with all copies of each of them that an earlier drop holds.

    Returns:
        Beside the lines' columns: ``copy`` int, 1 of the copy that stays; ``kept_payload`` bigint,
        ``kept_drop_date`` date and ``kept_business_date`` date of that copy; ``duplicates`` int: copies equal
        to it under its business date, itself left out.
    """
    window = Window.partitionBy(*KEY_COLUMNS).orderBy(*COPY_ORDER)
    everything = window.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
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
    return ranked.withColumn("duplicates", (F.count_if(is_duplicate).over(everything) - 1).cast("int"))


def filter_first_copies(resolved: DataFrame) -> DataFrame:
    """Keeps the copy of each line that stays.

    Args:
        resolved: as :func:`resolve_copies` returns them.
    """
    return resolved.filter(F.col("copy") == 1)


def find_conflicts(resolved: DataFrame) -> DataFrame:
    """Lines that are not published: they lose against another payload, or against another business date.

    Args:
        resolved: as :func:`resolve_copies` returns them; ``chunk`` is one of their columns.

    Returns:
        The columns of ``silver/conflicts``, one row a line. Outcome ``conflict`` where another payload of its
        own business date stays; ``late_duplicate`` or ``late_conflict`` where the copy that stays, equal or
        not, is published under another business date.
    """
    is_equal = F.col("payload_hash") == F.col("kept_payload")
    is_elsewhere = F.col("business_date") != F.col("kept_business_date")
    outcome = (
        F.when(is_elsewhere & is_equal, F.lit(ConflictOutcome.LATE_DUPLICATE.value))
        .when(is_elsewhere, F.lit(ConflictOutcome.LATE_CONFLICT.value))
        .otherwise(F.lit(ConflictOutcome.CONFLICT.value))
    )
    lost = resolved.filter(is_elsewhere | ~is_equal)
    return lost.withColumn("outcome", outcome).select(CONFLICTS.columns)
