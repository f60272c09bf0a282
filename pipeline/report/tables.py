"""The format of tables and margins that all reports share."""

from __future__ import annotations

from rich.table import Table as Grid

from pipeline.planning.timetable import format_duration


def bare_grid() -> Grid:
    """An empty table without lines around its cells."""
    return Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0))


def format_margin(seconds: float | None, late: str = "LATE") -> str:
    """Formats the margin to a deadline: ``12 min left``, ``3 min LATE``; empty without a deadline.

    Args:
        seconds: from the end to the deadline, negative if late; None without a deadline.
        late: the word for late, with its markup.
    """
    if seconds is None:
        return ""
    return f"{format_duration(abs(seconds))} {'left' if seconds >= 0 else late}"
