"""Exports the documents issued in a span of dates, for an accounting system. Writes no table."""

from __future__ import annotations

import click

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.report.exports import export_csv, export_ubl
from pipeline.report.streams import output
from pipeline.steps.context import Batch

_EXPORTS = {"csv": export_csv, "ubl": export_ubl}


def run(batch: Batch, options: Options) -> None:
    """Exports the documents issued on the requested dates, or all."""
    folder = str(options.extra["out"]).rstrip("/")
    count = _EXPORTS[options.extra["format"]](batch, folder)
    output().print(f"{count:,} documents written to {folder}", markup=False)


JOB = Job(
    "export_documents",
    "Exports the documents issued from one date to another, as CSV or UBL 2.1.",
    run,
    [
        click.option("--format", type=click.Choice(sorted(_EXPORTS)), required=True, help="csv or ubl."),
        click.option("--out", metavar="FOLDER", required=True, help="Folder or URI to write to."),
    ],
    records_runs=False,
    can_be_unchanged=False,
)

if __name__ == "__main__":
    JOB.main()
