"""The terminal of a run: spark-submit stands between it and the job."""

from __future__ import annotations

import os
import stat
import sys
from functools import cache
from pathlib import Path
from typing import TextIO

from rich.console import Console

# Where nobody watches there is no width to keep to: a log must not lose a digit.
_LOG_WIDTH = 160


@cache
def _stream(variable: str) -> TextIO | None:
    """The stream that scripts/submit.sh names, where it is a terminal or a pipe; else None.

    A regular file opened again has a place of its own to write at: what others write to it would be lost.
    """
    path = Path(os.environ.get(variable, os.devnull))
    try:
        mode = path.stat().st_mode
        if stat.S_ISFIFO(mode) or (stat.S_ISCHR(mode) and path != Path(os.devnull)):
            # Without blocking: a pipe that nobody reads any more would be waited for, for ever.
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
            os.set_blocking(descriptor, True)
            return os.fdopen(descriptor, "w", buffering=1, encoding="utf-8")
    except OSError:
        pass
    return None


def output() -> Console:
    """What a run found goes to stdout."""
    return _console(output_stream())


def errors() -> Console:
    """Progress, warnings and errors go to stderr."""
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
