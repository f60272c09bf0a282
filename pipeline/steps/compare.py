"""Compare: the lines and gold rows that differ between two revisions of a business date."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from pipeline.steps.context import Batch
from schemas.errors import UsageError
from schemas.gold import Period
from schemas.tables import SALES, Table
from transforms.comparison import compare, count_changes
from transforms.hashing import KEY_COLUMNS

_LOG = logging.getLogger(__name__)

_SHOWN = 20


@dataclass
class Comparison:
    """The differences between two revisions.

    Attributes:
        date: business date.
        before: earlier revision.
        after: later revision.
        counts: one row for each table, change and currency: ``table``, ``change``, ``currency``, ``lines``,
            ``net``.
        examples: the first differences, by table.
        missing: why a table could not be compared, by table.
    """

    date: dt.date
    before: int
    after: int
    counts: list[dict[str, Any]] = field(default_factory=list)
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The comparison in the result."""
        return {
            "business_date": self.date.isoformat(),
            "revision": self.before,
            "with": self.after,
            "changes": self.counts,
            "missing": self.missing,
        }


def compare_revisions(
    batch: Batch, date: dt.date, before: int | None, after: int | None, out: str | None
) -> Comparison:
    """Compares two revisions of a date; the last two if none is given.

    Args:
        batch: the run.
        date: business date.
        before: earlier revision; None for the one before ``after``.
        after: later revision; None for what readers see.
        out: folder or URI for all differences as CSV, one sub-folder for each table; None to write none.

    Raises:
        UsageError: the date has no such revision.
    """
    versions = batch.ledger.silver_versions(date)
    newer = max(versions, default=0) if after is None else after
    older = newer - 1 if before is None else before
    for revision in (older, newer):
        if revision not in versions:
            known = ", ".join(map(str, sorted(versions))) or "none"
            raise UsageError(f"{date} has no revision {revision} to compare; it has: {known}")
    comparison = Comparison(date, older, newer)
    _compare_table(batch, comparison, SALES, KEY_COLUMNS, versions, out)
    for table in batch.lake.tables.gold:
        if table.period is Period.DAY:  # rows of a longer period have no revision of a single date
            versions = batch.ledger.gold_versions(table, date)
            _compare_table(batch, comparison, table, table.identifier, versions, out)
    return comparison


def _compare_table(
    batch: Batch,
    comparison: Comparison,
    table: Table,
    key: Sequence[str],
    versions: dict[int, int],
    out: str | None,
) -> None:
    if comparison.before not in versions or comparison.after not in versions:
        comparison.missing[table.name] = "it was not built from both revisions"
        return
    _LOG.info(
        f"comparing {table.name} of {comparison.date}: revisions {comparison.before} and {comparison.after}"
    )
    try:
        old, new = (
            _rows(batch, comparison.date, table, versions[n]) for n in (comparison.before, comparison.after)
        )
        differences = compare(old, new, key, table.partition_by[0]).persist()
        for row in count_changes(differences).orderBy("change", "currency").collect():
            comparison.counts.append({"table": table.name, **row.asDict(), "net": str(row.net)})
        shown = differences.orderBy("change", *key).limit(_SHOWN).collect()
        comparison.examples[table.name] = [row.asDict() for row in shown]
        if out is not None:
            _write(differences, f"{out.rstrip('/')}/{table.name.split('/')[-1]}")
        differences.unpersist()
    except (Py4JJavaError, PySparkException) as error:
        if "NOT_EXIST" not in str(error) and "NOT_FOUND" not in str(error):
            raise
        comparison.missing[table.name] = "files of one of the revisions are gone"


def _rows(batch: Batch, date: dt.date, table: Table, version: int) -> DataFrame:
    return batch.lake.read_dates(table, [date], version)


def _write(differences: DataFrame, folder: str) -> None:
    flat = differences.withColumn("changed_columns", differences.changed_columns.cast("string"))
    flat.write.mode("overwrite").option("header", True).csv(folder)
