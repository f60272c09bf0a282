"""Reads a landing with nothing but the standard library and counts what a right run must find.

Written from the contract, not from the generator: it knows no role of a line, compares payloads, and
applies every rule to the text as received.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

SCALES = {"USD": 2, "JPY": 0, "KWD": 3, "CHF": 2}
REQUIRED = (
    "store_id", "transaction_id", "line_number", "sold_at", "product_id", "line_type", "quantity",
    "gross_amount", "currency",
)  # fmt: skip
SOLD_AT = re.compile(r"[12]\d{3}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)", re.ASCII)
NUMBER = re.compile(r"[+-]?(\d+)(?:\.(\d+))?", re.ASCII)


@dataclass
class Line:
    drop: date
    file: str
    fields: dict[str, str | None]
    reasons: set[str] = field(default_factory=set)
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[Any, ...]:
        return tuple(self.values[name] for name in ("store_id", "transaction_id", "line_number", "sale_date"))

    @property
    def payload(self) -> tuple[Any, ...]:
        return tuple(value for name, value in sorted(self.values.items()) if name != "sale_date")


def read_landing(landing: Path) -> list[Line]:
    lines: list[Line] = []
    for path in sorted(landing.glob("drop_date=*/sales-*")):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = raw.decode("utf-8", errors="replace")
        drop = date.fromisoformat(path.parent.name.removeprefix("drop_date="))
        rows = _json_rows(text) if path.suffix == ".json" else _csv_rows(text)
        lines += [_judge(Line(drop, path.name, row)) if row else _malformed(drop, path.name) for row in rows]
    return lines


def _csv_rows(text: str) -> list[dict[str, str | None]]:
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    return [dict(zip(header, row, strict=True)) if len(row) == len(header) else {} for row in rows]


def _json_rows(text: str) -> list[dict[str, str | None]]:
    rows: list[dict[str, str | None]] = []
    for line in text.splitlines():
        try:
            rows.append(json.loads(line, parse_float=str, parse_int=str))
        except json.JSONDecodeError:
            rows.append({})
    return rows


def _malformed(drop: date, file: str) -> Line:
    return Line(drop, file, {}, {"malformed_line"})


def _judge(line: Line) -> Line:
    text = {name: (value or "").strip(" ") or None for name, value in line.fields.items()}
    line.fields = text
    reasons, values = line.reasons, line.values
    if any(value is not None and "\ufffd" in value for value in text.values()):
        reasons.add("malformed_line")
    reasons |= {f"missing_{name}" for name in REQUIRED if text[name] is None}
    values |= {name: text[name] for name in text if name not in ("sold_at", "quantity")}
    number = text["line_number"]
    values["line_number"] = None
    if number is not None and re.fullmatch(r"[0-9]+", number) and int(number) < 2**31:
        values["line_number"] = int(number)
    elif number is not None:
        reasons.add("bad_line_number")
    _judge_time(line, text["sold_at"])
    if text["line_type"] not in ("SALE", "RETURN", None):
        reasons.add("bad_line_type")
    currency = text["currency"]
    if currency is not None and not re.fullmatch(r"[A-Z]{3}", currency):
        reasons.add("bad_currency")
    elif currency not in ("USD", "JPY", "KWD", None):
        reasons.add("currency_not_allowed")
    scale = SCALES.get(currency or "", 3)
    for name, digits, decimals in (
        ("quantity", 9, 3),
        ("gross_amount", 15, scale),
        ("discount_amount", 15, scale),
    ):
        values[name] = _judge_number(reasons, name, text[name], digits, decimals)
    _judge_signs(line)
    return line


def _judge_time(line: Line, text: str | None) -> None:
    line.values["sold_at"] = line.values["sale_date"] = None
    if text is None:
        return
    try:
        if not SOLD_AT.fullmatch(text):
            raise ValueError(text)
        sold_at = datetime.fromisoformat(text)
    except ValueError:
        line.reasons.add("bad_sold_at")
        return
    line.values["sold_at"] = sold_at.timestamp()
    line.values["sale_date"] = sold_at.astimezone(ZoneInfo("America/New_York")).date()
    if line.values["sale_date"] > line.drop:
        line.reasons.add("future_sale")


def _judge_number(
    reasons: set[str], name: str, text: str | None, digits: int, decimals: int
) -> Decimal | None:
    if text is None:
        return None
    match = NUMBER.fullmatch(text)
    if not match or len(match[1]) > digits:
        reasons.add(f"bad_{name}")
        return None
    if len(match[2] or "") > decimals:
        reasons.add(f"excess_scale_{name}")
        return None
    return Decimal(text)


def _judge_signs(line: Line) -> None:
    kind = line.fields["line_type"]
    quantity, gross = line.values["quantity"], line.values["gross_amount"]
    discount = line.values["discount_amount"] or Decimal(0)
    if quantity == 0:
        line.reasons.add("zero_quantity")
    wrong = {"SALE": lambda amount: amount < 0, "RETURN": lambda amount: amount > 0}.get(kind or "")
    if wrong and any(wrong(amount) for amount in (quantity, gross) if amount is not None):
        line.reasons.add("sign_mismatch")
    if gross is not None and discount * gross < 0:
        line.reasons.add("sign_mismatch")
    if gross is not None and abs(discount) > abs(gross):
        line.reasons.add("discount_exceeds_gross")


def chunk_of(name: str | None) -> str:
    decomposed = unicodedata.normalize("NFKD", name or "")
    first = "".join(one for one in decomposed if not unicodedata.combining(one)).upper()[:1]
    return next(
        (label for label in ("A-G", "H-N", "O-U", "V-Z") if first and label[0] <= first <= label[2]), "other"
    )


def money(amount: Decimal) -> str:
    return f"{amount:.3f}"


def count(landing: Path) -> dict[str, Any]:
    """What truth.json says of drops and dates, counted again from the files."""
    lines = read_landing(landing)
    drops: dict[str, Any] = {}
    for line in lines:
        drop = drops.setdefault(
            str(line.drop), {"lines": 0, "accepted": 0, "rejected": 0, "rejected_by_reason": {}}
        )
        drop["lines"] += 1
        drop["rejected" if line.reasons else "accepted"] += 1
        for reason in line.reasons:
            drop["rejected_by_reason"][reason] = drop["rejected_by_reason"].get(reason, 0) + 1
    accepted = [line for line in lines if not line.reasons]
    return {"drops": drops, "dates": _count_dates(accepted)}


def _count_dates(accepted: list[Line]) -> dict[str, Any]:
    groups: dict[tuple[Any, ...], list[Line]] = defaultdict(list)
    for line in sorted(accepted, key=lambda one: (one.drop, one.file)):
        adjusts = (line.drop - line.values["sale_date"]).days > 7
        groups[(line.drop if adjusts else line.values["sale_date"], line.key)].append(line)
    earlier: dict[tuple[Any, ...], list[Line]] = defaultdict(list)
    for line in accepted:
        earlier[line.key].append(line)
    dates: dict[str, Any] = defaultdict(_empty_date)
    for (business_date, key), copies in groups.items():
        one = dates[str(business_date)]
        adjusts = business_date != key[3]
        before = [line for line in earlier[key] if adjusts and line.drop < copies[0].drop]
        before.sort(key=lambda line: (line.drop, line.file))
        kept = before[0] if before else copies[0]
        for line in copies:
            one["received"] += 1
            _count_chunk(one, line, _count_outcome(one, line, kept, adjusts, bool(before)))
    for one in dates.values():
        pairs = one.pop("billed")
        one["invoices"] = len(pairs)
        one["customers"] = len({customer for customer, _ in pairs})
    return {business_date: _as_text(one) for business_date, one in sorted(dates.items())}


def _count_outcome(one: dict[str, Any], line: Line, kept: Line, adjusts: bool, late: bool) -> str:
    if line is kept:
        _publish(one, line, adjusts)
        return "published"
    outcome = "duplicates" if line.payload == kept.payload else "conflicts"
    one[outcome] += 1
    one[f"late_{outcome}"] += late
    return outcome


def _empty_date() -> dict[str, Any]:
    names = (
        "received", "lines", "duplicates", "conflicts", "adjustments", "late_duplicates", "late_conflicts",
        "invoices", "customers",
    )  # fmt: skip
    return dict.fromkeys(names, 0) | {"chunks": {}, "amounts": {}, "billed": set()}


def _publish(one: dict[str, Any], line: Line, adjusts: bool) -> None:
    values = line.values
    net = values["gross_amount"] - (values["discount_amount"] or 0)
    billed = bool(values["customer_id"])
    if billed:
        one["billed"].add((values["customer_id"], values["currency"]))
    one["lines"] += 1
    one["adjustments"] += adjusts
    amounts = one["amounts"].setdefault(values["currency"], defaultdict(Decimal))
    for name, amount in (
        ("lines", 1),
        ("units", values["quantity"]),
        ("gross_amount", values["gross_amount"]),
        ("discount_amount", values["discount_amount"] or 0),
        ("net_amount", net),
        ("returns_amount", net if values["line_type"] == "RETURN" else 0),
        ("invoiced_lines", 1 if billed else 0),
        ("invoiced_net_amount", net if billed else 0),
    ):
        amounts[name] += amount


def _count_chunk(one: dict[str, Any], line: Line, outcome: str) -> None:
    chunk = one["chunks"].setdefault(chunk_of(line.values["product_name"]), {})
    counts = chunk.setdefault(line.values["currency"], _empty_counts())
    gross = line.values["gross_amount"]
    for name in ("received", outcome):
        counts[name] += 1
        counts[f"gross_{name}"] += gross
        counts[f"absolute_gross_{name}"] += abs(gross)


def _empty_counts() -> dict[str, Any]:
    names = ("received", "published", "duplicates", "conflicts")
    sums = {f"{kind}_{name}": Decimal(0) for kind in ("gross", "absolute_gross") for name in names}
    return dict.fromkeys(names, 0) | sums


def _as_text(part: Any) -> Any:
    if isinstance(part, dict):
        return {
            name: int(value) if name in ("lines", "invoiced_lines") else _as_text(value)
            for name, value in part.items()
        }
    return money(part) if isinstance(part, Decimal) else part
