"""The streams of a run. spark-submit joins a job's stderr to its stdout, so the job opens the real ones.

Output that a stream does not take is dropped: a full disk under a log, or a reader that left, fails no run.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TextIO, cast

from rich.console import Console

# A log has no width to fit: wrapping or cutting lines would lose digits.
_LOG_WIDTH = 160


class ForgivingStream:
    """A text stream whose writes never fail; everything else is the stream's own."""

    def __init__(self, stream: TextIO | None) -> None:
        """Wraps a stream; None, which Python has for a closed one, takes nothing."""
        self._stream = stream
        if stream is not None:
            with suppress(AttributeError, OSError, ValueError):
                cast(Any, stream).reconfigure(errors="replace")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes, or drops the text."""
        if self._stream is not None:
            with suppress(OSError, ValueError):
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flushes what the stream takes."""
        if self._stream is not None:
            with suppress(OSError, ValueError):
                self._stream.flush()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:  # closed
            return False


@cache
def _stream(variable: str) -> TextIO | None:
    """The stream that scripts/submit.sh names, opened anew; None if there is none.

    Text goes to the end of a file. scripts/submit.sh writes to the same file in the same way, so that the two
    never overwrite each other.
    """
    path = Path(os.environ.get(variable, os.devnull))
    if not _is_worth_opening(path):
        return None
    try:
        # Open without blocking: opening a pipe that has no reader would hang forever.
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
        os.set_blocking(descriptor, True)
    except OSError:
        return None
    encoding = getattr(sys.__stdout__, "encoding", None) or "utf-8"
    return os.fdopen(descriptor, "w", buffering=1, encoding=encoding, errors="replace")


def _is_worth_opening(path: Path) -> bool:
    """Whether the path is a terminal, a pipe or a file: a socket cannot be opened."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and path != Path(os.devnull))


def output() -> Console:
    """The console on stdout, for results."""
    return _console(output_stream())


def errors() -> Console:
    """The console on stderr, for progress, warnings and errors."""
    return _console(error_stream())


def output_stream() -> TextIO:
    """The run's stdout."""
    return cast(TextIO, ForgivingStream(_stream("CYMBAL_STDOUT") or sys.stdout))


def error_stream() -> TextIO:
    """The run's stderr."""
    return cast(TextIO, ForgivingStream(_stream("CYMBAL_STDERR") or sys.stderr))


def protect_streams() -> None:
    """Makes every print of this process go to the run's streams and never fail."""
    sys.stdout, sys.stderr = output_stream(), error_stream()


def drop_unwritten() -> None:
    """Drops what the streams did not take. Python would try again at its end, and exit with 120."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _console(stream: TextIO) -> Console:
    width = None if stream.isatty() else _LOG_WIDTH
    return Console(file=stream, highlight=False, soft_wrap=True, width=width)
