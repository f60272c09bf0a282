"""Back-fills years of drops: many in one pass, published in windows, resumed where it was stopped."""

from __future__ import annotations

from pipeline.cli.flags import FROM_NOW_ON, REINGEST, REPUBLISH
from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.steps.context import Batch
from pipeline.steps.ingest import ingest
from pipeline.steps.nightly import publish_and_build
from pipeline.steps.publish import dates_of_drops
from schemas.errors import UsageError
from schemas.states import Stage


def run(batch: Batch, _: Options) -> None:
    """Ingests the drops of the range that are new or changed, then finishes every date that is stale."""
    if not batch.requested.days():
        raise UsageError("backfill_sales needs --from and --to, as --from 2021-01-01 --to 2025-12-31")
    not_ready = ingest(batch, needs_every_day=False)
    publish_and_build(batch, not_ready, dates_of_drops(batch, batch.requested) if batch.republish else set())


JOB = Job(
    "backfill_sales",
    "Ingests, publishes, sums and bills years of drops; the same command again does what is left.",
    run,
    [REINGEST, REPUBLISH, FROM_NOW_ON],
    stages=list(Stage),
)

if __name__ == "__main__":
    JOB.main()
