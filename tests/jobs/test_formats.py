"""Every form in which a drop may be delivered, mixed in one drop."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs.ingest_sales import JOB as INGEST_SALES
from schemas.landing import RECEIVED_NAMES
from schemas.tables import LEDGER_DROPS, RECEIVED_SALES
from tests.jobs.shop import Ran, Shop, line
from tests.support.landing import csv_text

DATE = "2026-03-02"
BACKWARDS = list(reversed(RECEIVED_NAMES))
SHOP_NO = [
    "--set",
    "columns={store_id: shop_no, product_name: Article}",
    "--set",
    "audit.max_rejected_share=1",
]


def delivered(transaction_id: str, **fields: Any) -> dict[str, Any]:
    """A line under the names of the shop's own system."""
    own = dict(line(transaction_id, f"{DATE}T15:00:00Z"))
    own |= fields
    own["shop_no"], own["Article"] = own.pop("store_id"), own.pop("product_name")
    return own


def header(columns: list[str]) -> list[str]:
    return [{"store_id": "shop_no", "product_name": "Article"}.get(name, name) for name in columns]


# As a line holds it, and what becomes of it: a double would make two ids one, or another.
NUMBERS = {
    "product_id": ["123456789012345678901234567890123456789012", "1e1", "10.50", "1.0", "-0", "7"],
    "customer_id": ["123456789012345678901234567890123456789013", "1E+1", "10.5", "1", "0", "7"],
}


def _with_numbers_as_ids() -> list[str]:
    texts = []
    for number, (product, customer) in enumerate(zip(*NUMBERS.values(), strict=True)):
        text = json.dumps(delivered(f"number {number}", product_id="@p", customer_id="@c"))
        texts.append(text.replace('"@p"', product).replace('"@c"', customer))
    escaped = json.dumps(delivered("escaped", product_id="@p")).replace('"@p"', "7.50")
    texts.append(escaped.replace('"product_id"', '"product\\u005fid"').replace("Apple", 'A \\" 1.50, '))
    # Sound only where its number is: in quotes it would be.
    texts.append(json.dumps(delivered("zero", product_id="@p", customer_id="1\\n")).replace('"@p"', "01"))
    amount = "10.0000000000000000000000000000000000000001"
    texts.append(json.dumps(delivered("fine", gross_amount="@a")).replace('"@a"', amount))
    return texts


@pytest.fixture(scope="module")
def ingested(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, Ran]:
    shop = Shop(spark, tmp_path_factory.mktemp("formats"), SHOP_NO)
    names = header(list(RECEIVED_NAMES))

    def land(name: str, *lines: dict[str, Any], columns: list[str] = names) -> None:
        shop.land_bytes(DATE, csv_text(lines, columns).encode(), name)

    land("plain.csv", delivered("plain"))
    land("packed.csv.gz", delivered("packed"))
    land("backwards.csv", delivered("backwards", customer_id="C-B"), columns=header(BACKWARDS))
    quoted = delivered("quoted", product_name='Tea, "green"\t5', category='"')
    land("quoted.csv", quoted)
    shop.land_bytes(DATE, b"\xef\xbb\xbf" + csv_text([delivered("marked")], names).encode(), "marked.csv")
    windows = csv_text([delivered("crlf 1"), delivered("crlf 2", channel="web")], names).replace("\n", "\r\n")
    shop.land_bytes(DATE, windows.encode(), "crlf.csv")
    land("more.csv", delivered("more", till="9"), columns=["till", *names])
    land("header only.csv")
    exact = json.dumps(delivered("json")).replace(
        '"gross_amount": "10.00"', '"gross_amount": 123456789012.10'
    )
    texts = [
        exact,
        json.dumps(
            delivered("json 2", product_name='Caf\u00e9 "noir"', discount_amount=None), ensure_ascii=False
        ),
        "",
        json.dumps(delivered("json 3")) + json.dumps(delivered("json 3")),
        json.dumps(delivered("json 4")) + ", null",
        json.dumps([delivered("json 5")]),
        "17",
        '{"shop_no": ',
        json.dumps({**delivered("json 6"), "gross_amount": 10.001}),
        *_with_numbers_as_ids(),
    ]
    shop.land_bytes(DATE, ("\ufeff" + "\n".join(texts)).encode(), "lines.json")
    (shop.landing / f"drop_date={DATE}" / "_readme.txt").write_text("hidden")
    return shop, shop.done(job=INGEST_SALES)


def row(ingested: tuple[Shop, Ran], transaction_id: str) -> dict[str, Any]:
    (found,) = ingested[0].rows(RECEIVED_SALES, transaction_id=transaction_id)
    return found


def test_every_form_is_read_to_the_same_columns(ingested: tuple[Shop, Ran]) -> None:
    told = ("plain", "packed", "marked", "crlf 1", "more")
    columns = [name for name in RECEIVED_NAMES if name != "transaction_id"]
    first = row(ingested, "plain")
    assert first["validation_status"] == "accepted"
    assert (first["store_id"], first["product_name"], str(first["gross_amount"])) == (
        "1042",
        "Apple",
        "10.000",
    )
    for name in told:
        assert {c: row(ingested, name)[c] for c in columns} == {c: first[c] for c in columns}, name
    assert row(ingested, "backwards")["customer_id"] == "C-B"
    assert row(ingested, "crlf 2")["channel"] == "web"


def test_quoted_commas_and_quotes_are_text(ingested: tuple[Shop, Ran]) -> None:
    assert row(ingested, "quoted")["product_name"] == 'Tea, "green"\t5'
    assert row(ingested, "quoted")["category"] == '"'
    assert row(ingested, "json 2")["product_name"] == 'Caf\u00e9 "noir"'


def test_json_numbers_keep_their_digits(ingested: tuple[Shop, Ran]) -> None:
    assert str(row(ingested, "json")["gross_amount"]) == "123456789012.100"
    rejected = ingested[0].rows(RECEIVED_SALES, "reject_reasons", transaction_id="json 6")
    assert rejected == [{"reject_reasons": ["excess_scale_gross_amount"]}]
    assert str(row(ingested, "json 2")["discount_amount"]) == "0.000"


def test_a_json_line_that_is_not_one_object_is_malformed(ingested: tuple[Shop, Ran]) -> None:
    malformed = [
        json.loads(found["raw"])["line"]
        for found in ingested[0].rows(RECEIVED_SALES, validation_status="rejected")
        if found["reject_reasons"] == ["malformed_line"]
    ]
    assert sorted(text[:9] for text in malformed) == sorted(
        ['{"transac', '{"transac', '{"transac', '[{"transa', "17", '{"shop_no']
    )


def test_json_numbers_keep_their_digits_as_ids(ingested: tuple[Shop, Ran]) -> None:
    told = [row(ingested, f"number {number}") for number in range(len(NUMBERS["product_id"]))]
    assert {name: [line[name] for line in told] for name in NUMBERS} == NUMBERS
    assert (row(ingested, "escaped")["product_id"], row(ingested, "escaped")["product_name"]) == (
        "7.50",
        'A " 1.50,',
    )
    assert row(ingested, "fine")["reject_reasons"] == ["excess_scale_gross_amount"]


def test_nothing_is_lost_and_what_is_left_out_is_told(ingested: tuple[Shop, Ran]) -> None:
    shop, ran = ingested
    (drop,) = shop.rows(LEDGER_DROPS)
    assert (drop["files"], drop["lines"], drop["accepted"], drop["rejected"]) == (9, 25, 17, 8)
    assert drop["extra_columns"] == ["till"]
    assert "columns left out, not of the contract: till" in ran.stderr
    assert "readme.txt" not in ran.stderr
