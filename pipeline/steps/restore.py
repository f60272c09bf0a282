"""Restore: publishes an earlier revision of a business date again and builds its gold."""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import replace

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.lake.tables import filter_dates
from pipeline.planning.staleness import date_inputs, no_inputs, stale_dates
from pipeline.steps.context import Batch, DateRange
from pipeline.steps.gold import build_all_gold
from pipeline.steps.publish_commit import JOB, ROLL_BACK, PublishCommit
from pipeline.steps.recording import count_accepted, record_publication, undo_conflicts
from schemas.errors import AuditError, NotReadyError, UsageError
from schemas.states import ConflictOutcome
from schemas.tables import CONFLICTS, SALES
from transforms.hashing import KEY_COLUMNS
from transforms.verification import digest_by_date

_LOG = logging.getLogger(__name__)

# Errors of Delta and Spark for a version, or a file of it, that no longer exists.
_GONE = re.compile(r"NOT_EXIST|NOT_FOUND|TIME_TRAVEL|FileNotFound|VersionNotFound")


def restore(batch: Batch, date: dt.date, revision: int) -> None:
    """Publishes the content of an earlier revision again, as the next revision.

    It stays until a delivery changes what the date depends on, or until --republish publishes the date again.
    It is reconciled with the version of bronze that it was made from.

    Args:
        batch: the run.
        date: business date.
        revision: revision to restore.

    Raises:
        AuditError: a line of this or a linked date would be published twice, or not at all.
        NotReadyError: this or a linked date is stale.
        TryAgainError: another run took the lake over.
        UsageError: the date has no such revision, readers already see it, or its files are gone.
    """
    versions = batch.ledger.silver_versions(date)
    newest = max(versions, default=0)
    _check(date, revision, versions, newest)
    old = PublishCommit.from_commit_metadata(_metadata(batch, date, revision, versions[revision]))
    with _files_expected(date, revision):
        sales = batch.lake.read_dates(SALES, [date], versions[revision])
        conflicts = filter_dates(_conflicts_of(batch, old), "business_date", [date])
        sale_dates = _sale_dates(batch, date, sales, conflicts)
        _check_not_stale(batch, date, sale_dates)
        _check_other_dates(batch, date, sale_dates, sales, conflicts)
        if batch.dry_run:
            batch.outcome.planned.append(f"restore {date}: revision {revision} becomes revision {newest + 1}")
            return
        publication = _publication(batch, old, date, revision, newest + 1, (sales, conflicts))
        _LOG.info(f"restoring revision {revision} of {date}")
        received = count_accepted(batch, publication)
        try:
            batch.lake.replace(CONFLICTS, conflicts, [date], publication.to_commit_metadata())
            version = batch.lake.replace(SALES, sales, [date], publication.to_commit_metadata())
        except Exception:
            with suppress(Exception):
                undo_conflicts(batch)
            raise
    record_publication(batch, publication, version, received)
    this_date = DateRange(date, date)
    build_all_gold(batch, this_date)


def _sale_dates(batch: Batch, date: dt.date, sales: DataFrame, conflicts: DataFrame) -> set[dt.date]:
    """Sale dates of the restored lines, of the lines that readers see, and of the date's lines in bronze."""
    restored = sales.select("sale_date").union(conflicts.select("sale_date")).distinct()
    sale_dates = {row.sale_date for row in restored.collect()} | batch.ledger.dates()[date].sale_dates
    inputs = date_inputs(batch.ledger.drops().values()).get(date) or no_inputs(date)
    return sale_dates | inputs.sale_dates


def _check_not_stale(batch: Batch, date: dt.date, sale_dates: Set[dt.date]) -> None:
    """Refuses if a date with a common sale date is stale: its copies must be resolved before the restore."""
    published = batch.ledger.dates()
    inputs = date_inputs(batch.ledger.drops().values(), published=published)
    for other in sorted(stale_dates(inputs, published)):
        published_sale_dates = published[other].sale_dates if other in published else frozenset()
        input_sale_dates = inputs[other].sale_dates if other in inputs else frozenset()
        if other == date or (published_sale_dates | input_sale_dates) & sale_dates:
            raise NotReadyError(
                f"{other} is stale: its inputs have changed since it was published; run publish_sales before "
                f"you restore {date}"
            )


def _check_other_dates(
    batch: Batch, date: dt.date, sale_dates: Set[dt.date], sales: DataFrame, conflicts: DataFrame
) -> None:
    """Refuses if a key would be published twice or not at all: other dates may hold copies of its line."""
    states = batch.ledger.dates()
    linked = [other for other, state in states.items() if other != date and state.sale_dates & sale_dates]
    key = list(KEY_COLUMNS)
    is_late = F.col("outcome").isin(ConflictOutcome.LATE_DUPLICATE.value, ConflictOutcome.LATE_CONFLICT.value)
    current = batch.lake.read_dates(SALES, [date])
    others = batch.lake.read_dates(SALES, linked)
    resent = batch.lake.read_dates(CONFLICTS, linked).filter(is_late)
    gained = sales.select(key).join(current.select(key), key, "left_anti")
    lost = current.select(key).join(sales.select(key), key, "left_anti")
    for rows, effect in (
        (others.join(gained, key, "left_semi"), "be published twice"),
        (resent.join(lost, key, "left_semi"), "not be published"),
        (conflicts.filter(is_late).join(others.select(key), key, "left_anti"), "not be published"),
    ):
        row = rows.first()
        if row is not None:
            raise AuditError(
                f"{date} cannot be restored: store {row.store_id}, transaction {row.transaction_id}, line "
                f"{row.line_number} of {row.sale_date} would {effect}, because other dates hold copies of it"
            )


def _check(date: dt.date, revision: int, versions: dict[int, int], newest: int) -> None:
    if revision not in versions:
        known = ", ".join(map(str, sorted(versions))) or "none"
        raise UsageError(f"--revision {revision}: {date} has no such revision; it has: {known}")
    if revision == newest:
        raise UsageError(f"--revision {revision}: readers of {date} already see it")


def _metadata(batch: Batch, date: dt.date, revision: int, version: int) -> dict[str, object]:
    metadata = batch.lake.commit(SALES, version).metadata
    if metadata.get("job") != JOB:
        raise _gone(date, revision)
    return dict(metadata)


def _publication(
    batch: Batch,
    old: PublishCommit,
    date: dt.date,
    revision: int,
    next_revision: int,
    frames: tuple[DataFrame, DataFrame],
) -> PublishCommit:
    digests, sale_dates = [], set(old.dates[date].sale_dates)
    for frame in frames:
        row = digest_by_date(frame).first()
        digests.append("0" if row is None else row.digest)
        sale_dates |= set() if row is None else set(row.sale_dates)
    restored = replace(batch.ledger.dates()[date], sale_dates=frozenset(sale_dates), is_restored=True)
    drops = batch.ledger.drops().values()
    current = date_inputs(drops, published={date: restored}).get(date) or no_inputs(date)
    # The hash of the current inputs: the restored date is not stale until they change.
    inputs = replace(old.dates[date], inputs_hash=current.linked_hash, sale_dates=frozenset(sale_dates))
    return replace(
        old,
        run_id=batch.run_id,
        sequence=batch.lake.next_number(SALES),
        dates={date: inputs},
        revisions={date: next_revision},
        restored={date: revision},
        contents={date: "/".join(digests)},
        groups={},
    )


def _conflicts_of(batch: Batch, old: PublishCommit) -> DataFrame:
    """The conflicts, as they were when a publication was current."""
    commit = batch.lake.last_commit(
        CONFLICTS,
        lambda metadata: metadata.get("job") in (JOB, ROLL_BACK) and metadata["sequence"] <= old.sequence,
    )
    # Version 0 is the empty table.
    return batch.lake.read(CONFLICTS, commit.version if commit else 0)


@contextmanager
def _files_expected(date: dt.date, revision: int) -> Iterator[None]:
    """Turns errors of missing files into a UsageError that says so."""
    try:
        yield
    except (Py4JJavaError, PySparkException) as error:
        if _GONE.search(str(error)):
            raise _gone(date, revision) from None
        raise


def _gone(date: dt.date, revision: int) -> UsageError:
    return UsageError(
        f"revision {revision} of {date} cannot be restored: its files are gone (maintain_tables keeps old "
        "files for --retain-hours, Delta keeps its history for 30 days)"
    )
