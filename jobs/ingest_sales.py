"""Ingests landed drops into bronze. Every line is accepted or rejected, none is lost."""

from __future__ import annotations

from pipeline.cli.flags import ACCEPT, FROM_NOW_ON, REINGEST
from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.steps.context import Batch
from pipeline.steps.ingest import ingest
from schemas.states import Stage


def run(batch: Batch, _: Options) -> None:
    """Reads the requested drops that are new or changed, and validates every line."""
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
