"""Issue: gives customers numbered documents, and states each later difference in a document of its own.

An issue commits lines first, then the documents: the commit of ``billing/documents`` decides. Lines of
documents that were never committed are rolled back before anything else, so no number is skipped or given
twice. The next numbers come from the metadata of the last commit, or else from the table's rows.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Container, Mapping, Set
from contextlib import suppress
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.lake.evaluation import evaluation_for
from pipeline.lake.tables import Commit
from pipeline.planning.billing import (
    BillingTerms,
    dates_to_issue,
    format_spans,
    parse_spans,
)
from pipeline.planning.staleness import date_inputs, no_inputs
from pipeline.planning.windows import sized_windows
from pipeline.steps.context import Batch
from pipeline.steps.numbers import JOB, Numbers, check_numbers, last_issue, last_numbers
from pipeline.steps.publish_commit import ROLL_BACK
from schemas.billing import DOCUMENT_LINES, DOCUMENTS, LOST_NUMBERS
from schemas.gold import INVOICES
from schemas.states import DocumentKind, ExitCode, Stage
from schemas.tables import SALES
from transforms.documents import (
    changed_lines,
    first_changes,
    new_lines,
    to_documents,
    unbilled_changes,
    with_document_number,
    with_numbers,
    without_lost,
)
from transforms.gold import with_sales_revision

_LOG = logging.getLogger(__name__)

# Property of billing/documents: spans of the business dates that were published before billing began.
BILLED_ELSEWHERE = "cymbal.billedElsewhere"
# The same in lakes that began earlier: the day after the last of these dates.
ISSUE_FROM = "cymbal.issueFrom"

Revisions = Mapping[dt.date, int]


def begin_billing(batch: Batch) -> None:
    """Creates the billing tables, if the lake has none. Dates that are published already get no document.

    An older lake may hold years of sales that another system has billed; ``billing.issue_from`` overrides it.
    """
    if batch.dry_run or batch.lake.property_of(DOCUMENTS, BILLED_ELSEWHERE) is not None:
        return
    before = _billed_elsewhere(batch)
    spans = {BILLED_ELSEWHERE: format_spans(before)} if before else {}
    if batch.lake.exists(DOCUMENTS):
        batch.lake.set_properties(DOCUMENTS, spans)
    else:
        batch.lake.ensure(DOCUMENT_LINES)
        batch.lake.ensure(DOCUMENTS, spans)
    if before and batch.settings.billing.issue_from is None:
        batch.outcome.warnings.append(
            f"billing begins: {len(before):,} dates, {min(before)} to {max(before)}, are published already "
            "and get no documents; every other date gets them; set billing.issue_from to issue documents "
            "from a date on"
        )


def issue(batch: Batch, requested: Container[dt.date], given: Numbers | None = None) -> None:
    """Issues the documents of every published date that no document states as it is published now.

    Args:
        batch: the run.
        requested: only documents of these business dates are issued.
        given: last number by series that an earlier run is known to have given; None if there is none.

    Raises:
        AuditError: numbers were given that the lake does not hold.
    """
    revisions = {date: n for date, n in dates_due(batch).items() if date in requested}
    revisions = _with_statement(batch, revisions)
    _name_old_dates(batch, revisions)
    numbers: Numbers = last_numbers(batch)
    batch.outcome.last_numbers = dict(numbers)
    check_numbers(batch, given or {}, "the result of an earlier run names")
    check_numbers(batch, batch.ledger.last_numbers(), "the ledger records")
    if batch.dry_run:
        batch.outcome.planned += [
            f"issue documents of {date} from revision {n}" for date, n in revisions.items()
        ]
        return
    if not revisions:
        return
    inputs = date_inputs(batch.ledger.drops().values(), published=batch.ledger.dates())
    sized = {date: inputs.get(date) or no_inputs(date) for date in revisions}
    lines = sum(date.lines for date in sized.values())
    stage = batch.timetable.stage(Stage.DOCUMENTS, len(sized), lines, _with_deadline(batch, revisions))
    with stage, evaluation_for(batch.spark, lines):
        max_lines = batch.settings.publish.max_lines_per_window
        for window in sized_windows(sized.values(), lambda date: date.lines, max_lines):
            numbers = _issue_window(batch, {date.date: revisions[date.date] for date in window}, numbers)
            batch.timetable.advance(sum(date.lines for date in window))
    batch.outcome.last_numbers = dict(numbers)


def recover_issues(batch: Batch) -> None:
    """Rolls back lines without documents, and records every issue that the ledger lacks."""
    _undo_lines(batch)
    for commit in batch.unrecorded_commits(DOCUMENTS, JOB):
        _LOG.info("recording documents whose issue was cut off")
        _record(batch, commit)


def _issue_window(batch: Batch, revisions: Revisions, numbers: Numbers) -> Numbers:
    """Issues the documents of some dates in one commit; returns the last number of each series after it."""
    _LOG.info(f"issuing documents of {len(revisions):,} dates{batch.timetable.left()}")
    today = batch.today
    series = batch.settings.billing.series.of_year(today.year)
    known = batch.lake.dates_held(DOCUMENTS, revisions)
    changes = _changes(batch, set(revisions) - known, known)
    numbered = with_sales_revision(with_numbers(changes, series, numbers), revisions).withColumns(
        {"issued_on": F.lit(today), "run_id": F.lit(batch.run_id)}
    )
    # Counted, joined to the lines and written: kept, so that it is summed and sorted once.
    kept = numbered.persist()
    try:
        issued = _count(kept)
        metadata: dict[str, Any] = {
            "job": JOB,
            "run_id": batch.run_id,
            "sequence": batch.lake.next_number(DOCUMENTS),
            "dates": {date.isoformat(): revision for date, revision in sorted(revisions.items())},
            "last_numbers": _numbers_after(numbers, issued, series),
        }
        if issued:
            lines = with_document_number(_lines_to_bill(batch, set(revisions) - known, known), kept)
            version = _commit(batch, lines, kept, metadata)
        else:
            version = batch.lake.note(DOCUMENTS, metadata)
    finally:
        kept.unpersist()
    batch.outcome.documents += [{**row, "net_amount": str(row["net_amount"])} for row in issued]
    batch.outcome.has_changed = True
    _record(batch, Commit(version, metadata))
    return dict(metadata["last_numbers"])


def _changes(batch: Batch, new: Set[dt.date], known: Set[dt.date]) -> DataFrame:
    """What no document states yet, of dates without documents and of dates that have some."""
    changes = first_changes(batch.lake.read_dates(INVOICES, new))
    if not known:
        return changes
    statements, documents = batch.lake.read_dates(INVOICES, known), batch.lake.read_dates(DOCUMENTS, known)
    return changes.unionByName(unbilled_changes(statements, documents))


def _count(documents: DataFrame) -> list[dict[str, Any]]:
    """Number and net amount of new documents, one row by kind and currency, in order."""
    counts = documents.groupBy("kind", "currency").agg(
        F.count(F.lit(1)).alias("documents"), F.sum("net_amount").alias("net_amount")
    )
    # Sorted here: a sort in Spark is two jobs more.
    return sorted((row.asDict() for row in counts.collect()), key=lambda row: (row["kind"], row["currency"]))


def _commit(batch: Batch, lines: DataFrame, numbered: DataFrame, metadata: Mapping[str, Any]) -> int:
    """Commits lines, then documents, which decide; returns the version of ``billing/documents``."""
    try:
        if len(metadata["dates"]) > 1:
            # Without the hint each shuffle partition writes a file for each date.
            lines = lines.hint("rebalance", "business_date")
        batch.lake.add(DOCUMENT_LINES, lines, metadata)
        return batch.lake.add(DOCUMENTS, to_documents(numbered), metadata)
    except Exception:
        with suppress(Exception):
            _undo_lines(batch)
        raise


def _lines_to_bill(batch: Batch, new: Set[dt.date], known: Set[dt.date]) -> DataFrame:
    """The lines that no document bills yet, or that one bills and that are no longer published.

    Only a date that has documents is compared line by line. A new date is read once.
    """
    lines = new_lines(batch.lake.read_dates(SALES, new))
    if not known:
        return lines
    sales, billed = batch.lake.read_dates(SALES, known), batch.lake.read_dates(DOCUMENT_LINES, known)
    if batch.lake.exists(LOST_NUMBERS):
        billed = without_lost(billed, batch.lake.read_whole(LOST_NUMBERS))
    return lines.unionByName(changed_lines(sales, billed))


def _numbers_after(
    numbers: Numbers, issued: list[dict[str, Any]], series: Mapping[DocumentKind, str]
) -> dict[str, int]:
    after = Counter(numbers)
    for row in issued:
        after[series[DocumentKind(row["kind"])]] += row["documents"]
    return dict(sorted(after.items()))


def _record(batch: Batch, commit: Commit) -> None:
    metadata = commit.metadata
    revisions = {dt.date.fromisoformat(text): n for text, n in metadata["dates"].items()}
    # The builds last: they tell that the commit is recorded.
    batch.ledger.record_series(metadata["run_id"], metadata["last_numbers"], commit.version)
    batch.ledger.record_builds(metadata["run_id"], DOCUMENTS, revisions, commit.version)


def _undo_lines(batch: Batch) -> None:
    """Rolls back the lines of documents that were never committed."""
    last = unissued_lines(batch)
    if last is None:
        return
    _LOG.info("rolling back the lines of documents that were never issued")
    dates = [dt.date.fromisoformat(text) for text in last.metadata["dates"]]
    before = batch.lake.read_dates(DOCUMENT_LINES, dates, last.version - 1)
    metadata = {"job": ROLL_BACK, "run_id": batch.run_id, "sequence": last.metadata["sequence"]}
    batch.lake.replace(DOCUMENT_LINES, before, dates, metadata)


def unissued_lines(batch: Batch) -> Commit | None:
    """Returns the last commit of lines if their documents were never committed; else None."""
    last = batch.lake.last_commit(DOCUMENT_LINES, lambda metadata: metadata.get("job") in (JOB, ROLL_BACK))
    if last is None or last.metadata["job"] == ROLL_BACK:
        return None
    issued = last_issue(batch)
    if issued is None:
        # The log of billing/documents may have been shortened: then its rows tell.
        return None if _has_documents(batch, last) else last
    return last if issued.metadata["sequence"] < last.metadata["sequence"] else None


def _has_documents(batch: Batch, lines: Commit) -> bool:
    """Whether the run that committed lines committed documents of the same dates, too."""
    documents = batch.lake.read_dates(DOCUMENTS, map(dt.date.fromisoformat, lines.metadata["dates"]))
    return not documents.filter(F.col("run_id") == lines.metadata["run_id"]).isEmpty()


def dates_due(batch: Batch) -> dict[dt.date, int]:
    """Revision of each published date whose documents may differ from it."""
    published = {date: state.revision for date, state in batch.ledger.dates().items() if state.revision > 0}
    return dates_to_issue(published, batch.ledger.built_revisions(DOCUMENTS), _terms(batch))


def _name_old_dates(batch: Batch, revisions: Revisions) -> None:
    """Warns of first documents for dates that are older than some that another system has billed."""
    newest = max(_terms(batch).billed_elsewhere, default=dt.date.min)
    issued = batch.ledger.built_revisions(DOCUMENTS)
    old = [date for date in revisions if date < newest and date not in issued]
    if old:
        batch.outcome.warnings.append(
            f"{len(old):,} dates get documents though they are before {newest}, which was billed elsewhere: "
            f"they were first published after billing began: {', '.join(map(str, old[:5]))}"
        )


def _with_statement(batch: Batch, revisions: Revisions) -> dict[dt.date, int]:
    """Leaves out, and names, the dates whose statement is of an earlier revision."""
    built = batch.ledger.built_revisions(INVOICES)
    behind = [date for date, revision in revisions.items() if built.get(date) != revision]
    if behind and not batch.dry_run:
        batch.outcome.fail(
            ExitCode.NOT_READY,
            f"{len(behind)} dates get no documents yet, since gold/invoices is not built from their newest "
            f"revision: {', '.join(map(str, behind[:5]))}; run bill_customers first",
        )
    return {date: revision for date, revision in revisions.items() if date not in behind or batch.dry_run}


def _terms(batch: Batch) -> BillingTerms:
    billing = batch.settings.billing
    if billing.issue_from is not None:
        return BillingTerms(billing.issue_from, batch.today, billing.hold_days)
    first = batch.settings.late.history_before
    return BillingTerms(first, batch.today, billing.hold_days, _billed_elsewhere(batch))


def _billed_elsewhere(batch: Batch) -> frozenset[dt.date]:
    """The dates that were published before billing began, or would have been if it began now."""
    spans = batch.lake.property_of(DOCUMENTS, BILLED_ELSEWHERE)
    if spans is not None:
        return parse_spans(spans)
    published = {date for date, state in batch.ledger.dates().items() if state.revision > 0}
    if not batch.lake.exists(DOCUMENTS):
        return frozenset(published)
    first = batch.lake.property_of(DOCUMENTS, ISSUE_FROM)
    if first is None:
        return frozenset()
    return frozenset(date for date in published if date < dt.date.fromisoformat(first))


def _with_deadline(batch: Batch, revisions: Revisions) -> list[dt.date]:
    """Dates with a deadline: those in their first revision that are no history."""
    late = batch.settings.late
    return sorted(date for date, revision in revisions.items() if revision == 1 and not late.is_history(date))
