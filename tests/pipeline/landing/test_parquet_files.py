"""Parquet as databases and data frames write it: each type is read exactly, or refused by name."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from pipeline.landing.config import LandingConfig
from pipeline.landing.landing import Landing
from pipeline.profiles import DeliveryProfile
from schemas.errors import AuditError
from schemas.landing import RECEIVED_NAMES
from tests.support.landing import drop_folder
from tests.support.lines import DROP_DATE

NOON_IN_NANOSECONDS = 1_772_452_800_000_000_000  # 2026-03-02T12:00:00Z


def column(value: Any, kind: pa.DataType) -> pa.Array:
    return pa.array([value], kind)


FLOAT = pa.float64()
# Columns of a file that differ from text, and what is read of them.
FILES: dict[str, tuple[dict[str, pa.Array], dict[str, str | None]]] = {
    "decimals and integers": (
        {
            "gross_amount": column(Decimal("12.30"), pa.decimal128(38, 18)),
            "discount_amount": column(Decimal(0), pa.decimal128(9, 2)),
            "quantity": column(2**64 - 1, pa.uint64()),
            "line_number": column(7, pa.int8()),
            "category": pa.nulls(1),
            "channel": column("web", pa.dictionary(pa.int32(), pa.string())),
        },
        {
            "gross_amount": "12.3",
            "discount_amount": "0",
            "quantity": "18446744073709551615",
            "line_number": "7",
            "category": None,
            "channel": "web",
        },
    ),
    "nanoseconds": (
        {"sold_at": column(NOON_IN_NANOSECONDS - 1, pa.timestamp("ns", tz="UTC"))},
        {"sold_at": "2026-03-02T11:59:59.999999999Z"},
    ),
    "nanoseconds before 1970": (
        {"sold_at": column(-1, pa.timestamp("ns", tz="UTC"))},
        {"sold_at": "1969-12-31T23:59:59.999999999Z"},
    ),
    "local nanoseconds": (
        {"sold_at": column(NOON_IN_NANOSECONDS, pa.timestamp("ns"))},
        {"sold_at": "2026-03-02T11:00:00.000000Z"},
    ),
    "local microseconds": (
        {"sold_at": column(dt.datetime(2026, 3, 2, 12), pa.timestamp("us"))},
        {"sold_at": "2026-03-02T11:00:00.000000Z"},
    ),
    "the old type of times": (
        {"sold_at": column(dt.datetime(2026, 3, 2, 12, 0, 0, 1), pa.timestamp("us"))},
        {"sold_at": "2026-03-02T12:00:00.000001Z"},
    ),
    "other plain types": (
        {
            "line_number": column(255, pa.uint8()),
            "quantity": column(65535, pa.uint16()),
            "gross_amount": column(2**32 - 1, pa.uint32()),
            "category": column("Caf\u00e9", pa.large_string()),
            "channel": column(b"web", pa.binary()),
            "payment_method": column(True, pa.bool_()),
            "product_name": column(dt.date(2026, 3, 2), pa.date32()),
        },
        {
            "line_number": "255",
            "quantity": "65535",
            "gross_amount": "4294967295",
            "category": "Caf\u00e9",
            "channel": "web",
            "payment_method": "true",
            "product_name": "2026-03-02",
        },
    ),
    "a tick in a name": ({"art`icle": column("Tea", pa.string())}, {"product_name": "Tea"}),
    "columns that are not read": (
        {
            "loaded_at": column(0, pa.timestamp("ns")),
            "shift": column(dt.time(12), pa.time64("us")),
            "drop_date": column("1", pa.string()),
            "extra": column("x", pa.string()),
            "Extra": column("y", pa.string()),
        },
        {"store_id": "S"},
    ),
    "a text": (
        {"customer_id": column("Rene\u0301\u200b", pa.string())},
        {"customer_id": "Ren\u00e9", "store_id": "S"},
    ),
    "floating point": (
        {"gross_amount": column(10 / 3, FLOAT), "discount_amount": column(float("inf"), FLOAT)},
        {"gross_amount": "3.33", "discount_amount": "Infinity"},
    ),
    "floating point of a constant currency": (
        {"gross_amount": column(10 / 3, FLOAT), "quantity": column(float("nan"), FLOAT)},
        {"gross_amount": "3", "quantity": "NaN", "currency": "JPY"},
    ),
}


def write(path: Path, columns: dict[str, pa.Array]) -> None:
    texts = dict.fromkeys(RECEIVED_NAMES, "1") | {"store_id": "S", "currency": "EUR"}
    arrays = {name: pa.array([value]) for name, value in texts.items()} | columns
    pq.write_table(pa.table(arrays), path, use_deprecated_int96_timestamps="old type" in path.name)


def opened(spark: SparkSession, root: Path) -> Landing:
    keys: dict[str, Any] = {"format": "parquet", "allow_float_amounts": True, "local_time": True}
    constant = DeliveryProfile(files="*constant*", constants={"currency": "JPY"}, **keys)
    renamed = DeliveryProfile(files="*tick*", columns={"product_name": "art`icle"}, **keys)
    config = LandingConfig(
        profiles=(constant, renamed, DeliveryProfile(files="*", **keys)),
        is_normalized=True,
        time_zone="Europe/Berlin",
        currency_scales={"EUR": 2, "JPY": 0},
    )
    return Landing(spark, str(root), config)


def test_each_type_is_read_exactly(spark: SparkSession, interpreted: None, tmp_path: Path) -> None:
    for name, (columns, _) in FILES.items():
        write(drop_folder(tmp_path, DROP_DATE) / f"{name}.parquet", columns)
    landing = opened(spark, tmp_path)
    (drop,) = landing.drops(None, None)
    rows = landing.lines({drop: landing.headers(drop)}).collect()
    read = {row.source_file.removesuffix(".parquet"): row.asDict() for row in rows}
    found = {name: {key: read[name][key] for key in wanted} for name, (_, wanted) in FILES.items()}
    assert found == {name: wanted for name, (_, wanted) in FILES.items()}


def test_floating_point_is_refused_unless_the_profile_rounds_it(spark: SparkSession, tmp_path: Path) -> None:
    write(drop_folder(tmp_path, DROP_DATE) / "a.parquet", {"gross_amount": column(0.1, pa.float32())})
    landing = Landing(spark, str(tmp_path), LandingConfig())
    (drop,) = landing.drops(None, None)
    with pytest.raises(AuditError, match="'gross_amount' is float, binary floating point, which cannot hold"):
        landing.headers(drop)
    rounding = opened(spark, tmp_path)
    rounding.headers(drop)
    (note,) = rounding.notes
    assert "a.parquet: gross_amount hold binary floating point and are rounded to the decimals" in note


def test_an_id_in_floating_point_is_refused_even_so(spark: SparkSession, tmp_path: Path) -> None:
    write(drop_folder(tmp_path, DROP_DATE) / "a.parquet", {"customer_id": column(1.0, FLOAT)})
    landing = opened(spark, tmp_path)
    (drop,) = landing.drops(None, None)
    with pytest.raises(AuditError, match="'customer_id' is double, binary floating point"):
        landing.headers(drop)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"sold_at": column(dt.time(12), pa.time64("us"))},
            r"a.parquet: column 'sold_at' is time64\[us\]; it must be a plain value: a string",
        ),
        ({"customer_id": column(["C"], pa.list_(pa.string()))}, "column 'customer_id' is list"),
        (
            {"gross_amount": column(Decimal(1), pa.decimal256(39, 2))},
            r"'gross_amount' is decimal256\(39, 2\)",
        ),
        (
            {"Customer_ID": column("C", pa.string())},
            "columns 'Customer_ID', 'customer_id' differ in letter case alone",
        ),
    ],
)
def test_a_column_that_spark_cannot_read_is_refused_by_name(
    spark: SparkSession, tmp_path: Path, columns: dict[str, pa.Array], message: str
) -> None:
    write(drop_folder(tmp_path, DROP_DATE) / "a.parquet", columns)
    landing = opened(spark, tmp_path)
    (drop,) = landing.drops(None, None)
    with pytest.raises(AuditError, match=message):
        landing.headers(drop)
