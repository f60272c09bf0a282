"""Shows one issued document, on the terminal or as a page to print. Writes no table."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.report.documents import print_document, render_document
from pipeline.report.streams import output
from pipeline.steps.context import Batch
from pipeline.steps.documents import find_document
from schemas.errors import UsageError


def run(batch: Batch, options: Options) -> None:
    """Finds the document and shows it."""
    document = find_document(batch, options.extra["number"])
    seller, page = batch.settings.billing.seller, options.extra["html"]
    print_document(output(), document, seller)
    if page is None:
        return
    try:
        Path(page).write_text(render_document(document, seller), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--html {page}: {error.strerror or error}") from None


JOB = Job(
    "show_document",
    "Shows an issued document by its number, for example 2026-17.",
    run,
    [
        click.argument("number"),
        click.option("--html", metavar="FILE", help="Also write it as a page to print."),
    ],
    records_runs=False,
    can_be_unchanged=False,
)

if __name__ == "__main__":
    JOB.main()
