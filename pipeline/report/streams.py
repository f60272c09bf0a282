"""The terminal of a run. spark-submit pipes a job's output, so the job opens the terminal itself."""

from __future__ import annotations

import os
import stat
import sys
from functools import cache
from pathlib import Path
from typing import TextIO

from rich.console import Console

# A log has no width to fit: wrapping or cutting lines would lose digits.
_LOG_WIDTH = 160


@cache
def _stream(variable: str) -> TextIO | None:
    """The stream that scripts/submit.sh names if it is a terminal or a pipe; else None.

    A regular file is not reopened: the second descriptor has its own offset and would overwrite other output.
    """
    path = Path(os.environ.get(variable, os.devnull))
    try:
        mode = path.stat().st_mode
        if stat.S_ISFIFO(mode) or (stat.S_ISCHR(mode) and path != Path(os.devnull)):
            # Open without blocking: opening a pipe that has no reader would hang forever.
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
            os.set_blocking(descriptor, True)
            return os.fdopen(descriptor, "w", buffering=1, encoding="utf-8")
    except OSError:
        pass
    return None


def output() -> Console:
    """The console on stdout, for results."""
    return _console(output_stream())


def errors() -> Console:
    """The console on stderr, for progress, warnings and errors."""
    return _console(error_stream())


def output_stream() -> TextIO:
    """The run's stdout."""
    return _stream("CYMBAL_STDOUT") or sys.stdout


def error_stream() -> TextIO:
    """The run's stderr."""
    return _stream("CYMBAL_STDERR") or sys.stderr


def _console(stream: TextIO) -> Console:
    width = None if stream.isatty() else _LOG_WIDTH
    return Console(file=stream, highlight=False, soft_wrap=True, width=width)
