"""Verify: proves the laws again from the tables alone; what the ledger says is held against them too.

Every accepted line of bronze is looked up in silver, every date of gold is summed again. What a line is to
become is decided by :func:`transforms.verification.expected_lines`, which is not how a publish finds it.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass, field

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.lake.ledger import RESTORED
from pipeline.lake.tables import Commit, filter_dates
from pipeline.planning.pinned import Chunking
from pipeline.planning.reconciliation import reconcile, unreconciled_dates
from pipeline.planning.staleness import (
    KNOWN_WRONG,
    AcceptedDelivery,
    DateInputs,
    DateState,
    DropState,
    date_inputs,
    no_inputs,
    stale_dates,
)
from pipeline.steps.context import Batch
from pipeline.steps.gold import gold_rows
from pipeline.steps.publish_commit import JOB, ROLL_BACK, PublishCommit
from pipeline.steps.received import read_accepted, settled_version
from pipeline.steps.receiving import JOB as INGEST
from pipeline.steps.receiving import count_drops
from pipeline.steps.recording import chunked, count_cells, count_conflicts_of, count_sales
from schemas.drops import Drop, IngestedDrop
from schemas.gold import GOLD_TABLES, GoldTable
from schemas.states import DateStatus, DropStatus, ExitCode
from schemas.tables import CONFLICTS, RECEIVED_SALES, SALES, Table
from transforms.control_totals import count_received
from transforms.publication import LINE_COLUMNS
from transforms.verification import (
    digest_by_date,
    expected_lines,
    find_repeated_keys,
    find_reused_numbers,
    line_differences,
    row_differences,
)

_SHOWN = 20


@dataclass
class Verification:
    """What verify_sales found.

    Attributes:
        dates: dates that were verified.
        stale: dates whose inputs changed since they were published; the next run publishes them.
        not_built: dates whose totals or invoices are of an earlier revision; the next run builds them.
        problems: what does not hold, one line each.
        waiting: what the next run does first, one line each.
        wrong_dates: dates that the problems are of.
        reused_numbers: keys whose numbers stand on two sale dates: two lines, not an error.
    """

    dates: list[dt.date] = field(default_factory=list)
    stale: list[dt.date] = field(default_factory=list)
    not_built: list[dt.date] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    reused_numbers: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    wrong_dates: set[dt.date] = field(default_factory=set)

    def add(self, dates: Iterable[dt.date], problem: str) -> None:
        """Notes a problem and the dates that it is of."""
        self.problems.append(problem)
        self.wrong_dates.update(dates)


def verify(batch: Batch, requested: Container[dt.date]) -> Verification:
    """Verifies published dates; fails with 4 where a law is broken, else with 5 where a date has to wait."""
    found = examine_lake(batch, requested)
    for problem in found.problems:
        batch.outcome.fail(ExitCode.AUDIT, problem)
    if found.stale:
        found.waiting.append(
            f"{len(found.stale)} dates are stale and were not verified: {_some(found.stale)}; the next run "
            "publishes them"
        )
    if found.not_built:
        found.waiting.append(
            f"totals or invoices of {len(found.not_built)} dates are not of their revision yet: "
            f"{_some(found.not_built)}; the next run builds them"
        )
    if found.problems:
        batch.outcome.warnings += found.waiting
    else:
        for text in found.waiting:
            batch.outcome.fail(ExitCode.NOT_READY, text)
    return found


def examine_lake(batch: Batch, requested: Container[dt.date] | None = None) -> Verification:
    """Looks for whatever breaks a law.

    Args:
        batch: the run.
        requested: business dates to look at; None for all.
    """
    found = Verification()
    batch.lake.check_checksums()
    _check_unsettled(batch, found)
    bronze_version = settled_version(batch)
    published = published_dates(batch, found)
    drops = counted_drops(batch, bronze_version, found)
    inputs = date_inputs(drops.values(), published=published)
    stale = stale_dates(inputs, published)
    _check_ledger_staleness(batch, found, stale, published)
    chosen = {date for date in {*published, *inputs} if requested is None or date in requested}
    for date in sorted(chosen):
        if date in published and published[date].inputs_hash == KNOWN_WRONG:
            found.add([date], f"date {date} does not hold what bronze gives; the next run publishes it again")
    found.stale = sorted(stale & chosen)
    found.dates = sorted(date for date in published if date in chosen and date not in stale)
    _check_strays(batch, found, published)
    batch.tell("looking for keys published twice")
    _check_uniqueness(batch, found)
    if found.dates:
        batch.tell(f"looking every line of {len(found.dates)} dates up")
        restored = [date for date in found.dates if published[date].is_restored]
        own = [date for date in found.dates if date not in restored]
        _check_lines(batch, found, own, bronze_version, published, inputs)
        _check_restored(batch, found, restored, published)
        batch.tell("summing gold again")
        _check_gold(batch, found, published)
        found.reused_numbers += _reused_numbers(batch, found.dates)
    return found


def _check_unsettled(batch: Batch, found: Verification) -> None:
    """Names ingests that the ledger does not tell of."""
    recorded = batch.ledger.recorded_versions(RECEIVED_SALES)
    for commit in batch.lake.history(RECEIVED_SALES, recorded):
        if commit.metadata.get("job") != INGEST:
            continue
        if commit.version > max(recorded, default=-1):
            found.waiting.append("an ingest was cut off before its audit; the next run completes it")
        else:
            dates = [dt.date.fromisoformat(text) for text in commit.metadata["drops"]]
            found.add(dates, f"bronze/received_sales version {commit.version} is not in the ledger")


def published_dates(batch: Batch, found: Verification) -> dict[dt.date, DateState]:
    """Every published date, by the commits of ``silver/sales``; by the ledger where these are gone."""
    told = {date: state for date, state in batch.ledger.dates().items() if state.revision > 0}
    by_commit: dict[dt.date, list[DateState]] = {}
    for commit in batch.lake.history(SALES, ()):
        _follow(by_commit, commit)
    states = dict(told)
    for date, history in by_commit.items():
        if not history:
            continue
        states[date] = history[-1]
        said = told.get(date)
        if said is None or (said.revision, said.inputs_hash) != (
            history[-1].revision,
            history[-1].inputs_hash,
        ):
            found.add(
                [date],
                f"ledger/dates tells of revision {said.revision if said else 0} of {date}, silver/sales of "
                f"revision {history[-1].revision}",
            )
    return states


def _follow(by_commit: dict[dt.date, list[DateState]], commit: Commit) -> None:
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


def counted_drops(batch: Batch, bronze_version: int | None, found: Verification) -> dict[dt.date, DropState]:
    """The deliveries that bronze holds, counted again."""
    received = batch.lake.read(RECEIVED_SALES, bronze_version)
    dates = [row.drop_date for row in received.select("drop_date").distinct().collect()]
    counted = {date: IngestedDrop(Drop(date, ())) for date in dates}
    batch.tell(f"counting {len(dates)} drops of bronze again")
    count_drops(received, counted)
    known = batch.ledger.drops()
    for date in sorted({*counted, *(date for date, drop in known.items() if drop.accepted)}):
        told = known[date].content if date in known else ()
        there = tuple(counted[date].content) if date in counted else ()
        if set(map(str, told)) != set(map(str, there)):
            dates_of = {content.business_date for content in (*told, *there)}
            found.add(
                dates_of,
                f"drop {date}: bronze/received_sales holds {sum(c.lines for c in there)} accepted lines "
                f"that are not the {sum(c.lines for c in told)} that its ingest counted",
            )
    return {
        date: DropState(
            date, DropStatus.INGESTED, "", AcceptedDelivery("", tuple(drop.content), bronze_version or 0)
        )
        for date, drop in counted.items()
    }


def _check_ledger_staleness(
    batch: Batch, found: Verification, stale: set[dt.date], published: Mapping[dt.date, DateState]
) -> None:
    """A date that is stale by its content, and that the ledger takes for fresh, would never be published."""
    told = batch.ledger.dates()
    by_ledger = stale_dates(date_inputs(batch.ledger.drops().values(), published=told), told)
    for date in sorted(stale - by_ledger):
        found.add([date], f"date {date} differs from its lines in bronze, and the ledger takes it for done")


def _check_strays(batch: Batch, found: Verification, published: Mapping[dt.date, DateState]) -> None:
    """Rows of dates that were never published."""
    for table in (SALES, CONFLICTS, *GOLD_TABLES):
        starts = table.period.start_of if isinstance(table, GoldTable) else _itself
        rows = batch.lake.read(table).select(F.col(table.partition_by[0]).alias("date")).distinct().collect()
        for date in sorted({row.date for row in rows} - set(map(starts, published))):
            found.add([date], f"{table.name} holds rows of {date}, which was never published")


def _check_uniqueness(batch: Batch, found: Verification) -> None:
    for row in find_repeated_keys(batch.lake.read(SALES)).limit(_SHOWN).collect():
        dates = ", ".join(str(date) for date in sorted(row.business_dates))
        found.add(
            row.business_dates,
            f"key published {row.copies} times, on {dates}: store {row.store_id}, transaction "
            f"{row.transaction_id}, line {row.line_number}, sale date {row.sale_date}",
        )


def content_of(batch: Batch, date: dt.date) -> str:
    """Digest of the lines that silver holds of a date, published and not."""
    digests = [digest_by_date(_of(batch, table, [date])).first() for table in (SALES, CONFLICTS)]
    return "/".join("0" if row is None else row.digest for row in digests)


def differing_dates(
    batch: Batch,
    dates: list[dt.date],
    published: Mapping[dt.date, DateState],
    inputs: Mapping[dt.date, DateInputs],
) -> set[dt.date]:
    """Dates of which silver does not hold what bronze gives."""
    found = Verification()
    _check_lines(batch, found, dates, batch.lake.version(RECEIVED_SALES), published, inputs)
    return found.wrong_dates


def _check_lines(
    batch: Batch,
    found: Verification,
    dates: list[dt.date],
    bronze_version: int | None,
    published: Mapping[dt.date, DateState],
    inputs: Mapping[dt.date, DateInputs],
) -> None:
    """Holds silver's lines, and their sums, against what bronze's lines are to become."""
    sale_dates = {sale for date in dates for sale in (inputs.get(date) or no_inputs(date)).sale_dates}
    chunkings = {
        date: published[date].chunking or Chunking(batch.settings.chunks.key, batch.settings.chunks.ranges)
        for date in dates
    }
    accepted = filter_dates(read_accepted(batch, bronze_version), "sale_date", sale_dates)
    lines = _chunked(accepted.select(*LINE_COLUMNS), chunkings)
    sales, conflicts = _of(batch, SALES, dates), _of(batch, CONFLICTS, dates)
    expected = filter_dates(expected_lines(lines), "business_date", dates)
    differences = line_differences(expected, sales, conflicts).persist()
    found.wrong_dates |= {
        row.business_date for row in differences.select("business_date").distinct().collect()
    }
    for row in differences.orderBy("business_date", "store_id", "transaction_id").limit(_SHOWN).collect():
        found.problems.append(
            f"{row.business_date} store {row.store_id}, transaction {row.transaction_id}, line "
            f"{row.line_number} of {row.sale_date}, {row.outcome}: {row.found} times in silver, must be "
            f"{row.wanted}"
        )
    differences.unpersist()
    received = count_cells(count_received(filter_dates(lines, "business_date", dates)))
    cells = reconcile(received, *count_sales(sales), count_conflicts_of(batch, dates))
    for date, problem in unreconciled_dates(cells).items():
        found.add([date], f"does not reconcile: {problem}")


def _chunked(lines: DataFrame, chunkings: Mapping[dt.date, Chunking]) -> DataFrame:
    if not chunkings:
        return lines.withColumn("chunk", F.lit(None).cast("string"))
    return chunked(lines, chunkings)


def _check_restored(
    batch: Batch, found: Verification, dates: list[dt.date], published: Mapping[dt.date, DateState]
) -> None:
    """Dates that were brought back hold what was brought back, by the digest that their commit carries."""
    for date in dates:
        version = published[date].silver_version
        metadata = {} if version is None else batch.lake.commit(SALES, version).metadata
        wanted = metadata.get("contents", {}).get(date.isoformat())
        if wanted is None:
            found.waiting.append(f"{date} was {RESTORED} an earlier one and carries no digest of its lines")
            continue
        if content_of(batch, date) != wanted:
            found.add([date], f"{date} does not hold the lines that it was restored to")


def _check_gold(batch: Batch, found: Verification, published: Mapping[dt.date, DateState]) -> None:
    for table in GOLD_TABLES:
        built = batch.ledger.built_revisions(table)
        behind = {date for date in found.dates if built.get(date) != published[date].revision}
        found.not_built = sorted({*found.not_built, *behind})
        periods, revisions = _whole_periods(table, found.dates, behind, published)
        wanted = gold_rows(table, _of(batch, SALES, list(revisions)), revisions)
        there = _of(batch, table, periods)
        for row in row_differences(wanted, there, table.period_column).limit(_SHOWN).collect():
            found.add(
                [date for date in revisions if table.period.start_of(date) == row.period],
                f"{table.name} {row.period} {row.currency}: {row.found} rows, {row.found_lines} lines "
                f"net {row.found_net} that silver/sales does not give; it gives {row.wanted} rows, "
                f"{row.wanted_lines} lines net {row.wanted_net}",
            )


def _whole_periods(
    table: GoldTable,
    verified: Iterable[dt.date],
    behind: Collection[dt.date],
    published: Mapping[dt.date, DateState],
) -> tuple[list[dt.date], dict[dt.date, int]]:
    """Periods that can be summed again: with a verified date, none of whose dates is stale or not built.

    Returns:
        First dates of the periods; the revisions of all their published dates.
    """
    verified = set(verified)
    dates: dict[dt.date, list[dt.date]] = defaultdict(list)
    for date in published:
        dates[table.period.start_of(date)].append(date)
    whole = [
        start
        for start, members in dates.items()
        if verified & set(members) and not set(behind) & set(members)
    ]
    return whole, {date: published[date].revision for start in whole for date in dates[start]}


def _itself(date: dt.date) -> dt.date:
    return date


def _reused_numbers(batch: Batch, dates: list[dt.date]) -> list[str]:
    reused = find_reused_numbers(batch.lake.read(SALES), _of(batch, SALES, dates)).limit(_SHOWN).collect()
    return [
        f"store {row.store_id}, transaction {row.transaction_id}, line {row.line_number}: sale dates "
        + ", ".join(str(date) for date in row.sale_dates)
        for row in reused
    ]


def _of(batch: Batch, table: Table, dates: Iterable[dt.date]) -> DataFrame:
    return batch.lake.read_dates(table, dates)


def _some(dates: Collection[dt.date]) -> str:
    shown = ", ".join(map(str, sorted(dates)[:5]))
    return shown if len(dates) <= 5 else f"{shown}, ..."
