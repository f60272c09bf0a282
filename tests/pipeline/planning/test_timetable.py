"""Estimates and deadlines, worked out by hand."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.planning.timetable import StageRun, deadline_of, estimated_seconds, format_duration


def runs(*pairs: tuple[int, float]) -> list[StageRun]:
    return [StageRun(lines, seconds) for lines, seconds in pairs]


@pytest.mark.parametrize(
    ("history", "lines", "expected"),
    [
        ([], 1000, None),
        (runs((100, 10.0)), 50, 10.0),  # nobody knows what is fixed: a smaller run costs no less
        (runs((100, 10.0)), 300, 30.0),
        (runs((0, 4.0)), 300, 4.0),
        (runs((0, 10.0), (100, 20.0)), 200, 30.0),  # 10 s, and 0.1 s a line
        (runs((100, 20.0), (200, 10.0)), 500, 15.0),  # more lines never take less time: the mean
        (runs((100, 5.0), (200, 20.0)), 100, 9.0),  # no fixed cost below nothing: 4,500 / 50,000 a line
    ],
)
def test_estimates(history: list[StageRun], lines: int, expected: float | None) -> None:
    found = estimated_seconds(history, lines)
    assert found == (None if expected is None else pytest.approx(expected))


def test_only_the_last_runs_count() -> None:
    old, new = runs(*[(100, 1000.0)] * 50), runs(*[(100, 10.0)] * 20)
    assert estimated_seconds(old + new, 100) == pytest.approx(10.0)


@given(
    st.lists(st.tuples(st.integers(0, 10**9), st.floats(0, 1e5)), min_size=1, max_size=30),
    st.integers(0, 10**10),
)
def test_an_estimate_is_never_negative(pairs: list[tuple[int, float]], lines: int) -> None:
    found = estimated_seconds(runs(*pairs), lines)
    assert found is not None
    assert found >= -1e-6


@pytest.mark.parametrize(
    ("date", "time", "utc"),
    [
        ("2026-11-24", dt.time(6, 0), "2026-11-25T11:00+00:00"),
        ("2026-07-01", dt.time(6, 0), "2026-07-02T10:00+00:00"),
        ("2026-03-07", dt.time(2, 30), "2026-03-08T07:30+00:00"),  # skipped: by the offset before it
        ("2026-10-31", dt.time(1, 30), "2026-11-01T05:30+00:00"),  # twice: the first
    ],
)
def test_a_deadline_is_local_time_of_the_day_after(date: str, time: dt.time, utc: str) -> None:
    found = deadline_of(dt.date.fromisoformat(date), time, "America/New_York")
    assert found == dt.datetime.fromisoformat(utc)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (4.4, "4 s"),
        (90, "2 min"),
        (3599, "1 h 00 min"),
        (3 * 3600 + 300, "3 h 05 min"),
        (180000, "2 days 2 h"),
    ],
)
def test_a_duration_in_words(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words
