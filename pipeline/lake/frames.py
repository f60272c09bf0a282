"""Converts a few rows to a DataFrame without Python workers and without a Spark task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType


def local_frame(spark: SparkSession, schema: StructType, rows: Sequence[Mapping[str, Any]] = ()) -> DataFrame:
    """Converts rows of the driver to a DataFrame.

    Args:
        spark: session.
        schema: columns.
        rows: values by column name; a column that is missing in a row becomes null.
    """
    # Use Arrow: Spark would pickle plain rows, and a Python worker on an executor would read them.
    return spark.createDataFrame(local_table(schema, rows), schema)


def read_rows(files: Iterable[bytes], schema: StructType, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Reads the rows of small Parquet files, whoever wrote them.

    Other writers store times as INT96 without a zone, and columns in another order or number.

    Args:
        files: content of each file.
        schema: columns of the table's contract; a further column of a file is left as it is.
        names: name of a column by its name in the files, where they differ.

    Returns:
        The rows by column name; times carry their zone. A row lacks the columns that its file lacks.
    """
    types = {field.name: field.type for field in to_arrow_schema(schema, timezone="UTC")}
    rows: list[dict[str, Any]] = []
    for content in files:
        # pq.read_table takes ten times as long for a small file (measured).
        file = pq.ParquetFile(pa.BufferReader(content), coerce_int96_timestamp_unit="us")
        found = file.read(use_threads=False)
        found = found.rename_columns([names.get(name, name) for name in found.column_names])
        cast = [field.with_type(types.get(field.name, field.type)) for field in found.schema]
        rows += found.cast(pa.schema(cast)).to_pylist()
    return rows


def local_table(schema: StructType, rows: Sequence[Mapping[str, Any]] = ()) -> pa.Table:
    """Converts rows of the driver to an Arrow table; arguments as for :func:`local_frame`."""
    complete = [{name: row.get(name) for name in schema.fieldNames()} for row in rows]
    return pa.Table.from_pylist(complete, schema=to_arrow_schema(schema, timezone="UTC"))
