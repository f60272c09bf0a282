"""Gold: daily totals and invoices, built from business dates that are done, each from its newest revision."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Container, Mapping

from pyspark.sql import DataFrame

from pipeline.planning.staleness import date_inputs, no_inputs
from pipeline.planning.windows import windows
from pipeline.steps.context import Batch
from schemas.states import Stage
from schemas.tables import DAILY_SALES, INVOICES, SALES, Table
from transforms.totals import daily_sales, invoices

Transform = Callable[[DataFrame, Mapping[dt.date, int]], DataFrame]


def build_daily_sales(batch: Batch, requested: Container[dt.date], force: Container[dt.date] = ()) -> None:
    """Builds ``gold/daily_sales`` of every done date that it does not hold in its newest revision.

    Args:
        batch: the run.
        requested: business dates to which it is limited.
        force: dates that are built again though they are of their newest revision.
    """
    stale = _stale_revisions(batch, requested, DAILY_SALES, force)
    _build(batch, stale, Stage.DAILY_SALES, DAILY_SALES, daily_sales)


def bill_customers(batch: Batch, requested: Container[dt.date], force: Container[dt.date] = ()) -> None:
    """Builds ``gold/invoices`` of every done date that it does not hold in its newest revision.

    Args:
        batch: the run.
        requested: business dates to which it is limited.
        force: dates that are built again though they are of their newest revision.
    """
    _build(batch, _stale_revisions(batch, requested, INVOICES, force), Stage.INVOICES, INVOICES, invoices)


def recover_builds(batch: Batch) -> None:
    """Records every commit to gold that the ledger does not tell of."""
    for table in (DAILY_SALES, INVOICES):
        recorded = batch.ledger.recorded_versions(table)
        for commit in batch.lake.history(table, recorded):
            said = commit.metadata
            if said.get("job") == table.name:
                batch.tell(f"completing the ledger of {table.name}")
                revisions = {dt.date.fromisoformat(text): n for text, n in said["dates"].items()}
                batch.ledger.record_builds(str(said["run_id"]), table, revisions, commit.version)


def _build(
    batch: Batch,
    stale: Mapping[dt.date, int],
    stage: Stage,
    table: Table,
    transform: Transform,
) -> None:
    batch.outcome.built.setdefault(table.name, []).extend(stale)
    if batch.dry_run:
        batch.outcome.planned += [f"build {table.name} {date} from revision {r}" for date, r in stale.items()]
        return
    if stale:
        _build_stale(batch, stage, table, transform, stale)


def _build_stale(
    batch: Batch, stage: Stage, table: Table, transform: Transform, stale: Mapping[dt.date, int]
) -> None:
    inputs = date_inputs(batch.ledger.drops().values(), published=batch.ledger.dates())
    sized = [inputs.get(date) or no_inputs(date) for date in stale]
    sales_version = batch.lake.version(SALES)
    lines, due = sum(date.lines for date in sized), _due(batch, stale)
    with batch.timetable.stage(stage, len(sized), lines, due):
        for window in windows(sized, batch.settings.publish.max_lines_per_window):
            _build_window(
                batch, table, transform, {date.date: stale[date.date] for date in window}, sales_version
            )
            batch.timetable.advance(sum(date.lines for date in window))


def _build_window(
    batch: Batch,
    table: Table,
    transform: Transform,
    revisions: Mapping[dt.date, int],
    sales_version: int | None,
) -> None:
    batch.tell(f"building {table.name} of {len(revisions):,} dates{batch.timetable.left()}")
    sales = batch.lake.read_dates(SALES, revisions, sales_version)
    metadata = {
        "job": table.name,
        "run_id": batch.run_id,
        "sales_version": sales_version,
        "dates": {date.isoformat(): revision for date, revision in sorted(revisions.items())},
    }
    # One file a date, not one of each shuffle partition; a date too large for one is still split.
    totals = transform(sales, revisions).hint("rebalance", "business_date")
    version = batch.lake.replace(table, totals, revisions, metadata)
    batch.ledger.record_builds(batch.run_id, table, revisions, version)


def _due(batch: Batch, stale: Mapping[dt.date, int]) -> list[dt.date]:
    """Dates that are built in their first revision and are no history: others are due at no time."""
    late = batch.settings.late
    return [date for date, revision in stale.items() if revision == 1 and not late.is_history(date)]


def _stale_revisions(
    batch: Batch, requested: Container[dt.date], table: Table, force: Container[dt.date]
) -> dict[dt.date, int]:
    built = batch.ledger.built_revisions(table)
    return {
        date: state.revision
        for date, state in batch.ledger.dates().items()
        if state.revision > 0 and date in requested and (built.get(date) != state.revision or date in force)
    }
