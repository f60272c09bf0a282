"""The truth about a synthetic landing: what a correct run must find, counted from the fates of its lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, PlainSerializer
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from tools.synthetic.catalogue import OTHER, Catalogue
from tools.synthetic.deliveries import DUPLICATED, REJECTED, RESENT, is_adjustment
from tools.synthetic.draws import at
from tools.synthetic.fields import NOT_UTF8, spoiling, written_gross
from tools.synthetic.plan import CURRENCY_SCALES, REJECT_KINDS, SyntheticPlan
from tools.synthetic.values import UNCHANGED, WALK_IN, is_kind, with_values

_EPOCH = date(1970, 1, 1)
_MILLI = Decimal("0.001")

# Outcomes of an accepted delivery.
PUBLISHED, DUPLICATE, CONFLICT, LATE_DUPLICATE, LATE_CONFLICT = range(5)

Money = Annotated[Decimal, PlainSerializer(lambda value: f"{value:.3f}", return_type=str)]

_ZERO = Decimal("0.000")


T = TypeVar("T")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Counts(_Part):
    """Received = published + duplicates + conflicts, in lines, gross and absolute gross."""

    received: int = 0
    published: int = 0
    duplicates: int = 0
    conflicts: int = 0
    gross_received: Money = _ZERO
    gross_published: Money = _ZERO
    gross_duplicates: Money = _ZERO
    gross_conflicts: Money = _ZERO
    absolute_gross_received: Money = _ZERO
    absolute_gross_published: Money = _ZERO
    absolute_gross_duplicates: Money = _ZERO
    absolute_gross_conflicts: Money = _ZERO

    def add(self, outcome: str, lines: int, gross: Decimal) -> None:
        """Count lines as received and under their outcome."""
        for name in (outcome, "received"):
            setattr(self, name, getattr(self, name) + lines)
            for field, amount in ((f"gross_{name}", gross), (f"absolute_gross_{name}", abs(gross))):
                setattr(self, field, getattr(self, field) + amount)


class Amounts(_Part):
    """Sums over published lines of one currency; ``invoiced`` excludes walk-ins."""

    lines: int = 0
    units: Money = _ZERO
    gross_amount: Money = _ZERO
    discount_amount: Money = _ZERO
    net_amount: Money = _ZERO
    returns_amount: Money = _ZERO
    invoiced_lines: int = 0
    invoiced_net_amount: Money = _ZERO


class FileTruth(_Part):
    """A landed file: lines without the header, and the control totals of the manifest."""

    rows: int = 0
    gross_amount: dict[str, Money] = {}


class DropTruth(_Part):
    """A drop: lines = accepted + rejected; a line with two reasons counts under both."""

    lines: int = 0
    accepted: int = 0
    rejected: int = 0
    rejected_by_reason: dict[str, int] = {}
    files: dict[str, FileTruth] = {}


class DateTruth(_Part):
    """A business date.

    Attributes:
        lines: published lines.
        adjustments: published lines that came too late for their sale date.
        late_duplicates: late resends equal to the kept line; included in the duplicates of the chunks.
        late_conflicts: late resends with another payload; included in the conflicts of the chunks.
        invoices: pairs of customer and currency among published lines.
        customers: customers among published lines.
        chunks: counts by chunk and currency.
        amounts: amounts by currency.
    """

    received: int = 0
    lines: int = 0
    duplicates: int = 0
    conflicts: int = 0
    adjustments: int = 0
    late_duplicates: int = 0
    late_conflicts: int = 0
    invoices: int = 0
    customers: int = 0
    chunks: dict[str, dict[str, Counts]] = {}
    amounts: dict[str, Amounts] = {}


class Totals(_Part):
    """The whole landing."""

    drops: int = 0
    files: int = 0
    lines: int = 0
    accepted: int = 0
    rejected: int = 0
    rejected_by_reason: dict[str, int] = {}
    dates: int = 0
    published: int = 0
    duplicates: int = 0
    conflicts: int = 0
    adjustments: int = 0
    late_duplicates: int = 0
    late_conflicts: int = 0
    invoices: int = 0
    amounts: dict[str, Amounts] = {}


class Truth(_Part):
    """What a correct run must find; all keys are in order of dates and names."""

    plan: SyntheticPlan
    drops: dict[str, DropTruth]
    dates: dict[str, DateTruth]
    totals: Totals

    def to_json(self) -> str:
        """The truth as the text of its file."""
        return self.model_dump_json(indent=1) + "\n"


@dataclass(frozen=True)
class FileKey:
    """A file of the landing: drop day (since 1970-01-01) and number."""

    drop_day: int
    file: int


def day_of(number: int) -> date:
    """The date ``number`` days after 1970-01-01."""
    return _EPOCH + timedelta(days=number)


def find_truth(lines: DataFrame, plan: SyntheticPlan) -> tuple[Truth, dict[FileKey, int]]:
    """Count the truth about the deliveries, and the rows of every file."""
    valued = with_values(lines, plan)
    rows: dict[FileKey, int] = {}
    drops: dict[str, DropTruth] = {}
    for row in _file_totals(valued, plan).collect():
        _add_file(drops, rows, row, plan)
    for row in _reject_counts(valued).collect():
        _add_rejects(drops[day_of(row["drop_day"]).isoformat()], row)
    for drop in drops.values():
        drop.accepted = drop.lines - drop.rejected
        drop.files = dict(sorted(drop.files.items()))
        drop.rejected_by_reason = dict(sorted(drop.rejected_by_reason.items()))
        for file in drop.files.values():
            file.gross_amount = dict(sorted(file.gross_amount.items()))
    dates: dict[str, DateTruth] = defaultdict(DateTruth)
    accepted = _accepted(valued, plan)
    for row in _date_counts(accepted).collect():
        _add_outcome(dates[day_of(row["business_day"]).isoformat()], row, plan)
    for row in _invoice_counts(accepted).collect():
        date_truth = dates[day_of(row["business_day"]).isoformat()]
        date_truth.invoices, date_truth.customers = row["invoices"], row["customers"]
    labels = (*plan.ranges, OTHER)
    for date_truth in dates.values():
        date_truth.chunks = {
            label: _by_name(date_truth.chunks[label]) for label in labels if label in date_truth.chunks
        }
        date_truth.amounts = _by_name(date_truth.amounts)
    ordered_drops, ordered_dates = _by_name(drops), _by_name(dates)
    truth = Truth(
        plan=plan, drops=ordered_drops, dates=ordered_dates, totals=_totals(ordered_drops, ordered_dates)
    )
    return truth, rows


def _by_name(values: dict[str, T]) -> dict[str, T]:
    return dict(sorted(values.items()))


def _file_totals(valued: DataFrame, plan: SyntheticPlan) -> DataFrame:
    foreign = len(plan.currencies)
    broken = is_kind("malformed_line") & (spoiling(plan) != NOT_UTF8)
    unread = broken | is_kind("missing_gross_amount", "bad_gross_amount", "missing_currency", "bad_currency")
    currency = (
        F.when(unread, F.lit(None).cast("int"))
        .when(is_kind("currency_not_allowed"), F.lit(foreign))
        .otherwise(F.col("currency"))
    )
    return (
        valued.select("drop_day", "file", currency.alias("currency"), written_gross(plan).alias("gross"))
        .groupBy("drop_day", "file", "currency")
        .agg(F.count(F.lit(1)).alias("lines"), F.sum("gross").alias("gross"))
    )


def _add_file(drops: dict[str, DropTruth], rows: dict[FileKey, int], row: Row, plan: SyntheticPlan) -> None:
    key = FileKey(row["drop_day"], row["file"])
    drop = drops.setdefault(day_of(key.drop_day).isoformat(), DropTruth())
    file = drop.files.setdefault(plan.file_name(key.drop_day, key.file), FileTruth())
    file.rows += row["lines"]
    drop.lines += row["lines"]
    rows[key] = rows.get(key, 0) + row["lines"]
    if row["currency"] is not None:
        code = (*plan.currencies, plan.foreign_currency)[row["currency"]]
        file.gross_amount[code] = row["gross"] * _MILLI


def _reject_counts(valued: DataFrame) -> DataFrame:
    rejected = valued.where(F.col("fate") == REJECTED)
    return rejected.groupBy("drop_day", "kind").agg(F.count(F.lit(1)).alias("lines"))


def _add_rejects(drop: DropTruth, row: Row) -> None:
    drop.rejected += row["lines"]
    for reason in REJECT_KINDS[row["kind"]].split("+"):
        drop.rejected_by_reason[reason] = drop.rejected_by_reason.get(reason, 0) + row["lines"]


def _outcome() -> Column:
    """The outcome of an accepted delivery."""
    late_resend = F.when(F.col("change") == UNCHANGED, F.lit(LATE_DUPLICATE)).otherwise(F.lit(LATE_CONFLICT))
    return (
        F.when(F.col("copy") == 0, F.lit(PUBLISHED))
        .when(F.col("fate") == DUPLICATED, F.lit(DUPLICATE))
        .when(F.col("fate") == RESENT, late_resend)
        .otherwise(F.lit(CONFLICT))
    )


def _accepted(valued: DataFrame, plan: SyntheticPlan) -> DataFrame:
    """Accepted deliveries with business_day, outcome and chunk (an index)."""
    labels = (*plan.ranges, OTHER)
    chunk_numbers = [labels.index(chunk) for chunk in Catalogue.of(plan.ranges).chunks]
    adjusts = is_adjustment(plan)
    return valued.where(F.col("fate") != REJECTED).select(
        F.when(adjusts, F.col("drop_day")).otherwise(F.col("sale_day")).alias("business_day"),
        _outcome().alias("outcome"),
        at(chunk_numbers, F.col("product")).alias("chunk"),
        "currency",
        "is_return",
        adjusts.alias("adjusts"),
        (F.col("customer") != WALK_IN).alias("invoiced"),
        "customer",
        "quantity_milli",
        "gross_milli",
        "discount_milli",
    )


def _date_counts(accepted: DataFrame) -> DataFrame:
    return accepted.groupBy(
        "business_day", "outcome", "chunk", "currency", "is_return", "adjusts", "invoiced"
    ).agg(
        F.count(F.lit(1)).alias("lines"),
        F.sum("quantity_milli").alias("units"),
        F.sum("gross_milli").alias("gross"),
        F.sum("discount_milli").alias("discount"),
    )


def _add_outcome(date_truth: DateTruth, row: Row, plan: SyntheticPlan) -> None:
    chunk = (*plan.ranges, OTHER)[row["chunk"]]
    currency = tuple(plan.currencies)[row["currency"]]
    lines, outcome = row["lines"], row["outcome"]
    gross, discount = row["gross"] * _MILLI, row["discount"] * _MILLI
    counts = date_truth.chunks.setdefault(chunk, {}).setdefault(currency, Counts())
    date_truth.received += lines
    if outcome == PUBLISHED:
        counts.add("published", lines, gross)
        date_truth.lines += lines
        date_truth.adjustments += lines if row["adjusts"] else 0
        amounts = date_truth.amounts.setdefault(currency, Amounts())
        amounts.lines += lines
        amounts.units += row["units"] * _MILLI
        amounts.gross_amount += gross
        amounts.discount_amount += discount
        amounts.net_amount += gross - discount
        if row["is_return"]:
            amounts.returns_amount += gross - discount
        if row["invoiced"]:
            amounts.invoiced_lines += lines
            amounts.invoiced_net_amount += gross - discount
    elif outcome in (DUPLICATE, LATE_DUPLICATE):
        counts.add("duplicates", lines, gross)
        date_truth.duplicates += lines
        date_truth.late_duplicates += lines if outcome == LATE_DUPLICATE else 0
    else:
        counts.add("conflicts", lines, gross)
        date_truth.conflicts += lines
        date_truth.late_conflicts += lines if outcome == LATE_CONFLICT else 0


def _invoice_counts(accepted: DataFrame) -> DataFrame:
    billed = accepted.where((F.col("outcome") == PUBLISHED) & F.col("invoiced"))
    per_customer = billed.groupBy("business_day", "customer").agg(
        F.bit_or(F.expr("shiftleft(1L, currency)")).alias("currencies")
    )
    return per_customer.groupBy("business_day").agg(
        F.sum(F.bit_count("currencies")).alias("invoices"), F.count(F.lit(1)).alias("customers")
    )


def _totals(drops: dict[str, DropTruth], dates: dict[str, DateTruth]) -> Totals:
    totals = Totals(
        drops=len(drops),
        files=sum(len(drop.files) for drop in drops.values()),
        lines=sum(drop.lines for drop in drops.values()),
        accepted=sum(drop.accepted for drop in drops.values()),
        rejected=sum(drop.rejected for drop in drops.values()),
        dates=len(dates),
        published=sum(date_truth.lines for date_truth in dates.values()),
    )
    for name in ("duplicates", "conflicts", "adjustments", "late_duplicates", "late_conflicts", "invoices"):
        setattr(totals, name, sum(getattr(date_truth, name) for date_truth in dates.values()))
    reasons: dict[str, int] = defaultdict(int)
    for drop in drops.values():
        for reason, lines in drop.rejected_by_reason.items():
            reasons[reason] += lines
    totals.rejected_by_reason = _by_name(reasons)
    totals.amounts = _summed(date_truth.amounts for date_truth in dates.values())
    return totals


def _summed(parts: Iterable[dict[str, Amounts]]) -> dict[str, Amounts]:
    sums: dict[str, Amounts] = {}
    for currency, amounts in _flat(parts):
        total = sums.setdefault(currency, Amounts())
        for name in Amounts.model_fields:
            setattr(total, name, getattr(total, name) + getattr(amounts, name))
    return _by_name(sums)


def _flat(parts: Iterable[dict[str, Amounts]]) -> Iterator[tuple[str, Amounts]]:
    for part in parts:
        yield from part.items()


def manifest_amount(currency: str, amount: Decimal) -> str:
    """An amount with the decimals of its currency."""
    return f"{amount:.{CURRENCY_SCALES.get(currency, 2)}f}"
