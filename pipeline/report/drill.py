"""Prints the results of a drill as a Markdown table, ready to paste into a document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich import box
from rich.table import Table as Grid

from pipeline.report.streams import output

_WIDTH = 320


def print_drill(rows: Iterable[Mapping[str, Any]]) -> None:
    """Prints one row per fault: what ran again, what did not, the cost, whether the tables are equal."""
    grid = Grid(box=box.MARKDOWN)
    for header in (
        "fault",
        "exit",
        "chunks again",
        "others",
        "map side",
        "why",
        "task s wasted",
        "s lost",
        "tables",
    ):
        grid.add_column(header, no_wrap=True)
    for row in rows:
        grid.add_row(*_cells(row))
    console = output()
    # Print whole lines on narrow terminals too: a truncated table is no evidence.
    console.width = _WIDTH
    console.print(grid, crop=False)


def _cells(row: Mapping[str, Any]) -> list[str]:
    if row["skipped"]:
        return [row["text"], "", "", "", "", f"skipped: {row['skipped']}", "", "", ""]
    repeated = {chunk: count for chunk, count in row["write_tasks_again"].items() if count}
    others = [chunk for chunk in row["write_tasks"] if chunk not in repeated]
    elsewhere = [f"{step} {count}" for step, count in row["tasks_again_elsewhere"].items()]
    return [
        row["text"],
        _codes(row["exit_codes"]),
        ", ".join(f"{c} {n}/{row['write_tasks'][c]}" for c, n in repeated.items()) or "none",
        ", ".join(others) or "none",
        ", ".join([f"{row['map_tasks_again']}/{row['map_tasks']}", *elsewhere])
        if row["map_tasks"]
        else ", ".join(elsewhere),
        ", ".join(f"{count} {cause}" for cause, count in row["causes"].items()),
        f"{row['task_seconds_wasted']:.1f} of {row['task_seconds']:.1f}",
        f"{row['seconds_lost']:.0f}",
        row["problem"] or ("equal" if row["tables_equal"] else "DIFFER"),
    ]


def _codes(codes: list[int]) -> str:
    """Exit codes in order of the runs; consecutive equal codes are counted."""
    groups: list[tuple[int, int]] = []
    for code in codes:
        if groups and groups[-1][0] == code:
            groups[-1] = (code, groups[-1][1] + 1)
        else:
            groups.append((code, 1))
    return ", then ".join(str(code) if count == 1 else f"{count} x {code}" for code, count in groups)
