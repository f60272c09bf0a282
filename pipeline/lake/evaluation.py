"""How Spark evaluates the expressions of a step: by Java code that it generates, or as they stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

# To generate and compile the code of a night costs a cold process two seconds. Without it a line costs about
# 0.14 ms more, so both cost the same at some 14,000 lines (measured).
FEW_LINES = 5_000
INTERPRETED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}


@contextmanager
def evaluation_for(spark: SparkSession, lines: int) -> Iterator[None]:
    """Lets Spark evaluate expressions as they stand while the context lasts, if a step is to read few lines.

    Spark's results are the same both ways.

    Args:
        spark: session.
        lines: most lines that the step is expected to read.
    """
    if lines > FEW_LINES:
        yield
        return
    before = {name: spark.conf.get(name, None) for name in INTERPRETED}
    try:
        _set(spark, INTERPRETED)
        yield
    finally:
        with suppress(Py4JError, OSError):  # no JVM is left: the first error counts
            _set(spark, before)


def _set(spark: SparkSession, settings: Mapping[str, str | None]) -> None:
    for name, value in settings.items():
        if value is None:
            spark.conf.unset(name)
        else:
            spark.conf.set(name, value)
