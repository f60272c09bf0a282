"""One day of sales in the forms in which tills, ERP systems, shops and data platforms deliver it.

Each form has a writer, and the delivery profile that reads it; the contract's own forms need none.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.landing import RECEIVED_NAMES

DATE = dt.date(2026, 3, 2)
ZONE = ZoneInfo("America/New_York")
CURRENCY = "EUR"
Line = dict[str, str | None]

_NAMES = (
    "Apple",
    'TV 40" black',
    "Tea; green, loose",
    "Cr\u00e8me br\u00fbl\u00e9e",
    "Stra\u00dfe | 5",
    "\u20ac-Shirt",
)
# What the sender's own system calls columns, and how it marks the type of a line.
_GERMAN = {
    "store_id": "Filiale",
    "transaction_id": "Bon",
    "gross_amount": "Brutto",
    "product_name": "Artikel",
}
_TYPES = {"line_type": {"S": "SALE", "R": "RETURN"}}
# First and last character of each column, from 1.
POSITIONS = {
    "store_id": [1, 6],
    "transaction_id": [7, 20],
    "line_number": [21, 24],
    "sold_at": [25, 38],
    "customer_id": [39, 46],
    "product_id": [47, 54],
    "line_type": [55, 55],
    "quantity": [56, 65],
    "gross_amount": [66, 77],
    "discount_amount": [78, 87],
    "category": [88, 97],
    "payment_method": [98, 103],
    "channel": [104, 110],
    "product_name": [111, 140],
}


@dataclass(frozen=True)
class DeliveredForm:
    """A form in which a day is delivered.

    Attributes:
        write: writes the lines of a day into the folder of its drop.
        profile: keys of the delivery profile that reads it; none for a form of the contract.
        known: what a person has to know of it, for ``scripts/profile.sh --known``.
    """

    write: Callable[[Path, Sequence[Line]], None]
    profile: dict[str, Any] = field(default_factory=dict)
    known: dict[str, dict[str, Any]] = field(default_factory=dict)


def day_of_sales(lines: int = 60) -> list[Line]:
    """A day: sales and returns, walk-ins, names with every odd character that a till writes."""
    return [_line(number) for number in range(lines)]


def _line(number: int) -> Line:
    returned = number % 7 == 3
    gross = Decimal(123456 + 997 * (number % 1000)) / 100 * (-1 if returned else 1)
    sold = dt.datetime.combine(DATE, dt.time(8 + number % 12, number % 60, number % 60), ZONE)
    return {
        "store_id": "1042",
        "transaction_id": f"T-{number // 2}",
        "line_number": str(number % 2),
        "sold_at": sold.isoformat(),
        "customer_id": None if number % 5 == 0 else f"C-{number % 9}",
        "product_id": f"P-{number % 6}",
        "product_name": _NAMES[number % len(_NAMES)],
        "category": "Fruit",
        "line_type": "RETURN" if returned else "SALE",
        "quantity": "-1.500" if returned else "3",
        "gross_amount": f"{gross:.2f}",
        "discount_amount": None if number % 4 else f"{gross / 10:.2f}",
        "currency": CURRENCY,
        "payment_method": "card",
        "channel": "store",
    }


def _contract_text(rows: Sequence[Line]) -> str:
    return _table(
        [RECEIVED_NAMES, *([row[name] or "" for name in RECEIVED_NAMES] for row in rows)], delimiter=","
    )


def _contract(folder: Path, rows: Sequence[Line]) -> None:
    (folder / "sales.csv").write_text(_contract_text(rows), encoding="utf-8")


def _semicolon(folder: Path, rows: Sequence[Line]) -> None:
    columns = [name for name in RECEIVED_NAMES if name not in ("currency", "channel")]
    table: list[Sequence[Any]] = [[_GERMAN.get(name, name) for name in columns]]
    for row in rows:
        own = row | {name: _comma(row[name]) for name in ("quantity", "gross_amount", "discount_amount")}
        own |= {"sold_at": _local(row, "%d.%m.%Y %H:%M:%S"), "line_type": str(row["line_type"])[0]}
        own |= {"customer_id": row["customer_id"] or "NULL"}
        table.append([own[name] for name in columns])
    (folder / "filiale_7.TXT").write_bytes(_table(table, ";", "\r\n").encode("windows-1252"))


def _pipe(folder: Path, rows: Sequence[Line]) -> None:
    columns = [name for name in RECEIVED_NAMES if name != "currency"]
    table: list[Sequence[Any]] = [["H", "till 7", DATE.isoformat()]]
    table += [["D", *(row[name] or "" for name in columns)] for row in rows]
    table.append(["T", len(rows), sum(Decimal(str(row["gross_amount"])) for row in rows)])
    (folder / "pos.dat").write_text(_table(table, "|"), encoding="utf-8")


def _tab(folder: Path, rows: Sequence[Line]) -> None:
    table = [[row[name] or "" for name in RECEIVED_NAMES] for row in rows]
    (folder / "sales.tsv").write_text(_table(table, "\t"), encoding="utf-16")


def _fixed(folder: Path, rows: Sequence[Line]) -> None:
    texts = []
    for row in rows:
        own = row | {name: _bare(row[name]) for name in ("quantity", "gross_amount", "discount_amount")}
        own |= {"sold_at": _local(row, "%Y%m%d%H%M%S"), "line_type": str(row["line_type"])[0]}
        padded = [(own[name] or "").ljust(last - first + 1) for name, (first, last) in POSITIONS.items()]
        texts.append("".join(padded).rstrip())
    (folder / "sap.fix").write_text("\n".join(texts) + "\n", encoding="iso-8859-15")


def _json_lines(folder: Path, rows: Sequence[Line]) -> None:
    (folder / "sales.json").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def _parquet(folder: Path, rows: Sequence[Line]) -> None:
    columns: dict[str, pa.Array] = {name: pa.array([row[name] for row in rows]) for name in RECEIVED_NAMES}
    for name in ("gross_amount", "discount_amount", "quantity"):
        values = [None if row[name] is None else Decimal(str(row[name])) for row in rows]
        columns[name] = pa.array(values, pa.decimal128(18, 3))
    columns["line_number"] = pa.array([int(str(row["line_number"])) for row in rows], pa.int16())
    moments = [dt.datetime.fromisoformat(str(row["sold_at"])) for row in rows]
    columns["sold_at"] = pa.array(moments, pa.timestamp("us", tz="UTC"))
    columns["category"] = columns["category"].dictionary_encode()
    columns["till"] = pa.array([{"number": 7}] * len(rows))
    pq.write_table(pa.table(columns), folder / "sales.parquet")


def _zipped(folder: Path, rows: Sequence[Line]) -> None:
    third = len(rows) // 3
    with zipfile.ZipFile(folder / "sales.csv.ZIP", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", _contract_text(rows[:third]))
        archive.writestr("b.csv", _contract_text(rows[third:]))


def _table(rows: Sequence[Sequence[Any]], delimiter: str, end: str = "\n") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows(rows)
    return text.getvalue()


def _local(row: Line, form: str) -> str:
    return dt.datetime.fromisoformat(str(row["sold_at"])).strftime(form)


def _comma(text: str | None) -> str:
    """1234.56 as 1.234,56."""
    return "" if text is None else f"{Decimal(text):,}".replace(",", "x").replace(".", ",").replace("x", ".")


def _bare(text: str | None) -> str:
    return "" if text is None else text.removeprefix("-")


FORMS: dict[str, DeliveredForm] = {
    "contract CSV": DeliveredForm(_contract),
    "semicolon, windows-1252": DeliveredForm(
        _semicolon,
        {
            "files": "filiale_*.txt",
            "delimiter": ";",
            "encoding": "windows-1252",
            "decimal": ",",
            "thousands": ".",
            "timestamp": "dd.MM.yyyy HH:mm:ss",
            "local_time": True,
            "nulls": ["", "NULL"],
            "columns": _GERMAN,
            "values": _TYPES,
            "constants": {"currency": CURRENCY, "channel": "store"},
        },
        {"constants": {"currency": CURRENCY, "channel": "store"}},
    ),
    "pipe, header and trailer": DeliveredForm(
        _pipe,
        {
            "files": "*.dat",
            "delimiter": "|",
            "header": ["type", *(name for name in RECEIVED_NAMES if name != "currency")],
            "constants": {"currency": CURRENCY},
            "record_type": {
                "data": "D",
                "trailer": "T",
                "skip": ["H"],
                "trailer_rows": 2,
                "trailer_gross": 3,
            },
        },
        {"constants": {"currency": CURRENCY}},
    ),
    "tab, no header, utf-16": DeliveredForm(
        _tab, {"files": "*.tsv", "delimiter": "tab", "header": list(RECEIVED_NAMES), "encoding": "utf-16"}
    ),
    "fixed width, iso-8859-15": DeliveredForm(
        _fixed,
        {
            "files": "*.fix",
            "format": "fixed_width",
            "encoding": "iso-8859-15",
            "positions": POSITIONS,
            "timestamp": "yyyyMMddHHmmss",
            "local_time": True,
            "sign": "by_line_type",
            "values": _TYPES,
            "constants": {"currency": CURRENCY},
        },
        {"constants": {"currency": CURRENCY}, "positions": POSITIONS},
    ),
    "JSON lines": DeliveredForm(_json_lines),
    "Parquet": DeliveredForm(_parquet),
    "zip of two CSV files": DeliveredForm(_zipped),
}
PROFILES = [form.profile for form in FORMS.values() if form.profile]
