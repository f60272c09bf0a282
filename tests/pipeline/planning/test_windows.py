"""Windows of dates, and Spark partitions of chunks."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.planning.staleness import DateInputs
from pipeline.planning.windows import partition_spans, sized_windows, split_failed, windows
from schemas.partitions import PartitionSpan


def dates(*lines: int) -> list[DateInputs]:
    first = dt.date(2026, 1, 1)
    return [
        DateInputs(first + dt.timedelta(days=n), count, frozenset(), frozenset(), "h")
        for n, count in enumerate(lines)
    ]


def sizes(found: list[list[DateInputs]]) -> list[list[int]]:
    return [[date.lines for date in window] for window in found]


def test_windows_are_filled_in_order() -> None:
    assert windows([], 10) == []
    assert sizes(windows(dates(3, 3, 4, 1), 10)) == [[3, 3, 4], [1]]
    assert sizes(windows(dates(11, 1, 9, 1), 10)) == [[11], [1, 9], [1]]
    assert sizes(windows(dates(0, 0, 10, 0, 1), 10)) == [[0, 0, 10, 0], [1]]
    assert sizes(windows(dates(25), 1)) == [[25]]
    assert sizes(windows(list(reversed(dates(1, 2, 3))), 3)) == [[1, 2], [3]]


@given(st.lists(st.integers(0, 30), max_size=40), st.integers(1, 40))
def test_windows_lose_no_date_and_only_a_date_alone_is_too_large(lines: list[int], limit: int) -> None:
    found = windows(dates(*lines), limit)
    assert [date for window in found for date in window] == dates(*lines)
    assert all(window for window in found)
    for window in found:
        # Empty dates may stand beside one that fills or overfills a window.
        assert sum(d.lines for d in window) <= limit or len([d for d in window if d.lines]) == 1


def test_partitions_of_a_chunk_are_its_lines_over_the_target_rounded_up() -> None:
    spans = partition_spans({"H-N": 1, "A-G": 10, "other": 11, "O-U": 0, "V-Z": 20}, 10)
    assert spans == {
        "A-G": PartitionSpan(0, 1),
        "H-N": PartitionSpan(1, 1),
        "V-Z": PartitionSpan(2, 2),
        "other": PartitionSpan(4, 2),
    }
    assert partition_spans({}, 10) == {}
    assert partition_spans({"A-G": 100_000_000}, 1_000_000) == {"A-G": PartitionSpan(0, 100)}
    assert 1 in PartitionSpan(1, 2)
    assert 3 not in PartitionSpan(1, 2)
    assert 0 not in PartitionSpan(1, 2)


@given(
    st.dictionaries(st.sampled_from(["A-G", "H-N", "O-U", "V-Z", "other"]), st.integers(0, 10**9)),
    st.integers(1, 10**7),
)
def test_spans_follow_one_another_and_hold_the_target(lines: dict[str, int], target: int) -> None:
    spans = partition_spans(lines, target)
    assert set(spans) == {chunk for chunk, count in lines.items() if count}
    first = 0
    for span in sorted(spans.values(), key=lambda span: span.first):
        assert span.first == first
        first += span.count
    assert all((spans[c].count - 1) * target < lines[c] <= spans[c].count * target for c in spans)


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(1, 60))
def test_items_stay_in_order_in_windows_of_a_size(sizes_of_items: list[int], most: int) -> None:
    found = sized_windows(sizes_of_items, lambda size: size, most)
    assert [size for window in found for size in window] == sizes_of_items
    assert all(sum(window) <= most or len(window) == 1 for window in found)


@pytest.mark.parametrize(
    ("count", "parts"), [(2, [1, 1]), (8, [1] * 8), (9, [4, 5]), (100, [50, 50]), (101, [50, 51])]
)
def test_a_failed_window_comes_apart(count: int, parts: list[int]) -> None:
    found = split_failed(list(range(count)))
    assert [item for part in found for item in part] == list(range(count))
    assert [len(part) for part in found] == parts
