"""Restore: an earlier revision of a business date is published again, with what follows from it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from batch.context import Batch, DateRange
from batch.gold import bill_customers, build_daily_sales
from batch.recording import JOB, Publication, count_accepted, record_publication, recover_publications
from lake.tables import filter_dates
from planning.staleness import date_inputs, no_inputs
from schemas.errors import TryAgainError, UsageError
from schemas.tables import CONFLICTS, SALES

# How Delta and Spark say that a version, or a file of it, is there no more.
_GONE = re.compile(r"NOT_EXIST|NOT_FOUND|TIME_TRAVEL|FileNotFound|VersionNotFound")


def restore(batch: Batch, date: dt.date, revision: int) -> None:
    """Brings the content of an earlier revision back, as the next revision.

    It stands until the inputs of the date change, or the date is published again on request. Its control
    totals are proven against the version of bronze that it was made from.

    Raises:
        TryAgainError: another run published at the same time.
        UsageError: there is no such revision, readers see it already, or its files are gone.
    """
    recover_publications(batch)
    versions = batch.ledger.silver_versions(date)
    now = max(versions, default=0)
    _check(date, revision, versions, now)
    old = Publication.from_metadata(_metadata(batch, date, revision, versions[revision]))
    if batch.dry_run:
        batch.outcome.planned.append(f"restore {date}: revision {revision} becomes revision {now + 1}")
        return
    publication = _publication(batch, old, date, revision, now + 1)
    batch.tell(f"restoring revision {revision} of {date}")
    with _files_expected(date, revision):
        received = count_accepted(batch, publication)
        _restore_conflicts(batch, old, publication, date)
        version = batch.lake.replace(
            SALES,
            filter_dates(batch.lake.read(SALES, versions[revision]), "business_date", [date]),
            [date],
            publication.as_metadata(),
            transaction=(JOB, publication.sequence),
        )
    if version is None:
        raise TryAgainError("silver/sales: another run published first; run again")
    record_publication(batch, publication, version, received)
    only = DateRange(date, date)
    build_daily_sales(batch, only)
    bill_customers(batch, only)


def _check(date: dt.date, revision: int, versions: dict[int, int], now: int) -> None:
    if revision not in versions:
        known = ", ".join(map(str, sorted(versions))) or "none"
        raise UsageError(f"--revision {revision}: {date} has no such revision; it has: {known}")
    if revision == now:
        raise UsageError(f"--revision {revision}: that is what readers of {date} see")


def _metadata(batch: Batch, date: dt.date, revision: int, version: int) -> dict[str, object]:
    metadata = batch.lake.commit(SALES, version).metadata
    if metadata.get("job") != JOB:
        raise _gone(date, revision)
    return dict(metadata)


def _publication(
    batch: Batch, old: Publication, date: dt.date, revision: int, next_revision: int
) -> Publication:
    current = date_inputs(batch.ledger.drops().values()).get(date) or no_inputs(date)
    # The hash of today: the date is not stale, and what was restored stands.
    inputs = replace(old.dates[date], inputs_hash=current.inputs_hash)
    return replace(
        old,
        run_id=batch.run_id,
        sequence=batch.lake.transaction(SALES, JOB) + 1,
        dates={date: inputs},
        revisions={date: next_revision},
        restored={date: revision},
    )


def _restore_conflicts(batch: Batch, old: Publication, publication: Publication, date: dt.date) -> None:
    batch.lake.ensure(CONFLICTS)
    held = filter_dates(_conflicts_of(batch, old), "business_date", [date])
    batch.lake.replace(CONFLICTS, held, [date], publication.as_metadata())


def _conflicts_of(batch: Batch, old: Publication) -> DataFrame:
    """The lines left out, as they were when a publication was current."""
    commits = batch.lake.commits(CONFLICTS, -1)
    then = [commit for commit in commits if commit.metadata.get("sequence", old.sequence + 1) <= old.sequence]
    # The first commit makes the table, empty.
    return batch.lake.read(CONFLICTS, then[-1].version if then else 0)


@contextmanager
def _files_expected(date: dt.date, revision: int) -> Iterator[None]:
    try:
        yield
    except (Py4JJavaError, PySparkException) as error:
        if _GONE.search(str(error)):
            raise _gone(date, revision) from None
        raise


def _gone(date: dt.date, revision: int) -> UsageError:
    return UsageError(
        f"revision {revision} of {date} cannot be restored: files of its time are gone (maintain_tables "
        "keeps them for --retain-hours, Delta its history for 30 days)"
    )
