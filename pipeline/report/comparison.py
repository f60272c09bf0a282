"""What changed between two revisions of a business date, as tables."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rich.table import Table as Grid

from pipeline.report.streams import output
from pipeline.report.tables import bare_grid
from pipeline.steps.compare import Comparison

_NOT_SHOWN = ("gross_before", "gross_after")


def print_comparison(found: Comparison) -> None:
    """Prints how much changed, and the first differences of each table."""
    console = output()
    console.print(f"{found.date}: revision {found.before} and revision {found.after}")
    if found.counts:
        counts = [{**row, "net": f"{Decimal(row['net']):+,}"} for row in found.counts]
        console.print(_grid(counts))
    elif not found.missing:
        console.print("no line and no invoice differs")
    for table, rows in found.examples.items():
        if rows:
            console.print(f"\n{table}, the first {len(rows)} that differ:")
            console.print(_grid([{k: v for k, v in row.items() if k not in _NOT_SHOWN} for row in rows]))
    for table, reason in found.missing.items():
        console.print(f"{table} is not compared: {reason}", markup=False)


def _grid(rows: list[dict[str, Any]]) -> Grid:
    grid = bare_grid()
    for name in rows[0]:
        grid.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        grid.add_row(*[_text(value) for value in row.values()])
    return grid


def _text(value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(value) if isinstance(value, list) else str(value)
