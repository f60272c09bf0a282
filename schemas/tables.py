"""The contract of every Delta table: columns, partition column, and columns with statistics.

Amounts are decimal(18,3), their sums decimal(38,3), quantities decimal(12,3). Three decimals are enough for
every ISO 4217 currency except two, and the settings refuse those.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    IntegerType,
    LongType,
    MapType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from schemas.landing import (
    DISCOUNT_AMOUNT,
    GROSS_AMOUNT,
    RECEIVED_COLUMNS,
    Kind,
    ReceivedColumn,
    own_columns,
)

AMOUNT = DecimalType(18, 3)
SUM = DecimalType(38, 3)
QUANTITY = DecimalType(12, 3)
TEXT = StringType()
DATE = DateType()
MOMENT = TimestampType()
COUNT = LongType()


def _columns(**types: DataType) -> StructType:
    return StructType([StructField(name, data_type) for name, data_type in types.items()])


# Raise this version with every change of a table. migrate_tables brings older tables up to date.
SCHEMA_VERSION = 2
SCHEMA_VERSION_PROPERTY = "cymbal.schemaVersion"


@dataclass(frozen=True)
class Table:
    """The contract of one Delta table.

    Attributes:
        name: path below the lake, for example ``silver/sales``.
        base: columns that the table has in every lake, in order.
        partition_by: partition column; empty for a small table.
        statistics: columns whose minimum and maximum Delta keeps for each file. For all other columns,
            statistics cost more at each write than they save at reads.
        application: Delta application id of the batch's commits (``txnAppId``); empty for a ledger table.
        holds_lines: whether its rows are received lines, so that it has a team's own columns too.
    """

    name: str
    base: StructType
    partition_by: tuple[str, ...] = ()
    statistics: tuple[str, ...] = field(default=())
    application: str = ""
    holds_lines: bool = False

    @property
    def schema(self) -> StructType:
        """Columns in order: those of every lake, then the team's own if the table holds lines."""
        if not self.holds_lines:
            return self.base
        return StructType([*self.base.fields, *(line_field(column) for column in own_columns())])

    @property
    def columns(self) -> list[str]:
        """Column names in order."""
        return self.schema.fieldNames()

    @property
    def properties(self) -> Mapping[str, str]:
        """Delta properties of a new table, besides those of every table."""
        return {}

    def partition_of(self, date: dt.date) -> dt.date:
        """The partition that holds the rows of a business date, in a table that is partitioned by date."""
        return date


_TYPE_OF_KIND: dict[Kind, DataType] = {
    "text": TEXT,
    "integer": IntegerType(),
    "timestamp": MOMENT,
    "quantity": QUANTITY,
    "amount": AMOUNT,
    "line_type": TEXT,
    "currency": TEXT,
    "boolean": BooleanType(),
    "date": DATE,
}


def type_of(column: ReceivedColumn) -> DataType:
    """Returns the type of a received column in the tables."""
    if column.kind == "decimal":
        return DecimalType(column.precision, column.scale)
    return _TYPE_OF_KIND[column.kind]


def line_field(column: ReceivedColumn) -> StructField:
    """Returns a received column as the tables have it."""
    return StructField(column.name, type_of(column))


_TYPED_LINE: dict[str, DataType] = {column.name: type_of(column) for column in RECEIVED_COLUMNS}


def _priced_line() -> dict[str, DataType]:
    """Returns the received columns and ``net_amount``; the currency comes before the amounts."""
    columns: dict[str, DataType] = {}
    for name, data_type in _TYPED_LINE.items():
        if name == GROSS_AMOUNT:
            columns["currency"] = TEXT
        columns.setdefault(name, data_type)
        if name == DISCOUNT_AMOUNT:
            columns["net_amount"] = AMOUNT
    return columns


# Bronze stores key_hash and payload_hash, so that planning reads five narrow columns instead of all columns.
RECEIVED_SALES = Table(
    "bronze/received_sales",
    _columns(
        drop_date=DATE,
        source_file=TEXT,
        validation_status=TEXT,
        reject_reasons=ArrayType(TEXT),
        raw=TEXT,
        sale_date=DATE,
        business_date=DATE,
        is_adjustment=BooleanType(),
        **_TYPED_LINE,
        key_hash=COUNT,
        payload_hash=COUNT,
    ),
    partition_by=("drop_date",),
    statistics=("sale_date", "business_date", "validation_status"),
    application="ingest_sales",
    holds_lines=True,
)

# Lines of deliveries that an audit refused. They can be inspected and replayed, but are never published.
REFUSED_SALES = Table(
    "bronze/refused_sales",
    StructType([*RECEIVED_SALES.base.fields, StructField("refused_because", TEXT)]),
    partition_by=("drop_date",),
    application="ingest_sales",
    holds_lines=True,
)

SALES = Table(
    "silver/sales",
    _columns(
        business_date=DATE,
        sale_date=DATE,
        chunk=TEXT,
        **_priced_line(),
        is_adjustment=BooleanType(),
        duplicates=IntegerType(),
        drop_date=DATE,
        source_file=TEXT,
    ),
    partition_by=("business_date",),
    statistics=("chunk", "drop_date", "sale_date"),
    application="publish_sales",
    holds_lines=True,
)

CONFLICTS = Table(
    "silver/conflicts",
    _columns(
        business_date=DATE,
        sale_date=DATE,
        chunk=TEXT,
        outcome=TEXT,
        kept_drop_date=DATE,
        **_TYPED_LINE,
        is_adjustment=BooleanType(),
        drop_date=DATE,
        source_file=TEXT,
    ),
    partition_by=("business_date",),
    statistics=("outcome",),
    application="publish_sales",
    holds_lines=True,
)

# Content of a delivery by business date, so that the batch detects stale dates without reading bronze.
# The digest covers the source file, key hash and payload hash of each line, in any order.
DROP_CONTENT = ArrayType(
    StructType(
        [
            StructField("business_date", DATE),
            StructField("sale_date", DATE),
            StructField("is_adjustment", BooleanType()),
            StructField("lines", COUNT),
            StructField("digest", TEXT),
            StructField("gross_amount", MapType(TEXT, SUM)),
        ]
    )
)

LEDGER_DROPS = Table(
    "ledger/drops",
    _columns(
        drop_date=DATE,
        run_id=TEXT,
        status=TEXT,
        fingerprint=TEXT,
        judged_by=TEXT,
        files=COUNT,
        bytes=COUNT,
        lines=COUNT,
        accepted=COUNT,
        rejected=COUNT,
        extra_columns=ArrayType(TEXT),
        at=MOMENT,
        bronze_version=COUNT,
        content=DROP_CONTENT,
        reason=TEXT,
        sequence=COUNT,
        ingest_version=COUNT,
        settings_sequence=COUNT,
        max_rejected_share=DoubleType(),
        reason_code=TEXT,
        min_share_of_previous=DoubleType(),
    ),
)

# What each store sent, so that a store that sends too little can be seen. Runs only append to it.
LEDGER_STORES = Table(
    "ledger/stores",
    _columns(
        drop_date=DATE,
        store_id=TEXT,
        run_id=TEXT,
        ingest_version=COUNT,
        lines=COUNT,
        gross_amount=MapType(TEXT, SUM),
        first_sold_at=MOMENT,
        last_sold_at=MOMENT,
    ),
)

# What the team's own rules did to a delivery: one row a rule, also if it held for no line. Runs only append.
LEDGER_RULES = Table(
    "ledger/rules",
    _columns(
        drop_date=DATE,
        rule=TEXT,
        effect=TEXT,
        lines=COUNT,
        run_id=TEXT,
        ingest_version=COUNT,
    ),
)

LEDGER_DATES = Table(
    "ledger/dates",
    _columns(
        business_date=DATE,
        run_id=TEXT,
        status=TEXT,
        revision=IntegerType(),
        silver_version=COUNT,
        inputs_hash=TEXT,
        at=MOMENT,
        drop_dates=ArrayType(DATE),
        reason=TEXT,
        sequence=COUNT,
        sale_dates=ArrayType(DATE),
        chunk_key=TEXT,
        chunk_ranges=ArrayType(TEXT),
        restored_revision=IntegerType(),
    ),
)

# A run records the settings that decide content only if it changed them. Otherwise these columns are null.
LEDGER_RUNS = Table(
    "ledger/runs",
    _columns(
        run_id=TEXT,
        job=TEXT,
        status=TEXT,
        arguments=TEXT,
        started_at=MOMENT,
        ended_at=MOMENT,
        config_hash=TEXT,
        code_version=TEXT,
        application_id=TEXT,
        exit_code=IntegerType(),
        error=TEXT,
        landing=TEXT,
        settings_sequence=COUNT,
        settings_change=TEXT,
        settings=TEXT,
    ),
)

RECONCILED_SHARES = ("received", "published", "duplicates", "conflicts")

LEDGER_CHUNKS = Table(
    "ledger/chunks",
    _columns(
        run_id=TEXT,
        business_date=DATE,
        chunk=TEXT,
        currency=TEXT,
        **dict.fromkeys(RECONCILED_SHARES, COUNT),
        **{f"gross_{share}": SUM for share in RECONCILED_SHARES},
        **{f"absolute_gross_{share}": SUM for share in RECONCILED_SHARES},
    ),
)

LEDGER_TASKS = Table(
    "ledger/tasks",
    _columns(
        run_id=TEXT,
        chunk=TEXT,
        partitions=IntegerType(),
        tasks=IntegerType(),
        failed_attempts=IntegerType(),
        failures=ArrayType(TEXT),
        task_seconds=DoubleType(),
        hosts=ArrayType(TEXT),
    ),
)

# The revision of a date that each gold table was last built from. A date without invoices has no row in
# gold/invoices, so that table alone cannot show whether the date was built.
LEDGER_BUILDS = Table(
    "ledger/builds",
    _columns(
        table=TEXT,
        business_date=DATE,
        sales_revision=IntegerType(),
        gold_version=COUNT,
        run_id=TEXT,
        at=MOMENT,
        sequence=COUNT,
    ),
)

# The last number that each issue gave in a series of documents: a lake of an older backup is below it.
LEDGER_SERIES = Table(
    "ledger/series",
    _columns(
        series=TEXT,
        last_number=COUNT,
        documents_version=COUNT,
        run_id=TEXT,
        at=MOMENT,
        sequence=COUNT,
    ),
)

# The duration of each stage of a run, and its margin to the deadline. Later runs use it for estimates.
LEDGER_STAGES = Table(
    "ledger/stages",
    _columns(
        run_id=TEXT,
        stage=TEXT,
        dates=COUNT,
        lines=COUNT,
        started_at=MOMENT,
        ended_at=MOMENT,
        seconds=DoubleType(),
        estimated_end=MOMENT,
        deadline=MOMENT,
        margin_seconds=DoubleType(),
    ),
)

# Values in these columns rarely repeat, so a Parquet dictionary would cost CPU and save no space.
HIGH_CARDINALITY_COLUMNS: tuple[str, ...] = (
    "transaction_id",
    "sold_at",
    "key_hash",
    "payload_hash",
    "raw",
    "invoice_id",
)
