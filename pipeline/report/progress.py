"""Shows how far a run is while it works: a live board on a terminal, lines elsewhere, a file for watchers.

Nothing here may break a run. Spark, the terminal or the store may fail at any time: the run then shows less.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

from pyspark.sql import SparkSession

from pipeline.planning.progress import RunProgress, ended
from pipeline.report.logs import LOGGERS
from pipeline.report.screen import Screen
from pipeline.report.tracker import Tracker
from pipeline.steps.context import ChunkedWrite
from pipeline.steps.timetable import Timetable

_LOOK_SECONDS = 1.0
# Looking and drawing take at most this share of one core, however many tasks there are.
_SHARE_OF_A_CORE = 0.005
_COSTS_KEPT = 5
_LONGEST_PAUSE_SECONDS = 30.0
_FILE_SECONDS = 3.0
_IDLE_SECONDS = 30.0
# A session that starts or stops answers with errors for some seconds.
_BLIND_SECONDS = 30.0
_JOIN_SECONDS = 10.0


class Progress(logging.Handler):
    """Shows the log and the progress of a run on stderr: a live board on a terminal, else lines.

    An INFO record of the engine names the step that begins. The step also becomes the description of Spark's
    jobs.
    """

    def __init__(self, tracker: Tracker) -> None:
        """Prepares to show what a tracker finds out."""
        super().__init__(logging.INFO)
        self._tracker = tracker
        self._screen = Screen()
        self._spark: SparkSession | None = None
        self._looked_at = time.monotonic()
        self._idle_since: float | None = None
        self._is_blind_told = False
        self._looking = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look_often, daemon=True)
        self._file: _ProgressWriter | None = None
        self._now = self._tracker.known()

    def __enter__(self) -> Progress:
        """Starts to draw, and to show the records of the engine's loggers."""
        for name in LOGGERS:
            logger = logging.getLogger(name)
            logger.setLevel(logging.INFO)
            logger.propagate = False
            logger.addHandler(self)
        self._screen.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops drawing, and marks the file of a run that was interrupted as ended."""
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(self)
        self._stopped.set()
        self._thread.join(timeout=_JOIN_SECONDS)
        self._screen.stop()
        self.end_file(None)

    def emit(self, record: logging.LogRecord) -> None:
        """Shows a record; one at INFO is the step from now on. The run that logs it goes on in any case."""
        with suppress(Exception):
            self._show(record)

    def _show(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            self._say(f"warning: {text}")
            return
        self._tracker.step = text
        if self._spark is not None:
            self._spark.sparkContext.setJobDescription(text)
        if not self._screen.is_live:
            self._say(text)

    def watch(self, spark: SparkSession, timetable: Timetable) -> None:
        """Also shows the tasks of a session, and where the run is in its timetable, from now on."""
        self._spark = spark
        self._tracker.watch(spark, timetable)

    @contextmanager
    def track_progress(self, write: ChunkedWrite) -> Iterator[None]:
        """Shows the progress of each chunk of a write while the context is open."""
        with self._tracker.follow(write):
            try:
                yield
            finally:
                self._look_safely()  # a fast write, or a failure, ends between two looks

    def write_to(self, write: Callable[[bytes], None]) -> None:
        """Also writes the progress every few seconds, for those who watch the run from elsewhere."""
        self._file = _ProgressWriter(write, lambda: self._now, self._say)

    def end_file(self, exit_code: int | None) -> None:
        """Writes the last progress, marked as ended, if a file is written. Call it while the lake is held.

        Args:
            exit_code: exit code of the run; None if it was interrupted.
        """
        if self._file is not None:
            known = self._tracker.known()
            self._file.end(ended(known, known.at, exit_code))
            self._file = None

    def _say(self, text: str) -> None:
        self._screen.print_line(text, self._tracker.step)

    def _look_often(self) -> None:
        costs: deque[float] = deque(maxlen=_COSTS_KEPT)
        while not self._stopped.wait(pause_after(costs)):
            began = time.monotonic()
            self._look_safely()
            costs.append(time.monotonic() - began)

    def _look_safely(self) -> None:
        if not self._looking.acquire(timeout=_JOIN_SECONDS):
            return  # the other thread waits for Spark
        try:
            self._look()
        except Exception as error:  # whatever an observer meets, the run goes on
            self._report_blind(error)
        finally:
            self._looking.release()

    def _look(self) -> None:
        self._now = self._tracker.look()
        self._looked_at = time.monotonic()
        self._report_idle()
        self._screen.show(self._now)

    def _report_idle(self) -> None:
        """Reports once that tasks are waiting for a core: a cluster without free cores reports nothing."""
        if not self._tracker.is_waiting:
            self._idle_since = None
            return
        now = time.monotonic()
        self._idle_since = now if self._idle_since is None else self._idle_since
        if 0 < self._idle_since < now - _IDLE_SECONDS:
            self._idle_since = -1
            self._say(
                f"no worker has taken a task for {_IDLE_SECONDS:.0f} s: does the cluster have free cores?"
            )

    def _report_blind(self, error: Exception) -> None:
        if self._is_blind_told or time.monotonic() - self._looked_at < _BLIND_SECONDS:
            return
        self._is_blind_told = True
        cause = (str(error) or type(error).__name__).splitlines()[0]
        self._say(f"the progress of the tasks cannot be read, the run goes on: {cause}")


def pause_after(costs: Collection[float]) -> float:
    """Seconds to wait before the next look, so that looking takes at most a small share of one core.

    Args:
        costs: seconds that the last looks took. The shortest counts: a busy machine makes the others longer.
    """
    return min(_LONGEST_PAUSE_SECONDS, max(_LOOK_SECONDS, min(costs, default=0.0) / _SHARE_OF_A_CORE))


class _ProgressWriter:
    """Writes the progress every few seconds, in a thread of its own: a slow store must not stop the board."""

    def __init__(
        self,
        write: Callable[[bytes], None],
        progress: Callable[[], RunProgress],
        report: Callable[[str], None],
    ) -> None:
        self._write = write
        self._progress = progress
        self._report = report
        self._has_failed = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write_often, daemon=True)
        self._thread.start()

    def end(self, last: RunProgress) -> None:
        """Stops, and writes the last progress, unless the store does not answer."""
        self._ended.set()
        self._thread.join(timeout=_JOIN_SECONDS)
        if not self._thread.is_alive():
            self._write_once(last)

    def _write_often(self) -> None:
        while True:
            self._write_once(self._progress())
            if self._ended.wait(_FILE_SECONDS):
                return

    def _write_once(self, progress: RunProgress) -> None:
        try:
            self._write(progress.to_json())
        except Exception as error:  # whatever the store does, the run goes on
            if not self._has_failed:
                self._has_failed = True
                with suppress(Exception):
                    self._report(f"the progress file cannot be written, the run goes on: {error}")
