"""How stale dates are published: windows of dates, and Spark partitions for the chunks of a window."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from planning.staleness import DateInputs
from schemas.partitions import PartitionSpan


def windows(dates: Iterable[DateInputs], max_lines: int) -> list[list[DateInputs]]:
    """Splits dates, in order, into windows that are published in one commit each.

    Args:
        dates: inputs of the dates.
        max_lines: lines that a window may hold; a date that alone holds more is a window of its own.
    """
    found: list[list[DateInputs]] = []
    room = 0
    for date in sorted(dates, key=lambda inputs: inputs.date):
        if not found or date.lines > room:
            found.append([])
            room = max_lines
        found[-1].append(date)
        room -= date.lines
    return found


def partition_spans(lines_by_chunk: Mapping[str, int], target_rows: int) -> dict[str, PartitionSpan]:
    """Spark partitions of each chunk, one span after the other, by name of chunk.

    Args:
        lines_by_chunk: received lines; a chunk of none gets no partition.
        target_rows: lines that a partition is meant to hold.
    """
    spans: dict[str, PartitionSpan] = {}
    first = 0
    for chunk in sorted(name for name, lines in lines_by_chunk.items() if lines > 0):
        count = -(-lines_by_chunk[chunk] // target_rows)
        spans[chunk] = PartitionSpan(first, count)
        first += count
    return spans
