"""Prints the findings of the doctor job, as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.markup import escape

from pipeline.report.streams import output
from pipeline.report.tables import bare_grid

_STYLES = {"ok": "green", "warning": "yellow", "problem": "red"}


def print_findings(checks: Iterable[Mapping[str, str]]) -> None:
    """Prints one line per check.

    Args:
        checks: ``checks`` of the result.
    """
    grid = bare_grid()
    for name in ("check", "is", "found", "what to do"):
        grid.add_column(name, overflow="fold")
    for check in checks:
        style = _STYLES[check["state"]]
        grid.add_row(
            check["check"], f"[{style}]{check['state']}[/]", escape(check["said"]), escape(check["advice"])
        )
    output().print(grid)
