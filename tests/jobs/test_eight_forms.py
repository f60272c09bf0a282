"""One day of sales in eight forms: the eight lakes are equal line for line."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from pyspark.sql import SparkSession

from jobs.ingest_sales import JOB as INGEST_SALES
from schemas.landing import RECEIVED_NAMES
from schemas.tables import RECEIVED_SALES
from tests.jobs.shop import Shop, line
from tests.support.landing import csv_text, drop_folder

DATE = "2026-03-02"
ZONE = ZoneInfo("America/New_York")
Line = dict[str, str | None]
# The last of these two names is what the file's own system calls the column.
GERMAN = {"store_id": "Filiale", "transaction_id": "Bon", "gross_amount": "Brutto", "product_name": "Artikel"}
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


def sales() -> list[Line]:
    """A day: sales and returns, walk-ins, names with every odd character that a till writes."""
    names = [
        "Apple",
        'TV 40" black',
        "Tea; green, loose",
        "Cr\u00e8me br\u00fbl\u00e9e",
        "Stra\u00dfe | 5",
        "\u20ac-Shirt",
    ]
    found = []
    for number in range(60):
        returned = number % 7 == 3
        gross = Decimal(123456 + 997 * number) / 100 * (-1 if returned else 1)
        sold = dt.datetime(2026, 3, 2, 8 + number % 12, number, number % 60, tzinfo=ZONE)
        found.append(
            line(
                f"T-{number // 2}",
                sold.isoformat(),
                line_number=str(number % 2),
                customer_id=None if number % 5 == 0 else f"C-{number % 9}",
                product_id=f"P-{number % 6}",
                product_name=names[number % len(names)],
                line_type="RETURN" if returned else "SALE",
                quantity="-1.500" if returned else "3",
                gross_amount=f"{gross:.2f}",
                discount_amount=None if number % 4 else f"{gross / 10:.2f}",
                currency="EUR",
            )
        )
    return found


def local(row: Line, form: str) -> str:
    return dt.datetime.fromisoformat(str(row["sold_at"])).strftime(form)


def comma(text: str | None) -> str:
    """1234.56 as 1.234,56."""
    return "" if text is None else f"{Decimal(text):,}".replace(",", "x").replace(".", ",").replace("x", ".")


def bare(text: str | None) -> str:
    return "" if text is None else text.removeprefix("-")


def written(rows: Sequence[Sequence[Any]], delimiter: str, end: str = "\n") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows(rows)
    return text.getvalue()


def contract(folder: Path, rows: list[Line]) -> None:
    (folder / "sales.csv").write_text(csv_text(rows), encoding="utf-8")


def semicolon(folder: Path, rows: list[Line]) -> None:
    columns = [name for name in RECEIVED_NAMES if name not in ("currency", "channel")]
    table = [[GERMAN.get(name, name) for name in columns]]
    for row in rows:
        own = dict(row) | {name: comma(row[name]) for name in ("quantity", "gross_amount", "discount_amount")}
        own |= {"sold_at": local(row, "%d.%m.%Y %H:%M:%S"), "line_type": str(row["line_type"])[0]}
        own |= {"customer_id": row["customer_id"] or "NULL"}
        table.append([own[name] for name in columns])
    (folder / "filiale_7.TXT").write_bytes(written(table, ";", "\r\n").encode("windows-1252"))


def pipe(folder: Path, rows: list[Line]) -> None:
    columns = [name for name in RECEIVED_NAMES if name != "currency"]
    table: list[list[Any]] = [["H", "till 7", DATE]]
    table += [["D", *(row[name] or "" for name in columns)] for row in rows]
    table.append(["T", len(rows), sum(Decimal(str(row["gross_amount"])) for row in rows)])
    (folder / "pos.dat").write_text(written(table, "|"), encoding="utf-8")


def tab(folder: Path, rows: list[Line]) -> None:
    table = [[row[name] or "" for name in RECEIVED_NAMES] for row in rows]
    (folder / "sales.tsv").write_text(written(table, "\t"), encoding="utf-16")


def fixed(folder: Path, rows: list[Line]) -> None:
    texts = []
    for row in rows:
        own = dict(row) | {name: bare(row[name]) for name in ("quantity", "gross_amount", "discount_amount")}
        own |= {"sold_at": local(row, "%Y%m%d%H%M%S"), "line_type": str(row["line_type"])[0]}
        text = ""
        for name, (first, last) in POSITIONS.items():
            assert len(text) == first - 1
            text += (own[name] or "").ljust(last - first + 1)
        texts.append(text.rstrip())
    (folder / "sap.fix").write_text("\n".join(texts) + "\n", encoding="iso-8859-15")


def json_lines(folder: Path, rows: list[Line]) -> None:
    (folder / "sales.json").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def parquet(folder: Path, rows: list[Line]) -> None:
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


def zipped(folder: Path, rows: list[Line]) -> None:
    with zipfile.ZipFile(folder / "sales.csv.ZIP", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", csv_text(rows[:20]))
        archive.writestr("b.csv", csv_text(rows[20:]))


COMMON = {"decimal": ",", "thousands": ".", "local_time": True, "nulls": ["", "NULL"]}
TYPES = {"line_type": {"S": "SALE", "R": "RETURN"}}
PROFILES: list[dict[str, Any]] = [
    {
        **COMMON,
        "files": "filiale_*.txt",
        "delimiter": ";",
        "encoding": "windows-1252",
        "timestamp": "dd.MM.yyyy HH:mm:ss",
        "columns": GERMAN,
        "values": TYPES,
        "constants": {"currency": "EUR", "channel": "store"},
    },
    {
        "files": "*.dat",
        "delimiter": "|",
        "header": ["type", *(name for name in RECEIVED_NAMES if name != "currency")],
        "constants": {"currency": "EUR"},
        "record_type": {"data": "D", "trailer": "T", "skip": ["H"], "trailer_rows": 2, "trailer_gross": 3},
    },
    {"files": "*.tsv", "delimiter": "tab", "header": list(RECEIVED_NAMES), "encoding": "utf-16"},
    {
        "files": "*.fix",
        "format": "fixed_width",
        "encoding": "iso-8859-15",
        "positions": POSITIONS,
        "timestamp": "yyyyMMddHHmmss",
        "local_time": True,
        "sign": "by_line_type",
        "values": TYPES,
        "constants": {"currency": "EUR"},
    },
]
FORMS: dict[str, Callable[[Path, list[Line]], None]] = {
    "contract": contract,
    "semicolon": semicolon,
    "pipe": pipe,
    "tab": tab,
    "fixed": fixed,
    "json": json_lines,
    "parquet": parquet,
    "zip": zipped,
}


@pytest.fixture(scope="module")
def lakes(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    config = tmp_path_factory.mktemp("config") / "mine.yaml"
    config.write_text(yaml.safe_dump({"deliveries": PROFILES, "currencies": ["EUR"]}))
    found = {}
    for form, write in FORMS.items():
        shop = Shop(spark, tmp_path_factory.mktemp(form), ["--config", str(config)])
        write(drop_folder(shop.landing, DATE), sales())
        shop.done(job=INGEST_SALES)
        rows = shop.rows(RECEIVED_SALES)
        found[form] = sorted(
            ({n: v for n, v in row.items() if n != "source_file"} for row in rows),
            key=lambda row: (row["transaction_id"], row["line_number"]),
        )
    return found


def test_the_contracts_form_holds_the_day(lakes: dict[str, list[dict[str, Any]]]) -> None:
    wanted = sorted(sales(), key=lambda row: (str(row["transaction_id"]), str(row["line_number"])))
    assert [row["validation_status"] for row in lakes["contract"]] == ["accepted"] * len(wanted)
    for row, sold in zip(lakes["contract"], wanted, strict=True):
        assert row["product_name"] == sold["product_name"]
        assert row["customer_id"] == sold["customer_id"]
        assert row["gross_amount"] == Decimal(str(sold["gross_amount"]))
        assert row["sold_at"] == dt.datetime.fromisoformat(str(sold["sold_at"]))


@pytest.mark.parametrize("form", [form for form in FORMS if form != "contract"])
def test_each_form_comes_to_the_same_lines(lakes: dict[str, list[dict[str, Any]]], form: str) -> None:
    assert len(lakes[form]) == len(lakes["contract"])
    for row, wanted in zip(lakes[form], lakes["contract"], strict=True):
        assert row == wanted
