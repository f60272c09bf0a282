"""What verify_sales found, for a person."""

from __future__ import annotations

from pipeline.report.streams import output
from pipeline.steps.verify import Verification


def print_verification(found: Verification) -> None:
    """Prints how much was verified and what is worth a look; problems are the run's errors."""
    console = output()
    if found.dates:
        state = "hold" if not found.problems else "do NOT hold"
        console.print(
            f"{len(found.dates)} dates from {found.dates[0]} to {found.dates[-1]}: every line, unique keys, "
            f"reconciliation and gold totals {state}"
        )
    else:
        console.print("no published date to verify")
    if found.stale:
        console.print(f"not verified, waiting to be published: {', '.join(map(str, found.stale))}")
    for line in found.reused_numbers:
        console.print(f"the same numbers on several sale dates: {line}", markup=False)
