"""The nightly batch: ingest, publish, totals, invoices."""

from __future__ import annotations

from pipeline.cli.flags import ACCEPT, FROM_NOW_ON, REINGEST, REPUBLISH
from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.steps.context import Batch
from pipeline.steps.ingest import ingest
from pipeline.steps.nightly import publish_and_build
from pipeline.steps.publish import dates_of_drops
from schemas.states import Stage


def run(batch: Batch, _: Options) -> None:
    """Ingests the requested drops, then publishes every stale date and builds its gold."""
    not_ready = ingest(batch)
    force = dates_of_drops(batch, batch.requested) if batch.republish else set()
    publish_and_build(batch, not_ready, force)


JOB = Job(
    "run_batch",
    "Ingests, publishes, sums and bills: the whole night.",
    run,
    [REINGEST, REPUBLISH, FROM_NOW_ON, ACCEPT],
    stages=list(Stage),
    is_whole_night=True,
)

if __name__ == "__main__":
    JOB.main()
