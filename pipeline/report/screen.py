"""The place where progress is shown: a live board on a terminal, else a line now and then."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from rich.live import Live

from pipeline.planning.progress import RunProgress
from pipeline.report.board import board, plain_line
from pipeline.report.logs import escape_controls, is_structured, write_event
from pipeline.report.streams import error_stream, errors

_LINE_SECONDS = 30.0


class Screen:
    """Shows progress on stderr. A terminal that fails is left alone, and the caller goes on.

    Attributes:
        is_live: whether it draws a live board.
    """

    def __init__(self) -> None:
        """Chooses between a board and lines."""
        self._console = errors()
        self.is_live = self._console.is_terminal and not is_structured()
        self._live = Live(console=self._console, transient=True, auto_refresh=False)
        self._started = self._line_at = time.monotonic()
        self._said_events = 0

    def start(self) -> None:
        """Begins to draw."""
        if self.is_live:
            self._try(self._live.start)

    def stop(self) -> None:
        """Takes the board away. What was said stays."""
        if self.is_live:
            self._try(self._live.stop)

    def show(self, progress: RunProgress) -> None:
        """Draws the board anew, or prints a line every 30 seconds. New events are said at once.

        Args:
            progress: the run now; always of the same run.
        """
        for event in progress.events[self._said_events :]:
            self.print_line(event.describe(), progress.step)
        self._said_events = len(progress.events)
        if self.is_live:
            self._try(lambda: self._live.update(board(progress), refresh=True))
        elif time.monotonic() - self._line_at >= _LINE_SECONDS:
            self._line_at = time.monotonic()
            self.print_line(plain_line(progress), progress.step, progress=progress.model_dump(mode="json"))

    def print_line(self, text: str, step: str, **fields: Any) -> None:
        """Prints one line that stays, above the board.

        Args:
            text: the line.
            step: the step of the run, for a log of JSON lines.
            fields: further values for a log of JSON lines.
        """
        seconds = round(time.monotonic() - self._started, 1)
        if is_structured():
            self._try(
                lambda: write_event(error_stream(), logging.INFO, text, seconds=seconds, step=step, **fields)
            )
        else:
            line = escape_controls(f"{seconds:7.1f} s  {text}")
            self._try(lambda: self._console.print(line, soft_wrap=True, markup=False))

    def _try(self, draw: Callable[[], None]) -> None:
        try:
            draw()
        except Exception:  # the terminal is gone, the stream is closed, or what is shown cannot be drawn
            self.is_live = False
            with suppress(Exception):
                self._live.stop()  # it hides the cursor
