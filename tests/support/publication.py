"""Publication put together from its transforms, as a publish does, on any accepted lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame

from planning.windows import partition_spans
from schemas.ranges import parse_ranges
from transforms.copies import (
    find_conflicts,
    find_crossing_keys,
    find_differing_keys,
    find_late_resends,
    without_late_resends,
)
from transforms.publication import LINE_COLUMNS, ChunkPlan, published_sales, with_chunk

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
    """Publishes accepted lines; with ``earlier``, adjustments are looked up among these."""
    key_ranges = parse_ranges(ranges)
    # Cut off from how they came about: each plan below would compile all of it again.
    lines = with_chunk(bronze.select(*LINE_COLUMNS), key, key_ranges).localCheckpoint()
    counts = {row.chunk: row["count"] for row in lines.groupBy("chunk").count().collect()}
    plan = ChunkPlan(key, key_ranges, partition_spans(counts, target_rows))
    candidates, late = lines, None
    if earlier is not None:
        late = find_late_resends(lines.filter("is_adjustment"), earlier).localCheckpoint()
        candidates = without_late_resends(lines, late).localCheckpoint()
    differing = find_differing_keys(candidates).localCheckpoint()
    conflicts = find_conflicts(candidates, differing)
    if late is not None:
        conflicts = conflicts.unionByName(late.drop("key_hash"))
    crossing = find_crossing_keys(candidates, differing)
    return Published(lines, published_sales(candidates, plan, crossing), conflicts, plan)
