"""Verify documents: numbers without gaps, sums equal to the statements, lines, an append-only history."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from pyspark.sql import functions as F

from pipeline.lake.gold_sql import gold_rows_of
from pipeline.planning.billing import highest_numbers, lost_numbers
from pipeline.steps.context import Batch
from pipeline.steps.issue import unissued_lines
from pipeline.steps.numbers import last_numbers, last_written_off, written_off
from pipeline.steps.publish_commit import ROLL_BACK
from schemas.billing import DOCUMENT_LINES, DOCUMENTS, LOST_NUMBERS
from schemas.gold import INVOICES, SALES_VIEW
from schemas.tables import SALES
from transforms.documents import (
    document_differences,
    find_wrong_numbers,
    unbilled_changes,
    without_lost,
)

_SHOWN = 20


@dataclass
class DocumentFindings:
    """What the verification of documents found.

    Attributes:
        problems: violations of a law, one line each.
        waiting: work that the next run must do first, one line each.
        not_issued: verified dates whose documents state an earlier revision, or that have none yet.
        written_off: numbers whose documents are lost, and why, one line each; no violation.
    """

    problems: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    not_issued: list[dt.date] = field(default_factory=list)
    written_off: list[str] = field(default_factory=list)


def examine_documents(
    batch: Batch, dates: Collection[dt.date], published: Mapping[dt.date, int]
) -> DocumentFindings:
    """Looks for violations of the laws of documents, and changes nothing.

    Args:
        batch: the run.
        dates: business dates whose sums and lines are verified; numbers are verified over all dates.
        published: revision of each published date.
    """
    findings = DocumentFindings()
    findings.written_off += [str(numbers) for numbers in written_off(batch)]
    if not batch.lake.exists(DOCUMENTS) and not batch.ledger.last_numbers():
        return findings
    findings.problems += [*_wrong_numbers(batch), *_changed_documents(batch), *_unpublished(batch, published)]
    issued = batch.ledger.built_revisions(DOCUMENTS)
    current = {date: published[date] for date in dates if issued.get(date) == published[date]}
    findings.not_issued = sorted(set(dates) - set(current))
    findings.problems += _wrong_sums(batch, current)
    if unissued_lines(batch) is not None:
        findings.waiting.append(
            "an issue was cut off before its documents; the next run rolls its lines back"
        )
    else:
        findings.problems += _wrong_lines(batch, dates)
    return findings


def _wrong_numbers(batch: Batch) -> Iterator[str]:
    documents = batch.lake.read_whole(DOCUMENTS)
    for row in find_wrong_numbers(documents, batch.lake.read_whole(LOST_NUMBERS)).limit(_SHOWN).collect():
        yield (
            f"billing/documents, series {row.series}: the numbers are not 1 to {row.last}: at {row.jumps} "
            f"places one is missing or given twice, {row.misnamed} documents have another document number"
        )
    rows = documents.groupBy("series").agg(F.max("running_number").alias("last")).collect()
    present = highest_numbers({row.series: row.last for row in rows}, last_written_off(batch))
    for given, source in (
        (last_numbers(batch), "its last commit"),
        (batch.ledger.last_numbers(), "the ledger"),
    ):
        for span in lost_numbers(present, given):
            yield f"billing/documents: {source} has {span}, which are gone"


def _changed_documents(batch: Batch) -> Iterator[str]:
    for table, content in (
        (DOCUMENTS, "documents"),
        (DOCUMENT_LINES, "lines of documents"),
        (LOST_NUMBERS, "numbers that were written off"),
    ):
        for version in batch.lake.removals(table):
            # Lines whose documents were never committed are taken back.
            if batch.lake.commit(table, version).metadata.get("job") != ROLL_BACK:
                yield f"{table.name} version {version} changed or deleted {content}"


def _unpublished(batch: Batch, published: Mapping[dt.date, int]) -> Iterator[str]:
    for date in batch.lake.stray_dates(DOCUMENTS, published):
        yield f"billing/documents holds documents of {date}, which was never published"


def _wrong_sums(batch: Batch, revisions: Mapping[dt.date, int]) -> Iterator[str]:
    statements = gold_rows_of(INVOICES, {SALES_VIEW: batch.lake.read_dates(SALES, revisions)}, revisions)
    documents = batch.lake.read_dates(DOCUMENTS, revisions)
    differing = unbilled_changes(statements, documents).orderBy("business_date", "customer_id", "currency")
    for row in differing.limit(_SHOWN).collect():
        yield (
            f"documents of {row.business_date}, customer {row.customer_id}, {row.currency}: their sum "
            f"differs from the statement by {row.lines} lines, net {row.net_amount}"
        )


def _wrong_lines(batch: Batch, dates: Collection[dt.date]) -> Iterator[str]:
    documents = batch.lake.read_dates(DOCUMENTS, dates)
    lines = without_lost(batch.lake.read_dates(DOCUMENT_LINES, dates), batch.lake.read_whole(LOST_NUMBERS))
    differing = document_differences(documents, lines).orderBy("document_number")
    for row in differing.limit(_SHOWN).collect():
        yield (
            f"document {row.document_number} and its lines in billing/document_lines differ by {row.lines} "
            f"lines, net {row.net_amount}"
        )
