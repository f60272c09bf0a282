"""What is delivered: few sales and few drops, so that they meet; and how it is put into the landing."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from tests.jobs.shop import Shop, line
from tests.model.reference import (
    Landed,
    Sale,
)
from tests.support.landing import csv_text, drop_folder

Date = dt.date
FIRST = dt.date(2026, 3, 2)
# In time, late by a day or three, and too late: an adjustment.
DROPS = [FIRST + dt.timedelta(days) for days in (0, 1, 3, 10, 12)]
GOOD = ("good",) * 10
BAD = ("rejects", "manifest", "header", "gzip", "empty")
PAYLOADS: list[dict[str, Any]] = [
    {},
    {"product_name": "Zebra", "gross_amount": "11.00", "customer_id": None},
    {"product_name": "Mango", "gross_amount": "-5.00", "discount_amount": "0", "quantity": "-1",
     "line_type": "RETURN", "currency": "EUR", "customer_id": "C-8"},
]  # fmt: skip


def sold(day: int, number: int, store_id: str, payload: int) -> Sale:
    """A sale of one of two days; the third is of a late evening in New York, a day later elsewhere."""
    date = FIRST + dt.timedelta(day)
    moment = f"{date}T15:00:00+00:00" if number < 3 else f"{date + dt.timedelta(1)}T03:30:00+00:00"
    return Sale(store_id, f"T-{number}", 1, moment, **PAYLOADS[payload])


drops = st.sampled_from(DROPS)
sales = st.builds(
    sold,
    st.sampled_from([0, 0, 1]),
    st.sampled_from([1, 2, 3]),
    st.sampled_from(["1042", "1042", "2"]),
    st.sampled_from([0, 0, 1, 2]),
)
lines_of_file = st.lists(sales, min_size=1, max_size=4)
commits = st.one_of(
    st.integers(1, 22),
    st.sampled_from(
        [
            "bronze/received_sales",
            "silver/conflicts",
            "silver/sales",
            "gold/daily_sales",
            "gold/weekly_product_sales",
            "gold/invoices",
        ]
    ),
)


def distinct(lines: Iterable[Sale]) -> tuple[Sale, ...]:
    """Of lines with one key in a file, those equal to the first: a hash would decide between others."""
    first: dict[tuple[str, ...], Sale] = {}
    kept = []
    for sale in lines:
        if first.setdefault((sale.store_id, sale.transaction_id, sale.sold_at), sale) == sale:
            kept.append(sale)
    return tuple(kept)


def changed(lines: list[Sale], change: str) -> tuple[Sale, ...]:
    if change == "without first":
        return tuple(lines[1:])
    if change == "without last":
        return tuple(lines[:-1])
    if change == "payload":
        return tuple(replace(sale, gross_amount=f"{sale.gross_amount[:-1]}5") for sale in lines)
    if change == "moved":
        days = {sale: dt.timedelta(1 if sale.moment.day in (2, 3) else -1) for sale in lines}
        return tuple(replace(sale, sold_at=(sale.moment + days[sale]).isoformat()) for sale in lines)
    return tuple(lines)


def write_drop(shop: Shop, drop: Date, landed: Landed) -> None:
    """Puts a delivery in the place of the one before."""
    folder = drop_folder(shop.landing, drop)
    for path in folder.iterdir():
        path.unlink()
    for name, found in landed.files.items():
        text = csv_text(line(**sale.fields()) for sale in found)
        if landed.kind == "header":
            text = text.replace("currency", "money", 1)
        (folder / name).write_text(text, encoding="utf-8")
    counts = [{"name": name, "rows": len(found)} for name, found in landed.files.items()]
    if landed.kind == "manifest":
        shop.manifest(str(drop), {**counts[0], "rows": counts[0]["rows"] + 1}, *counts[1:])
    elif landed.kind == "closed":
        shop.manifest(str(drop), closed=True)
    elif landed.kind == "gzip":
        whole_file = gzip.compress(csv_text(line(f"G-{n * n}") for n in range(300)).encode(), mtime=0)
        (folder / "z.csv.gz").write_bytes(whole_file[: len(whole_file) // 2])
    elif landed.kind == "empty":
        (folder / "z.csv").write_bytes(b"")
