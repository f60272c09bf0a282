"""Splits stale dates into windows, and the chunks of a window into Spark partitions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from pipeline.planning.staleness import DateInputs
from schemas.partitions import PartitionSpan

# A failed window of more dates is halved, not published date by date: few of its dates fail, and each
# publication has a fixed cost of seconds.
_ONE_BY_ONE = 8
Item = TypeVar("Item")


def windows(dates: Iterable[DateInputs], max_lines: int) -> list[list[DateInputs]]:
    """Splits dates, in order, into windows that are published in one commit each.

    Args:
        dates: inputs of the dates.
        max_lines: largest number of lines in a window; a larger date gets a window of its own.
    """
    return sized_windows(sorted(dates, key=lambda inputs: inputs.date), lambda date: date.lines, max_lines)


def sized_windows(items: Iterable[Item], size: Callable[[Item], int], most: int) -> list[list[Item]]:
    """Splits items, in their order, into windows.

    Args:
        items: what to split.
        size: returns the size of an item.
        most: largest size of a window; a larger item gets a window of its own.
    """
    split: list[list[Item]] = []
    room = 0
    for item in items:
        if not split or size(item) > room:
            split.append([])
            room = most
        split[-1].append(item)
        room -= size(item)
    return split


def split_failed(window: Sequence[Item]) -> list[list[Item]]:
    """Splits a failed window for the next attempt: into single dates if there are few, else into halves."""
    if len(window) <= _ONE_BY_ONE:
        return [[item] for item in window]
    middle = len(window) // 2
    return [list(window[:middle]), list(window[middle:])]


def partition_spans(lines_by_chunk: Mapping[str, int], target_rows: int) -> dict[str, PartitionSpan]:
    """Assigns consecutive Spark partitions to chunks, in order of their names.

    Args:
        lines_by_chunk: received lines by chunk; a chunk without lines gets no partition.
        target_rows: lines that a partition should hold.
    """
    spans: dict[str, PartitionSpan] = {}
    first = 0
    for chunk in sorted(name for name, lines in lines_by_chunk.items() if lines > 0):
        count = -(-lines_by_chunk[chunk] // target_rows)
        spans[chunk] = PartitionSpan(first, count)
        first += count
    return spans
