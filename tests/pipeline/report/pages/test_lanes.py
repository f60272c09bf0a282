"""Attempts on lanes."""

from __future__ import annotations

from collections import Counter

from pipeline.report.pages.lanes import MOST_ATTEMPTS, lay_out, outliers, waiting_over_time
from tests.pipeline.report.pages.made import attempt, run


def test_attempts_at_once_have_lanes_of_their_own() -> None:
    gantt = lay_out(run().attempts)
    assert gantt.lanes == ["1 on host-a, 1", "2 on host-b, 1"]
    assert [(b.lane, b.chunk, b.start_ms, b.end_ms, b.kind) for b in gantt.bars] == [
        ("1 on host-a, 1", "A-G", 0, 1000, "failed"),
        ("2 on host-b, 1", "A-G", 0, 1200, "ordinary"),
        ("2 on host-b, 1", "other", 1300, 2000, "ordinary"),
        ("1 on host-a, 1", "A-G", 1500, 2500, "retry"),
    ]
    assert not gantt.is_merged
    both = lay_out(
        [attempt(0), attempt(1, started_ms=500, ended_ms=1500), attempt(2, started_ms=950, ended_ms=2000)]
    )
    assert [bar.lane for bar in both.bars] == ["1 on host-a, 1", "1 on host-a, 2", "1 on host-a, 1"]


def test_thousands_of_attempts_merge_and_outliers_stay() -> None:
    """3,000 tasks in turn on two workers; one failed and ran again, one took twenty times as long."""
    attempts = [
        attempt(n, worker=f"{n % 2} on host", started_ms=n * 100, ended_ms=n * 100 + 100) for n in range(3000)
    ]
    attempts[10] = attempt(10, worker="0 on host", state="FAILED", started_ms=1000, ended_ms=1100)
    attempts.append(attempt(10, 2, worker="0 on host", started_ms=300_000, ended_ms=300_100))
    attempts[21] = attempt(21, worker="1 on host", started_ms=2100, ended_ms=4100)
    assert len(attempts) > MOST_ATTEMPTS
    gantt = lay_out(attempts)
    assert gantt.is_merged
    assert len(gantt.bars) < 10
    assert Counter(bar.kind for bar in gantt.bars if bar.kind != "ordinary") == {
        "failed": 1,
        "retry": 1,
        "slow": 1,
    }
    assert sum(bar.attempts for bar in gantt.bars) == len(attempts)
    assert {(a.partition, a.number) for a in outliers(attempts)} == {(10, 1), (10, 2), (21, 1)}


def test_many_workers_share_a_lane_a_chunk() -> None:
    attempts = [attempt(n, worker=f"{n % 500} on host") for n in range(2500)]
    assert lay_out(attempts).lanes == ["A-G"]
    few = [attempt(n, worker=f"{n} on host") for n in range(100)]
    assert lay_out(few).lanes == ["A-G"]
    assert len(lay_out(few[:60]).lanes) == 60


def test_waiting_counts_tasks_that_could_start_and_did_not() -> None:
    steps = waiting_over_time(run().attempts)
    assert steps == [(0, 1), (1000, 2), (1300, 1), (1500, 0), (2500, 0)]


def test_thousands_of_outliers_merge_by_kind_and_none_is_lost() -> None:
    attempts = [
        attempt(n, state="FAILED" if n % 2 else "SUCCESS", number=1 + n % 3, started_ms=n, ended_ms=n + 1)
        for n in range(6000)
    ]
    gantt = lay_out(attempts)
    assert len(gantt.bars) < 200
    assert gantt.lanes == ["A-G, 1 on host-a", "A-G, 1 on host-a, failed"]
    count = Counter[str]()
    for bar in gantt.bars:
        count[bar.kind] += bar.attempts
    assert count == {"failed": 3000, "retry": 2000, "ordinary": 1000}


def test_the_picture_of_waiting_keeps_its_peaks() -> None:
    attempts = [attempt(n, started_ms=n + 1, ended_ms=n + 2) for n in range(5000)]
    steps = waiting_over_time(attempts)
    assert len(steps) <= 1001
    assert steps[0] == (0, 5000)
    assert steps[-1] == (5001, 0)
