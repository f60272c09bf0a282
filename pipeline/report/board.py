"""Draws how far a run is: a board for a terminal, one line for a log."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table as Grid
from rich.text import Text

from pipeline.planning.progress import Phase, RunProgress, TaskProgress
from pipeline.planning.timetable import format_duration
from pipeline.report.logs import escape_controls
from pipeline.report.tables import format_margin

_COLUMNS = ("tasks", "running", "retried", "failed", "lines", "lines/s")
_BAR_WIDTH = 6


def board(progress: RunProgress) -> RenderableType:
    """Draws a run: its phases, window, workers and deadline, and one row a chunk. Fits 80 columns."""
    grid = Grid(box=None, pad_edge=False, padding=(0, 1, 0, 0), expand=True)
    grid.add_column("chunk", no_wrap=True)
    for name in _COLUMNS:
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("", ratio=1, min_width=_BAR_WIDTH)
    grid.add_column("end", justify="right", no_wrap=True)
    rows = [*progress.chunks, *([progress.step_tasks] if progress.step_tasks is not None else [])]
    for row in rows:
        grid.add_row(*_cells(row, progress.zone))
    step = Text(escape_controls(progress.step), overflow="ellipsis")
    head = [_title(progress), _phases(progress), _facts(progress), step]
    parts: list[RenderableType] = [line for line in head if line.plain]
    return Group(*parts, grid) if rows else Group(*parts)


def plain_line(progress: RunProgress) -> str:
    """The same in one line, for a log."""
    rows = progress.chunks if progress.phase is Phase.PUBLISH and progress.chunks else ()
    step = progress.step_tasks
    tasks = [f"{row.name} {row.done}/{row.tasks}" for row in rows]
    if not rows and step is not None:
        tasks.append(f"{step.done} of {step.tasks} tasks")
    lines = sum(row.lines for row in rows)
    speed = sum(row.lines_per_second or 0.0 for row in rows if not row.is_done)
    texts = [
        progress.step,
        ", ".join(tasks),
        f"{lines:,} lines" if lines else "",
        f"{speed:,.0f} lines/s" if speed else "",
        *_parts(progress),
    ]
    return "; ".join(text for text in texts if text)


def _title(progress: RunProgress) -> Text:
    took = format_duration((progress.at - progress.started_at).total_seconds())
    if progress.ended:
        how = "interrupted" if progress.exit_code is None else f"ended with exit code {progress.exit_code}"
        took = f"{how} after {took}"
    title = escape_controls(f"{progress.job}, {took}, run {progress.run_id}")
    return Text(title, style="bold", overflow="ellipsis")


def _phases(progress: RunProgress) -> Text:
    line = Text(overflow="ellipsis")
    for phase in progress.phases:
        if line.plain:
            line.append("  ")
        if phase is progress.phase:
            line.append(f"▶ {phase}", style="bold cyan")
        elif phase in progress.finished:
            line.append(f"✓ {phase}", style="green")
        else:
            line.append(f"· {phase}", style="dim")
    return line


def _facts(progress: RunProgress) -> Text:
    margin = progress.margin_seconds
    style = "bold red" if margin is not None and margin < 0 else ""
    first, last = progress.first_date, progress.last_date
    window = "" if first is None else str(first) if first == last else f"{first} to {last}"
    return Text(", ".join(part for part in [window, *_parts(progress)] if part), style=style)


def _parts(progress: RunProgress) -> list[str]:
    """Workers, expected end, deadline and margin, each as text if known."""
    zone, workers = progress.zone, progress.workers
    margin = format_margin(progress.margin_seconds)
    return [
        "" if workers is None else f"{workers:,} worker{'' if workers == 1 else 's'}",
        f"end about {_time(progress.expected_end, zone)}" if progress.expected_end else "",
        f"deadline {_time(progress.deadline, zone)}" if progress.deadline else "",
        margin,
    ]


def _cells(row: TaskProgress, zone: str) -> list[RenderableType]:
    end = "" if row.end is None else f"{'' if row.is_done else '~'}{_time(row.end, zone)}"
    return [
        Text(escape_controls(row.name)),
        f"{row.done:,}/{row.tasks:,}",
        f"{row.running:,}",
        Text(f"{row.retried:,}", style="yellow" if row.retried else "dim"),
        Text(f"{row.failed:,}", style="red" if row.failed else "dim"),
        f"{row.lines:,}",
        f"{row.lines_per_second:,.0f}" if row.lines_per_second else "",
        ProgressBar(total=1.0, completed=row.share),
        end,
    ]


def _time(moment: dt.datetime, zone: str) -> str:
    return f"{moment.astimezone(ZoneInfo(zone)):%H:%M:%S}"
