"""From accepted lines of bronze to published sales: chunk, place, deduplicate, price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from schemas.landing import RECEIVED_NAMES
from schemas.partitions import PartitionSpan
from schemas.ranges import KeyRange
from schemas.tables import SALES
from transforms.chunks import chunk_of_folded, folded_key, partition_id
from transforms.copies import COPY_ORDER
from transforms.hashing import KEY_COLUMNS

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
