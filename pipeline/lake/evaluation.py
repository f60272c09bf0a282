"""How Spark evaluates the expressions of a step: by Java code that it generates, or as they stand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

# To generate and compile the code of a night costs a cold process two seconds. Without it a line costs about
# 0.14 ms more, so both cost the same at some 14,000 lines (measured).
FEW_LINES = 5_000
INTERPRETED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}


@contextmanager
def evaluation_for(spark: SparkSession, lines: int) -> Iterator[None]:
    """Lets Spark evaluate expressions as they stand while the context lasts, if a step reads few lines.

    Spark's results are the same both ways.

    Args:
        spark: session.
        lines: most lines that the step reads.
    """
    if lines > FEW_LINES:
        yield
        return
    before = {name: spark.conf.get(name, None) for name in INTERPRETED}
    for name, value in INTERPRETED.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, earlier in before.items():
            if earlier is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, earlier)
