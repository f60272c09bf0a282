"""Lines of bronze come back: rejected ones as they were received, accepted ones with equal values."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from chispa import assert_df_equality
from pyspark.sql import SparkSession

from tests.support.lines import DROP_DATE, received_frame, received_line
from tests.support.tables import dicts
from transforms.ingest_counts import filter_accepted, filter_rejected
from transforms.received import ValidationConfig, validate_received
from transforms.replay import count_quarantine, received_again

TERMS = ValidationConfig(scales={"USD": 2})
REJECTED = [
    received_line(currency="EUR", gross_amount=" 10.00 ", product_name='Älg "1"\n\\'),
    received_line(transaction_id=None, customer_id="", quantity="two"),
    received_line(store_id="\u00a0", discount_amount=None),
]
MALFORMED = {**dict.fromkeys(received_line()), "malformed_text": 'a,"b\nc'}


def test_every_field_comes_back_as_received(spark: SparkSession) -> None:
    received = received_frame(spark, [*REJECTED, received_line(), MALFORMED])
    again = received_again(filter_rejected(validate_received(received, TERMS)))
    expected = received_frame(spark, [*REJECTED, MALFORMED])
    assert_df_equality(again, expected, ignore_row_order=True, ignore_nullable=True)


def test_judged_again_under_the_same_terms_they_come_out_the_same(spark: SparkSession) -> None:
    rejected = filter_rejected(validate_received(received_frame(spark, [*REJECTED, MALFORMED]), TERMS))
    again = validate_received(received_again(rejected), TERMS)
    assert_df_equality(again, rejected, ignore_row_order=True, ignore_nullable=True)


def test_a_mended_list_of_currencies_accepts(spark: SparkSession) -> None:
    rejected = filter_rejected(validate_received(received_frame(spark, REJECTED), TERMS))
    mended = validate_received(received_again(rejected), ValidationConfig(scales={"USD": 2, "EUR": 2}))
    counted = dicts(count_quarantine(mended, "currency_not_allowed"))
    assert [(row["accepted"], row["rejected"]) for row in counted] == [(1, 0)]


ALL_CURRENCIES = ValidationConfig(
    scales={"USD": 2, "JPY": 0, "KWD": 3}, store_time_zones={"1043": "Asia/Tokyo"}
)
EVERY_DIGIT = "999999999999999"


def amount(currency: str, gross: str, discount: str | None, **extra: str | None) -> dict[str, str | None]:
    return received_line(currency=currency, gross_amount=gross, discount_amount=discount, **extra)


ACCEPTED = [
    received_line(),
    amount("USD", "0.00", None),
    amount("USD", "0", "0"),
    amount("USD", "+100.50", "0.10"),
    amount("USD", "1000", "1000.00"),
    amount("USD", f"{EVERY_DIGIT}.99", "0.01"),
    amount("USD", "-10.05", "-0.05", line_type="RETURN", quantity="-1.250"),
    amount("JPY", "500", "50"),
    amount("JPY", "0500", None),
    amount("JPY", EVERY_DIGIT, "10"),
    amount("KWD", "10.005", "0.100"),
    amount("KWD", "10.010", "10"),
    amount("KWD", f"-{EVERY_DIGIT}.999", None, line_type="RETURN", quantity="-999999999.999"),
    received_line(quantity="0.001"),
    received_line(quantity="+10.0"),
    received_line(quantity="100"),
    received_line(line_number="0"),
    received_line(line_number="0002147483647"),
    received_line(sold_at="2026-11-27T09:30Z"),
    received_line(sold_at="2026-11-27 09:30:00.123456+05:30"),
    received_line(sold_at="2026-11-27T09:30:00.000001Z"),
    received_line(sold_at="2026-11-27T09:30:00.1234567-05"),
    # Just before midnight in the time zone of the store, which is another day elsewhere.
    received_line(sold_at="2026-11-26T23:59:59.999999-05:00"),
    received_line(store_id="1043", sold_at="2026-11-26T14:59:59.999999Z"),
    received_line(store_id="1043", sold_at="2026-11-26T15:00:00Z"),
    # An hour that a clock change repeats: the offset is gone, the moment is not.
    received_line(sold_at="2026-11-01T01:30:00-04:00"),
    received_line(sold_at="2026-11-01T01:30:00-05:00"),
    received_line(sold_at="1970-01-01T00:00:00Z"),
    received_line(sold_at="1850-02-28T23:59:59.5Z"),
    # An adjustment: late days, and one of the last day that is on time.
    received_line(sold_at="2026-11-19T12:00:00-05:00"),
    received_line(sold_at="2026-11-20T12:00:00-05:00"),
    received_line(customer_id=None, product_name=None, category="", payment_method=" ", channel="\u00a0"),
    received_line(store_id=" 1042 ", product_name="  \u00c4lg\t", category='a, "b"\nc\\d'),
    received_line(product_name='{"line": null}', customer_id="null", channel="\U0001f600"),
]


def test_accepted_lines_validated_again_are_the_same(spark: SparkSession) -> None:
    numbered = [
        {**line, "transaction_id": f"T-{number}", "source_file": f"{number}.csv"}
        for number, line in enumerate(ACCEPTED)
    ]
    first = validate_received(received_frame(spark, numbered), ALL_CURRENCIES).localCheckpoint()
    assert [row.asDict() for row in filter_rejected(first).collect()] == []
    again = validate_received(received_again(first), ALL_CURRENCIES)
    assert_df_equality(again, first, ignore_row_order=True, ignore_nullable=True)


def test_each_accepted_field_comes_back_in_a_form_of_the_contract(spark: SparkSession) -> None:
    lines = [
        amount("USD", "100.00", None, quantity="20.500", line_number="007"),
        amount("JPY", "500", "0", sold_at="2026-11-27T09:30-05:00", customer_id=" "),
    ]
    judged = validate_received(received_frame(spark, lines), ALL_CURRENCIES)
    columns = (
        "currency",
        "gross_amount",
        "discount_amount",
        "quantity",
        "line_number",
        "sold_at",
        "customer_id",
    )
    found = dicts(received_again(judged), *columns, "malformed_text", "drop_date", "source_file")
    assert [tuple(row.values()) for row in found] == [
        ("JPY", "500", "0", "2", "1", "2026-11-27T14:30:00.000000Z", None, None, DROP_DATE, "sales.csv"),
        ("USD", "100", "0", "20.5", "7", "2026-11-27T14:30:00.000000Z", "C-7", None, DROP_DATE, "sales.csv"),
    ]


def test_accepted_and_rejected_lines_of_one_delivery_come_back_together(spark: SparkSession) -> None:
    received = received_frame(spark, [received_line(), *REJECTED, MALFORMED])
    first = validate_received(received, TERMS).localCheckpoint()
    assert filter_accepted(first).count() == 1
    assert_df_equality(
        validate_received(received_again(first), TERMS), first, ignore_row_order=True, ignore_nullable=True
    )


def test_other_terms_judge_and_date_accepted_lines_anew(spark: SparkSession) -> None:
    lines = [
        received_line(transaction_id="fine"),
        amount("KWD", "1.005", None, transaction_id="too fine"),
        received_line(transaction_id="late", sold_at="2026-11-22T12:00:00-05:00"),
        received_line(transaction_id="night", sold_at="2026-11-27T01:00:00-05:00"),
    ]
    first = validate_received(received_frame(spark, lines), ALL_CURRENCIES).localCheckpoint()
    assert filter_rejected(first).count() == 0
    terms = ValidationConfig(scales={"USD": 2, "KWD": 2}, day_starts_at=dt.time(4), late_days=3)
    again = validate_received(received_again(first), terms).localCheckpoint()
    found: dict[str, Any] = {row["transaction_id"]: row for row in dicts(again)}
    assert found["too fine"]["reject_reasons"] == ["excess_scale_gross_amount"]
    assert (found["late"]["is_adjustment"], found["late"]["business_date"]) == (True, DROP_DATE)
    assert found["night"]["sale_date"] == dt.date(2026, 11, 26)
    assert found["fine"] == {row["transaction_id"]: row for row in dicts(first)}["fine"]
    # And back again: nothing was lost on the way, of what was rejected neither.
    back = validate_received(received_again(again), ALL_CURRENCIES)
    assert_df_equality(back.drop("raw"), first.drop("raw"), ignore_row_order=True, ignore_nullable=True)


@pytest.mark.parametrize("sold_at", ["1000-01-01T00:00:00Z", "1000-01-01T00:00:00+14:00"])
def test_the_earliest_moments_that_are_accepted_are_accepted_again(spark: SparkSession, sold_at: str) -> None:
    first = validate_received(
        received_frame(spark, [received_line(sold_at=sold_at)]), TERMS
    ).localCheckpoint()
    again = validate_received(received_again(first), TERMS)
    assert_df_equality(again, first, ignore_nullable=True)
