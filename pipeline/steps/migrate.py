"""Migrate: brings the tables of an older lake up to date and records in the ledger what is missing.

A lake of version 0.1.0 holds lines of refused deliveries in bronze, has no digests of content and no pinned
settings. Each step can be interrupted and repeated: first the tables, then bronze, then the ledger.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace

from pipeline.extensions import Contract
from pipeline.lake.ledger import settings_columns
from pipeline.lake.tables import Difference
from pipeline.planning.pinned import Change, Chunking, PinnedSettings, SettingsRecord
from pipeline.planning.staleness import KNOWN_WRONG, DateInputs, DateState, date_inputs, no_inputs
from pipeline.steps.context import Batch
from pipeline.steps.deliveries import recount_deliveries
from pipeline.steps.gold import build_new_gold, new_tables
from pipeline.steps.own_contract import held_columns
from pipeline.steps.publish_commit import JOB, PublishCommit
from pipeline.steps.received import settled_version
from pipeline.steps.recording import done_row
from pipeline.steps.recovery import check_tables, recover
from pipeline.steps.verify import content_of, differing_dates
from schemas.errors import UsageError
from schemas.states import RunStatus
from schemas.tables import CONFLICTS, RECEIVED_SALES, SALES

_LOG = logging.getLogger(__name__)
# Schema version whose ledger has settings and digests of content: older lakes must be counted again.
_KEEPS_SETTINGS = 2


def migrate(batch: Batch) -> list[str]:
    """Brings a lake up to date. The config must be the one under which its last drops were ingested.

    Returns:
        The actions taken, or planned in a dry run, one line each; none if the lake is up to date.

    Raises:
        UsageError: a table is foreign or newer, or the config is not the one of the lake.
    """
    differences = batch.lake.differences()
    for difference in differences:
        if difference.problem is not None:
            raise UsageError(difference.problem)
    older = [difference for difference in differences if difference.is_older]
    kept = batch.ledger.settings()
    has_drops = batch.lake.exists(RECEIVED_SALES)
    record = _with_new_columns(batch, kept)
    declares_new = any(table.is_declared for table in new_tables(batch))
    if not older and record is None and not declares_new and (kept is not None or not has_drops):
        return []
    actions = [f"{difference.table.name}: {_added(difference.missing)}" for difference in older]
    if kept is not None and all(difference.version >= _KEEPS_SETTINGS for difference in older):
        return [*actions, *_migrate_columns(batch, older, kept, record)]
    _check_config(batch)
    if batch.dry_run:
        return [*actions, *_planned(batch)]
    _add_columns(batch, older)
    check_tables(batch)
    batch.pinned = PinnedSettings([SettingsRecord(1, Change.MIGRATED, _pinned_values(batch))])
    recover(batch)
    actions += recount_deliveries(batch, everything=True)
    actions += _stamp_dates(batch)
    actions += _built(batch)
    # Record the settings last: until they are recorded, the same command repeats all of this.
    _record_settings(batch)
    return actions


def drop_foreign(batch: Batch) -> list[str]:
    """Removes what others set on tables and keeps the batch from working, and features that they turned on.

    Returns:
        The SQL statements run, or planned in a dry run.
    """
    actions: list[str] = []
    for difference in batch.lake.differences():
        statements = batch.lake.foreign_statements(difference)
        actions += statements
        if statements and not batch.dry_run:
            _LOG.info(f"removing foreign settings of {difference.table.name}")
            batch.lake.drop_foreign(difference.table, statements)
    return actions


def _with_new_columns(batch: Batch, kept: PinnedSettings | None) -> SettingsRecord | None:
    """The lake's settings with the columns that the config adds; None if it adds none.

    Earlier lines hold null in a new column, so nothing that is published changes.
    """
    held, declared = held_columns(kept), batch.settings.contract.columns
    if kept is None or set(declared) <= set(held):
        return None
    columns = Contract(columns={**declared, **held}).pinned
    values = {**kept.current.values, "contract.columns": columns}
    return SettingsRecord(len(kept.records) + 1, Change.FROM_NOW_ON, values)


def _migrate_columns(
    batch: Batch, older: Iterable[Difference], kept: PinnedSettings, record: SettingsRecord | None
) -> list[str]:
    """Migrates a lake that keeps its settings: it lacks columns or gold tables, and nothing else."""
    if batch.dry_run:
        return [f"{table.name}: would be built" for table in new_tables(batch)]
    _add_columns(batch, older)
    check_tables(batch)
    batch.pinned = kept
    recover(batch)
    if record is not None:
        # After the tables: until the columns are recorded, the same command adds what is missing.
        batch.pinned = PinnedSettings([*kept.records, record])
        _record_settings(batch)
    return _built(batch)


def _record_settings(batch: Batch) -> None:
    batch.ledger.record_run(
        {"run_id": batch.run_id, "job": "migrate_tables", "status": RunStatus.RUNNING.value}
        | settings_columns(batch.pinned.current)
    )


def _add_columns(batch: Batch, older: Iterable[Difference]) -> None:
    """Adds the columns that tables lack; no row changes."""
    for difference in older:
        _LOG.info(f"migrating {difference.table.name}")
        batch.lake.migrate(difference)


def _built(batch: Batch) -> list[str]:
    return [f"{name}: built for the first time" for name in build_new_gold(batch)]


def _added(missing: Iterable[str]) -> str:
    names = ", ".join(missing)
    return f"columns added: {names}" if names else "schema version recorded"


def _planned(batch: Batch) -> list[str]:
    refused = [date for date, drop in batch.ledger.drops().items() if batch.ledger.holds_refused(date)]
    lines = [f"drop {date}: its refused delivery would be taken out of bronze" for date in refused]
    drops = len(batch.ledger.drops())
    return [*lines, f"{drops} drops would be counted again, {len(batch.ledger.dates())} dates looked up"]


def _check_config(batch: Batch) -> None:
    """Compares digests: an older lake keeps its settings as a digest only, so no difference can be named."""
    last = batch.ledger.last_rules_digest()
    if last is not None and last != batch.settings.rules_digest:
        raise UsageError(
            "the last drop of this lake was ingested under settings (business_day, late, currencies or "
            "columns) that differ from this command's: give the config of the lake, with --config or --set"
        )


def _pinned_values(batch: Batch) -> dict[str, object]:
    """The settings of the config, but with the chunks of the last publication."""
    values = {**batch.settings.pinned, "text.normalize": "none"}  # its lines were not normalized
    last = batch.lake.last_commit(SALES, lambda metadata: metadata.get("job") == JOB)
    if last is not None:
        chunkings = list(PublishCommit.from_commit_metadata(last.metadata).chunkings.values())
        if chunkings:
            values |= {"chunks.key": chunkings[0].key, "chunks.ranges": list(chunkings[0].ranges)}
    return values


def _stamp_dates(batch: Batch) -> list[str]:
    """Records the inputs hash of each published date with right content; marks the others as wrong."""
    states = {date: state for date, state in batch.ledger.dates().items() if state.revision > 0}
    if not states:
        return []
    _LOG.info(f"looking up every line of {len(states):,} dates")
    drops = batch.ledger.drops().values()
    inputs = date_inputs(drops, published=states)
    chunkings = _chunkings(batch, states)
    states = {date: replace(state, chunking=chunkings[date]) for date, state in states.items()}
    own = [date for date, state in states.items() if not state.is_restored]
    wrong = differing_dates(batch, own, states, drops)
    stamped = {
        date: _stamped(batch, state, inputs.get(date) or no_inputs(date), date in wrong)
        for date, state in sorted(states.items())
    }
    publication = PublishCommit(
        run_id=batch.run_id,
        sequence=batch.lake.next_number(SALES),
        bronze_version=settled_version(batch),
        dates=stamped,
        revisions={date: state.revision for date, state in states.items()},
        restored={date: batch.ledger.restored_revision(date) for date in states if states[date].is_restored},
        contents={date: content_of(batch, date) for date in states if states[date].is_restored},
    )
    version = batch.lake.note(SALES, publication.to_commit_metadata())
    batch.ledger.record_dates(batch.run_id, [done_row(publication, date, version) for date in stamped])
    return [
        f"date {date}: does not hold what bronze gives, the next run publishes it again"
        for date, inputs_of_date in stamped.items()
        if inputs_of_date.inputs_hash == KNOWN_WRONG
    ]


def _stamped(batch: Batch, state: DateState, inputs: DateInputs, is_wrong: bool) -> DateInputs:
    if state.is_restored:
        is_sound = batch.ledger.was_fresh_when_restored(state.date)
        inputs_hash = inputs.linked_hash if is_sound else KNOWN_WRONG
    else:
        inputs_hash = KNOWN_WRONG if is_wrong else inputs.inputs_hash
    sale_dates = inputs.sale_dates | _sale_dates(batch, state.date)
    return replace(inputs, inputs_hash=inputs_hash, chunking=state.chunking, sale_dates=sale_dates)


def _sale_dates(batch: Batch, date: dt.date) -> frozenset[dt.date]:
    """Sale dates of the rows that silver holds of a business date."""
    sale_dates: set[dt.date] = set()
    for table in (SALES, CONFLICTS):
        rows = batch.lake.read_dates(table, [date]).select("sale_date").distinct()
        sale_dates |= {row.sale_date for row in rows.collect()}
    return frozenset(sale_dates)


def _chunkings(batch: Batch, states: Mapping[dt.date, DateState]) -> dict[dt.date, Chunking]:
    """How each date was split into chunks, from the commits that still exist; else as pinned now."""
    chunkings = dict.fromkeys(states, batch.pinned.current.chunking)
    for commit in batch.lake.history(SALES, ()):
        if commit.metadata.get("job") == JOB:
            chunkings |= PublishCommit.from_commit_metadata(commit.metadata).chunkings
    return chunkings
