"""How a step is evaluated: as it stands for few lines, by generated code for many; the settings come back."""

from __future__ import annotations

from typing import cast

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from pipeline.lake.evaluation import FEW_LINES, INTERPRETED, evaluation_for


def has_generated_code(spark: SparkSession) -> bool:
    """Whether Spark generates code for a projection of now."""
    plan = spark.range(3).select(F.col("id") + 1)._jdf.queryExecution().executedPlan().toString()
    return "*(1)" in str(plan)


def settings_of(spark: SparkSession) -> dict[str, str | None]:
    return {name: spark.conf.get(name, None) for name in INTERPRETED}


@pytest.mark.parametrize(("lines", "is_generated"), [(0, False), (FEW_LINES, False), (FEW_LINES + 1, True)])
def test_few_lines_are_evaluated_as_they_stand(spark: SparkSession, lines: int, is_generated: bool) -> None:
    with evaluation_for(spark, lines):
        assert has_generated_code(spark) == is_generated
    assert has_generated_code(spark)


def test_the_settings_before_come_back(spark: SparkSession, interpreted: None) -> None:
    before = settings_of(spark)
    with evaluation_for(spark, 1):
        pass
    assert settings_of(spark) == before == INTERPRETED


def test_an_error_inside_leaves_no_setting_behind(spark: SparkSession) -> None:
    before = settings_of(spark)
    with pytest.raises(ValueError, match="a step failed"), evaluation_for(spark, 1):
        raise ValueError("a step failed")
    assert settings_of(spark) == before


class NoJvm:
    """A session whose JVM ends while a step runs."""

    def __init__(self) -> None:
        self.conf = self
        self.is_gone = False

    def get(self, name: str, default: str | None) -> str | None:
        del name
        return default

    def set(self, name: str, value: str) -> None:
        del name, value

    def unset(self, name: str) -> None:
        if self.is_gone:
            raise ConnectionRefusedError(name)


def test_without_a_jvm_the_first_error_counts() -> None:
    session = NoJvm()
    with pytest.raises(KeyboardInterrupt), evaluation_for(cast("SparkSession", session), 1):
        session.is_gone = True
        raise KeyboardInterrupt
