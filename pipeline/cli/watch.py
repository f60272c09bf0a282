"""Watches the run that is at work in a lake, from any machine, without a Spark session."""

from __future__ import annotations

import io
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from pipeline.cli.options import LAKE_OPTIONS, parse, value_or_code
from pipeline.lake.files import FileStore
from pipeline.lake.lock import BEAT_SECONDS, STALE_SECONDS
from pipeline.lake.watcher import LakeWatcher
from pipeline.planning.progress import RunProgress
from pipeline.planning.timetable import format_duration
from pipeline.planning.watching import RunState, WatchedRun
from pipeline.report.board import board
from pipeline.report.logs import escape_controls
from pipeline.report.screen import Screen
from pipeline.report.streams import output
from pipeline.settings import load_settings
from schemas.errors import NotReadyError, TryAgainError, UsageError
from schemas.states import ExitCode

_LOOK_SECONDS = 1.0
_SVG_WIDTH = 100
# What a shell reports for a program that Ctrl-C ended.
_INTERRUPTED = 130
# Without the fonts that Rich would have a reader's browser fetch.
_SVG_FORMAT = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


@dataclass(frozen=True)
class _Options:
    lake: str | None
    config: str | None
    assignments: Sequence[str]
    wait: float
    once: bool
    svg: str | None


@dataclass(frozen=True)
class WatchJob:
    """A job that only watches: it opens no session, takes no lock and writes nothing into the lake.

    Attributes:
        name: name of the job.
        help: what it does, for ``--help``.
    """

    name: str
    help: str

    def main(self, arguments: Sequence[str] | None = None) -> None:
        """Watches with the process's arguments and ends the process with the exit code."""
        sys.exit(self.run(sys.argv[1:] if arguments is None else arguments))

    def run(self, arguments: Sequence[str]) -> int:
        """Watches until the run has ended.

        Returns:
            The exit code of the run; 5 if no run is at work, 75 if it was killed or is silent.
        """
        return value_or_code(self.name, lambda: self._watch(arguments))

    def _watch(self, arguments: Sequence[str]) -> int:
        options = self._parse(arguments)
        settings = load_settings(options.config, options.assignments, {"lake": options.lake})
        return _Watch(FileStore(None, settings.storage.lake), options).execute()

    def _parse(self, arguments: Sequence[str]) -> _Options:
        command: Any = _Options
        for option in (
            click.option("--svg", metavar="FILE", help="Also save the last board as an SVG picture."),
            click.option("--once", is_flag=True, help="Show the board once; do not wait for the end."),
            click.option(
                "--wait",
                type=click.FloatRange(min=0),
                default=0.0,
                metavar="SECONDS",
                help="How long to wait for a run to begin.",
            ),
            *reversed(LAKE_OPTIONS),
        ):
            command = option(command)
        return parse(self.name, self.help, command, arguments, _Options)


class _Watch:
    """One watch over a lake."""

    def __init__(self, files: FileStore, options: _Options) -> None:
        self._files = files
        self._options = options
        self._watcher = LakeWatcher(files)
        self._screen = Screen()
        self._last: RunProgress | None = None

    def execute(self) -> int:
        """Watches to the end, and returns the exit code."""
        self._screen.start()
        watched = None
        try:
            watched = self._follow(self._first())
        except KeyboardInterrupt:  # the usual way to stop watching; the run goes on
            pass
        finally:
            self._screen.stop()
            self._save_picture()
        if self._last is not None:
            output().print(board(self._last))
        return _INTERRUPTED if watched is None else self._code(watched)

    def _first(self) -> WatchedRun:
        """Looks until a run is at work, as long as the options say."""
        give_up_at = time.monotonic() + self._options.wait
        while True:
            try:
                watched = self._watcher.look()
            except OSError as error:
                raise UsageError(f"lake {self._files.root}: cannot be read: {error}") from None
            state = _state(watched)
            if state not in (RunState.NONE, RunState.ENDED):
                return watched
            if time.monotonic() >= give_up_at:
                raise NotReadyError(_nothing(self._files.root, watched.progress))
            time.sleep(_LOOK_SECONDS)

    def _follow(self, watched: WatchedRun) -> WatchedRun:
        """Shows the run until it is at work no more; once if that is asked for."""
        is_told = False
        while True:
            if watched.progress is not None:
                self._last = watched.progress
                self._screen.show(watched.progress)
            if self._options.once or _state(watched) is not RunState.AT_WORK:
                return watched
            time.sleep(_LOOK_SECONDS)
            try:
                watched = self._watcher.look()
                is_told = False
            except OSError as error:  # a store that is busy or out of reach may come back
                if not is_told:
                    self._screen.print_line(f"the lake cannot be read, trying again: {error}", "")
                is_told = True

    def _code(self, watched: WatchedRun) -> int:
        state, run = _state(watched), watched.run_id
        if state is RunState.KILLED:
            raise TryAgainError(
                f"run {run} was killed: its process has ended. {_heartbeat_age(watched)}; run it again"
            )
        if state is RunState.SILENT:
            raise TryAgainError(
                f"run {run} is silent, it counts as dead. {_heartbeat_age(watched)}; run it again"
            )
        if state is RunState.AT_WORK:
            return ExitCode.DONE
        progress = watched.progress
        if progress is None or not progress.ended:
            raise TryAgainError(
                f"run {watched.followed} holds the lake no more, and its end is not known here: "
                f"report_runs --run {watched.followed} shows what the ledger knows"
            )
        if progress.exit_code is None:
            raise TryAgainError("the run was interrupted; run it again")
        return progress.exit_code

    def _save_picture(self) -> None:
        if self._options.svg is None or self._last is None:
            return
        console = Console(
            record=True, file=io.StringIO(), width=_SVG_WIDTH, force_terminal=True, highlight=False
        )
        for event in self._last.events:
            console.print(escape_controls(event.describe()), markup=False)
        console.print(board(self._last))
        try:
            picture = console.export_svg(title="watch_run", code_format=_SVG_FORMAT)
            Path(self._options.svg).write_text(picture, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"--svg {self._options.svg}: {error.strerror or error}") from None


def _state(watched: WatchedRun) -> RunState:
    return watched.state(BEAT_SECONDS, STALE_SECONDS)


def _heartbeat_age(watched: WatchedRun) -> str:
    return f"Its last heartbeat is {format_duration(max(0.0, watched.age_seconds))} old"


def _nothing(lake: str, last: RunProgress | None) -> str:
    if last is None:
        return f"no run is at work in {lake}"
    how = "was interrupted" if last.exit_code is None else f"ended with exit code {last.exit_code}"
    if not last.ended:
        how = "wrote its progress for the last time, and no end,"
    return (
        f"no run is at work in {lake}; the last one, {last.run_id}, {how} at {last.at:%Y-%m-%d %H:%M:%S} UTC"
    )
