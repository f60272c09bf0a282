"""Validates rejected lines again after a rule, a currency list or a column mapping was corrected."""

from __future__ import annotations

from typing import Any

import click

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.planning.pinned import value_of
from pipeline.report.streams import output
from pipeline.report.tables import bare_grid
from pipeline.steps.context import Batch
from pipeline.steps.replay import replay
from schemas.errors import UsageError
from schemas.states import PUBLISHING_STAGES
from transforms.rules import contract_reasons

_COUNTS = ("rejected_before", "rejected_after", "accepted_before", "accepted_after")


def run(batch: Batch, options: Options) -> dict[str, Any]:
    """Validates requested drops again if they hold lines rejected for the reason; publishes what changes."""
    reason = options.extra["reason"]
    _check_reason(batch, reason)
    replayed = [drop.as_json() for drop in replay(batch, reason)]
    _print_replay(reason, replayed, is_planned=batch.dry_run)
    return {"replayed": replayed}


def _check_reason(batch: Batch, reason: str) -> None:
    """Refuses a reason for which no line of the lake can have been rejected.

    Raises:
        UsageError: neither the contract, nor a rule of the config now or before, has the reason.
    """
    of_rules = {name for record in batch.pinned.records for name in value_of(record.values, "rules.own")}
    known = sorted({*contract_reasons(), *of_rules})
    if reason not in known:
        raise UsageError(f"--reason {reason!r}: must be one of {', '.join(known)}")


def _print_replay(reason: str, drops: list[dict[str, Any]], *, is_planned: bool) -> None:
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


JOB = Job(
    "replay_quarantine",
    "Validates drops with lines rejected for a reason again, under today's config; publishes what changes.",
    run,
    [click.option("--reason", required=True, metavar="R", help="Reject reason.")],
    implies_from_now_on=True,
    stages=PUBLISHING_STAGES,
)

if __name__ == "__main__":
    JOB.main()
