"""The billing tables: numbered documents that stay as they were issued, and the sales lines behind them.

All are append-only. A document is never changed: a later difference is a document of its own.
"""

from __future__ import annotations

from pyspark.sql.types import DataType, IntegerType, StructField, StructType

from schemas.gold import SUMS
from schemas.states import Stage
from schemas.tables import AMOUNT, COUNT, DATE, QUANTITY, TEXT, Table

# A customer has at most one invoice with these, and any number of notes to it.
BILLED_BY = ("business_date", "customer_id", "currency")
SUM_NAMES = tuple(SUMS)


def _table(name: str, columns: dict[str, DataType], statistics: tuple[str, ...]) -> Table:
    return Table(
        name,
        StructType([StructField(column, data_type) for column, data_type in columns.items()]),
        partition_by=("business_date",),
        statistics=statistics,
        application=Stage.DOCUMENTS.value,
    )


DOCUMENTS = _table(
    "billing/documents",
    {
        "document_number": TEXT,
        "series": TEXT,
        "running_number": COUNT,
        "kind": TEXT,
        "business_date": DATE,
        "customer_id": TEXT,
        "currency": TEXT,
        "refers_to": TEXT,
        **SUMS,
        "sales_revision": IntegerType(),
        "issued_on": DATE,
        "run_id": TEXT,
    },
    statistics=("series", "running_number", "issued_on"),
)

# The columns that tell two billed lines apart: another product name alone is no reason for a note.
BILLED_LINE: dict[str, DataType] = {
    "store_id": TEXT,
    "transaction_id": TEXT,
    "line_number": IntegerType(),
    "sale_date": DATE,
    "line_type": TEXT,
    "quantity": QUANTITY,
    "gross_amount": AMOUNT,
    "discount_amount": AMOUNT,
    "net_amount": AMOUNT,
}
DESCRIPTION = ("product_id", "product_name")

DOCUMENT_LINES = _table(
    "billing/document_lines",
    {
        "document_number": TEXT,
        "business_date": DATE,
        "customer_id": TEXT,
        "currency": TEXT,
        "sign": IntegerType(),
        **BILLED_LINE,
        **dict.fromkeys(DESCRIPTION, TEXT),
    },
    statistics=("document_number",),
)

# Numbers that were given, and whose documents are in no copy of the lake.
LOST_NUMBERS = Table(
    "billing/lost_numbers",
    StructType(
        [
            StructField("series", TEXT),
            StructField("first_number", COUNT),
            StructField("last_number", COUNT),
            StructField("reason", TEXT),
            StructField("recorded_on", DATE),
            StructField("run_id", TEXT),
        ]
    ),
)
