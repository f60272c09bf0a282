"""Publishes stale business dates: accepted lines, each once, split by key range."""

from __future__ import annotations

from pipeline.cli.flags import FROM_NOW_ON, REPUBLISH
from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.steps.context import Batch
from pipeline.steps.publish import publish
from schemas.states import Stage


def run(batch: Batch, _: Options) -> None:
    """Publishes the requested business dates that are stale."""
    publish(batch, batch.requested, force=batch.requested if batch.republish else ())


JOB = Job(
    "publish_sales",
    "Publishes stale business dates to silver/sales.",
    run,
    [REPUBLISH, FROM_NOW_ON],
    stages=[Stage.PUBLISH],
)

if __name__ == "__main__":
    JOB.main()
