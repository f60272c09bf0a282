"""What a recorded run would take with other workers and other lines: its tasks, replayed on their slots.

The driver's own time between tasks is serial, whatever the workers. A stage that reads lines gets more tasks
for more lines, as long as those that were measured (longer ones only where they were smaller than the tasks
of the run in question, in proportion to their lines); one that reads none stays as it was. The first task of
a stage on a slot is slower, since the JVM there has yet to compile the stage's code: every slot pays that
once, in the first window. Windows of dates run one after the other. What a worker's JVM does beside its
tasks, it does on cores that they leave idle; what does not fit there makes them end later.
"""

from __future__ import annotations

import heapq
import itertools
import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tools.benchmarks.scale.recorded import Phase, Recorded, Stage, Task

DRIVER = "driver"
COMMIT = "commits"
LAUNCH = "launching tasks"
SHUFFLE = "shuffle"
JVM = "compilers"
LONGEST = "longest task"
CORES = "cores"

# Steps of a run that are done again for every window of dates.
_OF_A_WINDOW = ("planning ", "publishing ", "reconciling ", "building ")
_PUBLISHING = "publishing "
# A stage that reads or writes fewer rows than this share of a window's lines does not grow with them: it
# works on a table's log, on the ledger, or on totals.
_GROWS_FROM = 0.1


@dataclass(frozen=True)
class Cluster:
    """Workers, and what they run on.

    Attributes:
        workers: one executor each.
        cores: of each worker.
        real_cores: where the workers share fewer cores than they were given: how many there are; None where
            each has its own.
    """

    workers: int
    cores: int
    real_cores: int | None = None

    @property
    def slots(self) -> int:
        """Tasks at once, as Spark sees it."""
        return self.workers * self.cores

    @property
    def running(self) -> int:
        """Tasks that really get on at once."""
        return min(self.slots, self.all_cores)

    @property
    def all_cores(self) -> int:
        """Cores that there are, tasks or not."""
        return self.slots if self.real_cores is None else self.real_cores


@dataclass(frozen=True)
class Assumptions:
    """What no event log tells.

    Attributes:
        rows_per_task: rows of a task that reads lines; 0 for as many as were measured.
        lines_per_window: lines published in one commit; dates are not split.
        dates: business dates that the lines are spread over, evenly.
        network: bytes a second that a worker receives from others; 0 for a network that takes no time.
        launch_seconds: of the driver, for each task that it hands out.
        file_seconds: of the driver, for each file that a commit adds.
        log_seconds: of the driver, for each file of the table that a window's commit finds in its log.
        jvm_seconds: CPU seconds that a worker's JVM takes beside its tasks, once: mostly its compilers.
    """

    rows_per_task: int = 1_000_000
    lines_per_window: int = 20_000_000
    dates: int = 365
    network: float = 1e9
    launch_seconds: float = 0.001
    file_seconds: float = 0.001
    log_seconds: float = 0.00002
    jvm_seconds: float = 0.0

    def windows(self, lines: int) -> int:
        """How many windows of dates there are."""
        return max(1, min(self.dates, math.ceil(lines / self.lines_per_window)))


# The run as it was: the same tasks, on other slots.
AS_RECORDED = Assumptions(
    rows_per_task=0, dates=1, network=0.0, launch_seconds=0.0, file_seconds=0.0, log_seconds=0.0
)


@dataclass(frozen=True)
class Projection:
    """What a run would take.

    Attributes:
        lines: of the run.
        cluster: that it runs on.
        windows: of dates.
        parts: seconds of wall time by what they are spent on.
        task_seconds: of all tasks together.
    """

    lines: int
    cluster: Cluster
    windows: int
    parts: Mapping[str, float]
    task_seconds: float

    @property
    def seconds(self) -> float:
        """Wall time."""
        return sum(self.parts.values())

    @property
    def driver_seconds(self) -> float:
        """Wall time while no task runs."""
        return self.parts[DRIVER] + self.parts[COMMIT]

    @property
    def core_hours(self) -> float:
        """Cores of all workers, busy or not, for the whole run."""
        return self.seconds * self.cluster.slots / 3600

    @property
    def busy(self) -> float:
        """Share of the cores' time in which a task ran."""
        return self.task_seconds / (self.seconds * self.cluster.running)

    @property
    def bound(self) -> tuple[str, float]:
        """What most of the wall time is spent on, and its share."""
        name = max(self.parts, key=lambda part: self.parts[part])
        return name, self.parts[name] / self.seconds


class Model:
    """A recorded run, asked what it would take elsewhere."""

    def __init__(self, run: Recorded, assumptions: Assumptions) -> None:
        """Takes a run and what its log does not tell."""
        self._run = run
        self._assumed = assumptions
        self._lines = max(1, run.lines)

    def project(self, lines: int, cluster: Cluster) -> Projection:
        """What the run would take for so many lines on such a cluster."""
        windows = self._assumed.windows(lines)
        repeats = max(1.0, windows / self._recorded_windows)
        parts = dict.fromkeys((DRIVER, COMMIT, LAUNCH, SHUFFLE, LONGEST, CORES, JVM), 0.0)
        parts[DRIVER] += self._run.last_driver_seconds
        task_seconds = 0.0
        previous: Phase | None = None
        for phase in self._run.phases:
            times = repeats if phase.step.startswith(_OF_A_WINDOW) else 1.0
            first = self._phase(phase, previous, lines / times / self._lines, cluster, is_cold=True)
            later = self._phase(phase, previous, lines / times / self._lines, cluster, is_cold=False)
            for name in parts:
                parts[name] += first.parts[name] + (times - 1) * later.parts[name]
            parts[COMMIT] += self._log(phase, lines / times / self._lines, times)
            task_seconds += first.task_seconds + (times - 1) * later.task_seconds
            previous = phase
        parts[JVM] = self._jvm(cluster, task_seconds, parts[CORES] + parts[LONGEST] + parts[LAUNCH])
        return Projection(lines, cluster, windows, parts, task_seconds)

    @cached_property
    def _recorded_windows(self) -> int:
        steps = {phase.step for phase in self._run.phases if phase.step.startswith(_PUBLISHING)}
        return max(1, len(steps))

    def _grows(self, stage: Stage) -> bool:
        lines = self._lines / self._recorded_windows
        return max(stage.rows_read, stage.rows_written) >= _GROWS_FROM * lines

    def _phase(
        self, phase: Phase, previous: Phase | None, growth: float, cluster: Cluster, *, is_cold: bool
    ) -> Projection:
        """One phase, once; growth is its lines by those that were measured."""
        parts: dict[str, float] = defaultdict(float)
        after_commit = previous is not None and previous.writes
        parts[COMMIT if after_commit else DRIVER] += phase.driver_seconds
        seconds: list[float] = []
        for stage in phase.stages:
            tasks = self._tasks(stage, growth, cluster, is_cold=is_cold)
            seconds += tasks
            grown = growth if self._grows(stage) else 1.0
            parts[SHUFFLE] += self._shuffle_seconds(stage.shuffled * grown, cluster)
            if stage.rows_written:
                parts[COMMIT] += max(0, len(tasks) - len(stage.tasks)) * self._assumed.file_seconds
        taken = makespan(seconds, cluster.running, self._assumed.launch_seconds)
        parts[CORES] = min(taken, sum(seconds) / cluster.running)
        launched = len(seconds) * self._assumed.launch_seconds
        parts[LAUNCH] = min(taken - parts[CORES], max(0.0, launched - parts[CORES]))
        parts[LONGEST] = taken - parts[CORES] - parts[LAUNCH]
        return Projection(0, cluster, 1, parts, sum(seconds))

    def _tasks(self, stage: Stage, growth: float, cluster: Cluster, *, is_cold: bool) -> list[float]:
        """Seconds of each task of a stage, in the order in which they are handed out."""
        count, longer = self._count(stage, growth)
        first, others = _cold_and_warm(stage.lanes(self._run.executors))
        usual = statistics.median(others)
        cold = [self._longer(usual, longer) + max(0.0, seconds - usual) for seconds in first]
        warm = [self._longer(seconds, longer) for seconds in others]
        cold_count = min(count, cluster.slots) if is_cold else 0
        found = [*_repeated(cold, cold_count), *_repeated(warm, count - cold_count)]
        return [seconds + self._pause for seconds in found]

    def _count(self, stage: Stage, growth: float) -> tuple[int, float]:
        """How many tasks a stage has, and how many times the rows of those that were measured."""
        measured = len(stage.tasks)
        if not self._grows(stage):
            return measured, 1.0
        rows = max(stage.rows_read, stage.rows_written)
        rows_per_task = max(self._assumed.rows_per_task, rows / measured)
        # A hair less, so that as many tasks as were measured stay as many.
        count = math.ceil(rows * growth / rows_per_task - 1e-9)
        return count, (rows * growth / count) / (rows / measured)

    def _longer(self, seconds: float, times: float) -> float:
        """Seconds of a task with so many times the rows: what every task costs is not multiplied."""
        fixed = min(seconds, self._fixed_seconds)
        return fixed + (seconds - fixed) * times

    @cached_property
    def _fixed_seconds(self) -> float:
        """What a task costs that reads next to nothing: the first quartile of those."""
        small = [task.seconds for stage in self._run.stages if not self._grows(stage) for task in stage.tasks]
        return statistics.quantiles(small, n=4)[0] if len(small) > 1 else 0.0

    @cached_property
    def _pause(self) -> float:
        """Seconds from the end of a task to the start of the next one on its slot, as measured."""
        pauses = [
            after.launched - before.ended
            for stage in self._run.stages
            for lane in stage.lanes(self._run.executors)
            for before, after in itertools.pairwise(lane)
        ]
        return statistics.median(pauses) if pauses else 0.0

    def _jvm(self, cluster: Cluster, task_seconds: float, taken: float) -> float:
        """Seconds by which the JVMs' own work, where no core is idle for it, makes tasks end later."""
        wanted = task_seconds + cluster.workers * self._assumed.jvm_seconds
        return max(0.0, wanted / cluster.all_cores - taken)

    def _shuffle_seconds(self, shuffled: float, cluster: Cluster) -> float:
        if not self._assumed.network:
            return 0.0
        remote = shuffled * (cluster.workers - 1) / cluster.workers
        return remote / cluster.workers / self._assumed.network

    def _log(self, phase: Phase, growth: float, times: float) -> float:
        """Seconds in which the commits of all windows find the files of those before them in the log."""
        grown = [stage for stage in phase.stages if stage.rows_written and self._grows(stage)]
        files = sum(self._count(stage, growth)[0] for stage in grown)
        return self._assumed.log_seconds * files * times * (times - 1) / 2


def makespan(seconds: Sequence[float], slots: int, launch_seconds: float = 0.0) -> float:
    """Seconds until the last task ends, each starting, in order, on the first slot that is free.

    Args:
        seconds: of each task.
        slots: tasks at once.
        launch_seconds: of the driver before each task, which it hands out one after the other.
    """
    free = [0.0] * min(slots, max(1, len(seconds)))
    last = 0.0
    for number, taken in enumerate(seconds, start=1):
        end = max(heapq.heappop(free), number * launch_seconds) + taken
        last = max(last, end)
        heapq.heappush(free, end)
    return last


def _cold_and_warm(lanes: Sequence[Sequence[Task]]) -> tuple[list[float], list[float]]:
    """Seconds of the tasks that were the first on their slot, and of the others (the same where none)."""
    first = [lane[0].seconds for lane in lanes]
    others = [task.seconds for lane in lanes for task in lane[1:]]
    return first, others or first


def _repeated(values: Sequence[float], count: int) -> list[float]:
    return list(itertools.islice(itertools.cycle(values), count))
