"""Judges rejected lines again, once a rule, a currency list or a column mapping is mended."""

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
    """Judges the drops asked for again that hold lines rejected for the reason; restates what follows."""
    reason = options.extra["reason"]
    found = [one.as_json() for one in replay(batch, reason)]
    batch.outcome.replayed = found
    print_replay(reason, found, is_planned=batch.dry_run)


JOB = Job(
    "replay_quarantine",
    "Judges lines again that were rejected for a reason, under the config of today; restates what follows.",
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
