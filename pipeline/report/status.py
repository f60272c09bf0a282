"""Prints how far each business date is, as a table."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pipeline.report.streams import output
from pipeline.report.tables import bare_grid, format_margin

_STYLES = {"billed": "green", "done": "green", "stale": "yellow", "landed": "yellow", "missing": "yellow"}


def print_status(states: list[dict[str, Any]]) -> None:
    """Prints one line per date, and the number of dates in each state.

    Args:
        states: ``states`` of the result.
    """
    console = output()
    if not states:
        console.print("no business date is known yet")
        return
    stages = sorted({stage for state in states for stage in state["margin_seconds"]})
    grid = bare_grid()
    for name in ("business date", "state", "revision", "lines", *stages, "because"):
        grid.add_column(name, justify="right" if name in ("revision", "lines", *stages) else "left")
    for state in states:
        style = _STYLES.get(state["state"], "red")
        grid.add_row(
            state["business_date"],
            f"[{style}]{state['state']}[/]",
            str(state["revision"] or ""),
            f"{state['lines']:,}",
            *[format_margin(state["margin_seconds"].get(stage), "[red]LATE[/]") for stage in stages],
            state["reason"] or "",
        )
    console.print(grid)
    counts = Counter(state["state"] for state in states)
    console.print(", ".join(f"{count:,} {state}" for state, count in counts.items()))
