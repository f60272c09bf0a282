"""Hand-made lines: as received (text) and as accepted (typed)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import DateType, IntegerType, StringType, StructField, StructType

from pipeline.lake.frames import local_frame
from schemas.landing import RECEIVED_NAMES
from schemas.tables import RECEIVED_SALES
from transforms.hashing import key_hash, payload_hash

DROP_DATE = dt.date(2026, 11, 27)

_RECEIVED_DEFAULTS: dict[str, str | None] = dict.fromkeys(RECEIVED_NAMES) | {
    "store_id": "1042",
    "transaction_id": "T-1",
    "line_number": "1",
    "sold_at": "2026-11-27T09:30:00-05:00",
    "customer_id": "C-7",
    "product_id": "P-1",
    "product_name": "Apple",
    "category": "Fruit",
    "line_type": "SALE",
    "quantity": "2",
    "gross_amount": "10.00",
    "discount_amount": "1.00",
    "currency": "USD",
    "payment_method": "card",
    "channel": "store",
}


def received_line(**fields: str | None) -> dict[str, str | None]:
    """A line as received: every contract column as text, sound unless told otherwise."""
    unknown = set(fields) - set(RECEIVED_NAMES)
    assert not unknown, f"no such column: {unknown}"
    return {**_RECEIVED_DEFAULTS, **fields}


def received_frame(
    spark: SparkSession,
    lines: Iterable[Mapping[str, Any]],
    drop_date: dt.date = DROP_DATE,
    source_file: str = "sales.csv",
) -> DataFrame:
    """Received lines as the landing hands them on; a line may bring malformed_text and its own origin."""
    texts = [StructField(name, StringType()) for name in (*RECEIVED_NAMES, "malformed_text")]
    origin = [StructField("drop_date", DateType()), StructField("source_file", StringType())]
    schema = StructType([*texts, *origin])
    defaults = {"drop_date": drop_date, "source_file": source_file}
    return _in_a_task(local_frame(spark, schema, [{**defaults, **line} for line in lines]))


def accepted_line(**values: Any) -> dict[str, Any]:
    """A line as bronze holds it once accepted, without its hashes; sold_at is naive UTC.

    Where only some dates are given the others follow: sale_date is the drop date, business_date the sale
    date, or the drop date of an adjustment.
    """
    line: dict[str, Any] = {
        "drop_date": DROP_DATE,
        "source_file": "sales.csv",
        "validation_status": "accepted",
        "reject_reasons": [],
        "raw": None,
        "is_adjustment": False,
        **_RECEIVED_DEFAULTS,
        "line_number": 1,
        "sold_at": dt.datetime(2026, 11, 27, 14, 30, tzinfo=dt.UTC),
        "quantity": Decimal("2"),
        "gross_amount": Decimal("10.00"),
        "discount_amount": Decimal("1.00"),
    }
    unknown = set(values) - set(RECEIVED_SALES.columns)
    assert not unknown, f"no such column: {unknown}"
    line |= values
    line.setdefault("sale_date", line["drop_date"])
    line.setdefault("business_date", line["drop_date"] if line["is_adjustment"] else line["sale_date"])
    return line


def bronze_frame(spark: SparkSession, lines: Iterable[Mapping[str, Any]]) -> DataFrame:
    """Accepted lines with the columns of ``bronze/received_sales``, hashed as an ingest hashes them."""
    frame = local_frame(spark, RECEIVED_SALES.schema, list(lines))
    return frame.withColumns({"key_hash": key_hash(), "payload_hash": payload_hash()})


def texts_frame(spark: SparkSession, *columns: str, rows: Iterable[Sequence[str | None]]) -> DataFrame:
    """Rows of texts, in this order by column ``n``."""
    schema = StructType([StructField("n", IntegerType()), *[StructField(c, StringType()) for c in columns]])
    numbered = [{"n": n, **dict(zip(columns, row, strict=True))} for n, row in enumerate(rows)]
    return _in_a_task(local_frame(spark, schema, numbered))


def _in_a_task(frame: DataFrame) -> DataFrame:
    # Of rows of the driver alone, Spark's optimizer works columns out itself, not by the code it compiles.
    return frame.coalesce(1)
