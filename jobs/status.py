"""Shows how far each business date is. The exit code says whether billing may start. Writes nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.report.streams import output
from pipeline.report.tables import bare_grid, format_margin
from pipeline.steps.context import Batch
from pipeline.steps.status import status

_STYLES = {"billed": "green", "done": "green", "stale": "yellow", "landed": "yellow", "missing": "yellow"}


def run(batch: Batch, _: Options) -> dict[str, Any]:
    """Shows the requested dates, or the last 14 known."""
    states = [date.as_json() for date in status(batch)]
    _print_status(states)
    return {"states": states}


def _print_status(states: list[dict[str, Any]]) -> None:
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


JOB = Job(
    "status",
    "Shows how far each business date is. Exit code 0: billing may start; 5: a date is not ready; 4: an "
    "audit holds one back; 3: one failed.",
    run,
    records_runs=False,
    can_be_unchanged=False,
)

if __name__ == "__main__":
    JOB.main()
