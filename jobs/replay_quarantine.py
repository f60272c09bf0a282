"""Validates rejected lines again after a rule, a currency list or a column mapping was corrected."""

from __future__ import annotations

import click

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.report.replay import print_replay
from pipeline.steps.context import Batch
from pipeline.steps.replay import replay
from schemas.states import Stage
from transforms.rules import REJECT_REASONS


def run(batch: Batch, options: Options) -> None:
    """Validates requested drops again if they hold lines rejected for the reason; publishes what changes."""
    reason = options.extra["reason"]
    batch.outcome.replayed = [drop.as_json() for drop in replay(batch, reason)]
    print_replay(reason, batch.outcome.replayed, is_planned=batch.dry_run)


JOB = Job(
    "replay_quarantine",
    "Validates drops with lines rejected for a reason again, under today's config; publishes what changes.",
    run,
    [
        click.option(
            "--reason", required=True, type=click.Choice(REJECT_REASONS), metavar="R", help="Reject reason."
        )
    ],
    implies_from_now_on=True,
    stages=list(Stage),
)

if __name__ == "__main__":
    JOB.main()
