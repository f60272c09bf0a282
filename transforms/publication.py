"""From accepted lines of bronze to published sales: chunk, place, deduplicate, price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from schemas.landing import RECEIVED_NAMES
from schemas.partitions import PartitionSpan
from schemas.ranges import KeyRange
from schemas.states import ConflictOutcome
from schemas.tables import CONFLICTS, SALES
from transforms.chunks import chunk_of_folded, folded_key, partition_id
from transforms.hashing import KEY_COLUMNS

# The order that decides which copy of a key stays.
COPY_ORDER = ("drop_date", "source_file", "payload_hash")

LINE_COLUMNS = (
    "business_date",
    "sale_date",
    "is_adjustment",
    "drop_date",
    "source_file",
    "key_hash",
    "payload_hash",
    *RECEIVED_NAMES,
)


@dataclass(frozen=True)
class ChunkPlan:
    """How lines are split into chunks and chunks into Spark partitions.

    Attributes:
        key: name of the received column that is the chunk key.
        ranges: key ranges in order.
        spans: Spark partitions by chunk name, ``other`` among them, for every chunk that has lines.
    """

    key: str
    ranges: Sequence[KeyRange]
    spans: Mapping[str, PartitionSpan]

    @property
    def partitions(self) -> int:
        """Number of Spark partitions of all chunks."""
        return sum(span.count for span in self.spans.values())


def with_chunk(lines: DataFrame, key: str, ranges: Sequence[KeyRange]) -> DataFrame:
    """Adds ``chunk`` text: the name of the key range that a line's key falls in."""
    # In a column of its own the key is folded once; inside the chunk it would be, twice for each range.
    folded = lines.withColumn("folded_key", folded_key(F.col(key)))
    return folded.withColumn("chunk", chunk_of_folded(F.col("folded_key"), ranges)).drop("folded_key")


def count_received(chunked: DataFrame) -> DataFrame:
    """Received lines and control totals, one row a (business_date, chunk, currency).

    Args:
        chunked: accepted lines with ``chunk``.

    Returns:
        business_date, chunk, currency, lines bigint, gross and absolute_gross decimal(38,3).
    """
    return chunked.groupBy("business_date", "chunk", "currency").agg(*_control_totals())


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


def find_crossing_keys(chunked: DataFrame, differing_keys: DataFrame) -> DataFrame:
    """Keys whose copies lie in several chunks.

    Args:
        chunked: accepted lines with ``chunk``.
        differing_keys: as :func:`find_differing_keys` returns them.

    Returns:
        business_date, key_hash, home_chunk (chunk of the copy that stays), one row a key.
    """
    copies = _copies_of(chunked, differing_keys)
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
    copies = _copies_of(chunked, differing_keys)
    in_order = Window.partitionBy("business_date", *KEY_COLUMNS).orderBy(*COPY_ORDER)
    kept = copies.withColumns(
        {
            "kept_payload": F.first("payload_hash").over(in_order),
            "kept_drop_date": F.first("drop_date").over(in_order),
        }
    )
    lost = kept.filter(F.col("payload_hash") != F.col("kept_payload"))
    return lost.withColumn("outcome", F.lit(ConflictOutcome.CONFLICT.value)).select(CONFLICTS.columns)


def _copies_of(lines: DataFrame, keys: DataFrame) -> DataFrame:
    return lines.join(F.broadcast(keys), ["business_date", "key_hash"], "left_semi")


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


def published_sales(chunked: DataFrame, plan: ChunkPlan, crossing_keys: DataFrame | None) -> DataFrame:
    """Published lines: each key once, priced, each line in the Spark partition of its chunk.

    One shuffle, by partition id, and one sort, led by business_date so that a write partitioned by it
    needs none of its own.

    Args:
        chunked: accepted lines with ``chunk``, late resends left out.
        plan: chunks and their partitions.
        crossing_keys: business_date, key_hash, home_chunk of the keys whose copies lie in several chunks:
            all copies go where the first one goes. None where there are none.

    Returns:
        The columns of ``silver/sales``, one row a key.
    """
    placed = _with_partition_id(chunked, plan, crossing_keys)
    shuffled = placed.repartitionById(plan.partitions, F.col("partition_id"))
    return with_prices(filter_first_copies(shuffled)).select(SALES.columns)


def filter_first_copies(lines: DataFrame) -> DataFrame:
    """Keeps the first copy of each key, with ``duplicates`` int: how many equal copies were left out."""
    # The hash stands before the key itself: comparing it settles almost every comparison of the sort.
    copies = Window.partitionBy("business_date", "partition_id", "key_hash", *KEY_COLUMNS)
    in_order = copies.orderBy(*COPY_ORDER)
    everything = in_order.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    ranked = lines.withColumns(
        {"copy": F.row_number().over(in_order), "kept_payload": F.first("payload_hash").over(in_order)}
    )
    equal = F.count_if(F.col("payload_hash") == F.col("kept_payload")).over(everything)
    return ranked.withColumn("duplicates", (equal - 1).cast("int")).filter(F.col("copy") == 1)


def with_prices(lines: DataFrame) -> DataFrame:
    """Adds ``net_amount`` decimal(18,3): gross less discount, exact (a discount is never the larger)."""
    net = F.col("gross_amount") - F.col("discount_amount")
    return lines.withColumn("net_amount", net.cast("decimal(18,3)"))


def _with_partition_id(chunked: DataFrame, plan: ChunkPlan, crossing_keys: DataFrame | None) -> DataFrame:
    if crossing_keys is None:
        placed, home = chunked, F.col("chunk")
    else:
        placed = chunked.join(F.broadcast(crossing_keys), ["business_date", "key_hash"], "left")
        home = F.coalesce("home_chunk", "chunk")
    return placed.withColumn("partition_id", partition_id(home, F.col("key_hash"), plan.spans))


def _control_totals() -> list[Column]:
    return [
        F.count(F.lit(1)).alias("lines"),
        F.sum("gross_amount").cast("decimal(38,3)").alias("gross"),
        F.sum(F.abs("gross_amount")).cast("decimal(38,3)").alias("absolute_gross"),
    ]


def count_published(sales: DataFrame) -> DataFrame:
    """Published lines, the equal copies left out beside them, and their control totals.

    Args:
        sales: ``silver/sales``.

    Returns:
        One row a (business_date, chunk, currency): lines, gross, absolute_gross, and the same of
        duplicates as ``duplicate_lines``, ``duplicate_gross``, ``duplicate_absolute_gross``.
    """
    copies = F.col("duplicates")
    return sales.groupBy("business_date", "chunk", "currency").agg(
        *_control_totals(),
        F.sum(copies).cast("bigint").alias("duplicate_lines"),
        F.sum(F.col("gross_amount") * copies).cast("decimal(38,3)").alias("duplicate_gross"),
        F.sum(F.abs("gross_amount") * copies).cast("decimal(38,3)").alias("duplicate_absolute_gross"),
    )


def count_conflicts(conflicts: DataFrame) -> DataFrame:
    """Unpublished lines and control totals, one row a (business_date, chunk, currency, outcome).

    Args:
        conflicts: ``silver/conflicts``.

    Returns:
        business_date, chunk, currency, outcome, lines bigint, gross and absolute_gross decimal(38,3).
    """
    return conflicts.groupBy("business_date", "chunk", "currency", "outcome").agg(*_control_totals())
