"""Orders runs by what they wrote: sequence numbers of the ledger decide, and clocks only where none do."""

from __future__ import annotations

import datetime as dt
import heapq
import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping


def order_runs(
    started: Mapping[str, dt.datetime], recorded: Iterable[Iterable[tuple[int, str]]]
) -> list[str]:
    """Returns runs in the order in which they held the lake, oldest first.

    A run's first row in a table of the ledger has a higher sequence number than those of the runs before it.
    The clock of its machine may have been wrong, so its start only places a run among those that no number
    compares it with.

    Args:
        started: start of each run, by run.
        recorded: for each table of the ledger with sequence numbers, the sequence and run of its rows.
    """
    after: dict[str, set[str]] = defaultdict(set)
    for rows in recorded:
        first: dict[str, int] = {}
        for sequence, run_id in rows:
            if run_id in started:
                first[run_id] = min(sequence, first.get(run_id, sequence))
        in_order = sorted(first, key=lambda run_id: (first[run_id], started[run_id]))
        for before, later in itertools.pairwise(in_order):
            if first[before] < first[later]:
                after[before].add(later)
    return _sorted_along(started, after)


def _sorted_along(started: Mapping[str, dt.datetime], after: Mapping[str, set[str]]) -> list[str]:
    """Orders runs along these edges; of several that may come next, the one that started first."""
    waits_for = dict.fromkeys(started, 0)
    for later in after.values():
        for run_id in later:
            waits_for[run_id] += 1
    free = [(started[run_id], run_id) for run_id, count in waits_for.items() if not count]
    heapq.heapify(free)
    in_order: list[str] = []
    while free:
        _, run_id = heapq.heappop(free)
        in_order.append(run_id)
        for other in after.get(run_id, ()):
            waits_for[other] -= 1
            if not waits_for[other]:
                heapq.heappush(free, (started[other], other))
    # A repair may record rows of an older run after those of a younger one: then starts decide.
    rest = set(started) - set(in_order)
    return [*in_order, *sorted(rest, key=lambda run_id: (started[run_id], run_id))]
