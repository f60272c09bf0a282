"""Publication put together from its transforms, as a publish does (batch.window), on any accepted lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.planning.windows import partition_spans
from schemas.ranges import parse_ranges
from transforms.copies import (
    Copies,
    filter_hashes,
    find_conflicts,
    find_suspect_hashes,
    resolve_copies,
)
from transforms.publication import ChunkPlan, line_columns, published_sales, with_chunk

FOUR_RANGES = ("A-G", "H-N", "O-U", "V-Z")


@dataclass(frozen=True)
class Published:
    """What a publication makes of lines, and the lines with their chunk."""

    chunked: DataFrame
    sales: DataFrame
    conflicts: DataFrame
    plan: ChunkPlan


def publish_lines(
    bronze: DataFrame,
    ranges: Sequence[str] = FOUR_RANGES,
    target_rows: int = 1_000_000,
    key: str = "product_name",
    earlier: DataFrame | None = None,
) -> Published:
    """Publishes accepted lines; with ``earlier``, lines of other business dates may be copies of them.

    Args:
        bronze: all accepted lines of some business dates.
        ranges: key ranges.
        target_rows: lines that a Spark partition is meant to hold.
        key: chunk key.
        earlier: accepted lines of any dates; those of the business dates that are published are left out.
    """
    # Cut off from how they came about: each plan below would compile all of it again.
    lines = with_chunk(bronze.select(*line_columns()), key, parse_ranges(ranges)).localCheckpoint()
    counts = {row.chunk: row["count"] for row in lines.groupBy("chunk").count().collect()}
    plan = ChunkPlan(partition_spans(counts, target_rows))
    dates = sorted(row.business_date for row in lines.select("business_date").distinct().collect())
    others = None if earlier is None else earlier.filter(~F.col("business_date").isin(dates))
    resent = set()
    if others is not None:
        resent = {row.sale_date for row in others.select("sale_date").distinct().collect()} & set(dates)
    hashes = find_suspect_hashes(lines, resent).localCheckpoint()
    universe = filter_hashes(lines, hashes)
    if others is not None:
        found = filter_hashes(others, hashes).select(*line_columns())
        universe = universe.unionByName(found.withColumn("chunk", F.lit(None).cast("string")))
    resolved = resolve_copies(universe).filter(F.col("business_date").isin(dates)).localCheckpoint()
    sales = published_sales(lines, plan, Copies(hashes, resolved))
    return Published(lines, sales, find_conflicts(resolved), plan)
