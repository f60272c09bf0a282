"""The sample: real transactions to landed drops, on a handful of rows made by hand."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from schemas.landing import RECEIVED_NAMES
from scripts import completejourney, sample_drops

PRODUCTS = pa.table(
    {
        "product_id": pa.array([7, 8], pa.int64()),
        "product_type": pa.array(["ICE, CRUSHED", None]),
        "product_category": pa.array(["FRZN ICE", None]),
    }
)


def transaction(utc: str, basket: int = 1, store: int = 330, **other: Any) -> dict[str, Any]:
    return {
        "household_id": 900,
        "store_id": store,
        "basket_id": basket,
        "product_id": 7,
        "quantity": 1,
        "sales_value": 1.0,
        "retail_disc": 0.0,
        "coupon_disc": 0.0,
        "coupon_match_disc": 0.0,
        "transaction_timestamp": datetime.fromisoformat(utc),
        **other,
    }


def landed(folder: Path, *transactions: dict[str, Any]) -> dict[str, list[dict[str, str]]]:
    """Lands transactions and reads every drop back, by its date."""
    landing = completejourney.to_landing(pa.Table.from_pylist(list(transactions)), PRODUCTS)
    completejourney.write_drops(landing, folder)
    drops = {}
    for path in sorted(folder.glob("drop_date=*/sales.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            drops[path.parent.name.removeprefix("drop_date=")] = list(csv.DictReader(file))
    return drops


def test_a_line_has_the_contracts_columns_in_order(tmp_path: Path) -> None:
    drops = landed(tmp_path, transaction("2017-01-01T11:53:26", basket=31198570044, quantity=2))
    (line,) = drops["2017-01-01"]
    assert tuple(line) == RECEIVED_NAMES
    assert list(line.values()) == [
        *("330", "31198570044", "1", "2017-01-01T06:53:26-05:00", "900", "7", "ICE, CRUSHED", "FRZN ICE"),
        *("SALE", "2", "1.00", "0.00", "USD", "", ""),
    ]


@pytest.mark.parametrize(
    ("paid", "shop", "coupon", "match", "gross", "discount"),
    [
        (0.1, 0.2, 0.0, 0.0, "0.30", "0.20"),  # 0.1 + 0.2 is 0.30000000000000004
        (1.005, 0.0, 0.0, 0.0, "1.00", "0.00"),  # as near to a cent as a double comes
        (0.29, 0.57, 0.0, 0.0, "0.86", "0.57"),  # 0.29 * 100 is 28.999999999999996
        (2.0, 0.5, 0.75, 0.25, "2.75", "1.50"),
        (0.0, 0.0, 1.0, 0.0, "0.00", "1.00"),  # odd, and left as it is
        (840.0, 0.05, 0.0, 0.0, "840.05", "0.05"),
    ],
)
def test_amounts_are_exact_to_the_cent(
    tmp_path: Path, paid: float, shop: float, coupon: float, match: float, gross: str, discount: str
) -> None:
    amounts: dict[str, Any] = {
        "sales_value": paid,
        "retail_disc": shop,
        "coupon_disc": coupon,
        "coupon_match_disc": match,
    }
    (line,) = landed(tmp_path, transaction("2017-06-01T12:00:00", **amounts))["2017-06-01"]
    assert (line["gross_amount"], line["discount_amount"]) == (gross, discount)


def test_a_quantity_of_zero_and_an_unknown_product_stay(tmp_path: Path) -> None:
    rows = [
        transaction("2017-06-01T12:00:00", quantity=0, product_id=8),
        transaction("2017-06-01T12:00:00", product_id=99),
    ]
    first, second = landed(tmp_path, *rows)["2017-06-01"]
    assert (first["quantity"], first["product_name"], first["category"]) == ("0", "", "")
    assert (second["product_id"], second["product_name"]) == ("99", "")


def test_times_are_the_stores_on_both_days_the_clocks_change(tmp_path: Path) -> None:
    drops = landed(
        tmp_path,
        transaction("2017-03-12T04:59:59"),
        transaction("2017-03-12T05:00:00"),
        transaction("2017-03-12T06:59:59"),
        transaction("2017-03-12T07:00:00"),
        transaction("2017-11-05T05:30:00"),
        transaction("2017-11-05T06:30:00"),
    )
    assert {date: [line["sold_at"] for line in lines] for date, lines in drops.items()} == {
        "2017-03-11": ["2017-03-11T23:59:59-05:00"],
        "2017-03-12": ["2017-03-12T00:00:00-05:00", "2017-03-12T01:59:59-05:00", "2017-03-12T03:00:00-04:00"],
        "2017-11-05": ["2017-11-05T01:30:00-04:00", "2017-11-05T01:30:00-05:00"],
    }


def test_lines_are_numbered_within_store_and_basket_in_file_order(tmp_path: Path) -> None:
    noon = "2017-06-01T12:00:00"
    rows = [
        transaction(noon, basket=1, quantity=1),
        transaction(noon, basket=2, quantity=2),
        transaction(noon, basket=1, quantity=3),
        transaction(noon, basket=1, store=331, quantity=4),
        transaction(noon, basket=1, quantity=5),
    ]
    lines = landed(tmp_path, *rows)["2017-06-01"]
    assert [(line["quantity"], line["line_number"]) for line in lines] == [
        ("1", "1"),
        ("2", "1"),
        ("3", "2"),
        ("4", "1"),
        ("5", "3"),
    ]


def test_the_manifest_holds_rows_and_total(tmp_path: Path) -> None:
    landed(
        tmp_path,
        transaction("2017-06-01T12:00:00", sales_value=0.1),
        transaction("2017-06-01T13:00:00", sales_value=0.2),
        transaction("2017-06-02T13:00:00", sales_value=5.0),
    )
    manifest = json.loads((tmp_path / "drop_date=2017-06-01" / "manifest.json").read_text())
    assert manifest == {
        "closed": False,
        "files": [{"name": "sales.csv", "rows": 2, "gross_amount": {"USD": "0.30"}}],
    }


def test_the_same_transactions_land_as_the_same_bytes(tmp_path: Path) -> None:
    rows = [transaction(f"2017-06-0{day}T12:00:0{second}") for day in (1, 2) for second in range(5)]
    for name in ("first", "second"):
        landed(tmp_path / name, *rows)
    first, second = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in ("first", "second")
    )
    assert first == second


def test_a_landing_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    source = (pa.Table.from_pylist([transaction("2017-06-01T12:00:00")]), PRODUCTS)
    monkeypatch.setattr(completejourney, "read_source", lambda: source)
    monkeypatch.setattr(completejourney, "write_drops", disk_full)
    with pytest.raises(OSError, match="No space left"):
        sample_drops.land(tmp_path / "landing")
    assert list(tmp_path.iterdir()) == []
    assert not sample_drops.is_landed(tmp_path / "landing")
