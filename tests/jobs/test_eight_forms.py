"""One day of sales in eight forms: the eight lakes are equal line for line."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession

from jobs.ingest_sales import JOB as INGEST_SALES
from schemas.tables import RECEIVED_SALES
from tests.jobs.shop import Shop
from tests.support.landing import drop_folder
from tools.synthetic.forms import DATE, FORMS, PROFILES, day_of_sales

CONTRACT, *OTHERS = FORMS


@pytest.fixture(scope="module")
def lakes(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    config = tmp_path_factory.mktemp("config") / "mine.yaml"
    config.write_text(yaml.safe_dump({"deliveries": PROFILES, "currencies": ["EUR"]}))
    found = {}
    for name, form in FORMS.items():
        shop = Shop(spark, tmp_path_factory.mktemp("form"), ["--config", str(config)])
        form.write(drop_folder(shop.landing, DATE), day_of_sales())
        shop.done(job=INGEST_SALES)
        rows = shop.rows(RECEIVED_SALES)
        found[name] = sorted(
            ({n: v for n, v in row.items() if n != "source_file"} for row in rows),
            key=lambda row: (row["transaction_id"], row["line_number"]),
        )
    return found


def test_the_contracts_form_holds_the_day(lakes: dict[str, list[dict[str, Any]]]) -> None:
    wanted = sorted(day_of_sales(), key=lambda row: (str(row["transaction_id"]), str(row["line_number"])))
    assert [row["validation_status"] for row in lakes[CONTRACT]] == ["accepted"] * len(wanted)
    for row, sold in zip(lakes[CONTRACT], wanted, strict=True):
        assert row["product_name"] == sold["product_name"]
        assert row["customer_id"] == sold["customer_id"]
        assert row["gross_amount"] == Decimal(str(sold["gross_amount"]))
        assert row["sold_at"] == dt.datetime.fromisoformat(str(sold["sold_at"]))


@pytest.mark.parametrize("form", OTHERS)
def test_each_form_comes_to_the_same_lines(lakes: dict[str, list[dict[str, Any]]], form: str) -> None:
    assert len(lakes[form]) == len(lakes[CONTRACT])
    for row, wanted in zip(lakes[form], lakes[CONTRACT], strict=True):
        assert row == wanted


@pytest.mark.parametrize(
    ("count", "total", "told"),
    [
        (59, None, "trailer says 59 rows in pos.dat, 60 were read"),
        (60, "1.00", "trailer says gross_amount 1.00 EUR in pos.dat, "),
    ],
)
def test_a_delivery_that_disagrees_with_its_trailer_is_refused(
    spark: SparkSession, interpreted: None, tmp_path: Path, count: int, total: str | None, told: str
) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text(yaml.safe_dump({"deliveries": PROFILES, "currencies": ["EUR"]}))
    shop = Shop(spark, tmp_path, ["--config", str(config)])
    folder = drop_folder(shop.landing, DATE)
    FORMS["pipe, header and trailer"].write(folder, day_of_sales())
    text = (folder / "pos.dat").read_text(encoding="utf-8")
    lines, _, trailer = text.rstrip("\n").rpartition("\n")
    sum_of_lines = trailer.split("|")[2]
    (folder / "pos.dat").write_text(f"{lines}\nT|{count}|{total or sum_of_lines}\n", encoding="utf-8")
    ran = shop.run(job=INGEST_SALES)
    assert (ran.code, shop.rows(RECEIVED_SALES)) == (4, [])
    assert f"drop {DATE} is blocked: {told}" in ran.error
