"""Ingests landed drops into bronze. Every line is accepted or rejected, none is lost."""

from __future__ import annotations

from pipeline.cli.flags import ACCEPT, FROM_NOW_ON, REINGEST
from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.steps.context import Batch
from pipeline.steps.ingest import ingest
from pipeline.steps.issue import begin_billing
from schemas.states import Stage


def run(batch: Batch, _: Options) -> None:
    """Reads the requested drops that are new or changed, and validates every line."""
    if batch.settings.billing.issue:
        begin_billing(batch)  # before anything is published, since what is published before gets no document
    ingest(batch)


JOB = Job(
    "ingest_sales",
    "Reads new and changed drops into bronze and validates every line.",
    run,
    [REINGEST, FROM_NOW_ON, ACCEPT],
    stages=[Stage.INGEST],
)

if __name__ == "__main__":
    JOB.main()
