"""Shows a waiting person the current step of a run and how far its chunks and tasks are."""

from __future__ import annotations

import logging
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
from pipeline.report.logs import LOGGERS, is_structured, write_event
from pipeline.report.streams import error_stream, errors

_INTERVAL_SECONDS = 0.5
# Without a terminal only new failures are printed, and each poll asks the driver for every task.
_LOG_INTERVAL_SECONDS = 5.0
_IDLE_SECONDS = 30.0


class Progress(logging.Handler):
    """Shows the log of a run on stderr: one live line on a terminal, else one line per record.

    An INFO record of the engine names the step that begins. The step also becomes the description of Spark's
    jobs.
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._console = errors()
        self._is_live = self._console.is_terminal and not is_structured()
        self._live = Live(console=self._console, transient=True, auto_refresh=False)
        self._started = time.monotonic()
        self._step = ""
        self._spark: SparkSession | None = None
        self._read_chunks: Callable[[], Mapping[str, ChunkTasks]] | None = None
        self._reported: set[str] = set()
        self._idle_since: float | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._redraw, daemon=True)

    def __enter__(self) -> Progress:
        """Starts to draw, and to show the records of the engine's loggers."""
        for name in LOGGERS:
            logger = logging.getLogger(name)
            logger.setLevel(logging.INFO)
            logger.propagate = False
            logger.addHandler(self)
        if self._is_live:
            self._live.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops drawing."""
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(self)
        self._stopped.set()
        self._thread.join(timeout=2 * _LOG_INTERVAL_SECONDS)
        if self._is_live:
            self._live.stop()

    def emit(self, record: logging.LogRecord) -> None:
        """Shows a record; one at INFO is the step from now on."""
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            self._print(f"warning: {text}")
            return
        self._step = text
        if self._spark is not None:
            self._spark.sparkContext.setJobDescription(text)
        if not self._is_live:
            self._print(text)

    def watch(self, spark: SparkSession) -> None:
        """Also shows the tasks of a session's running stages from now on."""
        self._spark = spark

    @contextmanager
    def track_progress(self, look: Callable[[], Mapping[str, ChunkTasks]]) -> Iterator[None]:
        """Shows the progress of each chunk and reports task failures while the context is open.

        Args:
            look: returns the tasks of each chunk.
        """
        self._read_chunks, self._reported = look, set()
        try:
            yield
        finally:
            self._read_chunks = None

    def _print(self, text: str) -> None:
        """Prints one line beside the step."""
        seconds = time.monotonic() - self._started
        if is_structured():
            write_event(error_stream(), logging.INFO, text, seconds=round(seconds, 1), step=self._step)
        else:
            self._console.print(f"{seconds:7.1f} s  {text}", soft_wrap=True, markup=False)

    def _redraw(self) -> None:
        interval = _INTERVAL_SECONDS if self._is_live else _LOG_INTERVAL_SECONDS
        while not self._stopped.wait(interval):
            # A session that is starting or stopping answers with an error: skip this poll.
            with suppress(Py4JError, OSError, AttributeError):
                self._draw()

    def _draw(self) -> None:
        chunks = self._chunks()
        tasks = self._tasks()
        if self._is_live:
            seconds = time.monotonic() - self._started
            self._live.update(Text(f"{seconds:7.1f} s  {self._step}{chunks or tasks}"), refresh=True)

    def _chunks(self) -> str:
        read_chunks = self._read_chunks
        if read_chunks is None:
            return ""
        by_chunk = read_chunks()
        for chunk, tasks in by_chunk.items():
            self._report_failures(chunk, tasks)
        return "  " + ", ".join(f"{name} {tasks.done}/{tasks.partitions}" for name, tasks in by_chunk.items())

    def _report_failures(self, chunk: str, tasks: ChunkTasks) -> None:
        for failure in tasks.failures:
            text = f"chunk {chunk}: an attempt failed on {failure}"
            if text not in self._reported:
                self._reported.add(text)
                self._print(text)

    def _tasks(self) -> str:
        if self._spark is None:
            return ""
        tracker = self._spark.sparkContext.statusTracker()
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        active = [stage for stage in stages if stage is not None]
        self._report_idle(bool(active) and not any(stage.numActiveTasks for stage in active))
        done = sum(stage.numCompletedTasks for stage in active)
        total = sum(stage.numTasks for stage in active)
        return f"  ({done} of {total} tasks)" if total else ""

    def _report_idle(self, is_idle: bool) -> None:
        """Reports once that tasks are waiting for a core: a cluster without free cores reports nothing."""
        if not is_idle:
            self._idle_since = None
            return
        now = time.monotonic()
        self._idle_since = now if self._idle_since is None else self._idle_since
        if 0 < self._idle_since < now - _IDLE_SECONDS:
            self._idle_since = -1
            self._print(
                f"no worker has taken a task for {_IDLE_SECONDS:.0f} s: does the cluster have free cores?"
            )
