"""Makes the HTML page of a run after it ended, or keeps a static site of all runs. Reads only."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import click

from pipeline.cli.job import Job
from pipeline.cli.options import Options, var_folder
from pipeline.cli.page import without_packages
from pipeline.lake.attempt_log import read_attempts
from pipeline.lake.files import FileStore
from pipeline.planning.attempts import ChunkAttempt
from pipeline.report.streams import output
from pipeline.steps.context import Batch
from schemas.errors import NotReadyError, UsageError
from schemas.tables import LEDGER_RUNS


def run(batch: Batch, options: Options) -> dict[str, Any]:
    """Makes one page, or the pages of the site that are new."""
    with without_packages():
        folder, run_id = options.extra["out"], options.extra["run"]
        log = _attempt_reader(batch, options.extra["events"])
        try:
            if run_id is not None:
                return _make_page(batch, folder, run_id, log)
            return _keep_site(batch, folder, log)
        except OSError as error:
            raise UsageError(f"--out {folder}: {error}") from None


def _make_page(batch: Batch, folder: str, run_id: str, log: _Log) -> dict[str, Any]:
    from pipeline.report.pages.collect import collect_run
    from pipeline.report.pages.files import page_of, store_page

    facts = collect_run(batch, run_id, log)
    if batch.dry_run:
        batch.outcome.planned.append(f"write {page_of(batch.spark, folder, run_id)}")
        return {"pages": []}
    address = store_page(batch.spark, folder, facts)
    output().print(f"page of run {run_id}: {address}", markup=False)
    return {"pages": [address]}


def _keep_site(batch: Batch, folder: str, log: _Log) -> dict[str, Any]:
    from pipeline.report.pages.site import keep_site

    if not batch.ledger.rows(LEDGER_RUNS):
        raise NotReadyError(f"the ledger of {batch.lake.root} records no run yet")
    if batch.dry_run:
        batch.outcome.planned.append(f"render the pages in {folder} that are new")
        return {"pages": []}
    kept = keep_site(batch, folder, log)
    output().print(
        f"{len(kept.rendered):,} pages rendered, {len(kept.unchanged):,} unchanged; open {kept.address}",
        markup=False,
    )
    return {"pages": kept.rendered}


_Log = Callable[[str, str], Sequence[ChunkAttempt]] | None


def _attempt_reader(batch: Batch, folder: str | None) -> _Log:
    """Reads attempts from the folder of event logs; None if no folder is known."""
    folder = folder or os.environ.get("CYMBAL_EVENTS")
    if not folder:
        return None
    logs = FileStore(batch.spark, folder)
    return lambda application, run_id: read_attempts(logs, application, run_id)


JOB = Job(
    "report_runs",
    "Makes the HTML page of a run that the ledger records, also of a killed one; without --run: keeps a "
    "static site of all runs.",
    run,
    [
        click.option("--run", help="Id of the run to show; default: all runs, as a site."),
        click.option("--out", default=lambda: var_folder("report"), help="Folder or URI of the pages."),
        click.option("--events", help="Folder or URI of Spark's event logs; default: CYMBAL_EVENTS."),
    ],
    records_runs=False,
    needs_settled_lake=False,
    can_be_unchanged=False,
)

if __name__ == "__main__":
    JOB.main()
