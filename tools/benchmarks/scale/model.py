"""Projects a recorded run onto other workers and other lines by replaying its tasks on their slots.

The driver's time between tasks is serial for any number of workers. A stage that reads lines gets more tasks
for more lines. Each task takes as long as measured; it takes longer, in proportion to its lines, only if the
projected run has larger tasks. Other stages stay as measured. The first task of a stage on a slot is slower,
because the JVM compiles the stage's code: every slot pays that once, in the first window. Windows of dates
run one after the other. A worker's JVM does its own work on cores that tasks leave idle; the rest of that
work delays the tasks.
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

# Steps that a run repeats for every window of dates.
_OF_A_WINDOW = ("planning ", "publishing ", "reconciling ", "building ")
_PUBLISHING = "publishing "
# A stage that reads or writes fewer rows than this share of a window's lines does not grow with the lines: it
# works on a table's log, on the ledger or on totals.
_GROWS_FROM = 0.1


@dataclass(frozen=True)
class Cluster:
    """Workers and their cores.

    Attributes:
        workers: number of workers, with one executor each.
        cores: cores of each worker.
        real_cores: number of cores that the workers share, if fewer than they were given; None if each
            worker has its own.
    """

    workers: int
    cores: int
    real_cores: int | None = None

    @property
    def slots(self) -> int:
        """Tasks that Spark runs at once."""
        return self.workers * self.cores

    @property
    def running(self) -> int:
        """Tasks that have a core at once."""
        return min(self.slots, self.all_cores)

    @property
    def all_cores(self) -> int:
        """Cores that exist, used by tasks or not."""
        return self.slots if self.real_cores is None else self.real_cores


@dataclass(frozen=True)
class Assumptions:
    """What event logs do not contain.

    Attributes:
        rows_per_task: rows per task in stages that read lines; 0: as measured.
        lines_per_window: lines published in one commit; dates are not split.
        dates: business dates that the lines are spread over, evenly.
        network: bytes per second that a worker receives from others; 0: transfers take no time.
        launch_seconds: driver time per task that it launches.
        file_seconds: driver time per file that a commit adds.
        log_seconds: driver time per file that a window's commit finds in the table's log.
        jvm_seconds: CPU seconds that a worker's JVM takes outside its tasks, once: mostly its compilers.
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
        """Number of windows of dates."""
        return max(1, min(self.dates, math.ceil(lines / self.lines_per_window)))


# Replays the recorded tasks unchanged.
AS_RECORDED = Assumptions(
    rows_per_task=0, dates=1, network=0.0, launch_seconds=0.0, file_seconds=0.0, log_seconds=0.0
)


@dataclass(frozen=True)
class Projection:
    """The projected time of a run.

    Attributes:
        lines: lines of the run.
        cluster: cluster that it runs on.
        windows: number of windows of dates.
        parts: seconds of wall time by what they are spent on.
        task_seconds: seconds of all tasks together.
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
        """Core hours of all workers, busy or idle, for the whole run."""
        return self.seconds * self.cluster.slots / 3600

    @property
    def busy(self) -> float:
        """Share of the cores' time in which a task runs."""
        return self.task_seconds / (self.seconds * self.cluster.running)

    @property
    def bound(self) -> tuple[str, float]:
        """The largest part of the wall time, and its share."""
        name = max(self.parts, key=lambda part: self.parts[part])
        return name, self.parts[name] / self.seconds


class Model:
    """Projects a recorded run onto other clusters."""

    def __init__(self, run: Recorded, assumptions: Assumptions) -> None:
        """Takes a run and assumptions about what its log does not contain."""
        self._run = run
        self._assumed = assumptions
        self._lines = max(1, run.lines)

    def project(self, lines: int, cluster: Cluster) -> Projection:
        """Projects the run to a number of lines and a cluster."""
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
        """Projects one execution of a phase. ``growth`` is its lines divided by the measured lines."""
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
        """Seconds of each task of a stage, in order of launch."""
        count, longer = self._count(stage, growth)
        first, others = _cold_and_warm(stage.lanes(self._run.executors))
        median = statistics.median(others)
        cold = [self._longer(median, longer) + max(0.0, seconds - median) for seconds in first]
        warm = [self._longer(seconds, longer) for seconds in others]
        cold_count = min(count, cluster.slots) if is_cold else 0
        tasks = [*_repeated(cold, cold_count), *_repeated(warm, count - cold_count)]
        return [seconds + self._pause for seconds in tasks]

    def _count(self, stage: Stage, growth: float) -> tuple[int, float]:
        """Number of tasks of a stage, and their rows divided by those of the measured tasks."""
        measured = len(stage.tasks)
        if not self._grows(stage):
            return measured, 1.0
        rows = max(stage.rows_read, stage.rows_written)
        rows_per_task = max(self._assumed.rows_per_task, rows / measured)
        # The margin keeps rounding errors from adding a task when the lines are as measured.
        count = math.ceil(rows * growth / rows_per_task - 1e-9)
        return count, (rows * growth / count) / (rows / measured)

    def _longer(self, seconds: float, times: float) -> float:
        """Seconds of a task with so many times the rows. Its fixed cost does not grow."""
        fixed = min(seconds, self._fixed_seconds)
        return fixed + (seconds - fixed) * times

    @cached_property
    def _fixed_seconds(self) -> float:
        """Fixed cost of a task: first quartile of the tasks in stages that do not grow with the lines."""
        small = [task.seconds for stage in self._run.stages if not self._grows(stage) for task in stage.tasks]
        return statistics.quantiles(small, n=4)[0] if len(small) > 1 else 0.0

    @cached_property
    def _pause(self) -> float:
        """Measured seconds from the end of a task to the start of the next one on its slot."""
        pauses = [
            after.launched - before.ended
            for stage in self._run.stages
            for lane in stage.lanes(self._run.executors)
            for before, after in itertools.pairwise(lane)
        ]
        return statistics.median(pauses) if pauses else 0.0

    def _jvm(self, cluster: Cluster, task_seconds: float, taken: float) -> float:
        """Seconds by which the JVMs' own work delays tasks, if idle cores cannot take it all."""
        wanted = task_seconds + cluster.workers * self._assumed.jvm_seconds
        return max(0.0, wanted / cluster.all_cores - taken)

    def _shuffle_seconds(self, shuffled: float, cluster: Cluster) -> float:
        if not self._assumed.network:
            return 0.0
        remote = shuffled * (cluster.workers - 1) / cluster.workers
        return remote / cluster.workers / self._assumed.network

    def _log(self, phase: Phase, growth: float, times: float) -> float:
        """Seconds that the commits of all windows need to find the files of earlier windows in the log."""
        grown = [stage for stage in phase.stages if stage.rows_written and self._grows(stage)]
        files = sum(self._count(stage, growth)[0] for stage in grown)
        return self._assumed.log_seconds * files * times * (times - 1) / 2


def makespan(seconds: Sequence[float], slots: int, launch_seconds: float = 0.0) -> float:
    """Seconds until the last task ends. Tasks start in order, each on the first free slot.

    Args:
        seconds: seconds of each task.
        slots: tasks that run at once.
        launch_seconds: driver time before each task; the driver launches tasks one by one.
    """
    free = [0.0] * min(slots, max(1, len(seconds)))
    last = 0.0
    for number, taken in enumerate(seconds, start=1):
        end = max(heapq.heappop(free), number * launch_seconds) + taken
        last = max(last, end)
        heapq.heappush(free, end)
    return last


def _cold_and_warm(lanes: Sequence[Sequence[Task]]) -> tuple[list[float], list[float]]:
    """Seconds of the first task on each slot, and of the others (again the first ones if there are none)."""
    first = [lane[0].seconds for lane in lanes]
    others = [task.seconds for lane in lanes for task in lane[1:]]
    return first, others or first


def _repeated(values: Sequence[float], count: int) -> list[float]:
    return list(itertools.islice(itertools.cycle(values), count))
