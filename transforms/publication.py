"""From accepted lines of bronze to published sales: chunk, deduplicate, price, place."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.landing import RECEIVED_NAMES
from schemas.partitions import PartitionSpan
from schemas.ranges import KeyRange
from schemas.tables import SALES
from transforms.chunks import chunk_of_folded, folded_start, letters_needed, partition_id
from transforms.copies import Copies, filter_first_copies, without_hashes
from transforms.hashing import key_hash

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
    """How chunks are split into Spark partitions.

    Attributes:
        spans: Spark partitions by chunk name, ``other`` among them, for every chunk that has lines.
    """

    spans: Mapping[str, PartitionSpan]

    @property
    def partitions(self) -> int:
        """Number of Spark partitions of all chunks."""
        return sum(span.count for span in self.spans.values())


def with_chunk(lines: DataFrame, key: str, ranges: Sequence[KeyRange]) -> DataFrame:
    """Adds ``chunk`` text: the name of the key range that a line's key falls in."""
    return with_chunks(lines, {(key, tuple(ranges)): None})


Split = tuple[str, tuple[KeyRange, ...]]


def with_chunks(lines: DataFrame, splits: Mapping[Split, Collection[dt.date] | None]) -> DataFrame:
    """Adds ``chunk`` text, where dates may be split into chunks in several ways.

    Args:
        lines: lines with ``business_date`` and the chunk keys.
        splits: business dates by chunk key and key ranges; None for every date, and then the only one.
    """
    chunk, folded = F.lit(None).cast("string"), {}
    for number, ((key, ranges), dates) in enumerate(splits.items()):
        # In a column of its own the key is folded once; inside the chunk it would be, twice for each range.
        folded[f"folded_start_{number}"] = folded_start(F.col(key), letters_needed(ranges))
        found = chunk_of_folded(F.col(f"folded_start_{number}"), ranges)
        chunk = found if dates is None else F.when(_is_of(dates), found).otherwise(chunk)
    return lines.withColumns(folded).withColumn("chunk", chunk).drop(*folded)


def _is_of(dates: Collection[dt.date]) -> Column:
    return F.col("business_date").isin(sorted(dates))


def published_sales(chunked: DataFrame, plan: ChunkPlan, copies: Copies | None) -> DataFrame:
    """Published lines: each key once, priced, each line in the Spark partition of its chunk.

    One shuffle, by partition id, and one sort, led by business_date so that a write partitioned by it
    needs none of its own.

    Args:
        chunked: accepted lines with ``chunk``.
        plan: chunks and their partitions.
        copies: the lines that may have copies, resolved. None where there are none.

    Returns:
        The columns of ``silver/sales``, one row a key.
    """
    if copies is None:
        once = _as_sales(chunked, F.lit(0))
    else:
        alone = _as_sales(without_hashes(chunked, copies.hashes), F.lit(0))
        once = alone.unionByName(_as_sales(filter_first_copies(copies.resolved), F.col("duplicates")))
    # The hash is worked out again: a column carried for it would be one more to shuffle and to drop.
    identifier = partition_id(F.col("chunk"), key_hash(), plan.spans)
    return once.repartitionById(plan.partitions, identifier).sortWithinPartitions("business_date")


def _as_sales(lines: DataFrame, duplicates: Column) -> DataFrame:
    return with_prices(lines).withColumn("duplicates", duplicates).select(SALES.columns)


def with_prices(lines: DataFrame) -> DataFrame:
    """Adds ``net_amount`` decimal(18,3): gross less discount, exact (a discount is never the larger)."""
    net = F.col("gross_amount") - F.col("discount_amount")
    return lines.withColumn("net_amount", net.cast("decimal(18,3)"))
