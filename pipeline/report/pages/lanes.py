"""Places task attempts on the lanes of a Gantt chart, and merges ordinary ones where there are thousands."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.planning.attempts import SUCCESS, ChunkAttempt

# Above this number of attempts, ordinary ones are merged.
MOST_ATTEMPTS = 2_000
# An ordinary attempt is no retry, succeeded, and took at most this many medians.
_SLOW = 3.0
_MOST_LANES = 60
# Of the outliers, this many of the slowest are kept; those that failed or ran again are all kept.
_MOST_SLOW = 100
# Above this number of outliers, those of one kind that follow each other are one bar, too.
_MOST_OUTLIERS = 500
# Spark notes the end of a task a little after the next one took its core.
_OVERLAP_MS = 100
# Attempts merge if they are no further apart than this share of the whole.
_MERGE_SHARE, _MERGE_SHARE_OF_OUTLIERS = 0.005, 0.02
# A picture has room for this many steps.
_MOST_STEPS = 1_000


@dataclass(frozen=True)
class Bar:
    """One bar: an attempt, or several ordinary ones of a chunk on a worker.

    Attributes:
        lane: label of its lane.
        chunk: chunk.
        start_ms: start, in milliseconds since the first attempt could start.
        end_ms: end, in the same unit.
        attempts: number of attempts.
        kind: ``ordinary``, ``slow``, ``failed`` (also killed or cut off) or ``retry``.
    """

    lane: str
    chunk: str
    start_ms: int
    end_ms: int
    attempts: int
    kind: str


@dataclass(frozen=True)
class Gantt:
    """The bars and their lanes in order; and whether ordinary attempts are merged."""

    lanes: list[str]
    bars: list[Bar]
    is_merged: bool


def kind_of(attempt: ChunkAttempt, median_seconds: float) -> str:
    """Whether an attempt is an outlier, and of what kind."""
    if attempt.state != SUCCESS:
        return "failed"
    if attempt.is_retry:
        return "retry"
    is_slow = attempt.seconds > max(_SLOW * median_seconds, 1.0)
    return "slow" if is_slow else "ordinary"


def median_seconds(attempts: Iterable[ChunkAttempt]) -> float:
    """Median duration of the attempts that succeeded; 0 without any."""
    return statistics.median([a.seconds for a in attempts if a.state == SUCCESS] or [0.0])


def lay_out(attempts: Sequence[ChunkAttempt]) -> Gantt:
    """Places attempts on lanes: one lane for each task that a worker runs at once.

    Above 2,000 attempts, or 60 lanes, a lane is a worker and a chunk, and ordinary attempts that follow each
    other become one bar. Attempts that failed, ran again or were slow stay bars of their own, unless there
    are more than 500 of them.
    """
    if len(attempts) > MOST_ATTEMPTS:
        return _merged(attempts)
    start, median = min(a.ready_ms for a in attempts), median_seconds(attempts)
    free_from: dict[str, list[int]] = defaultdict(list)
    bars = []
    for attempt in sorted(attempts, key=lambda a: (a.started_ms, a.partition)):
        lanes = free_from[attempt.worker]
        lane = next((n for n, end in enumerate(lanes) if end <= attempt.started_ms + _OVERLAP_MS), len(lanes))
        lanes[lane : lane + 1] = [attempt.ended_ms]
        label = f"{attempt.worker}, {lane + 1}"
        bars.append(_bar(label, attempt, start, kind_of(attempt, median)))
    labels = [f"{worker}, {n + 1}" for worker in sorted(free_from) for n in range(len(free_from[worker]))]
    return _merged(attempts) if len(labels) > _MOST_LANES else Gantt(labels, bars, is_merged=False)


def outliers(attempts: Sequence[ChunkAttempt]) -> list[ChunkAttempt]:
    """The attempts to name in a table: all that failed or ran again, and the slowest, in order."""
    median = median_seconds(attempts)
    kinds = {id(a): kind_of(a, median) for a in attempts}
    named = [a for a in attempts if kinds[id(a)] in ("failed", "retry")]
    slow = sorted((a for a in attempts if kinds[id(a)] == "slow"), key=lambda a: -a.seconds)[:_MOST_SLOW]
    return sorted([*named, *slow], key=lambda a: a.started_ms)


def waiting_over_time(attempts: Sequence[ChunkAttempt]) -> list[tuple[int, int]]:
    """How many attempts waited for a core, as (milliseconds since the first could start, number) steps."""
    start = min(a.ready_ms for a in attempts)
    changes: dict[int, int] = defaultdict(int)
    for attempt in attempts:
        changes[attempt.ready_ms - start] += 1
        changes[attempt.started_ms - start] -= 1
    end = max(a.ended_ms for a in attempts) - start
    waiting, steps = 0, []
    for at, change in sorted(changes.items()):
        waiting += change
        steps.append((at, waiting))
    return [*_thinned(steps), (end, waiting)]


def _thinned(steps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The steps; of very many, the highest of each of the parts that they are split into."""
    if len(steps) <= _MOST_STEPS:
        return steps
    size = -(-len(steps) // _MOST_STEPS)
    parts = (steps[first : first + size] for first in range(0, len(steps), size))
    return [(part[0][0], max(waiting for _, waiting in part)) for part in parts]


def _bar(lane: str, attempt: ChunkAttempt, start: int, kind: str) -> Bar:
    return Bar(lane, attempt.chunk, attempt.started_ms - start, attempt.ended_ms - start, 1, kind)


def _merged(attempts: Sequence[ChunkAttempt]) -> Gantt:
    start, median = min(a.ready_ms for a in attempts), median_seconds(attempts)
    whole = max(a.ended_ms for a in attempts) - start
    pairs = {(a.chunk, a.worker) for a in attempts}
    kinds = {id(a): kind_of(a, median) for a in outliers(attempts)}
    merges_outliers = len(kinds) > _MOST_OUTLIERS
    by_worker = len(pairs) * (2 if merges_outliers else 1) <= _MOST_LANES
    gap = round(whole * (_MERGE_SHARE_OF_OUTLIERS if merges_outliers else _MERGE_SHARE))
    lanes: dict[str, list[ChunkAttempt]] = defaultdict(list)
    for attempt in attempts:
        lane = f"{attempt.chunk}, {attempt.worker}" if by_worker else attempt.chunk
        # One bar of many that failed would hide what ran beside them.
        is_apart = merges_outliers and kinds.get(id(attempt)) == "failed"
        lanes[f"{lane}, failed" if is_apart else lane].append(attempt)
    bars: list[Bar] = []
    for lane, own in sorted(lanes.items()):
        by_kind: dict[str, list[ChunkAttempt]] = defaultdict(list)
        for attempt in sorted(own, key=lambda a: a.started_ms):
            by_kind[kinds.get(id(attempt), "ordinary")].append(attempt)
        for kind, same in by_kind.items():
            if kind == "ordinary" or merges_outliers:
                bars += _merge(lane, kind, same, start, gap)
            else:
                bars += [_bar(lane, attempt, start, kind) for attempt in same]
    return Gantt(sorted(lanes), bars, is_merged=True)


def _merge(lane: str, kind: str, attempts: Sequence[ChunkAttempt], start: int, gap: int) -> list[Bar]:
    bars: list[Bar] = []
    for attempt in attempts:
        bar = _bar(lane, attempt, start, kind)
        if bars and bar.start_ms <= bars[-1].end_ms + gap:
            last = bars.pop()
            bar = Bar(lane, bar.chunk, last.start_ms, max(last.end_ms, bar.end_ms), last.attempts + 1, kind)
        bars.append(bar)
    return bars
