"""Progress of a run: what is being done now, how far chunks and tasks are, for a person who waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession
from rich.live import Live
from rich.text import Text

from pipeline.planning.recovery import ChunkTasks
from pipeline.report.streams import error_stream, errors
from pipeline.report.structured import INFO, is_structured, tell

_INTERVAL_SECONDS = 0.5
# Off a terminal only news are told, and each look asks the driver for every task.
_LOG_INTERVAL_SECONDS = 5.0
_IDLE_SECONDS = 30.0


class Progress:
    """Tells steps on stderr: one live line on a terminal, a line a step or a failure anywhere else."""

    def __init__(self) -> None:
        self._console = errors()
        self._is_live = self._console.is_terminal and not is_structured()
        self._live = Live(console=self._console, transient=True, auto_refresh=False)
        self._started = time.monotonic()
        self._step = ""
        self._spark: SparkSession | None = None
        self._look: Callable[[], Mapping[str, ChunkTasks]] | None = None
        self._told: set[str] = set()
        self._idle_since: float | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._redraw, daemon=True)

    def __enter__(self) -> Progress:
        """Starts drawing."""
        if self._is_live:
            self._live.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops drawing."""
        self._stopped.set()
        self._thread.join(timeout=2 * _LOG_INTERVAL_SECONDS)
        if self._is_live:
            self._live.stop()

    def tell(self, step: str) -> None:
        """Says what is being done from now on, here and in Spark's UI."""
        self._step = step
        if self._spark is not None:
            self._spark.sparkContext.setJobDescription(step)
        if not self._is_live:
            self.say(step)

    def watch(self, spark: SparkSession) -> None:
        """Shows the tasks of a session's running stages, too."""
        self._spark = spark

    @contextmanager
    def track_progress(self, look: Callable[[], Mapping[str, ChunkTasks]]) -> Iterator[None]:
        """Shows how far each chunk is, and every failure of a task as it comes, while the context lasts."""
        self._look, self._told = look, set()
        try:
            yield
        finally:
            self._look = None

    def say(self, text: str) -> None:
        """Tells one line beside the step."""
        seconds = time.monotonic() - self._started
        if is_structured():
            tell(error_stream(), INFO, text, seconds=round(seconds, 1), step=self._step)
        else:
            self._console.print(f"{seconds:7.1f} s  {text}", soft_wrap=True, markup=False)

    def _redraw(self) -> None:
        interval = _INTERVAL_SECONDS if self._is_live else _LOG_INTERVAL_SECONDS
        while not self._stopped.wait(interval):
            # A session that is going down, or not up yet, answers with an error: then there is no news.
            with suppress(Py4JError, OSError, AttributeError):
                self._draw()

    def _draw(self) -> None:
        chunks = self._chunks()
        tasks = self._tasks()
        if self._is_live:
            seconds = time.monotonic() - self._started
            self._live.update(Text(f"{seconds:7.1f} s  {self._step}{chunks or tasks}"), refresh=True)

    def _chunks(self) -> str:
        look = self._look
        if look is None:
            return ""
        found = look()
        for chunk, tasks in found.items():
            self._tell_failures(chunk, tasks)
        return "  " + ", ".join(f"{name} {tasks.done}/{tasks.partitions}" for name, tasks in found.items())

    def _tell_failures(self, chunk: str, tasks: ChunkTasks) -> None:
        for failure in tasks.failures:
            text = f"chunk {chunk}: an attempt failed on {failure}"
            if text not in self._told:
                self._told.add(text)
                self.say(text)

    def _tasks(self) -> str:
        if self._spark is None:
            return ""
        tracker = self._spark.sparkContext.statusTracker()
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        found = [stage for stage in stages if stage is not None]
        self._tell_idle(bool(found) and not any(stage.numActiveTasks for stage in found))
        done = sum(stage.numCompletedTasks for stage in found)
        total = sum(stage.numTasks for stage in found)
        return f"  ({done} of {total} tasks)" if total else ""

    def _tell_idle(self, is_idle: bool) -> None:
        """Says once that tasks wait and nobody takes them: a cluster with no free core says nothing."""
        if not is_idle:
            self._idle_since = None
            return
        now = time.monotonic()
        self._idle_since = now if self._idle_since is None else self._idle_since
        if 0 < self._idle_since < now - _IDLE_SECONDS:
            self._idle_since = -1
            self.say(f"no worker has taken a task for {_IDLE_SECONDS:.0f} s: has the cluster free cores?")
