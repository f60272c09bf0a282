"""Progress of a run: what is being done now and how far Spark's tasks are, for a person who waits."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from pyspark.sql import SparkSession
from rich.live import Live
from rich.text import Text

from report.streams import errors

_INTERVAL_SECONDS = 0.5


class Progress:
    """Tells steps on stderr: one live line on a terminal, a line a step anywhere else."""

    def __init__(self) -> None:
        self._console = errors()
        self._live = Live(console=self._console, transient=True, auto_refresh=False)
        self._started = time.monotonic()
        self._step = ""
        self._spark: SparkSession | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._redraw, daemon=True)

    def __enter__(self) -> Progress:
        """Starts drawing."""
        if self._console.is_terminal:
            self._live.start()
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops drawing."""
        self._stopped.set()
        if self._console.is_terminal:
            self._thread.join(timeout=2 * _INTERVAL_SECONDS)
            self._live.stop()

    def tell(self, step: str) -> None:
        """Says what is being done from now on."""
        self._step = step
        if not self._console.is_terminal:
            self._console.print(f"{time.monotonic() - self._started:7.1f} s  {step}", soft_wrap=True)

    def watch(self, spark: SparkSession) -> None:
        """Shows the tasks of a session's running stages, too."""
        self._spark = spark

    def _redraw(self) -> None:
        while not self._stopped.wait(_INTERVAL_SECONDS):
            seconds = time.monotonic() - self._started
            self._live.update(Text(f"{seconds:7.1f} s  {self._step}{self._tasks()}"), refresh=True)

    def _tasks(self) -> str:
        if self._spark is None:
            return ""
        tracker = self._spark.sparkContext.statusTracker()
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        done = sum(stage.numCompletedTasks for stage in stages if stage is not None)
        total = sum(stage.numTasks for stage in stages if stage is not None)
        return f"  ({done} of {total} tasks)" if total else ""
