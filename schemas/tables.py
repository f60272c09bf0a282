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
    StringType,
    StructField,
    StructType,
    TimestampType,
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


@dataclass(frozen=True)
class Table:
    """The contract of one Delta table.

    Attributes:
        name: path below the lake, as ``silver/sales``.
        schema: columns in order.
        partition_by: partition column, or empty for a table that is small.
        statistics: columns, other than the partition's, whose minimum and maximum are kept for each file;
            the others cost more to describe at each write than they ever save at a read.
    """

    name: str
    schema: StructType
    partition_by: tuple[str, ...] = ()
    statistics: tuple[str, ...] = field(default=())

    @property
    def columns(self) -> list[str]:
        """Column names in order."""
        return self.schema.fieldNames()


_TYPED_LINE: dict[str, DataType] = {
    "store_id": TEXT,
    "transaction_id": TEXT,
    "line_number": IntegerType(),
    "sold_at": MOMENT,
    "customer_id": TEXT,
    "product_id": TEXT,
    "product_name": TEXT,
    "category": TEXT,
    "line_type": TEXT,
    "quantity": QUANTITY,
    "gross_amount": AMOUNT,
    "discount_amount": AMOUNT,
    "currency": TEXT,
    "payment_method": TEXT,
    "channel": TEXT,
}

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
)

SALES = Table(
    "silver/sales",
    _columns(
        business_date=DATE,
        sale_date=DATE,
        chunk=TEXT,
        store_id=TEXT,
        transaction_id=TEXT,
        line_number=IntegerType(),
        sold_at=MOMENT,
        customer_id=TEXT,
        product_id=TEXT,
        product_name=TEXT,
        category=TEXT,
        line_type=TEXT,
        quantity=QUANTITY,
        currency=TEXT,
        gross_amount=AMOUNT,
        discount_amount=AMOUNT,
        net_amount=AMOUNT,
        payment_method=TEXT,
        channel=TEXT,
        is_adjustment=BooleanType(),
        duplicates=IntegerType(),
        drop_date=DATE,
        source_file=TEXT,
    ),
    partition_by=("business_date",),
    statistics=("chunk", "drop_date", "sale_date"),
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
)

_SUMS: dict[str, DataType] = {
    "lines": COUNT,
    "units": SUM,
    "gross_amount": SUM,
    "discount_amount": SUM,
    "net_amount": SUM,
    "returns_amount": SUM,
    "sales_revision": IntegerType(),
}

DAILY_SALES = Table(
    "gold/daily_sales",
    _columns(business_date=DATE, store_id=TEXT, category=TEXT, currency=TEXT, **_SUMS),
    partition_by=("business_date",),
)

INVOICES = Table(
    "gold/invoices",
    _columns(invoice_id=TEXT, business_date=DATE, customer_id=TEXT, currency=TEXT, **_SUMS),
    partition_by=("business_date",),
)

# What a drop holds, told by business date, so that staleness is found without reading bronze again.
DROP_CONTENT = ArrayType(
    StructType(
        [
            StructField("business_date", DATE),
            StructField("sale_date", DATE),
            StructField("is_adjustment", BooleanType()),
            StructField("lines", COUNT),
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
    ),
)

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

TABLES: tuple[Table, ...] = (
    RECEIVED_SALES,
    SALES,
    CONFLICTS,
    DAILY_SALES,
    INVOICES,
    LEDGER_DROPS,
    LEDGER_DATES,
    LEDGER_RUNS,
    LEDGER_CHUNKS,
    LEDGER_TASKS,
    LEDGER_BUILDS,
    LEDGER_STAGES,
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
