"""Gold: builds the tables of ``schemas.gold`` from the newest revision of each published date."""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping

from pyspark.sql import DataFrame

from pipeline.planning.staleness import DateInputs, date_inputs, no_inputs
from pipeline.planning.windows import sized_windows
from pipeline.steps.context import Batch, DateRange
from schemas.gold import GOLD_TABLES, GoldTable, Period, tables_of
from schemas.states import Stage
from schemas.tables import SALES
from transforms import totals

_LOG = logging.getLogger(__name__)

Revisions = Mapping[dt.date, int]


def build_gold(
    batch: Batch, stage: Stage, requested: Container[dt.date], force: Container[dt.date] = ()
) -> None:
    """Builds the gold tables of a stage for every period that lacks the newest revision of one of its dates.

    Args:
        batch: the run.
        stage: stage whose tables are built.
        requested: only periods with one of these business dates are built.
        force: business dates to build again even if the tables hold their newest revision.
    """
    stale = {table: stale_revisions(batch, table, requested, force) for table in tables_of(stage)}
    for table, revisions in stale.items():
        batch.outcome.built.setdefault(table.name, []).extend(revisions)
        if batch.dry_run:
            planned = [f"build {table.name} {date} from revision {n}" for date, n in revisions.items()]
            batch.outcome.planned += planned
    stale = {table: revisions for table, revisions in stale.items() if revisions}
    if stale and not batch.dry_run:
        _build(batch, stage, stale)


def build_all_gold(batch: Batch, requested: Container[dt.date], force: Container[dt.date] = ()) -> None:
    """Builds every gold table, stage by stage: see :func:`build_gold`."""
    for stage in dict.fromkeys(table.stage for table in GOLD_TABLES):
        build_gold(batch, stage, requested, force)


def build_new_gold(batch: Batch) -> list[str]:
    """Builds gold tables that the lake does not have yet; returns their names."""
    new = [table for table in GOLD_TABLES if not batch.lake.exists(table)]
    built = []
    for table in new:
        revisions = stale_revisions(batch, table, DateRange())
        if revisions:
            _build(batch, table.stage, {table: revisions})
            built.append(table.name)
    return built


def recover_builds(batch: Batch) -> None:
    """Records every commit to gold that the ledger lacks."""
    for table in GOLD_TABLES:
        recorded = batch.ledger.recorded_versions(table)
        for commit in batch.lake.history(table, recorded):
            metadata = commit.metadata
            if metadata.get("job") == table.name:
                _LOG.info(f"recording a build of {table.name} that was cut off")
                revisions = {dt.date.fromisoformat(text): n for text, n in metadata["dates"].items()}
                batch.ledger.record_builds(str(metadata["run_id"]), table, revisions, commit.version)


def stale_revisions(
    batch: Batch, table: GoldTable, requested: Container[dt.date], force: Container[dt.date] = ()
) -> dict[dt.date, int]:
    """Newest revision of every published date in the periods that a table must build again, by date."""
    built = batch.ledger.built_revisions(table)
    published = {date: state.revision for date, state in batch.ledger.dates().items() if state.revision > 0}
    stale_periods = {
        table.partition_of(date)
        for date, revision in published.items()
        if date in requested and (built.get(date) != revision or date in force)
    }
    return {
        date: revision for date, revision in published.items() if table.partition_of(date) in stale_periods
    }


def gold_rows(table: GoldTable, sales: DataFrame, revisions: Revisions) -> DataFrame:
    """Computes the rows of a gold table from published sales.

    Args:
        table: the gold table.
        sales: ``silver/sales`` of whole periods.
        revisions: revision of each business date in it.

    Returns:
        The columns of the table.
    """
    rows: DataFrame = getattr(totals, table.transform)(sales, revisions)
    return rows.select(*table.columns)


def _build(batch: Batch, stage: Stage, stale: Mapping[GoldTable, Revisions]) -> None:
    inputs = date_inputs(batch.ledger.drops().values(), published=batch.ledger.dates())
    dates = {date: revision for revisions in stale.values() for date, revision in revisions.items()}
    sized = {date: inputs.get(date) or no_inputs(date) for date in dates}
    sales_version = batch.lake.version(SALES)
    lines = sum(date.lines for date in sized.values())
    summed = sum(sized[date].lines for revisions in stale.values() for date in revisions) or 1
    with batch.timetable.stage(stage, len(sized), lines, _due(batch, stale)):
        for table, revisions in stale.items():
            for window in _windows(batch, table, [sized[date] for date in revisions]):
                _build_window(batch, table, {date: revisions[date] for date in window}, sales_version)
                # Several tables are summed from the same lines: together they advance by these lines once.
                batch.timetable.advance(sum(sized[date].lines for date in window) * lines // summed)


def _windows(batch: Batch, table: GoldTable, dates: Iterable[DateInputs]) -> list[list[dt.date]]:
    """The dates, split into windows of one commit each. A period is never split."""
    periods: dict[dt.date, list[DateInputs]] = defaultdict(list)
    for inputs in sorted(dates, key=lambda inputs: inputs.date):
        periods[table.partition_of(inputs.date)].append(inputs)
    max_lines = batch.settings.publish.max_lines_per_window
    windows = sized_windows(periods.values(), lambda period: sum(date.lines for date in period), max_lines)
    return [[inputs.date for period in window for inputs in period] for window in windows]


def _build_window(batch: Batch, table: GoldTable, revisions: Revisions, sales_version: int | None) -> None:
    batch.timetable.begin_window(revisions)
    _LOG.info(f"building {table.name} of {len(revisions):,} dates{batch.timetable.left()}")
    sales = batch.lake.read_dates(SALES, revisions, sales_version)
    metadata = {
        "job": table.name,
        "run_id": batch.run_id,
        "sales_version": sales_version,
        "dates": {date.isoformat(): revision for date, revision in sorted(revisions.items())},
    }
    # Without the hint each shuffle partition writes a file for each period.
    rows = gold_rows(table, sales, revisions).hint("rebalance", table.period_column)
    periods = {table.partition_of(date) for date in revisions}
    version = batch.lake.replace(table, rows, periods, metadata)
    batch.ledger.record_builds(batch.run_id, table, revisions, version)


def _due(batch: Batch, stale: Mapping[GoldTable, Revisions]) -> list[dt.date]:
    """Dates with a deadline: new in a table of days, in their first revision, and not history."""
    late = batch.settings.late
    first = {
        date
        for table, revisions in stale.items()
        if table.period is Period.DAY
        for date, revision in revisions.items()
        if revision == 1
    }
    return sorted(date for date in first if not late.is_history(date))
