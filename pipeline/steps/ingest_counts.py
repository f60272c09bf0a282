"""Ingest counts: what bronze holds of each drop, by date, file, store and reject reason."""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.lake.tables import Lake
from pipeline.planning.reconciliation import EXACT, ZERO
from schemas.drops import DateContent, Drop, IngestedDrop, StoreContent
from schemas.own_rules import OwnRule
from schemas.states import ValidationStatus
from schemas.tables import RECEIVED_SALES
from transforms.ingest_counts import COUNTED_BY, count_ingested, count_reject_reasons

_LOG = logging.getLogger(__name__)

_SUMS = ("lines", "gross", "digest_low", "digest_high", "null_words")


def count_drops(
    received: DataFrame,
    drops: Mapping[dt.date, IngestedDrop],
    *,
    by_store: bool = False,
    warnings: Sequence[OwnRule] = (),
) -> None:
    """Counts received lines and stores lines, rejects by reason, content and control totals in their drops.

    Args:
        received: lines of ``bronze/received_sales``.
        drops: their drops, by drop date, not counted yet.
        by_store: whether to count the accepted lines of each store too, in the same scan.
        warnings: the team's own rules that only warn, counted in the same scan.
    """
    # A chain has a thousand stores. So Arrow sums their rows, and Python sees a few for each drop.
    counted = _collected(count_ingested(received, by_store=by_store, warnings=warnings))
    warned = {rule.name: f"warned_{number}" for number, rule in enumerate(warnings)}
    contents: dict[dt.date, dict[Any, _Content]] = {date: defaultdict(_Content) for date in drops}
    for row in _rolled_up(counted, COUNTED_BY, dict.fromkeys((*_SUMS, *warned.values()), "sum")):
        drop = drops[row["drop_date"]]
        _add_counts(drop, contents[drop.drop.date], row)
        drop.warned.update({name: row[column] for name, column in warned.items()})
    for date, parts in contents.items():
        drops[date].content = [part.of(*key) for key, part in sorted(parts.items())]
    if by_store:
        _add_stores(drops, counted)
    if any(drop.rejected for drop in drops.values()):
        for reason in count_reject_reasons(received).collect():
            drops[reason.drop_date].reasons[reason.reason] += reason.lines


def count_bronze(
    lake: Lake, drop_dates: Iterable[dt.date | None], version: int | None = None
) -> dict[dt.date, IngestedDrop]:
    """Counts the lines of every drop in bronze again. Rows without a drop date belong to none.

    Args:
        lake: tables of the lake.
        drop_dates: all drop dates of that version, as :meth:`pipeline.lake.tables.Lake.all_dates` tells them.
        version: version of ``bronze/received_sales``; None for the latest.
    """
    counted = {date: IngestedDrop(Drop(date, ())) for date in drop_dates if date is not None}
    _LOG.info(f"counting {len(counted):,} drops of bronze again")
    received = lake.read_whole(RECEIVED_SALES, version)
    count_drops(received.filter(F.col("drop_date").isNotNull()), counted)
    return counted


def _collected(rows: DataFrame) -> pa.Table:
    try:
        return rows.toArrow()
    except Py4JJavaError as error:
        # PySpark replaces an interrupt by the end of the query that it cancelled.
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        raise


@dataclass
class _Content:
    lines: int = 0
    low: int = 0
    high: int = 0
    gross: dict[str, Decimal] = field(default_factory=dict)

    def of(self, business_date: dt.date, sale_date: dt.date, is_adjustment: bool) -> DateContent:
        digest = f"{self.high:x}.{self.low:x}"
        # In order of the currencies: contents are compared as text, and Spark's groups come in any order.
        gross = dict(sorted(self.gross.items()))
        return DateContent(business_date, sale_date, is_adjustment, self.lines, digest, gross)


def _add_counts(drop: IngestedDrop, contents: dict[Any, _Content], row: Mapping[str, Any]) -> None:
    file, lines, currency = row["source_file"], row["lines"], row["currency"]
    drop.lines += lines
    drop.file_lines[file] += lines
    if row["validation_status"] == ValidationStatus.ACCEPTED:
        drop.accepted += lines
        if row["null_words"]:
            drop.null_words[file] += row["null_words"]
        part = contents[(row["business_date"], row["sale_date"], row["is_adjustment"])]
        part.lines += lines
        part.low += row["digest_low"]
        part.high += row["digest_high"]
        _add_amount(part.gross, currency, row["gross"])
    else:
        drop.rejected += lines
    if currency is not None:
        _add_amount(drop.file_gross.setdefault(file, {}), currency, row["gross"])


def _add_amount(totals: dict[str, Decimal], currency: str, amount: Decimal) -> None:
    totals[currency] = EXACT.add(totals.get(currency, ZERO), amount)


def _add_stores(drops: Mapping[dt.date, IngestedDrop], counted: pa.Table) -> None:
    keys = ("drop_date", "store_id", "currency")
    functions = {"lines": "sum", "gross": "sum", "first_sold_at": "min", "last_sold_at": "max"}
    for row in _rolled_up(counted, keys, functions):
        if row["store_id"] is None:  # rejected lines
            continue
        store = drops[row["drop_date"]].stores.setdefault(row["store_id"], StoreContent())
        store.lines += row["lines"]
        _add_amount(store.gross, row["currency"], row["gross"])
        first, last = row["first_sold_at"].astimezone(dt.UTC), row["last_sold_at"].astimezone(dt.UTC)
        store.first_sold_at = min(first, store.first_sold_at or first)
        store.last_sold_at = max(last, store.last_sold_at or last)


def _rolled_up(counted: pa.Table, keys: Sequence[str], functions: Mapping[str, str]) -> list[dict[str, Any]]:
    """Rows of a coarser grain: the keys, and each column by its function (``sum``, ``min``, ``max``)."""
    table = counted.group_by(list(keys)).aggregate(list(functions.items()))
    names = {f"{column}_{function}": column for column, function in functions.items()}
    rows: list[dict[str, Any]] = table.rename_columns(
        [names.get(name, name) for name in table.column_names]
    ).to_pylist()
    return rows
