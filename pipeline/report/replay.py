"""Prints the result of a replay of rejected lines, as a table."""

from __future__ import annotations

from typing import Any

from pipeline.report.streams import output
from pipeline.report.tables import bare_grid


def print_replay(reason: str, drops: list[dict[str, Any]], *, is_planned: bool) -> None:
    """Prints one line per drop, and the sum.

    Args:
        reason: reject reason.
        drops: ``replayed`` of the result.
        is_planned: whether this was a dry run.
    """
    console = output()
    if not drops:
        console.print(f"no line is rejected for {reason} in these drops")
        return
    grid = bare_grid()
    names = ("drop", f"{reason} before", "after", "accepted before", "after", "read from")
    for position, name in enumerate(names):
        grid.add_column(name, justify="left" if position in (0, len(names) - 1) else "right")
    for drop in drops:
        counts = [drop[name] for name in _COUNTS]
        grid.add_row(drop["drop_date"], *[f"{count:,}" for count in counts], drop["source"])
    console.print(grid)
    before, after, accepted_before, accepted_after = (sum(drop[name] for drop in drops) for name in _COUNTS)
    verb = "would be" if is_planned else "are"
    console.print(
        f"{len(drops):,} drops: of {before:,} lines rejected for {reason}, {after:,} still {verb}; "
        f"{accepted_after - accepted_before:+,} accepted lines"
    )


_COUNTS = ("rejected_before", "rejected_after", "accepted_before", "accepted_after")
