"""Verify: proves the laws again from the tables alone, and compares the ledger with the tables.

It looks up every accepted line of bronze in silver and sums every date of gold again. The expected outcome of
a line comes from :func:`transforms.verification.expected_lines`, which does not use the code of a publish.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.lake.tables import Commit, filter_dates
from pipeline.planning.pinned import Chunking
from pipeline.planning.reconciliation import reconcile, unreconciled_dates
from pipeline.planning.staleness import (
    KNOWN_WRONG,
    AcceptedDelivery,
    DateState,
    DropState,
    date_inputs,
    stale_dates,
)
from pipeline.steps.context import Batch
from pipeline.steps.gold import built_revisions
from pipeline.steps.gold_rows import MOST_QUERIES, find_wrong_rows, gold_rows
from pipeline.steps.ingest_counts import count_bronze
from pipeline.steps.publish_commit import JOB, ROLL_BACK, PublishCommit
from pipeline.steps.received import settled_version
from pipeline.steps.receiving import JOB as INGEST
from pipeline.steps.recording import chunked, count_cells, count_conflicts_of, count_sales
from pipeline.steps.verify_documents import examine_documents
from schemas.gold import GoldTable
from schemas.states import DateStatus, DropStatus, ExitCode
from schemas.tables import CONFLICTS, RECEIVED_SALES, SALES, Table
from transforms.control_totals import count_received
from transforms.ingest_counts import filter_accepted
from transforms.publication import line_columns
from transforms.verification import (
    digest_by_date,
    expected_lines,
    find_repeated_keys,
    find_reused_numbers,
    line_differences,
    row_differences,
)

_LOG = logging.getLogger(__name__)

_SHOWN = 20


@dataclass
class Verification:
    """The findings of verify_sales.

    Attributes:
        dates: dates that were verified.
        stale: dates whose inputs changed after they were published; the next run publishes them.
        not_built: dates whose gold was built from an earlier revision; the next run builds it.
        problems: violations of a law, one line each.
        reused_numbers: store, transaction and line numbers that occur on several sale dates. These are
            different lines, not an error.
        waiting: work that the next run must do first, one line each.
        wrong_dates: dates whose sales have a problem.
        not_issued: dates whose documents state an earlier revision, or that have none; no error.
        written_off: numbers whose documents are lost, and why, one line each; no error.
        wrong_gold: dates of periods whose gold has a problem; their sales may be right.
    """

    dates: list[dt.date] = field(default_factory=list)
    stale: list[dt.date] = field(default_factory=list)
    not_built: list[dt.date] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    reused_numbers: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    wrong_dates: set[dt.date] = field(default_factory=set)
    wrong_gold: set[dt.date] = field(default_factory=set)
    not_issued: list[dt.date] = field(default_factory=list)
    written_off: list[str] = field(default_factory=list)

    def add(self, dates: Iterable[dt.date], problem: str) -> None:
        """Adds a problem and the dates that have it."""
        self.problems.append(problem)
        self.wrong_dates.update(dates)

    def add_gold(self, dates: Iterable[dt.date], problem: str) -> None:
        """Adds a problem of gold and the dates that it was built from."""
        self.problems.append(problem)
        self.wrong_gold.update(dates)


def verify(batch: Batch, requested: Container[dt.date]) -> Verification:
    """Verifies published dates. The run fails with 4 if a law is broken, else with 5 if a date must wait."""
    verification = examine_lake(batch, requested)
    for problem in verification.problems:
        batch.outcome.fail(ExitCode.AUDIT, problem)
    if verification.stale:
        verification.waiting.append(
            f"{len(verification.stale)} dates are stale and were not verified: "
            f"{_first_dates(verification.stale)}; the next run publishes them"
        )
    if verification.not_built:
        verification.waiting.append(
            f"gold of {len(verification.not_built)} dates is not built from their newest revision yet: "
            f"{_first_dates(verification.not_built)}; the next run builds them"
        )
    if verification.problems:
        batch.outcome.warnings += verification.waiting
    else:
        for text in verification.waiting:
            batch.outcome.fail(ExitCode.NOT_READY, text)
    return verification


def examine_lake(batch: Batch, requested: Container[dt.date] | None = None) -> Verification:
    """Looks for violations of the laws, and changes nothing.

    Args:
        batch: the run.
        requested: business dates to verify; None for all.
    """
    verification = Verification()
    batch.lake.check_checksums()
    batch.lake.check_files()
    _check_unsettled(batch, verification)
    bronze_version = settled_version(batch)
    published = published_dates(batch, verification)
    drops = counted_drops(batch, bronze_version, verification)
    inputs = date_inputs(drops.values(), published=published)
    stale = stale_dates(inputs, published)
    _check_ledger_staleness(batch, verification, stale, published)
    chosen = {date for date in {*published, *inputs} if requested is None or date in requested}
    for date in sorted(chosen):
        if date in published and published[date].inputs_hash == KNOWN_WRONG:
            verification.add(
                [date], f"date {date} does not hold what bronze gives; the next run publishes it again"
            )
    verification.stale = sorted(stale & chosen)
    verification.dates = sorted(date for date in published if date in chosen and date not in stale)
    _check_strays(batch, verification, published)
    _LOG.info("looking for keys published twice")
    _check_uniqueness(batch, verification)
    if verification.dates:
        _LOG.info(f"looking up every line of {len(verification.dates)} dates")
        restored = [date for date in verification.dates if published[date].is_restored]
        own = [date for date in verification.dates if date not in restored]
        _check_lines(batch, verification, own, bronze_version, published, drops.values())
        _check_restored(batch, verification, restored, published)
        _LOG.info("summing gold again")
        _check_gold(batch, verification, published)
        verification.reused_numbers += _reused_numbers(batch, verification.dates)
    _LOG.info("looking at the documents")
    _check_documents(batch, verification, published)
    return verification


def _check_unsettled(batch: Batch, verification: Verification) -> None:
    """Adds ingests that are missing in the ledger."""
    recorded = batch.ledger.recorded_versions(RECEIVED_SALES)
    for commit in batch.unrecorded_commits(RECEIVED_SALES, INGEST):
        if commit.version > max(recorded, default=-1):
            verification.waiting.append("an ingest was cut off before its audit; the next run completes it")
        else:
            dates = [dt.date.fromisoformat(text) for text in commit.metadata["drops"]]
            verification.add(dates, f"bronze/received_sales version {commit.version} is not in the ledger")


def published_dates(batch: Batch, verification: Verification) -> dict[dt.date, DateState]:
    """Every published date by the commits of ``silver/sales``; by the ledger if its commits are gone.

    A date that the ledger records with another revision or other inputs is added as a problem.
    """
    recorded = {date: state for date, state in batch.ledger.dates().items() if state.revision > 0}
    by_commit: dict[dt.date, list[DateState]] = {}
    for commit in batch.lake.history(SALES, ()):
        _apply_commit(by_commit, commit)
    states = dict(recorded)
    for date, history in by_commit.items():
        if not history:
            continue
        latest, ledger_state = history[-1], recorded.get(date)
        states[date] = latest
        if ledger_state is None or (ledger_state.revision, ledger_state.inputs_hash) != (
            latest.revision,
            latest.inputs_hash,
        ):
            verification.add(
                [date],
                f"date {date}: ledger/dates records revision {ledger_state.revision if ledger_state else 0}, "
                f"silver/sales revision {latest.revision}",
            )
    return states


def _apply_commit(by_commit: dict[dt.date, list[DateState]], commit: Commit) -> None:
    """Adds the states that a commit published; removes the last state of each date that it rolled back."""
    job = commit.metadata.get("job")
    if job == ROLL_BACK:
        for text in commit.metadata["dates"]:
            by_commit[dt.date.fromisoformat(text)] = by_commit.get(dt.date.fromisoformat(text), [])[:-1]
    elif job == JOB:
        publication = PublishCommit.from_commit_metadata(commit.metadata)
        for date, inputs in publication.dates.items():
            state = DateState(
                date=date,
                status=DateStatus.DONE,
                revision=publication.revisions[date],
                inputs_hash=inputs.inputs_hash,
                drop_dates=inputs.drop_dates,
                sale_dates=inputs.sale_dates,
                silver_version=commit.version,
                chunking=inputs.chunking,
                is_restored=date in publication.restored,
            )
            by_commit.setdefault(date, []).append(state)


def counted_drops(
    batch: Batch, bronze_version: int | None, verification: Verification
) -> dict[dt.date, DropState]:
    """The deliveries in bronze, counted again. It is a problem if the ingest of one counted other lines."""
    dates = set() if bronze_version is None else batch.lake.all_dates(RECEIVED_SALES, bronze_version)
    if None in dates:
        verification.add([], f"{RECEIVED_SALES.name} holds rows without a drop date, which no ingest writes")
    counted = count_bronze(batch.lake, dates, bronze_version) if dates else {}
    known = batch.ledger.drops()
    for date in sorted({*counted, *(date for date, drop in known.items() if drop.accepted)}):
        recorded = known[date].content if date in known else ()
        present = tuple(counted[date].content) if date in counted else ()
        if set(map(str, recorded)) != set(map(str, present)):
            dates_of = {content.business_date for content in (*recorded, *present)}
            verification.add(
                dates_of,
                f"drop {date}: bronze/received_sales holds {sum(c.lines for c in present)} accepted lines "
                f"that are not the {sum(c.lines for c in recorded)} that its ingest counted",
            )
    return {
        date: DropState(
            date, DropStatus.INGESTED, "", AcceptedDelivery("", tuple(drop.content), bronze_version or 0)
        )
        for date, drop in counted.items()
    }


def _check_ledger_staleness(
    batch: Batch, verification: Verification, stale: set[dt.date], published: Mapping[dt.date, DateState]
) -> None:
    """Adds dates that are stale by the tables but not by the ledger: no run would publish them."""
    recorded = batch.ledger.dates()
    by_ledger = stale_dates(date_inputs(batch.ledger.drops().values(), published=recorded), recorded)
    for date in sorted(stale - by_ledger):
        verification.add(
            [date], f"date {date} differs from its lines in bronze, but the ledger says that it is done"
        )


def _check_strays(batch: Batch, verification: Verification, published: Mapping[dt.date, DateState]) -> None:
    """Adds dates that have rows in a table but were never published."""
    tables: list[Table] = [SALES, CONFLICTS, *batch.lake.tables.gold]
    for table in tables:
        for date in batch.lake.stray_dates(table, set(map(table.partition_of, published))):
            dates = [] if date is None else [date]
            verification.add(dates, f"{table.name} holds rows of {date}, which was never published")


def _check_uniqueness(batch: Batch, verification: Verification) -> None:
    for row in find_repeated_keys(batch.lake.read_whole(SALES)).limit(_SHOWN).collect():
        dates = ", ".join(str(date) for date in sorted(row.business_dates))
        verification.add(
            row.business_dates,
            f"key published {row.copies} times, on {dates}: store {row.store_id}, transaction "
            f"{row.transaction_id}, line {row.line_number}, sale date {row.sale_date}",
        )


def content_of(batch: Batch, date: dt.date) -> str:
    """Digest of the lines of a date in ``silver/sales`` and ``silver/conflicts``, one after the other."""
    digests = [digest_by_date(_rows_of(batch, table, [date])).first() for table in (SALES, CONFLICTS)]
    return "/".join("0" if row is None else row.digest for row in digests)


def differing_dates(
    batch: Batch,
    dates: list[dt.date],
    published: Mapping[dt.date, DateState],
    drops: Collection[DropState],
) -> set[dt.date]:
    """Dates whose lines in silver differ from those that bronze gives."""
    verification = Verification()
    _check_lines(batch, verification, dates, batch.lake.version(RECEIVED_SALES), published, drops)
    return verification.wrong_dates


def _check_lines(
    batch: Batch,
    verification: Verification,
    dates: list[dt.date],
    bronze_version: int | None,
    published: Mapping[dt.date, DateState],
    drops: Collection[DropState],
) -> None:
    """Compares the lines of silver, and their sums, with those that bronze gives."""
    chunkings = {
        date: published[date].chunking or Chunking(batch.settings.chunks.key, batch.settings.chunks.ranges)
        for date in dates
    }
    accepted = _lines_that_decide(batch, set(dates), bronze_version, drops)
    lines = _chunked(accepted.select(*line_columns()), chunkings)
    sales, conflicts = _rows_of(batch, SALES, dates), _rows_of(batch, CONFLICTS, dates)
    expected = filter_dates(expected_lines(lines), "business_date", dates)
    differences = line_differences(expected, sales, conflicts).persist()
    verification.wrong_dates |= {
        row.business_date for row in differences.select("business_date").distinct().collect()
    }
    for row in differences.orderBy("business_date", "store_id", "transaction_id").limit(_SHOWN).collect():
        verification.problems.append(
            f"{row.business_date} store {row.store_id}, transaction {row.transaction_id}, line "
            f"{row.line_number} of {row.sale_date}, {row.outcome}: {row.found} times in silver, must be "
            f"{row.wanted}"
        )
    differences.unpersist()
    received = count_cells(count_received(filter_dates(lines, "business_date", dates)))
    cells = reconcile(received, *count_sales(sales), count_conflicts_of(batch, dates))
    for date, problem in unreconciled_dates(cells).items():
        verification.add([date], f"does not reconcile: {problem}")


def _lines_that_decide(
    batch: Batch, dates: set[dt.date], bronze_version: int | None, drops: Collection[DropState]
) -> DataFrame:
    """Accepted lines of the sale dates of some dates: all copies of a line have the same sale date."""
    sale_dates = {
        content.sale_date for drop in drops for content in drop.content if content.business_date in dates
    }
    holding = [
        drop.date for drop in drops if any(content.sale_date in sale_dates for content in drop.content)
    ]
    received = batch.lake.read_dates(RECEIVED_SALES, holding, bronze_version)
    return filter_dates(filter_accepted(received), "sale_date", sale_dates)


def _chunked(lines: DataFrame, chunkings: Mapping[dt.date, Chunking]) -> DataFrame:
    if not chunkings:
        return lines.withColumn("chunk", F.lit(None).cast("string"))
    return chunked(lines, chunkings)


def _check_restored(
    batch: Batch, verification: Verification, dates: list[dt.date], published: Mapping[dt.date, DateState]
) -> None:
    """Compares the lines of restored dates with the digest in the commit that restored them."""
    for date in dates:
        version = published[date].silver_version
        metadata = {} if version is None else batch.lake.commit(SALES, version).metadata
        expected = metadata.get("contents", {}).get(date.isoformat())
        if expected is None:
            verification.waiting.append(
                f"{date} was restored, but its commit carries no digest of its lines: they were not verified"
            )
            continue
        if content_of(batch, date) != expected:
            verification.add([date], f"{date} does not hold the lines that it was restored to")


def _check_gold(batch: Batch, verification: Verification, published: Mapping[dt.date, DateState]) -> None:
    for table in batch.lake.tables.gold:
        built = built_revisions(batch, table)
        behind = {date for date, state in published.items() if built.get(date) != state.revision}
        verification.not_built = sorted({*verification.not_built, *behind.intersection(verification.dates)})
        periods, revisions = _whole_periods(table, verification.dates, behind, published)
        most = len(periods) if table.is_separable else MOST_QUERIES
        for n in range(0, len(periods), most or 1):
            _check_periods(batch, verification, table, periods[n : n + most], revisions)


def _check_periods(
    batch: Batch,
    verification: Verification,
    table: GoldTable,
    periods: Collection[dt.date],
    revisions: Mapping[dt.date, int],
) -> None:
    """Compares rows of some periods with those that their sales give."""
    revisions = {date: n for date, n in revisions.items() if table.partition_of(date) in periods}
    present = _rows_of(batch, table, periods)
    if table.is_declared:
        for period, problem in find_wrong_rows(table, present, _rows_of(batch, SALES, list(revisions))):
            of_period = [date for date in revisions if period in (None, table.partition_of(date))]
            verification.add_gold(of_period, problem)
    expected = gold_rows(batch, table, revisions)
    for row in row_differences(expected, present, table.period_column).limit(_SHOWN).collect():
        verification.add_gold(
            [date for date in revisions if table.partition_of(date) == row.period],
            f"{table.name} {row.period} {row.currency or ''}".rstrip()
            + f": {row.found} rows{_sums(row.found_lines, row.found_net)} are wrong; {row.wanted} rows"
            f"{_sums(row.wanted_lines, row.wanted_net)} that silver/sales gives are missing",
        )


def _sums(lines: int | None, net: Decimal | None) -> str:
    """Lines and net amount of rows, where their table has them."""
    sums = [f"{lines} lines"] if lines is not None else []
    sums += [f"net {net}"] if net is not None else []
    return f" ({', '.join(sums)})" if sums else ""


def _check_documents(
    batch: Batch, verification: Verification, published: Mapping[dt.date, DateState]
) -> None:
    revisions = {date: state.revision for date, state in published.items()}
    findings = examine_documents(batch, verification.dates, revisions)
    # No date is at fault: to publish one again does not mend a document.
    verification.problems += findings.problems
    verification.waiting += findings.waiting
    verification.not_issued = findings.not_issued
    verification.written_off = findings.written_off


def _whole_periods(
    table: GoldTable,
    verified: Iterable[dt.date],
    behind: Collection[dt.date],
    published: Mapping[dt.date, DateState],
) -> tuple[list[dt.date], dict[dt.date, int]]:
    """Periods that can be summed again: they have a verified date, and all their dates are built.

    Returns:
        The first dates of the periods; the revisions of all their published dates.
    """
    verified = set(verified)
    dates: dict[dt.date, list[dt.date]] = defaultdict(list)
    for date in published:
        dates[table.partition_of(date)].append(date)
    whole = [
        start
        for start, members in dates.items()
        if verified & set(members) and not set(behind) & set(members)
    ]
    return whole, {date: published[date].revision for start in whole for date in dates[start]}


def _reused_numbers(batch: Batch, dates: list[dt.date]) -> list[str]:
    reused = find_reused_numbers(batch.lake.read_whole(SALES), _rows_of(batch, SALES, dates))
    return [
        f"store {row.store_id}, transaction {row.transaction_id}, line {row.line_number}: sale dates "
        + ", ".join(str(date) for date in row.sale_dates)
        for row in reused.limit(_SHOWN).collect()
    ]


def _rows_of(batch: Batch, table: Table, dates: Iterable[dt.date]) -> DataFrame:
    return batch.lake.read_dates(table, dates)


def _first_dates(dates: Collection[dt.date]) -> str:
    shown = ", ".join(map(str, sorted(dates)[:5]))
    return shown if len(dates) <= 5 else f"{shown}, ..."
