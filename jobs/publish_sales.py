"""Publishes stale business dates: accepted lines, each once, split by key range."""

from __future__ import annotations

from batch.context import Batch
from batch.publish import publish
from command.flags import FROM_NOW_ON, REPUBLISH
from command.job import Job
from command.options import Options
from schemas.states import Stage


def run(batch: Batch, _: Options) -> None:
    """Publishes the business dates asked for that are stale."""
    publish(batch, batch.asked, again=batch.asked if batch.republish else ())


JOB = Job(
    "publish_sales",
    "Publishes stale business dates to silver/sales.",
    run,
    [REPUBLISH, FROM_NOW_ON],
    stages=[Stage.PUBLISH],
)

if __name__ == "__main__":
    JOB.main()
