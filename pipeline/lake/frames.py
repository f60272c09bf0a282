"""Converts a few rows to a DataFrame without Python workers and without a Spark task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
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


def local_table(schema: StructType, rows: Sequence[Mapping[str, Any]] = ()) -> pa.Table:
    """Converts rows of the driver to an Arrow table; arguments as for :func:`local_frame`."""
    complete = [{name: row.get(name) for name in schema.fieldNames()} for row in rows]
    return pa.Table.from_pylist(complete, schema=to_arrow_schema(schema, timezone="UTC"))
