"""The contract of every Delta table of the lake, once: columns, partition column, what earns statistics.

Amounts are decimal(18,3), sums of them decimal(38,3), quantities decimal(12,3): three decimals hold every
currency of ISO 4217 but two, and those are refused by the settings.
"""

from __future__ import annotations

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

from schemas.landing import DISCOUNT_AMOUNT, GROSS_AMOUNT, RECEIVED_COLUMNS, Kind

AMOUNT = DecimalType(18, 3)
SUM = DecimalType(38, 3)
QUANTITY = DecimalType(12, 3)
TEXT = StringType()
DATE = DateType()
MOMENT = TimestampType()
COUNT = LongType()


def _columns(**types: DataType) -> StructType:
    return StructType([StructField(name, data_type) for name, data_type in types.items()])


# Raised with every change of a table; migrate_tables brings older tables up to date.
SCHEMA_VERSION = 2
SCHEMA_VERSION_PROPERTY = "cymbal.schemaVersion"


@dataclass(frozen=True)
class Table:
    """The contract of one Delta table.

    Attributes:
        name: path below the lake, as ``silver/sales``.
        schema: columns in order.
        partition_by: partition column, or empty for a table that is small.
        statistics: columns, other than the partition's, whose minimum and maximum are kept for each file;
            the others cost more to describe at each write than they ever save at a read.
        application: Delta application id of the batch's commits (``txnAppId``); empty for a ledger table.
    """

    name: str
    schema: StructType
    partition_by: tuple[str, ...] = ()
    statistics: tuple[str, ...] = field(default=())
    application: str = ""

    @property
    def columns(self) -> list[str]:
        """Column names in order."""
        return self.schema.fieldNames()


_TYPE_OF_KIND: dict[Kind, DataType] = {
    "text": TEXT,
    "integer": IntegerType(),
    "timestamp": MOMENT,
    "quantity": QUANTITY,
    "amount": AMOUNT,
    "line_type": TEXT,
    "currency": TEXT,
}
_TYPED_LINE: dict[str, DataType] = {column.name: _TYPE_OF_KIND[column.kind] for column in RECEIVED_COLUMNS}


def _priced_line() -> dict[str, DataType]:
    """The received columns with ``net_amount``; the currency stands before its amounts."""
    columns: dict[str, DataType] = {}
    for name, data_type in _TYPED_LINE.items():
        if name == GROSS_AMOUNT:
            columns["currency"] = TEXT
        columns.setdefault(name, data_type)
        if name == DISCOUNT_AMOUNT:
            columns["net_amount"] = AMOUNT
    return columns


# key_hash and payload_hash are kept so that planning reads five narrow columns, not every column again.
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
)

# Lines of deliveries that an audit refused: to be inspected and replayed, never published.
REFUSED_SALES = Table(
    "bronze/refused_sales",
    StructType([*RECEIVED_SALES.schema.fields, StructField("refused_because", TEXT)]),
    partition_by=("drop_date",),
    application="ingest_sales",
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
)

# What a delivery holds, by business date, so that staleness is found without reading bronze again.
# The digest is order-independent, over the source file, key hash and payload hash of each line.
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
    ),
)

# The settings that decide content are told by the run that brings them: they are null where none changed.
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

# Which revision of a date each gold table was last built from. A date with no invoice leaves no row
# in gold/invoices, so the table itself cannot tell "built, empty" from "never built".
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

# How long each stage of a run took, and how its end stood to the deadline: what the next run is estimated by.
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

# Values that hardly ever repeat: a Parquet dictionary of them costs CPU and saves no byte.
HIGH_CARDINALITY_COLUMNS: tuple[str, ...] = (
    "transaction_id",
    "sold_at",
    "key_hash",
    "payload_hash",
    "raw",
    "invoice_id",
)
