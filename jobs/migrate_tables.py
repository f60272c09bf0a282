"""Brings the tables of an older version of the batch up to date."""

from __future__ import annotations

import click

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.steps.context import Batch
from pipeline.steps.migrate import drop_foreign, migrate


def run(batch: Batch, options: Options) -> dict[str, list[str]]:
    """Adds what older tables lack, and records what the ledger lacks."""
    options.refuse_dates("migrate_tables works on whole tables")
    actions = drop_foreign(batch) if options.extra["drop_foreign"] else []
    actions += migrate(batch)
    batch.outcome.has_changed = bool(actions)
    if batch.dry_run:
        batch.outcome.planned += actions
    return {"migrated": actions}


JOB = Job(
    "migrate_tables",
    "Brings a lake of an older version up to date. Run it once, with the config of the lake.",
    run,
    [
        click.option(
            "--drop-foreign",
            is_flag=True,
            help="Also remove properties, constraints and features that others set on the tables.",
        )
    ],
    needs_settled_lake=False,
)

if __name__ == "__main__":
    JOB.main()
