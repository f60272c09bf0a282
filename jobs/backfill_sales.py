"""Back-fills years of drops: ingests and publishes them in windows; a rerun does only the remaining work."""

from __future__ import annotations

from pipeline.cli.flags import ACCEPT, FROM_NOW_ON, REINGEST, REPUBLISH
from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.steps.context import Batch
from pipeline.steps.ingest import ingest
from pipeline.steps.nightly import publish_and_build
from pipeline.steps.publish import dates_of_drops
from schemas.errors import UsageError
from schemas.states import PUBLISHING_STAGES


def run(batch: Batch, _: Options) -> None:
    """Ingests new and changed drops of the range, then publishes stale dates and builds their gold."""
    if not batch.requested.days():
        raise UsageError(
            "backfill_sales needs --from and --to, for example --from 2021-01-01 --to 2025-12-31"
        )
    not_ready = ingest(batch, needs_every_day=False)
    force = dates_of_drops(batch, batch.requested) if batch.republish else set()
    publish_and_build(batch, not_ready, force)


JOB = Job(
    "backfill_sales",
    "Ingests, publishes, sums and bills years of drops. The same command again does the remaining work.",
    run,
    [REINGEST, REPUBLISH, FROM_NOW_ON, ACCEPT],
    stages=PUBLISHING_STAGES,
)

if __name__ == "__main__":
    JOB.main()
