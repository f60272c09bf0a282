"""Gold: builds the tables of ``schemas.gold`` from the newest revision of each published date.

A declared table of the config is checked before each commit. If its declaration changes, every date of it is
stale, and the next build does all of them again.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping

from pipeline.lake.evaluation import evaluation_for
from pipeline.planning.staleness import DateInputs, date_inputs, no_inputs
from pipeline.planning.windows import sized_windows
from pipeline.steps.context import Batch, DateRange
from pipeline.steps.gold_rows import MOST_QUERIES, Revisions, by_period, checked, gold_rows
from schemas.errors import AuditError, UsageError
from schemas.gold import GOLD, GoldTable, Period, tables_of
from schemas.states import Stage
from schemas.tables import SALES

_LOG = logging.getLogger(__name__)

# Recorded for a date that must be built again: no revision of a date has this number.
NOT_BUILT = 0


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
    tables = tables_of(stage, batch.lake.tables.gold)
    stale = {table: stale_revisions(batch, table, requested, force) for table in tables}
    _add_sources(batch, stale)
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
    for stage in dict.fromkeys(table.stage for table in batch.lake.tables.gold):
        build_gold(batch, stage, requested, force)


def build_new_gold(batch: Batch) -> list[str]:
    """Builds gold tables that the lake does not have yet; returns their names."""
    new = new_tables(batch)
    for stage in dict.fromkeys(table.stage for table in new):
        tables = tables_of(stage, batch.lake.tables.gold)
        stale = {t: stale_revisions(batch, t, DateRange()) if t in new else {} for t in tables}
        _add_sources(batch, stale)
        _build(batch, stage, {table: revisions for table, revisions in stale.items() if revisions})
    return [table.name for table in new if batch.lake.exists(table)]


def new_tables(batch: Batch) -> list[GoldTable]:
    """Gold tables that the lake does not have yet, although there are published dates to build them from."""
    absent = [table for table in batch.lake.tables.gold if not batch.lake.exists(table)]
    return [table for table in absent if stale_revisions(batch, table, DateRange())]


def _add_sources(batch: Batch, stale: dict[GoldTable, dict[dt.date, int]]) -> None:
    """Adds what the stale periods select from other tables and is stale too: no row comes from an old row.

    Args:
        batch: the run.
        stale: revisions to build by table, each table after those that it selects from.
    """
    for table in reversed(list(stale)):
        for source in stale:
            if source.view in table.sources:
                stale[source] |= stale_revisions(batch, source, stale[table])


def recover_builds(batch: Batch) -> None:
    """Records every commit to gold that the ledger lacks."""
    for table in batch.lake.tables.gold:
        for commit in batch.unrecorded_commits(table, table.name):
            _LOG.info(f"recording a build of {table.name} that was cut off")
            metadata = commit.metadata
            revisions = {dt.date.fromisoformat(text): n for text, n in metadata["dates"].items()}
            batch.ledger.record_builds(str(metadata["run_id"]), table, revisions, commit.version)


def stale_revisions(
    batch: Batch, table: GoldTable, requested: Container[dt.date], force: Container[dt.date] = ()
) -> dict[dt.date, int]:
    """Newest revision of every published date in the periods that a table must build again, by date."""
    built = built_revisions(batch, table)
    published = {date: state.revision for date, state in batch.ledger.dates().items() if state.revision > 0}
    stale_periods = {
        table.partition_of(date)
        for date, revision in published.items()
        if date in requested and (built.get(date) != revision or date in force)
    }
    return {
        date: revision for date, revision in published.items() if table.partition_of(date) in stale_periods
    }


def built_revisions(batch: Batch, table: GoldTable) -> dict[dt.date, int]:
    """Revision that a gold table was last built from, by date; none if its declaration changed since then."""
    if batch.lake.exists(table) and not batch.lake.holds_query(table):
        return {}
    return batch.ledger.built_revisions(table)


def check_declared(batch: Batch) -> None:
    """Proves that the config knows every gold table of the lake: none goes stale unseen.

    Raises:
        UsageError: it does not know one.
    """
    known = {table.name for table in batch.lake.tables.gold} | {f"{GOLD}{n}" for n in batch.settings.gold}
    unknown = sorted(batch.ledger.built_tables() - known)
    if unknown:
        name = unknown[0].removeprefix(GOLD)
        raise UsageError(
            f"the lake holds {', '.join(unknown)}, which the config does not declare: give the config that "
            f"does, or build it no more, with 'gold: {{{name}: null}}'; its rows then stay as they are"
        )


def _build(batch: Batch, stage: Stage, stale: Mapping[GoldTable, Revisions]) -> None:
    inputs = date_inputs(batch.ledger.drops().values(), published=batch.ledger.dates())
    dates = {date: revision for revisions in stale.values() for date, revision in revisions.items()}
    sized = {date: inputs.get(date) or no_inputs(date) for date in dates}
    sales_version = batch.lake.version(SALES)
    lines = sum(date.lines for date in sized.values())
    summed = sum(sized[date].lines for revisions in stale.values() for date in revisions) or 1
    timed = batch.timetable.stage(stage, len(sized), lines, _due(batch, stale))
    with timed, evaluation_for(batch.spark, lines):
        failed: dict[str, set[dt.date]] = {}
        for table, revisions in stale.items():
            _adopt_query(batch, table)
            held = set().union(*(failed.get(source, ()) for source in table.sources)) & set(revisions)
            if held:
                text = f"{table.name} of {len(held)} dates was not built: a table that it selects from failed"
                _fail(batch, table, held, AuditError(text))
            failed[table.view] = held
            for window in _windows(batch, table, [sized[date] for date in revisions if date not in held]):
                own = {date: revisions[date] for date in window}
                failed[table.view] |= _try_window(batch, table, own, sales_version)
                # Several tables are summed from the same lines: together they advance by these lines once.
                batch.timetable.advance(sum(sized[date].lines for date in window) * lines // summed)


def _try_window(
    batch: Batch, table: GoldTable, revisions: Revisions, sales_version: int | None
) -> set[dt.date]:
    """Builds a window; if it fails for its data, each of its periods alone. Returns the dates that failed."""
    try:
        _build_window(batch, table, revisions, sales_version)
    except AuditError as error:
        parts = by_period(table, revisions)
        if len(parts) > 1:
            return set().union(*(_try_window(batch, table, part, sales_version) for part in parts))
        _fail(batch, table, revisions, error)
        return set(revisions)
    return set()


def _fail(batch: Batch, table: GoldTable, dates: Container[dt.date], error: AuditError) -> None:
    """Records that dates of a table keep their earlier build."""
    batch.outcome.fail(error.exit_code, str(error))
    batch.outcome.built[table.name] = [d for d in batch.outcome.built.get(table.name, ()) if d not in dates]


def _adopt_query(batch: Batch, table: GoldTable) -> None:
    """Makes every date of a table stale whose declaration changed, before any row of the new one.

    The ledger comes first: a crash in between repeats this.
    """
    if not batch.lake.exists(table) or batch.lake.holds_query(table):
        return
    _LOG.info(f"the declaration of {table.name} changed: building all of it again")
    built = batch.ledger.built_revisions(table)
    batch.ledger.record_builds(batch.run_id, table, dict.fromkeys(built, NOT_BUILT), None)
    batch.lake.adopt_query(table)


def _windows(batch: Batch, table: GoldTable, dates: Iterable[DateInputs]) -> list[list[dt.date]]:
    """The dates, split into windows of one commit each. A period is never split."""
    periods: dict[dt.date, list[DateInputs]] = defaultdict(list)
    for inputs in sorted(dates, key=lambda inputs: inputs.date):
        periods[table.partition_of(inputs.date)].append(inputs)
    max_lines = batch.settings.publish.max_lines_per_window
    windows = sized_windows(periods.values(), lambda period: sum(date.lines for date in period), max_lines)
    # The rows of each period of such a table are a query of their own.
    most = len(periods) if table.is_separable else MOST_QUERIES
    parts = [window[n : n + most] for window in windows for n in range(0, len(window), most)]
    return [[inputs.date for period in part for inputs in period] for part in parts]


def _build_window(batch: Batch, table: GoldTable, revisions: Revisions, sales_version: int | None) -> None:
    batch.timetable.begin_window(revisions)
    _LOG.info(f"building {table.name} of {len(revisions):,} dates{batch.timetable.left()}")
    metadata = {
        "job": table.name,
        "run_id": batch.run_id,
        "sales_version": sales_version,
        "dates": {date.isoformat(): revision for date, revision in sorted(revisions.items())},
    }
    rows = gold_rows(batch, table, revisions, sales_version)
    periods = {table.partition_of(date) for date in revisions}
    sales = batch.lake.read_dates(SALES, revisions, sales_version)
    with checked(table, rows, periods, sales) as sound:
        # Without the hint each shuffle partition writes a file for each period.
        version = batch.lake.replace(table, sound.hint("rebalance", table.period_column), periods, metadata)
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
