"""The nightly batch: ingest, publish, totals, statements, documents."""

from __future__ import annotations

from pipeline.cli.flags import ACCEPT, FROM_NOW_ON, NUMBERS_OF, REINGEST, REPUBLISH
from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.cli.result import read_last_numbers
from pipeline.steps.context import Batch, DateRange
from pipeline.steps.ingest import ingest
from pipeline.steps.issue import begin_billing, issue
from pipeline.steps.nightly import publish_and_build
from pipeline.steps.publish import dates_of_drops
from schemas.states import Stage


def run(batch: Batch, options: Options) -> None:
    """Ingests the requested drops, then publishes every stale date, builds its gold and issues documents."""
    issues = batch.settings.billing.issue
    given = read_last_numbers(options.extra["numbers_of"], batch.spark)
    if issues:
        begin_billing(batch)
    not_ready = ingest(batch)
    force = dates_of_drops(batch, batch.requested) if batch.republish else set()
    publish_and_build(batch, not_ready, force)
    if issues:
        issue(batch, DateRange(), given)


JOB = Job(
    "run_batch",
    "Ingests, publishes, sums, bills and issues documents: the whole night.",
    run,
    [REINGEST, REPUBLISH, FROM_NOW_ON, ACCEPT, NUMBERS_OF],
    stages=list(Stage),
    is_whole_night=True,
)

if __name__ == "__main__":
    JOB.main()
