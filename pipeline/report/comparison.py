"""Prints the changes between two revisions of a business date, as tables."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rich.table import Table as Grid

from pipeline.report.streams import output
from pipeline.report.tables import bare_grid
from pipeline.steps.compare import Comparison

_NOT_SHOWN = ("gross_before", "gross_after")


def print_comparison(comparison: Comparison) -> None:
    """Prints the sums of the changes and the first differences of each table."""
    console = output()
    console.print(f"{comparison.date}: revision {comparison.before} and revision {comparison.after}")
    if comparison.counts:
        counts = [{**row, "net": f"{Decimal(row['net']):+,}"} for row in comparison.counts]
        console.print(_grid(counts))
    elif not comparison.missing:
        console.print("no line and no invoice differs")
    for table, rows in comparison.examples.items():
        if rows:
            console.print(f"\n{table}, the first {len(rows)} that differ:")
            console.print(_grid([{k: v for k, v in row.items() if k not in _NOT_SHOWN} for row in rows]))
    for table, reason in comparison.missing.items():
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
