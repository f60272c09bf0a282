"""Issues invoices, and a note for each later difference: numbered documents that are never changed."""

from __future__ import annotations

from pipeline.cli.flags import NUMBERS_OF
from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.cli.result import read_last_numbers
from pipeline.steps.context import Batch
from pipeline.steps.issue import begin_billing, issue
from schemas.states import Stage


def run(batch: Batch, options: Options) -> None:
    """Issues the documents of the requested dates whose statement differs from their documents."""
    if not batch.settings.billing.issue:
        batch.outcome.warnings.append("billing.issue is false: no document is issued")
        return
    given = read_last_numbers(options.extra["numbers_of"], batch.spark)
    begin_billing(batch)
    issue(batch, batch.requested, given)


JOB = Job(
    "issue_invoices",
    "Issues an invoice per business date, customer and currency, and a note for each later difference.",
    run,
    [NUMBERS_OF],
    stages=[Stage.DOCUMENTS],
)

if __name__ == "__main__":
    JOB.main()
