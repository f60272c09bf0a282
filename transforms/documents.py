"""Billing documents: what a customer owes that no document states yet, its number, and its lines."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from schemas.billing import BILLED_BY, BILLED_LINE, DESCRIPTION, DOCUMENT_LINES, DOCUMENTS, SUM_NAMES
from schemas.gold import SUMS
from schemas.landing import RETURN
from schemas.states import DocumentKind
from transforms.sums import exact_sum

_LINE_COLUMNS = (*BILLED_BY, *BILLED_LINE, *DESCRIPTION)


def unbilled_changes(statements: DataFrame, documents: DataFrame) -> DataFrame:
    """Computes by how much each statement differs from the sum of its documents.

    Args:
        statements: ``gold/invoices`` of some business dates.
        documents: ``billing/documents`` of the same dates.

    Returns:
        business_date, customer_id, currency, the six sums of a document (signed), refers_to text (number of
        the invoice; null if there is none yet) and kind text. No row where nothing differs.
    """
    invoice_number = F.when(F.col("kind") == DocumentKind.INVOICE.value, F.col("document_number"))
    owed = statements.select(*BILLED_BY, *SUM_NAMES, F.lit(None).cast("string").alias("refers_to"))
    billed = documents.select(
        *BILLED_BY, *((-F.col(name)).alias(name) for name in SUM_NAMES), invoice_number.alias("refers_to")
    )
    sums = [F.sum(name).cast(data_type).alias(name) for name, data_type in SUMS.items()]
    changes = owed.unionByName(billed).groupBy(*BILLED_BY).agg(*sums, F.max("refers_to").alias("refers_to"))
    return changes.filter(_differs()).withColumn("kind", document_kind())


def first_changes(statements: DataFrame) -> DataFrame:
    """Computes what :func:`unbilled_changes` does for dates that have no document: no row is looked up.

    Args:
        statements: ``gold/invoices`` of such business dates; one row by business date, customer and currency.

    Returns:
        The columns of :func:`unbilled_changes`; refers_to is null. No row where every sum is 0.
    """
    sums = [F.col(name).cast(data_type).alias(name) for name, data_type in SUMS.items()]
    owed = statements.select(*BILLED_BY, *sums, F.lit(None).cast("string").alias("refers_to"))
    return owed.filter(_differs()).withColumn("kind", document_kind())


def document_kind() -> Column:
    """text: kind of the document that states a difference; reads refers_to and net_amount."""
    net = F.col("net_amount")
    return (
        F.when(F.col("refers_to").isNull(), DocumentKind.INVOICE.value)
        .when(net < 0, DocumentKind.CREDIT_NOTE.value)
        .when(net > 0, DocumentKind.DEBIT_NOTE.value)
        .otherwise(DocumentKind.CORRECTION.value)
    )


def with_numbers(
    changes: DataFrame, series: Mapping[DocumentKind, str], last_numbers: Mapping[str, int]
) -> DataFrame:
    """Adds series text, running_number bigint and document_number text.

    Numbers go on without a gap, in the order business_date, customer_id, currency. One task gives them: a
    shuffle would only bring the same rows to one task, too.

    Args:
        changes: rows of :func:`first_changes` or :func:`unbilled_changes`.
        series: series of each kind; kinds may share one.
        last_numbers: last number given by series; a series that is missing begins with 1.
    """
    in_order = Window.partitionBy("series").orderBy(*BILLED_BY)
    number = F.row_number().over(in_order) + _lookup("series", last_numbers, F.lit(0))
    no_series = F.lit(None).cast("string")
    by_kind = {kind.value: name for kind, name in series.items()}
    return (
        changes.coalesce(1)
        .withColumn("series", _lookup("kind", by_kind, no_series))
        .withColumn("running_number", number.cast("bigint"))
        .withColumn("document_number", F.concat("series", F.col("running_number").cast("string")))
    )


def new_lines(sales: DataFrame) -> DataFrame:
    """Returns the lines of ``silver/sales`` that have a customer, as lines that a document bills.

    Returns:
        The columns of ``billing/document_lines`` without document_number; sign is 1.
    """
    return sales.filter(F.col("customer_id").isNotNull()).select(*_LINE_COLUMNS, _sign(F.lit(1)))


def changed_lines(sales: DataFrame, billed: DataFrame) -> DataFrame:
    """Returns the lines that are published and not billed (sign 1), or billed and not published (sign -1).

    Args:
        sales: ``silver/sales`` of some business dates.
        billed: ``billing/document_lines`` of the same dates.
    """
    taken_back = billed.select(*_LINE_COLUMNS, _sign(-F.col("sign")))
    rows = new_lines(sales).unionByName(taken_back)
    descriptions = [F.max(name).alias(name) for name in DESCRIPTION]
    summed = rows.groupBy(*BILLED_BY, *BILLED_LINE).agg(_sign(F.sum("sign")), *descriptions)
    return summed.filter(F.col("sign") != 0)


def without_lost(lines: DataFrame, lost: DataFrame) -> DataFrame:
    """Leaves out the lines of documents that are lost.

    Args:
        lines: ``billing/document_lines``.
        lost: ``billing/lost_numbers``.
    """
    number = F.col("document_number")
    running = F.regexp_extract(number, r"([1-9]\d*)$", 1)
    series = F.expr("substr(document_number, 1, length(document_number) - length(running))")
    numbered = lines.withColumn("running", running).withColumn("lost_series", series)
    is_lost = (F.col("lost_series") == F.col("series")) & F.col("running").try_cast("bigint").between(
        F.col("first_number"), F.col("last_number")
    )
    spans = lost.select("series", "first_number", "last_number")
    return numbered.join(F.broadcast(spans), is_lost, "left_anti").drop("running", "lost_series")


def with_document_number(lines: DataFrame, documents: DataFrame) -> DataFrame:
    """Keeps the lines that a new document states, with its number.

    Args:
        lines: rows of :func:`new_lines` or :func:`changed_lines`.
        documents: new documents; at most one by business date, customer and currency.

    Returns:
        The columns of ``billing/document_lines``.
    """
    numbers = documents.select(*BILLED_BY, "document_number")
    return lines.join(numbers, list(BILLED_BY)).select(*DOCUMENT_LINES.columns)


def sums_of_lines(lines: DataFrame) -> DataFrame:
    """Sums the lines of each document: document_number and the six sums of a document."""
    returned = f"line_type = '{RETURN}'"
    return lines.groupBy("document_number").agg(
        F.sum("sign").cast("bigint").alias("lines"),
        exact_sum("sign * quantity").alias("units"),
        exact_sum("sign * gross_amount").alias("gross_amount"),
        exact_sum("sign * discount_amount").alias("discount_amount"),
        exact_sum("sign * net_amount").alias("net_amount"),
        exact_sum("sign * net_amount", returned).alias("returns_amount"),
    )


def document_differences(documents: DataFrame, lines: DataFrame) -> DataFrame:
    """Finds documents that their lines do not add up to, and lines without a document.

    Returns:
        document_number, and the differences of the six sums (document less lines).
    """
    stated = documents.select("document_number", *SUM_NAMES)
    summed = sums_of_lines(lines).select(
        "document_number", *((-F.col(name)).alias(name) for name in SUM_NAMES)
    )
    sums = [F.sum(name).alias(name) for name in SUM_NAMES]
    presence = F.count(F.lit(1)).alias("rows")
    both = stated.unionByName(summed).groupBy("document_number").agg(*sums, presence)
    return both.filter(_differs() | (F.col("rows") != 2)).drop("rows")


def find_wrong_numbers(documents: DataFrame, lost: DataFrame) -> DataFrame:
    """Finds series whose numbers are not 1 to n, or whose document numbers do not carry them.

    Args:
        documents: ``billing/documents``.
        lost: ``billing/lost_numbers``.

    Returns:
        series, last bigint, jumps bigint (places where a number is missing or given twice) and misnamed
        bigint (documents).
    """
    named = F.concat("series", F.col("running_number").cast("string"))
    is_misnamed = F.coalesce(F.col("document_number") != named, F.lit(True))
    first, last = F.col("running_number").alias("first"), F.col("running_number").alias("last")
    held = documents.select("series", first, last, is_misnamed.alias("is_misnamed"))
    gone = lost.selectExpr("series", "first_number as first", "last_number as last", "false as is_misnamed")
    in_order = Window.partitionBy("series").orderBy("first", "last")
    before = F.coalesce(F.lag("last").over(in_order), F.lit(0))
    spans = held.unionByName(gone).withColumn("is_jump", F.col("first") != before + 1)
    counted = spans.groupBy("series").agg(
        F.max("last").alias("last"),
        F.count_if("is_jump").alias("jumps"),
        F.count_if("is_misnamed").alias("misnamed"),
    )
    return counted.filter((F.col("jumps") > 0) | (F.col("misnamed") > 0))


def to_documents(numbered: DataFrame) -> DataFrame:
    """Selects the columns of ``billing/documents``."""
    return numbered.select(*DOCUMENTS.columns)


def _differs() -> Column:
    differs = F.lit(False)
    for name in SUM_NAMES:
        differs = differs | (F.col(name) != 0)
    return differs


def _sign(column: Column) -> Column:
    return column.cast("int").alias("sign")


def _lookup(column: str, values: Mapping[str, str] | Mapping[str, int], default: Column) -> Column:
    found = default
    for key, value in sorted(values.items()):
        found = F.when(F.col(column) == key, F.lit(value)).otherwise(found)
    return found
