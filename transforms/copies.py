"""Copies of a line: which keys have copies that differ, which copies lose, which came too late."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from schemas.states import ConflictOutcome
from schemas.tables import CONFLICTS
from transforms.hashing import KEY_COLUMNS

# The order that decides which copy of a key stays.
COPY_ORDER = ("drop_date", "source_file", "payload_hash")


def find_differing_keys(lines: DataFrame) -> DataFrame:
    """Keys whose copies differ, one row a (business_date, key_hash): few in any sound delivery.

    Args:
        lines: accepted lines; three narrow columns of them are read.

    Returns:
        business_date, key_hash.
    """
    # Minimum and maximum of a number stay in the hash aggregate's fixed buffer; a distinct count would not.
    payloads = lines.groupBy("business_date", "key_hash").agg(
        F.min("payload_hash").alias("lowest"), F.max("payload_hash").alias("highest")
    )
    return payloads.filter(F.col("lowest") != F.col("highest")).select("business_date", "key_hash")


def find_copies(lines: DataFrame, keys: DataFrame) -> DataFrame:
    """All lines of some keys.

    Args:
        lines: accepted lines.
        keys: business_date, key_hash; few.
    """
    return lines.join(F.broadcast(keys), ["business_date", "key_hash"], "left_semi")


def find_crossing_keys(chunked: DataFrame, differing_keys: DataFrame) -> DataFrame:
    """Keys whose copies lie in several chunks.

    Args:
        chunked: accepted lines with ``chunk``.
        differing_keys: as :func:`find_differing_keys` returns them.

    Returns:
        business_date, key_hash, home_chunk (chunk of the copy that stays), one row a key.
    """
    copies = find_copies(chunked, differing_keys)
    homes = copies.groupBy("business_date", "key_hash").agg(
        F.min_by("chunk", F.struct(*COPY_ORDER)).alias("home_chunk"),
        (F.min("chunk") != F.max("chunk")).alias("crosses_chunks"),
    )
    return homes.filter("crosses_chunks").select("business_date", "key_hash", "home_chunk")


def find_conflicts(chunked: DataFrame, differing_keys: DataFrame) -> DataFrame:
    """Lines that lose against another line of their key with another payload.

    Args:
        chunked: accepted lines with ``chunk``, late resends left out.
        differing_keys: as :func:`find_differing_keys` returns them.

    Returns:
        The columns of ``silver/conflicts``, one row a line, outcome ``conflict``.
    """
    copies = find_copies(chunked, differing_keys)
    in_order = Window.partitionBy("business_date", *KEY_COLUMNS).orderBy(*COPY_ORDER)
    kept = copies.withColumns(
        {
            "kept_payload": F.first("payload_hash").over(in_order),
            "kept_drop_date": F.first("drop_date").over(in_order),
        }
    )
    lost = kept.filter(F.col("payload_hash") != F.col("kept_payload"))
    return lost.withColumn("outcome", F.lit(ConflictOutcome.CONFLICT.value)).select(CONFLICTS.columns)


def find_late_resends(adjustments: DataFrame, earlier: DataFrame) -> DataFrame:
    """Adjustments whose key was delivered before: neither is published again.

    Args:
        adjustments: accepted lines with ``is_adjustment`` and ``chunk``.
        earlier: accepted lines (key columns, drop_date, source_file, payload_hash) of the same sale dates;
            of them only lines of a drop before an adjustment's count.

    Returns:
        The columns of ``silver/conflicts`` and ``key_hash``, one row a line, outcome ``late_duplicate``
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
    ).select(*CONFLICTS.columns, "key_hash")


def without_late_resends(lines: DataFrame, late_resends: DataFrame) -> DataFrame:
    """Drops the lines that were found in an earlier drop.

    Args:
        lines: accepted lines.
        late_resends: as :func:`find_late_resends` returns them.
    """
    keys = late_resends.select("business_date", *KEY_COLUMNS).distinct()
    return lines.join(keys, ["business_date", *KEY_COLUMNS], "left_anti")
