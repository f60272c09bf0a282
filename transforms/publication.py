"""Turns accepted bronze lines into published sales: chunks, deduplicates, prices and partitions them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.landing import received_names
from schemas.partitions import PartitionSpan
from schemas.ranges import KeyRange
from schemas.tables import SALES
from transforms.chunks import chunk_of_folded, folded_start, letters_needed, partition_id
from transforms.copies import Copies, filter_first_copies, without_hashes
from transforms.hashing import key_hash

_LINE_COLUMNS = (
    "business_date",
    "sale_date",
    "is_adjustment",
    "drop_date",
    "source_file",
    "key_hash",
    "payload_hash",
)


def line_columns() -> tuple[str, ...]:
    """Columns of bronze that a publish reads."""
    return (*_LINE_COLUMNS, *received_names())


@dataclass(frozen=True)
class ChunkPlan:
    """How to split chunks into Spark partitions.

    Attributes:
        spans: Spark partitions by chunk name, for every chunk with lines, including ``other``.
    """

    spans: Mapping[str, PartitionSpan]

    @property
    def partitions(self) -> int:
        """Total number of Spark partitions."""
        return sum(span.count for span in self.spans.values())


def with_chunk(lines: DataFrame, key: str, ranges: Sequence[KeyRange]) -> DataFrame:
    """Adds ``chunk`` text: the name of the range that contains the line's key, or ``other``."""
    return with_chunks(lines, {(key, tuple(ranges)): None})


Split = tuple[str, tuple[KeyRange, ...]]


def with_chunks(lines: DataFrame, splits: Mapping[Split, Collection[dt.date] | None]) -> DataFrame:
    """Adds ``chunk`` text, if different dates use different chunk keys or key ranges.

    Args:
        lines: lines with ``business_date`` and the chunk keys.
        splits: business dates by chunk key and key ranges. None stands for all dates; it must be the only
            entry.
    """
    chunk, folded = F.lit(None).cast("string"), {}
    for number, ((key, ranges), dates) in enumerate(splits.items()):
        # Fold the key once, in its own column. The chunk expression would fold it twice per range.
        folded[f"folded_start_{number}"] = folded_start(F.col(key), letters_needed(ranges))
        new_chunk = chunk_of_folded(F.col(f"folded_start_{number}"), ranges)
        chunk = new_chunk if dates is None else F.when(_is_on(dates), new_chunk).otherwise(chunk)
    return lines.withColumns(folded).withColumn("chunk", chunk).drop(*folded)


def _is_on(dates: Collection[dt.date]) -> Column:
    return F.col("business_date").isin(sorted(dates))


def published_sales(chunked: DataFrame, plan: ChunkPlan, copies: Copies | None) -> DataFrame:
    """Returns the published lines: one line per key, with prices, in the Spark partitions of its chunk.

    Needs one shuffle, by partition id, and one sort by business_date. A write partitioned by business_date
    then needs no sort of its own.

    Args:
        chunked: accepted lines with ``chunk``.
        plan: chunks and their partitions.
        copies: the lines that may have copies, resolved; None if there are none.

    Returns:
        The columns of ``silver/sales``, one row per key.
    """
    if copies is None:
        sales = _as_sales(chunked, F.lit(0))
    else:
        unique = _as_sales(without_hashes(chunked, copies.hashes), F.lit(0))
        sales = unique.unionByName(_as_sales(filter_first_copies(copies.resolved), F.col("duplicates")))
    # Compute the hash again: otherwise Spark would have to shuffle its column too.
    identifier = partition_id(F.col("chunk"), key_hash(), plan.spans)
    return sales.repartitionById(plan.partitions, identifier).sortWithinPartitions("business_date")


def _as_sales(lines: DataFrame, duplicates: Column) -> DataFrame:
    return with_prices(lines).withColumn("duplicates", duplicates).select(SALES.columns)


def with_prices(lines: DataFrame) -> DataFrame:
    """Adds ``net_amount`` decimal(18,3): gross minus discount, exact (no discount exceeds the gross)."""
    net = F.col("gross_amount") - F.col("discount_amount")
    return lines.withColumn("net_amount", net.cast("decimal(18,3)"))
