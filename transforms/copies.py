"""Copies of a line: which lines have several, which copy stays, which lose, which came too late.

Nearly every line has no copy. Those that may have one are told by the hash of their key, and only they are
sorted and compared; all others go straight through.
"""

from __future__ import annotations

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
        decided: the lines, as :func:`with_kept_copy` returns them, late resends left out.
    """

    hashes: DataFrame
    decided: DataFrame


def find_suspect_hashes(lines: DataFrame) -> DataFrame:
    """Key hashes of the lines that may have a copy: several lines have them, or an adjustment, which may have
    come before.

    Of lines with no copy, one pair in 10^19 has one hash, and is then compared like any copies.

    Args:
        lines: accepted lines; key_hash and is_adjustment of them are read.

    Returns:
        key_hash bigint, one row each.
    """
    # Shuffled first: nearly every hash stands alone, so that grouping before a shuffle would be in vain.
    hashes = lines.select("key_hash", "is_adjustment").repartition("key_hash")
    found = hashes.groupBy("key_hash").agg(
        F.count(F.lit(1)).alias("lines"), F.max("is_adjustment").alias("has_adjustment")
    )
    return found.filter((F.col("lines") > 1) | F.col("has_adjustment")).select("key_hash")


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


def with_kept_copy(copies: DataFrame) -> DataFrame:
    """Adds what is to become of each copy of a line.

    Args:
        copies: lines, with all copies of each of them.

    Returns:
        Beside the lines' columns: ``copy`` int, 1 of the copy that stays; ``kept_payload`` bigint and
        ``kept_drop_date`` date of that copy; ``duplicates`` int: copies equal to it, itself left out.
    """
    window = Window.partitionBy("business_date", *KEY_COLUMNS).orderBy(*COPY_ORDER)
    everything = window.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    ranked = copies.withColumns(
        {
            "copy": F.row_number().over(window),
            "kept_payload": F.first("payload_hash").over(window),
            "kept_drop_date": F.first("drop_date").over(window),
        }
    )
    equal = F.count_if(F.col("payload_hash") == F.col("kept_payload")).over(everything)
    return ranked.withColumn("duplicates", (equal - 1).cast("int"))


def filter_first_copies(decided: DataFrame) -> DataFrame:
    """Keeps the copy of each line that stays.

    Args:
        decided: as :func:`with_kept_copy` returns them.
    """
    return decided.filter(F.col("copy") == 1)


def find_conflicts(decided: DataFrame) -> DataFrame:
    """Lines that lose against another line of their key with another payload.

    Args:
        decided: as :func:`with_kept_copy` returns them; ``chunk`` is one of their columns.

    Returns:
        The columns of ``silver/conflicts``, one row a line, outcome ``conflict``.
    """
    lost = decided.filter(F.col("payload_hash") != F.col("kept_payload"))
    return lost.withColumn("outcome", F.lit(ConflictOutcome.CONFLICT.value)).select(CONFLICTS.columns)


def find_late_resends(adjustments: DataFrame, earlier: DataFrame) -> DataFrame:
    """Adjustments whose key was delivered before: neither is published again.

    Args:
        adjustments: accepted lines with ``is_adjustment`` and ``chunk``.
        earlier: accepted lines (key columns, drop_date, source_file, payload_hash) of the same
            sale dates; of them only lines of a drop before an adjustment's count.

    Returns:
        The columns of ``silver/conflicts``, one row a line, outcome ``late_duplicate``
        where equal to the line that stayed, else ``late_conflict``.
    """
    looked_up = adjustments.select("business_date", *KEY_COLUMNS).distinct()
    before = earlier.select(*KEY_COLUMNS, *COPY_ORDER)
    kept = (
        looked_up.join(before, list(KEY_COLUMNS))
        .filter(F.col("drop_date") < F.col("business_date"))
        .groupBy("business_date", *KEY_COLUMNS)
        .agg(F.min(F.struct(*COPY_ORDER)).alias("kept"))
    )
    resent = adjustments.join(kept, ["business_date", *KEY_COLUMNS])
    is_equal = F.col("payload_hash") == F.col("kept.payload_hash")
    return resent.withColumns(
        {
            "kept_drop_date": F.col("kept.drop_date"),
            "outcome": F.when(is_equal, F.lit(ConflictOutcome.LATE_DUPLICATE.value)).otherwise(
                F.lit(ConflictOutcome.LATE_CONFLICT.value)
            ),
        }
    ).select(CONFLICTS.columns)


def without_late_resends(lines: DataFrame, late_resends: DataFrame) -> DataFrame:
    """Drops the lines that were found in an earlier drop.

    Args:
        lines: accepted lines.
        late_resends: as :func:`find_late_resends` returns them.
    """
    keys = late_resends.select("business_date", *KEY_COLUMNS).distinct()
    return lines.join(keys, ["business_date", *KEY_COLUMNS], "left_anti")
