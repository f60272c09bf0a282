"""Our own transforms on Sail, over Spark Connect: ``python -m ...sail_job LANDING LAKE PARTITIONS GB``.

Some parts are replaced because Sail 0.7 cannot run ours. Its CSV reader stops at a line with too few or too
many fields, and its text reader at bytes that are not UTF-8. No reader returns the file of a line, and there
is no ``repartitionById``. So PyArrow reads the files inside Sail's ``mapInArrow``, and this module assembles
``published_sales`` from its parts without placing lines by chunk.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.csv as pa_csv
from pysail.spark import SparkConnectServer
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from schemas.gold import DAILY_SALES, INVOICES, SALES_VIEW
from schemas.ranges import parse_ranges
from schemas.tables import CONFLICTS, RECEIVED_SALES, SALES, Table
from tools.benchmarks.contenders.shared import CHUNKS, COLUMNS, CURRENCY_SCALES, FIRST_REVISION, landed_files
from transforms.copies import filter_first_copies, find_conflicts, resolve_copies
from transforms.gold import with_sales_revision
from transforms.ingest_counts import filter_accepted
from transforms.publication import line_columns, with_chunk, with_prices
from transforms.received import ValidationConfig, validate_received
from transforms.sums import expand_exact_sums

_RECEIVED = ", ".join(f"{name} string" for name in (*COLUMNS, "malformed_text", "drop_date", "source_file"))
_BLOCK_BYTES = 8 << 20
# The share of the allowed memory for Sail's pool; reading and writing files needs memory outside the pool.
_SHARE_OF_MEMORY = 0.4


def main(landing: str, lake: str, partitions: int, memory_gb: float) -> None:
    """Reads the landing and writes all tables of the lake."""
    # Sail spills only if its pool has a limit; without one it takes all memory.
    os.environ["SAIL_RUNTIME__MEMORY_POOL__TYPE"] = "fair"
    os.environ["SAIL_RUNTIME__MEMORY_POOL__FAIR__MAX_SIZE"] = str(int(memory_gb * _SHARE_OF_MEMORY * 1e9))
    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    host, port = server.listening_address
    spark = SparkSession.builder.remote(f"sc://{host}:{port}").getOrCreate()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    _run(spark, landing, lake, partitions)
    spark.stop()
    server.stop()


def _run(spark: SparkSession, landing: str, lake: str, partitions: int) -> None:
    _write(
        validate_received(_received(spark, landing, partitions), ValidationConfig(CURRENCY_SCALES)),
        lake,
        RECEIVED_SALES,
    )
    accepted = filter_accepted(_read(spark, lake, RECEIVED_SALES)).select(*line_columns())
    lines = with_chunk(accepted, "product_name", parse_ranges(list(CHUNKS)))
    resolved = resolve_copies(lines)
    _write(find_conflicts(resolved), lake, CONFLICTS)
    _write(with_prices(filter_first_copies(resolved)), lake, SALES)
    sales = _read(spark, lake, SALES)
    dates = [row.business_date for row in sales.select("business_date").distinct().collect()]
    revisions = dict.fromkeys(dates, FIRST_REVISION)
    # Over Spark Connect the view must live until its rows are read.
    sales.createOrReplaceTempView(SALES_VIEW)
    for table in (DAILY_SALES, INVOICES):
        rows = with_sales_revision(spark.sql(expand_exact_sums(table.query)), revisions)
        _write(rows.select(*table.columns), lake, table)


def _received(spark: SparkSession, landing: str, partitions: int) -> DataFrame:
    paths = spark.createDataFrame([(path,) for path in landed_files(landing)], "path string")
    lines = paths.repartition(partitions).mapInArrow(read_files, _RECEIVED)
    return lines.withColumn("drop_date", F.col("drop_date").cast("date"))


def read_files(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Reads CSV files into the columns that the reader of landed drops returns.

    Args:
        batches: paths of the files, in one column.
    """
    for batch in batches:
        for path in batch.column(0).to_pylist():
            yield from _read_file(path)


def _read_file(path: str) -> Iterator[pa.RecordBatch]:
    malformed: list[str] = []

    def keep(row: pa_csv.InvalidRow) -> str:
        malformed.append(row.text)
        return "skip"

    reader = pa_csv.open_csv(
        path,
        read_options=pa_csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
        parse_options=pa_csv.ParseOptions(invalid_row_handler=keep),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(COLUMNS, pa.binary()), include_columns=list(COLUMNS)
        ),
    )
    for batch in reader:
        fields = [_decoded(column) for column in batch.columns]
        yield _with_origin(fields, pa.nulls(len(batch), pa.string()), path)
    yield _with_origin(
        [pa.nulls(len(malformed), pa.string())] * len(COLUMNS), pa.array(malformed, pa.string()), path
    )


def _decoded(column: pa.Array) -> pa.Array:
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        texts = [value.decode(errors="replace") for value in column.to_pylist()]
        return pa.array(texts, pa.string())


def _with_origin(fields: list[pa.Array], malformed: pa.Array, path: str) -> pa.RecordBatch:
    match = re.search(r"drop_date=([0-9-]+)/([^/]+)$", path)
    origin = match.groups() if match else ("", path)
    repeated = [pa.repeat(pa.scalar(text, pa.string()), len(malformed)) for text in origin]
    return pa.record_batch(
        [*fields, malformed, *repeated], [*COLUMNS, "malformed_text", "drop_date", "source_file"]
    )


def _read(spark: SparkSession, lake: str, table: Table) -> DataFrame:
    return spark.read.format("delta").load(f"{lake}/{table.name}")


def _write(rows: DataFrame, lake: str, table: Table) -> None:
    writer = rows.select(table.columns).write.format("delta").mode("overwrite")
    writer.partitionBy(*table.partition_by).save(f"{lake}/{table.name}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
