"""Verify: proves reconciliation and uniqueness again, from the tables alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch.context import Batch
from batch.received import read_accepted_of
from batch.recording import Publication, count_accepted, count_cells, count_conflicts_of, count_sales
from lake.tables import filter_dates
from planning.reconciliation import reconcile, unreconciled_dates
from planning.staleness import DateState, date_inputs, stale_dates
from schemas.states import ExitCode
from schemas.tables import DAILY_SALES, INVOICES, SALES
from transforms.control_totals import count_received
from transforms.publication import with_chunk
from transforms.verification import find_repeated_keys, find_reused_numbers, gold_differences

_SHOWN = 20


@dataclass
class Verification:
    """What verify_sales found.

    Attributes:
        dates: dates that were verified.
        stale: dates whose inputs changed since they were published; the next run publishes them.
        problems: what does not hold, one line each.
        reused_numbers: keys whose numbers stand on two sale dates: two lines, not an error.
    """

    dates: list[dt.date] = field(default_factory=list)
    stale: list[dt.date] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    reused_numbers: list[str] = field(default_factory=list)


def verify(batch: Batch, asked: Container[dt.date]) -> Verification:
    """Verifies published dates: lines, money and keys of bronze, silver and gold against each other."""
    published = {
        date: state for date, state in batch.ledger.dates().items() if state.revision > 0 and date in asked
    }
    drops = batch.ledger.drops()
    stale = stale_dates(date_inputs(drops.values()), published) & set(published)
    found = Verification(dates=sorted(set(published) - stale), stale=sorted(stale))
    if found.dates:
        batch.tell(f"reconciling {len(found.dates)} dates")
        restored = [date for date in found.dates if published[date].is_restored]
        own = sorted(set(found.dates) - set(restored))
        found.problems += _unreconciled(batch, own, published) if own else []
        found.problems += [problem for date in restored for problem in _restored(batch, published[date])]
        batch.tell("looking for keys published twice")
        found.problems += _repeated_keys(batch)
        found.reused_numbers += _reused_numbers(batch, found.dates)
        batch.tell("comparing gold with silver")
        found.problems += _gold_problems(batch, found.dates)
    for problem in found.problems:
        batch.outcome.fail(ExitCode.AUDIT, problem)
    return found


def _unreconciled(batch: Batch, dates: list[dt.date], published: dict[dt.date, DateState]) -> list[str]:
    chunks = batch.settings.chunks
    drop_dates = {drop for date in dates for drop in published[date].drop_dates}
    lines = with_chunk(read_accepted_of(batch, None, drop_dates, dates), chunks.key, chunks.key_ranges)
    # The chunks of the config of today: shares of a chunk may only be compared when split the same way.
    sales = with_chunk(_sales(batch, dates), chunks.key, chunks.key_ranges)
    cells = reconcile(
        count_cells(count_received(lines)), *count_sales(sales), count_conflicts_of(batch, dates)
    )
    return [f"does not reconcile: {problem}" for problem in unreconciled_dates(cells).values()]


def _restored(batch: Batch, state: DateState) -> list[str]:
    """Problems of a date whose lines are those of an earlier revision, by the bronze of that time."""
    version = state.silver_version
    metadata = {} if version is None else batch.lake.commit(SALES, version).metadata
    try:
        publication = Publication.from_metadata(metadata)
        received = count_accepted(batch, publication)
    except (KeyError, Py4JJavaError, PySparkException):
        batch.outcome.warnings.append(
            f"{state.date} was restored, and the lines that it was made from are gone: not reconciled"
        )
        return []
    cells = reconcile(
        received, *count_sales(_sales(batch, [state.date])), count_conflicts_of(batch, [state.date])
    )
    return [f"does not reconcile: {problem}" for problem in unreconciled_dates(cells).values()]


def _repeated_keys(batch: Batch) -> list[str]:
    repeated = find_repeated_keys(batch.lake.read(SALES)).limit(_SHOWN).collect()
    return [
        f"key published {row.copies} times: store {row.store_id}, transaction {row.transaction_id}, "
        f"line {row.line_number}, sale date {row.sale_date}"
        for row in repeated
    ]


def _reused_numbers(batch: Batch, dates: list[dt.date]) -> list[str]:
    reused = find_reused_numbers(batch.lake.read(SALES), _sales(batch, dates)).limit(_SHOWN).collect()
    return [
        f"store {row.store_id}, transaction {row.transaction_id}, line {row.line_number}: sale dates "
        + ", ".join(str(date) for date in row.sale_dates)
        for row in reused
    ]


def _gold_problems(batch: Batch, dates: list[dt.date]) -> list[str]:
    problems = []
    for table in (DAILY_SALES, INVOICES):
        built = batch.ledger.built_revisions(table)
        states = batch.ledger.dates()
        current = [date for date in dates if built.get(date) == states[date].revision]
        sales = _sales(batch, current)
        billed = sales.filter(F.col("customer_id").isNotNull()) if table is INVOICES else sales
        gold = filter_dates(batch.lake.read(table), "business_date", current)
        for row in gold_differences(billed, gold).limit(_SHOWN).collect():
            problems.append(
                f"{table.name} {row.business_date} {row.currency}: {row.gold_lines} lines net {row.gold_net}"
                f", silver/sales has {row.lines} lines net {row.net}"
            )
    return problems


def _sales(batch: Batch, dates: Iterable[dt.date]) -> DataFrame:
    return filter_dates(batch.lake.read(SALES), "business_date", dates)
