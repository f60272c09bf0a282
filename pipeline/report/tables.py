"""How tables and margins look on the terminal, once for every report."""

from __future__ import annotations

from rich.table import Table as Grid

from pipeline.planning.timetable import in_words


def bare_grid() -> Grid:
    """A table without lines around its cells, columns to be added."""
    return Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0))


def format_margin(seconds: float | None, late: str = "LATE") -> str:
    """How an end stands to a deadline: ``12 min left``, ``3 min LATE``; empty where there is none.

    Args:
        seconds: from the end to the deadline, negative where late.
        late: the word for late, with its markup.
    """
    if seconds is None:
        return ""
    return f"{in_words(abs(seconds))} {'left' if seconds >= 0 else late}"
