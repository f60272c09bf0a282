"""What no document states yet, numbers without gaps, and the lines behind a document, on hand-made rows."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession

from pipeline.lake.frames import local_frame
from schemas.billing import DOCUMENT_LINES, DOCUMENTS, LOST_NUMBERS
from schemas.gold import INVOICES
from schemas.states import DocumentKind
from schemas.tables import SALES
from tests.support.lines import accepted_line
from tests.support.tables import dicts, values
from transforms.documents import (
    changed_lines,
    document_differences,
    find_wrong_numbers,
    first_changes,
    new_lines,
    to_documents,
    unbilled_changes,
    with_document_number,
    with_numbers,
    without_lost,
)

pytestmark = pytest.mark.usefixtures("interpreted")

DAY, NEXT = dt.date(2026, 11, 27), dt.date(2026, 11, 28)
NAMES = ("lines", "units", "gross_amount", "discount_amount", "net_amount", "returns_amount")
SERIES = {
    DocumentKind.INVOICE: "2026-",
    DocumentKind.CREDIT_NOTE: "2026-C",
    DocumentKind.DEBIT_NOTE: "2026-D",
    DocumentKind.CORRECTION: "2026-K",
}


def sums(text: str) -> dict[str, Any]:
    lines, *amounts = text.split()
    return dict(zip(NAMES, (int(lines), *map(Decimal, amounts)), strict=True))


def statement(customer: str, text: str, date: dt.date = DAY, currency: str = "USD") -> dict[str, Any]:
    return {"business_date": date, "customer_id": customer, "currency": currency, **sums(text)}


def document(number: str, customer: str, text: str, kind: str = "invoice", **more: Any) -> dict[str, Any]:
    return {**statement(customer, text), "document_number": number, "kind": kind, **more}


def changes(spark: SparkSession, statements: list[Any], documents: list[Any]) -> DataFrame:
    return unbilled_changes(
        local_frame(spark, INVOICES.schema, statements), local_frame(spark, DOCUMENTS.schema, documents)
    )


def test_a_document_states_only_what_no_document_states_yet(spark: SparkSession) -> None:
    statements = [
        statement("new", "2 3 10 1 9 0"),
        statement("same", "1 1 5 0 5 0"),
        statement("less", "1 1 4 0 4 0"),
        statement("more", "2 2 7 0 7 0"),
        statement("other sums", "1 2 5 0 5 0"),
        statement("same after a note", "1 1 5 0 5 0"),
        statement("two currencies", "1 1 5 0 5 0"),
        statement("two currencies", "1 1 500 0 500 0", currency="JPY"),
        statement("another day", "1 1 5 0 5 0", date=NEXT),
        statement("all came back", "2 0 0 0 0 -5"),
    ]
    documents = [
        document("2026-1", "same", "1 1 5 0 5 0"),
        document("2026-2", "less", "1 1 5 0 5 0"),
        document("2026-3", "more", "1 1 5 0 5 0"),
        document("2026-4", "other sums", "1 1 6 1 5 0"),
        document("2026-5", "gone", "3 4 20 2 18 -1"),
        document("2026-6", "same after a note", "1 1 6 0 6 0"),
        document("2026-C1", "same after a note", "0 0 -1 0 -1 0", "credit_note", refers_to="2026-6"),
        document("2026-7", "two currencies", "1 1 5 0 5 0"),
        document("2026-8", "another day", "1 1 5 0 5 0"),
    ]
    found = {
        (row.customer_id, row.business_date.day, row.currency): (
            row.kind,
            row.refers_to,
            {name: row[name] for name in NAMES},
        )
        for row in changes(spark, statements, documents).collect()
    }
    assert found == {
        ("new", 27, "USD"): ("invoice", None, sums("2 3 10 1 9 0")),
        ("less", 27, "USD"): ("credit_note", "2026-2", sums("0 0 -1 0 -1 0")),
        ("more", 27, "USD"): ("debit_note", "2026-3", sums("1 1 2 0 2 0")),
        ("other sums", 27, "USD"): ("correction", "2026-4", sums("0 1 -1 -1 0 0")),
        ("gone", 27, "USD"): ("credit_note", "2026-5", sums("-3 -4 -20 -2 -18 1")),
        ("two currencies", 27, "JPY"): ("invoice", None, sums("1 1 500 0 500 0")),
        ("another day", 28, "USD"): ("invoice", None, sums("1 1 5 0 5 0")),
        ("another day", 27, "USD"): ("credit_note", "2026-8", sums("-1 -1 -5 0 -5 0")),
        ("all came back", 27, "USD"): ("invoice", None, sums("2 0 0 0 0 -5")),
    }


def test_without_documents_the_first_changes_are_all_that_differs(spark: SparkSession) -> None:
    statements = [
        statement("new", "2 3 10 1 9 0"),
        statement("nothing", "0 0 0 0 0 0"),
        statement("two currencies", "1 1 5 0 5 0"),
        statement("two currencies", "1 1 500 0 500 0", currency="JPY"),
        statement("all came back", "2 0 0 0 0 -5"),
        statement("owed to the customer", "1 -1 -5 0 -5 -5", date=NEXT),
    ]
    first = first_changes(local_frame(spark, INVOICES.schema, statements))
    assert_df_equality(first, changes(spark, statements, []), ignore_row_order=True, ignore_nullable=True)
    assert [(row.kind, row.refers_to) for row in first.collect()] == [("invoice", None)] * 5


def test_numbers_go_on_by_series_in_the_order_of_date_customer_and_currency(spark: SparkSession) -> None:
    grains = [
        ("B", NEXT, "USD"),
        ("A", NEXT, "USD"),
        ("A", NEXT, "EUR"),
        ("C", DAY, "USD"),
        ("Z", DAY, "USD"),
    ]
    statements = [statement(customer, "1 1 5 0 5 0", date, code) for customer, date, code in grains]
    assert values(with_numbers(changes(spark, [], []), SERIES, {})) == []
    numbered = with_numbers(changes(spark, statements, []), SERIES, {"2026-": 9, "2025-": 50})
    assert values(
        numbered, "running_number", "document_number", "business_date", "customer_id", "currency"
    ) == [
        (10, "2026-10", DAY, "C", "USD"),
        (11, "2026-11", DAY, "Z", "USD"),
        (12, "2026-12", NEXT, "A", "EUR"),
        (13, "2026-13", NEXT, "A", "USD"),
        (14, "2026-14", NEXT, "B", "USD"),
    ]


def test_each_kind_has_the_numbers_of_its_series_and_kinds_may_share_one(spark: SparkSession) -> None:
    documents = [document(f"2026-{n}", customer, "1 1 5 0 5 0") for n, customer in enumerate("ABCD", 1)]
    statements = [
        statement("A", "1 1 4 0 4 0"),
        statement("B", "1 1 3 0 3 0"),
        statement("C", "1 1 6 0 6 0"),
        statement("D", "1 2 5 0 5 0"),
        statement("E", "1 1 5 0 5 0"),
    ]
    unbilled = changes(spark, statements, documents)
    found = values(
        with_numbers(unbilled, SERIES, {"2026-": 4, "2026-C": 2}), "customer_id", "document_number"
    )
    assert found == [("A", "2026-C3"), ("B", "2026-C4"), ("C", "2026-D1"), ("D", "2026-K1"), ("E", "2026-5")]
    shared = with_numbers(unbilled, dict.fromkeys(DocumentKind, "R"), {"R": 4})
    found = values(shared, "customer_id", "document_number")
    assert found == [("A", "R5"), ("B", "R6"), ("C", "R7"), ("D", "R8"), ("E", "R9")]


def sale(transaction: str, gross: str = "10.00", **fields: Any) -> dict[str, Any]:
    line = accepted_line(transaction_id=transaction, gross_amount=Decimal(gross), **fields)
    return {
        **line,
        "net_amount": line["gross_amount"] - line["discount_amount"],
        "chunk": "A-G",
        "duplicates": 0,
    }


def billed(
    number: str, transaction: str, gross: str = "10.00", sign: int = 1, **fields: Any
) -> dict[str, Any]:
    return {**sale(transaction, gross, **fields), "document_number": number, "sign": sign}


def test_the_lines_of_a_note_are_those_that_changed(spark: SparkSession) -> None:
    sales = [
        sale("unchanged"),
        sale("new"),
        sale("dearer", "12.00"),
        sale("moved", customer_id="C-8"),
        sale("renamed", product_name="Apricot"),
        sale("back again"),
        sale("walk-in", customer_id=None),
    ]
    before = [
        billed("2026-1", "unchanged"),
        billed("2026-1", "dearer"),
        billed("2026-1", "moved"),
        billed("2026-1", "renamed"),
        billed("2026-1", "gone"),
        billed("2026-1", "back again"),
        billed("2026-C1", "back again", sign=-1),
        billed("2026-1", "taken back already"),
        billed("2026-C1", "taken back already", sign=-1),
    ]
    found = changed_lines(
        local_frame(spark, SALES.schema, sales), local_frame(spark, DOCUMENT_LINES.schema, before)
    )
    columns = ("transaction_id", "customer_id", "gross_amount", "sign")
    assert values(found, *columns) == sorted(
        [
            ("new", "C-7", Decimal(10), 1),
            ("dearer", "C-7", Decimal(10), -1),
            ("dearer", "C-7", Decimal(12), 1),
            ("moved", "C-7", Decimal(10), -1),
            ("moved", "C-8", Decimal(10), 1),
            ("gone", "C-7", Decimal(10), -1),
            ("back again", "C-7", Decimal(10), 1),
        ],
        key=lambda row: [str(value) for value in row],
    )
    nothing = local_frame(spark, DOCUMENT_LINES.schema, [])
    fresh = local_frame(spark, SALES.schema, sales)
    assert_df_equality(
        changed_lines(fresh, nothing), new_lines(fresh), ignore_row_order=True, ignore_column_order=True,
        ignore_nullable=True,
    )  # fmt: skip


def test_a_line_is_on_the_document_of_its_date_customer_and_currency(spark: SparkSession) -> None:
    lines = new_lines(
        local_frame(
            spark, SALES.schema, [sale("A"), sale("B", currency="JPY"), sale("C", business_date=NEXT)]
        )
    )
    numbered = with_numbers(changes(spark, [statement("C-7", "1 2 10 1 9 0")], []), SERIES, {})
    found = with_document_number(lines, numbered)
    assert found.columns == DOCUMENT_LINES.columns
    assert values(found, "document_number", "transaction_id") == [("2026-1", "A")]


def test_a_document_and_its_lines_differ_by_what_is_named(spark: SparkSession) -> None:
    documents = [
        document("2026-1", "C-7", "2 1 6 0.5 5.5 -3.5"),
        document("2026-C1", "C-7", "-1 -2 -10 -1 -9 0", "credit_note"),
        document("2026-2", "C-7", "1 2 10 1 9.001 0"),
        document("2026-3", "C-7", "1 2 10 1 9 0"),
        document("2026-4", "C-7", "0 0 0 0 0 0"),
    ]
    refund = {"line_type": "RETURN", "quantity": Decimal(-1), "discount_amount": Decimal("-0.50")}
    lines = [
        billed("2026-1", "A"),
        billed("2026-1", "B", "-4.00", **refund),
        billed("2026-C1", "A", sign=-1),
        billed("2026-2", "A"),
        billed("2026-9", "A"),
    ]
    found = dicts(
        document_differences(
            local_frame(spark, DOCUMENTS.schema, documents), local_frame(spark, DOCUMENT_LINES.schema, lines)
        ),
        "document_number", "lines", "net_amount",
    )  # fmt: skip
    assert [tuple(row.values()) for row in found] == [
        ("2026-2", 0, Decimal("0.001")),
        ("2026-3", 1, Decimal(9)),
        ("2026-4", 0, Decimal(0)),
        ("2026-9", -1, Decimal(-9)),
    ]


def test_lines_of_lost_documents_are_left_out(spark: SparkSession) -> None:
    numbers = ["2026-1", "2026-2", "2026-10", "2026-C2", "2026-C20", "R7-2", "2"]
    lines = [billed(number, "A") for number in numbers]
    spans = [("2026-", 2, 9), ("2026-C", 20, 20), ("R", 1, 99)]
    lost = [dict(zip(("series", "first_number", "last_number"), span, strict=True)) for span in spans]
    found = without_lost(
        local_frame(spark, DOCUMENT_LINES.schema, lines), local_frame(spark, LOST_NUMBERS.schema, lost)
    )
    assert found.columns == DOCUMENT_LINES.columns
    assert [number for (number,) in values(found, "document_number")] == sorted(
        ["2026-1", "2026-10", "2026-C2", "R7-2", "2"]
    )


@pytest.mark.parametrize(
    ("numbers", "lost", "is_right"),
    [
        ([1, 2, 3], [], True),
        ([1, 3], [], False),
        ([2, 3], [], False),
        ([1, 2, 2], [], False),
        ([1, 1, 3], [], False),
        ([1, 3, 6], [(2, 2), (4, 5)], True),
        ([1, 2], [(3, 5)], True),
        ([], [(1, 3)], True),
        ([1, 5], [(2, 3)], False),
        ([1, 2, 3, 5], [(3, 3)], False),
        ([5], [(2, 4)], False),
    ],
)
def test_the_numbers_of_a_series_are_one_to_n_but_for_those_that_are_lost(
    spark: SparkSession, numbers: list[int], lost: list[tuple[int, int]], is_right: bool
) -> None:
    rows = [document(f"2026-{n}", "C-7", "1 1 1 0 1 0", series="2026-", running_number=n) for n in numbers]
    rows.append(document("2026-C1", "C-7", "0 0 0 0 0 0", series="2026-C", running_number=1))
    spans = [{"series": "2026-", "first_number": first, "last_number": last} for first, last in lost]
    wrong = find_wrong_numbers(
        local_frame(spark, DOCUMENTS.schema, rows), local_frame(spark, LOST_NUMBERS.schema, spans)
    )
    assert [row.series for row in wrong.collect()] == ([] if is_right else ["2026-"])


def test_a_document_number_carries_its_series_and_number(spark: SparkSession) -> None:
    rows = [document("2026-2", "C-7", "1 1 1 0 1 0", series="2026-", running_number=1)]
    none = local_frame(spark, LOST_NUMBERS.schema)
    assert len(values(find_wrong_numbers(local_frame(spark, DOCUMENTS.schema, rows), none))) == 1


def test_a_document_has_the_columns_of_the_table(spark: SparkSession) -> None:
    numbered = with_numbers(changes(spark, [statement("C-7", "1 2 10 1 9 0")], []), SERIES, {})
    complete = numbered.selectExpr(
        "*", "1 as sales_revision", "date'2026-11-28' as issued_on", "'run' as run_id"
    )
    found = to_documents(complete)
    assert found.schema.simpleString() == DOCUMENTS.schema.simpleString()
