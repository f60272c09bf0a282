"""Converts a few rows to a DataFrame without Python workers and without a Spark task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def read_rows(content: bytes, schema: StructType, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Reads the rows of a Parquet file, whoever wrote it.

    Other writers store times as INT96 without a zone, and columns in another order or number.

    Args:
        content: the file.
        schema: columns of the table's contract; a further column of the file is left as it is.
        names: name of a column by its name in the file, where they differ.

    Returns:
        The rows by column name; times carry their zone. A row lacks the columns that the file lacks.
    """
    rows = pq.read_table(pa.BufferReader(content), use_threads=False, coerce_int96_timestamp_unit="us")
    rows = rows.rename_columns([names.get(name, name) for name in rows.column_names])
    types = {field.name: field.type for field in to_arrow_schema(schema, timezone="UTC")}
    cast = [field.with_type(types.get(field.name, field.type)) for field in rows.schema]
    return list(rows.cast(pa.schema(cast)).to_pylist())


def local_table(schema: StructType, rows: Sequence[Mapping[str, Any]] = ()) -> pa.Table:
    """Converts rows of the driver to an Arrow table; arguments as for :func:`local_frame`."""
    complete = [{name: row.get(name) for name in schema.fieldNames()} for row in rows]
    return pa.Table.from_pylist(complete, schema=to_arrow_schema(schema, timezone="UTC"))
