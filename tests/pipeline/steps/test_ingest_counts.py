from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from pipeline.steps.ingest_counts import count_drops
from schemas.drops import Drop, IngestedDrop, StoreContent
from tests.support.lines import accepted_line, bronze_frame

pytestmark = pytest.mark.usefixtures("interpreted")
D, E = dt.date(2026, 3, 2), dt.date(2026, 3, 3)


def at(day: dt.date, hour: int) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, hour, tzinfo=dt.UTC)


def sold(drop_date: dt.date, store: str, hour: int, amount: str, **values: Any) -> dict[str, Any]:
    return accepted_line(
        drop_date=drop_date,
        store_id=store,
        sold_at=at(drop_date, hour),
        sale_date=drop_date,
        business_date=drop_date,
        gross_amount=Decimal(amount),
        **values,
    )


def rejected(drop_date: dt.date, **values: Any) -> dict[str, Any]:
    return accepted_line(
        drop_date=drop_date, validation_status="rejected", reject_reasons=["bad_quantity"], **values
    )


@pytest.fixture
def counted(spark: SparkSession) -> dict[dt.date, IngestedDrop]:
    lines = [
        sold(D, "1", 9, "10.000", source_file="a.csv"),
        sold(D, "1", 8, "-0.500", source_file="b.csv", currency="JPY", customer_id="NULL"),
        sold(D, "1", 21, "2.000", source_file="b.csv"),
        sold(D, "2", 12, "0.000", source_file="b.csv"),
        rejected(D, store_id="3", source_file="b.csv", gross_amount=Decimal(7)),
        rejected(D, store_id="3", source_file="b.csv", gross_amount=None),
        sold(E, "2", 10, "99999999999999.999", source_file="a.csv"),
        sold(E, "2", 11, "0.001", source_file="a.csv"),
    ]
    drops = {date: IngestedDrop(Drop(date, ())) for date in (D, E)}
    count_drops(bronze_frame(spark, lines), drops, by_store=True)
    return drops


def test_lines_files_and_rejects_are_those_of_the_drop(counted: dict[dt.date, IngestedDrop]) -> None:
    drop = counted[D]
    assert (drop.lines, drop.accepted, drop.rejected) == (6, 4, 2)
    assert drop.file_lines == {"a.csv": 1, "b.csv": 5}
    assert drop.file_gross == {
        "a.csv": {"USD": Decimal(10)},
        "b.csv": {"USD": Decimal(9), "JPY": Decimal("-0.5")},
    }
    assert drop.null_words == {"b.csv": 1}
    assert drop.reasons == {"bad_quantity": 2}
    (content,) = drop.content
    assert (content.business_date, content.lines) == (D, 4)
    assert content.gross == {"USD": Decimal(12), "JPY": Decimal("-0.5")}
    assert counted[E].content[0].gross == {"USD": Decimal(100000000000000)}


def test_stores_have_their_accepted_lines_alone(counted: dict[dt.date, IngestedDrop]) -> None:
    assert counted[D].stores == {
        "1": StoreContent(3, {"USD": Decimal(12), "JPY": Decimal("-0.5")}, at(D, 8), at(D, 21)),
        "2": StoreContent(1, {"USD": Decimal(0)}, at(D, 12), at(D, 12)),
    }
    assert counted[E].stores == {
        "2": StoreContent(2, {"USD": Decimal(100000000000000)}, at(E, 10), at(E, 11)),
    }


def test_the_digest_does_not_know_how_lines_were_grouped(
    spark: SparkSession, counted: dict[dt.date, IngestedDrop]
) -> None:
    lines = [sold(E, store, 9, "1.000", transaction_id=f"T-{number}") for number, store in enumerate("1122")]
    digests = set()
    for by_store in (False, True):
        for order in (lines, lines[::-1]):
            drop = IngestedDrop(Drop(E, ()))
            count_drops(bronze_frame(spark, order), {E: drop}, by_store=by_store)
            digests.add(drop.content[0].digest)
    assert len(digests) == 1
    assert digests != {counted[E].content[0].digest}


def test_an_interrupt_is_not_taken_for_a_failed_query(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PySpark raises the end of the cancelled query while it handles the interrupt."""
    cancelled = Py4JJavaError("cancelled", spark._jvm.java.lang.RuntimeException("cancelled"))  # type: ignore[union-attr]
    frame = bronze_frame(spark, [sold(D, "1", 9, "1.000")])

    def interrupted(self: Any) -> Any:
        try:
            raise KeyboardInterrupt
        finally:
            raise cancelled

    monkeypatch.setattr(type(frame), "toArrow", interrupted)
    with pytest.raises(KeyboardInterrupt):
        count_drops(frame, {D: IngestedDrop(Drop(D, ()))})
