"""How stale dates are published: windows of dates, and Spark partitions for the chunks of a window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from pipeline.planning.staleness import DateInputs
from schemas.partitions import PartitionSpan

# With more dates than this, a window that failed is halved, not published date by date: of hundreds of
# dates a few fail, and each publication costs seconds whatever it holds.
_ONE_BY_ONE = 8
Item = TypeVar("Item")


def windows(dates: Iterable[DateInputs], max_lines: int) -> list[list[DateInputs]]:
    """Splits dates, in order, into windows that are published in one commit each.

    Args:
        dates: inputs of the dates.
        max_lines: lines that a window may hold; a date that alone holds more is a window of its own.
    """
    return sized_windows(sorted(dates, key=lambda inputs: inputs.date), lambda date: date.lines, max_lines)


def sized_windows(items: Iterable[Item], size: Callable[[Item], int], most: int) -> list[list[Item]]:
    """Splits items, in their order, into windows.

    Args:
        items: what to split.
        size: of one item.
        most: size that a window may have; an item that alone has more is a window of its own.
    """
    found: list[list[Item]] = []
    room = 0
    for item in items:
        if not found or size(item) > room:
            found.append([])
            room = most
        found[-1].append(item)
        room -= size(item)
    return found


def split_failed(window: Sequence[Item]) -> list[list[Item]]:
    """The parts in which a window that failed is tried again: single dates, or halves where they are many."""
    if len(window) <= _ONE_BY_ONE:
        return [[item] for item in window]
    middle = len(window) // 2
    return [list(window[:middle]), list(window[middle:])]


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
