"""Reads issued documents with their lines, for a person or for another system."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.planning.billing import split_number
from pipeline.steps.context import Batch, DateRange
from pipeline.steps.numbers import written_off
from schemas.billing import BILLED_BY, DOCUMENT_LINES, DOCUMENTS
from schemas.errors import UsageError
from schemas.states import DocumentKind

# Decimal keeps the sign of a zero; to add 0 takes it away.
_NOTHING = Decimal(0)
# The lines of a document, in the order in which they were sold.
_LINE_ORDER = ("sale_date", "store_id", "transaction_id", "line_number", "sign")


@dataclass(frozen=True)
class DocumentLine:
    """One line of a document. Quantity and amounts are signed: negative where the document takes it back."""

    store_id: str
    transaction_id: str
    line_number: int
    sale_date: dt.date
    product_id: str
    product_name: str | None
    quantity: Decimal
    gross_amount: Decimal
    discount_amount: Decimal
    net_amount: Decimal

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> DocumentLine:
        """Reads a row of ``billing/document_lines``."""
        sums = ("quantity", "gross_amount", "discount_amount", "net_amount")
        values = {name: row[name] for name in cls.__dataclass_fields__ if name not in sums}
        return cls(**values, **{name: row["sign"] * row[name] + _NOTHING for name in sums})


@dataclass(frozen=True)
class Document:
    """An issued document with its lines; amounts as ``billing/documents`` holds them."""

    document_number: str
    kind: DocumentKind
    business_date: dt.date
    customer_id: str
    currency: str
    refers_to: str | None
    issued_on: dt.date
    gross_amount: Decimal
    discount_amount: Decimal
    net_amount: Decimal
    document_lines: tuple[DocumentLine, ...]


def find_document(batch: Batch, number: str) -> Document:
    """Finds an issued document by its number.

    Raises:
        UsageError: the lake holds no such document.
    """
    parts = split_number(number)
    if parts is not None:
        # The files' statistics know series and running number, not the whole text.
        series, running = parts
        chosen = batch.lake.read(DOCUMENTS).filter(
            (F.col("series") == series) & (F.col("running_number") == running)
        )
        found = list(_with_lines(batch, chosen))
        if found:
            return found[0]
        for lost in written_off(batch):
            if parts in lost.span:
                raise UsageError(f"document {number!r}: it is lost; written off: {lost}")
    raise UsageError(f"document {number!r}: the lake holds none of this number; a number looks like 2026-17")


def documents_issued(batch: Batch, dates: DateRange) -> DataFrame:
    """Returns the rows of ``billing/documents`` issued on some dates."""
    documents = batch.lake.read(DOCUMENTS)
    if dates.first is not None:
        documents = documents.filter(F.col("issued_on") >= F.lit(dates.first))
    return documents if dates.last is None else documents.filter(F.col("issued_on") <= F.lit(dates.last))


def lines_of(batch: Batch, documents: DataFrame) -> DataFrame:
    """Returns the rows of ``billing/document_lines`` of some documents; reads only their business dates."""
    dates = [row.business_date for row in documents.select("business_date").distinct().collect()]
    keys = documents.select(*BILLED_BY, "document_number")
    return batch.lake.read_dates(DOCUMENT_LINES, dates).join(
        keys, [*BILLED_BY, "document_number"], "left_semi"
    )


def read_documents(batch: Batch, dates: DateRange) -> Iterator[Document]:
    """Yields the documents issued on some dates, by series and running number."""
    yield from _with_lines(batch, documents_issued(batch, dates))


def _with_lines(batch: Batch, documents: DataFrame) -> Iterator[Document]:
    lines = lines_of(batch, documents)
    names = [name for name in lines.columns if name not in (*BILLED_BY, "document_number", *_LINE_ORDER)]
    listed = F.sort_array(F.collect_list(F.struct(*_LINE_ORDER, *names))).alias("document_lines")
    by_number = lines.groupBy("document_number").agg(listed)
    joined = documents.join(by_number, "document_number", "left").orderBy("series", "running_number")
    for row in joined.toLocalIterator():
        values = row.asDict(recursive=True)
        names_of_document = [name for name in Document.__dataclass_fields__ if name != "document_lines"]
        rows = tuple(DocumentLine.from_row(line) for line in values["document_lines"] or ())
        given = {name: values[name] for name in names_of_document} | {"kind": DocumentKind(values["kind"])}
        yield Document(**given, document_lines=rows)
