"""Prints the findings of verify_sales."""

from __future__ import annotations

from pipeline.report.streams import output
from pipeline.steps.verify import Verification


def print_verification(verification: Verification) -> None:
    """Prints how much was verified and what deserves a look. Problems are reported as the run's errors."""
    console = output()
    dates = verification.dates
    if dates:
        state = "hold" if not verification.problems else "do NOT hold"
        console.print(
            f"{len(dates)} dates from {dates[0]} to {dates[-1]}: every line, unique keys, "
            f"reconciliation and gold totals {state}"
        )
    else:
        console.print("no published date to verify")
    if verification.stale:
        console.print(f"not verified, waiting to be published: {', '.join(map(str, verification.stale))}")
    for line in verification.reused_numbers:
        console.print(f"the same numbers on several sale dates: {line}", markup=False)
