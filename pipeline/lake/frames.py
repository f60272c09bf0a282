"""A few rows as a DataFrame, without a Python worker: executors need no Python, and no task is started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType


def local_frame(spark: SparkSession, schema: StructType, rows: Sequence[Mapping[str, Any]] = ()) -> DataFrame:
    """Rows of the driver as a DataFrame.

    Args:
        spark: session.
        schema: columns.
        rows: values by column name; a column that a row lacks is null.
    """
    # Arrow, where plain rows would be pickled and read again by a Python worker on an executor.
    return spark.createDataFrame(local_table(schema, rows), schema)


def local_table(schema: StructType, rows: Sequence[Mapping[str, Any]] = ()) -> pa.Table:
    """Rows of the driver as an Arrow table: see :func:`local_frame`."""
    complete = [{name: row.get(name) for name in schema.fieldNames()} for row in rows]
    return pa.Table.from_pylist(complete, schema=to_arrow_schema(schema, timezone="UTC"))
