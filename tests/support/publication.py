"""Publication put together from its transforms, as a publish does, on any accepted lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame

from planning.windows import partition_spans
from schemas.ranges import parse_ranges
from transforms.copies import (
    Copies,
    filter_hashes,
    find_conflicts,
    find_late_resends,
    find_suspect_hashes,
    with_kept_copy,
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
    hashes = find_suspect_hashes(lines).localCheckpoint()
    found, late = filter_hashes(lines, hashes), None
    if earlier is not None:
        late = find_late_resends(found.filter("is_adjustment"), earlier).localCheckpoint()
    decided = with_kept_copy(found if late is None else without_late_resends(found, late)).localCheckpoint()
    conflicts = find_conflicts(decided)
    if late is not None:
        conflicts = conflicts.unionByName(late)
    sales = published_sales(lines, plan, Copies(hashes, decided))
    return Published(lines, sales, conflicts, plan)
