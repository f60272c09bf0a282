"""The contract in plain Python: what a lake must hold, from the accepted deliveries alone.

Nothing of the product is imported here: a fault of the product cannot be a fault of its reference.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

Date = dt.date
Key = tuple[str, str, int, Date]
MAX_REJECTED_SHARE = 0.5
PRICES = ("quantity", "gross_amount", "discount_amount")

ACCEPTED, REFUSED, FAILED, NOT_READY = "accepted", "refused", "failed", "not_ready"
# How a drop may lie in the landing, and what an ingest makes of all but the sound ones.
UNREADABLE = {"header": FAILED, "gzip": FAILED, "empty": NOT_READY}


@dataclass(frozen=True)
class Settings:
    """The pinned settings that the model changes."""

    late_days: int = 7
    zone: str = "America/New_York"
    currencies: tuple[str, ...] = ("USD",)
    ranges: tuple[str, ...] = ("A-G", "H-N", "O-U", "V-Z")
    # Stores of which a rule of the config rejects every Zebra.
    zebra_free: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        values: dict[str, Any] = {
            "late.days": self.late_days,
            "business_day.timezone": self.zone,
            "currencies": f"[{', '.join(self.currencies)}]",
            "chunks.ranges": f"[{', '.join(self.ranges)}]",
            "audit.max_rejected_share": MAX_REJECTED_SHARE,
        }
        if self.zebra_free:
            stores = ", ".join(f"'{store}'" for store in self.zebra_free)
            values["rules"] = f"{{zebra: {{reject_when: \"product_name = 'Zebra'\", stores: [{stores}]}}}}"
        return [part for name, value in values.items() for part in ("--set", f"{name}={value}")]


@dataclass(frozen=True)
class Sale:
    """A line as its store delivers it."""

    store_id: str
    transaction_id: str
    line_number: int
    sold_at: str
    customer_id: str | None = "C-7"
    product_name: str = "Apple"
    line_type: str = "SALE"
    quantity: str = "2"
    gross_amount: str = "10.00"
    discount_amount: str = "1.00"
    currency: str = "USD"

    def fields(self) -> dict[str, str | None]:
        return {**vars(self), "line_number": str(self.line_number)}

    @property
    def moment(self) -> dt.datetime:
        return dt.datetime.fromisoformat(self.sold_at)


@dataclass(frozen=True)
class Line:
    """An accepted line, dated under the settings of its ingest."""

    sale: Sale
    drop_date: Date
    source_file: str
    sale_date: Date
    business_date: Date

    @property
    def key(self) -> Key:
        return (self.sale.store_id, self.sale.transaction_id, self.sale.line_number, self.sale_date)

    @property
    def is_adjustment(self) -> bool:
        return self.business_date != self.sale_date


@dataclass(frozen=True)
class Landed:
    """What lies in the landing of a drop: files with their lines, and what is wrong with them."""

    number: int
    files: Mapping[str, tuple[Sale, ...]]
    kind: str = "good"  # good, manifest (its counts are wrong), closed, or one of UNREADABLE

    def sales(self) -> list[Sale]:
        return [sale for name in sorted(self.files) for sale in self.files[name]]


@dataclass(frozen=True)
class Delivery:
    """A delivery as it was ingested."""

    number: int
    settings: Settings
    lines: tuple[Line, ...] = ()
    rejected_for_currency: int = 0


@dataclass(frozen=True)
class Judged:
    status: str
    delivery: Delivery


@cache
def sale_date(sold_at: str, zone: str) -> Date:
    return dt.datetime.fromisoformat(sold_at).astimezone(ZoneInfo(zone)).date()


def business_date(sold_on: Date, drop_date: Date, late_days: int) -> Date:
    return sold_on if (drop_date - sold_on).days <= late_days else drop_date


def judge(drop_date: Date, landed: Landed, settings: Settings) -> Judged:
    """What an ingest under these settings must make of a landed drop."""
    if landed.kind in UNREADABLE:
        return Judged(UNREADABLE[landed.kind], Delivery(landed.number, settings))
    lines, rejected, for_currency = [], 0, 0
    for name, sales in sorted(landed.files.items()):
        for sale in sales:
            sold_on = sale_date(sale.sold_at, settings.zone)
            is_foreign = sale.currency not in settings.currencies
            for_currency += is_foreign
            is_refused = sale.product_name == "Zebra" and sale.store_id in settings.zebra_free
            if is_foreign or is_refused or not sale.quantity.lstrip("-").isdigit() or sold_on > drop_date:
                rejected += 1
                continue
            belongs_to = business_date(sold_on, drop_date, settings.late_days)
            lines.append(Line(sale, drop_date, name, sold_on, belongs_to))
    delivery = Delivery(landed.number, settings, tuple(lines), for_currency)
    is_stopped = landed.kind == "manifest" or rejected > MAX_REJECTED_SHARE * (len(lines) + rejected)
    return Judged(REFUSED if is_stopped else ACCEPTED, delivery)


def chunk_of(product_name: str, ranges: Iterable[str]) -> str:
    for name in ranges:
        low, _, high = name.partition("-")
        if low <= product_name[:1].upper() <= high:
            return name
    return "other"


@dataclass(frozen=True)
class Content:
    """What is published of a business date: rows of silver/sales and silver/conflicts, in order."""

    sales: tuple[tuple[Any, ...], ...] = ()
    conflicts: tuple[tuple[Any, ...], ...] = ()

    def __str__(self) -> str:
        rows = [f"  sale {row}" for row in self.sales] + [f"  left out {row}" for row in self.conflicts]
        return "\n".join(rows) or "  nothing"


NOTHING = Content()
_SALE_COLUMNS = ("store_id", "transaction_id", "line_number", "sale_date", "sold_at", "customer_id",
    "product_name", "line_type", *PRICES, "net_amount", "currency", "chunk", "is_adjustment", "drop_date",
    "source_file")  # fmt: skip
SALES_COLUMNS = (*_SALE_COLUMNS, "duplicates")
CONFLICT_COLUMNS = (*(name for name in _SALE_COLUMNS if name != "net_amount"), "outcome", "kept_drop_date")


def in_order(rows: Iterable[tuple[Any, ...]]) -> tuple[tuple[Any, ...], ...]:
    return tuple(sorted(rows, key=lambda row: [str(value) for value in row]))


def _columns(line: Line, ranges: Iterable[str]) -> dict[str, Any]:
    sale = line.sale
    prices = {name: Decimal(getattr(sale, name)) for name in PRICES}
    return {
        **vars(sale),
        **prices,
        "net_amount": prices["gross_amount"] - prices["discount_amount"],
        "sold_at": sale.moment,
        "sale_date": line.sale_date,
        "is_adjustment": line.is_adjustment,
        "drop_date": line.drop_date,
        "source_file": line.source_file,
        "chunk": chunk_of(sale.product_name, ranges),
    }


def expected_content(lines: Iterable[Line], ranges: Iterable[str]) -> dict[Date, Content]:
    """Content of each business date that has a line."""
    copies: dict[Key, list[Line]] = defaultdict(list)
    for line in lines:
        copies[line.key].append(line)
    sales: dict[Date, list[tuple[Any, ...]]] = defaultdict(list)
    conflicts: dict[Date, list[tuple[Any, ...]]] = defaultdict(list)
    for found in copies.values():
        # Unequal copies never share a drop and a file here, so that the payload's hash decides nothing.
        kept, *others = sorted(found, key=lambda line: (line.drop_date, line.source_file))
        duplicates = 0
        for other in others:
            is_equal, is_late = other.sale == kept.sale, other.business_date != kept.business_date
            if is_equal and not is_late:
                duplicates += 1
                continue
            columns = _columns(other, ranges) | {"kept_drop_date": kept.drop_date}
            columns["outcome"] = (
                "conflict" if not is_late else f"late_{'duplicate' if is_equal else 'conflict'}"
            )
            conflicts[other.business_date].append(tuple(columns[name] for name in CONFLICT_COLUMNS))
        columns = _columns(kept, ranges) | {"duplicates": duplicates}
        sales[kept.business_date].append(tuple(columns[name] for name in SALES_COLUMNS))
    return {
        date: Content(in_order(sales.get(date, ())), in_order(conflicts.get(date, ())))
        for date in sales.keys() | conflicts.keys()
    }


@dataclass
class Sums:
    lines: int = 0
    units: Decimal = Decimal()
    gross_amount: Decimal = Decimal()
    discount_amount: Decimal = Decimal()
    net_amount: Decimal = Decimal()
    returns_amount: Decimal = Decimal()

    def add(self, sale: Mapping[str, Any]) -> None:
        self.lines += 1
        self.units += sale["quantity"]
        self.gross_amount += sale["gross_amount"]
        self.discount_amount += sale["discount_amount"]
        self.net_amount += sale["net_amount"]
        self.returns_amount += sale["net_amount"] if sale["line_type"] == "RETURN" else 0


def totals(content: Content, *names: str) -> dict[tuple[Any, ...], Sums]:
    """Sums of published lines by some columns; lines that have none of one (walk-ins) are left out."""
    found: dict[tuple[Any, ...], Sums] = defaultdict(Sums)
    for row in content.sales:
        sale = dict(zip(SALES_COLUMNS, row, strict=True))
        grain = tuple(sale[name] for name in names)
        if None not in grain:
            found[grain].add(sale)
    return dict(found)


def published_keys(content: Content) -> Counter[Key]:
    return Counter(row[:4] for row in content.sales)


def left_out_keys(content: Content) -> set[Key]:
    return {row[:4] for row in content.conflicts}


@dataclass(frozen=True)
class Restored:
    """A revision that was brought back, and what its date depended on then."""

    content: Content
    inputs: frozenset[tuple[Any, ...]]
    all_inputs: frozenset[tuple[Any, ...]]


@dataclass
class Reference:
    """What was accepted, what became of the last deliveries, and what follows."""

    settings: Settings = field(default_factory=Settings)
    accepted: dict[Date, Delivery] = field(default_factory=dict)
    status: dict[Date, str] = field(default_factory=dict)
    # A refused delivery's lines: the dates that they would have belonged to wait, too.
    refused: dict[Date, Delivery] = field(default_factory=dict)
    restored: dict[Date, Restored] = field(default_factory=dict)

    def lines(self) -> Iterator[Line]:
        return (line for delivery in self.accepted.values() for line in delivery.lines)

    def expected(self) -> dict[Date, Content]:
        return expected_content(self.lines(), self.settings.ranges)

    def take(self, drop_date: Date, judged: Judged) -> None:
        """Notes what an ingest made of a delivery."""
        self.status[drop_date] = judged.status
        self.refused.pop(drop_date, None)
        if judged.status == ACCEPTED:
            self.accepted[drop_date] = judged.delivery
        elif judged.status == REFUSED:
            self.refused[drop_date] = judged.delivery

    def inputs(self, date: Date, extra: Iterable[Date] = ()) -> frozenset[tuple[Any, ...]]:
        """Lines that decide a date: its own, and the others of the same sale dates (and of more of these)."""
        sold_on = {line.sale_date for line in self.lines() if line.business_date == date} | set(extra)
        found = Counter(
            (line.drop_date, line.business_date, line.sale_date, line.sale)
            for line in self.lines()
            if line.sale_date in sold_on
        )
        return frozenset(found.items())

    def restore(self, date: Date, content: Content) -> None:
        sold_on = self.sale_dates(date, content)
        self.restored[date] = Restored(content, self.inputs(date), self.inputs(date, sold_on))

    def sale_dates(self, date: Date, content: Content) -> set[Date]:
        return {
            date,
            *(key[3] for key in published_keys(content)),
            *(key[3] for key in left_out_keys(content)),
        }

    def standing(self, date: Date) -> tuple[bool, bool]:
        """Of a restored date: whether it must stand, and whether it may."""
        found = self.restored[date]
        is_same = self.inputs(date) == found.inputs
        return is_same and self.inputs(
            date, self.sale_dates(date, found.content)
        ) == found.all_inputs, is_same
