"""Rejected lines come back as they were received."""

from __future__ import annotations

from chispa import assert_df_equality
from pyspark.sql import SparkSession

from tests.support.lines import received_frame, received_line
from tests.support.tables import dicts
from transforms.receipts import filter_rejected
from transforms.received import JudgingTerms, judge_received
from transforms.replay import count_quarantine, received_again

TERMS = JudgingTerms(scales={"USD": 2})
REJECTED = [
    received_line(currency="EUR", gross_amount=" 10.00 ", product_name='Älg "1"\n\\'),
    received_line(transaction_id=None, customer_id="", quantity="two"),
    received_line(store_id="\u00a0", discount_amount=None),
]
MALFORMED = {**dict.fromkeys(received_line()), "malformed_text": 'a,"b\nc'}


def test_every_field_comes_back_as_received(spark: SparkSession) -> None:
    received = received_frame(spark, [*REJECTED, received_line(), MALFORMED])
    again = received_again(filter_rejected(judge_received(received, TERMS)))
    expected = received_frame(spark, [*REJECTED, MALFORMED])
    assert_df_equality(again, expected, ignore_row_order=True, ignore_nullable=True)


def test_judged_again_under_the_same_terms_they_come_out_the_same(spark: SparkSession) -> None:
    rejected = filter_rejected(judge_received(received_frame(spark, [*REJECTED, MALFORMED]), TERMS))
    again = judge_received(received_again(rejected), TERMS)
    assert_df_equality(again, rejected, ignore_row_order=True, ignore_nullable=True)


def test_a_mended_list_of_currencies_accepts(spark: SparkSession) -> None:
    rejected = filter_rejected(judge_received(received_frame(spark, REJECTED), TERMS))
    mended = judge_received(received_again(rejected), JudgingTerms(scales={"USD": 2, "EUR": 2}))
    counted = dicts(count_quarantine(mended, "currency_not_allowed"))
    assert [(row["accepted"], row["rejected"]) for row in counted] == [(1, 0)]
