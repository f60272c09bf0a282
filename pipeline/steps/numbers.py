"""Numbers of documents: the last one of each series, and what proves that none is given twice.

Numbers whose documents are in no copy of the lake are written off: they are recorded, and never given again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from pyspark.sql import functions as F

from pipeline.lake.tables import Commit
from pipeline.planning.billing import LostNumbers, NumberSpan, highest_numbers, lost_numbers
from pipeline.steps.context import Batch
from schemas.billing import DOCUMENTS, LOST_NUMBERS
from schemas.errors import AuditError
from schemas.states import Stage

_LOG = logging.getLogger(__name__)

JOB = Stage.DOCUMENTS.value

Numbers = Mapping[str, int]


def last_issue(batch: Batch) -> Commit | None:
    """Returns the last commit of an issue in the log of ``billing/documents``; None if it holds none."""
    return batch.lake.last_commit(DOCUMENTS, lambda metadata: metadata.get("job") == JOB)


def last_numbers(batch: Batch) -> dict[str, int]:
    """Returns the last number of each series, of a document or written off, by series."""
    last = last_issue(batch)
    if last is not None:
        issued = last.metadata["last_numbers"]
    else:
        rows = batch.lake.read_whole(DOCUMENTS).groupBy("series").agg(F.max("running_number").alias("last"))
        issued = {row.series: row.last for row in rows.collect()}
    return highest_numbers(issued, last_written_off(batch))


def written_off(batch: Batch) -> list[LostNumbers]:
    """Returns the numbers that were written off, in order."""
    return sorted(
        LostNumbers(
            NumberSpan(row["series"], row["first_number"], row["last_number"]),
            row["recorded_on"],
            row["reason"],
        )
        for row in batch.lake.rows(LOST_NUMBERS)
    )


def last_written_off(batch: Batch) -> dict[str, int]:
    """Returns the last number of each series that was written off, by series."""
    return {lost.span.series: lost.span.last for lost in written_off(batch)}


def check_numbers(batch: Batch, given: Numbers, source: str) -> None:
    """Proves that the lake holds every number that was given.

    Args:
        batch: the run, with the last numbers of the lake in its outcome.
        given: last number by series.
        source: who knows of these numbers, as the begin of the message.

    Raises:
        AuditError: the lake holds fewer, as after the restore of an older backup.
    """
    lost = lost_numbers(batch.outcome.last_numbers, given)
    if lost:
        raise AuditError(
            f"{source} documents that billing/documents does not hold: {', '.join(map(str, lost))}. Was the "
            "lake restored from an older backup? Customers may hold these documents, so their numbers are "
            "not given again. Bring back billing/ and ledger/ from a copy of the lake that holds them, then "
            "run again; if no copy holds them, run write_off_numbers"
        )


def write_off(batch: Batch, given: Numbers, reason: str) -> list[NumberSpan]:
    """Records the numbers that were given and whose documents the lake does not hold.

    ``billing/document_lines`` keeps what it holds of such documents. In a dry run nothing is written.

    Args:
        batch: the run.
        given: last number by series that is known besides those of the ledger.
        reason: why the documents are lost, for those who audit the numbers.

    Returns:
        The numbers; none if the lake holds all that were given.
    """
    numbers = last_numbers(batch)
    spans = lost_numbers(numbers, highest_numbers(batch.ledger.last_numbers(), given))
    batch.outcome.last_numbers = highest_numbers(numbers, {span.series: span.last for span in spans})
    if batch.dry_run or not spans:
        return spans
    _LOG.info(f"writing off {', '.join(map(str, spans))}")
    rows = [
        {
            "series": span.series,
            "first_number": span.first,
            "last_number": span.last,
            "reason": reason,
            "recorded_on": batch.today,
            "run_id": batch.run_id,
        }
        for span in spans
    ]
    # The ledger keeps the marks, too: an older backup of billing/ lacks this record. They come first: if this
    # run is cut off, the next one still knows what is lost.
    batch.ledger.record_series(batch.run_id, batch.outcome.last_numbers, batch.lake.version(DOCUMENTS))
    batch.lake.append(LOST_NUMBERS, rows)
    return spans
