"""A team's own columns and rules in the ingest: cheap, in generated code, and absent where there are none."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import DateType, StringType, StructField, StructType

from pipeline.extensions import OwnColumn
from pipeline.lake.frames import local_frame
from schemas.landing import contract_with, received_names
from schemas.own_rules import OwnRule
from tests.support.lines import received_line
from transforms.received import ValidationConfig, validate_received

COLUMNS = [
    OwnColumn(kind="amount").as_received("tax_amount"),
    OwnColumn(kind="text").as_received("loyalty_tier"),
]
RULES = (
    OwnRule("high_tax", "tax_amount > gross_amount"),
    OwnRule("night_sale", "hour(sold_at) < 3"),
    OwnRule("no_category", "category is null and gross_amount > 500"),
    OwnRule("staff_sale", "customer_id like 'STAFF%'", ("1042",)),
    OwnRule("too_many_units", "quantity > 10000"),
)
# A method that grows much longer than the one without them is no longer compiled well.
MOST_GROWTH = 1.25


def validated(spark: SparkSession, rules: tuple[OwnRule, ...], path: str) -> DataFrame:
    terms = ValidationConfig(scales={"USD": 2}, own_rules=rules)
    return validate_received(spark.read.schema(_schema()).parquet(path), terms)


def _schema() -> StructType:
    texts = [StructField(name, StringType()) for name in (*received_names(), "malformed_text", "source_file")]
    return StructType([*texts, StructField("drop_date", DateType())])


def generated(frame: DataFrame) -> list[Any]:
    """Statistics of the code of each stage; a stage without generated code has none."""
    execution: Any = frame._jdf.queryExecution()
    stages = execution.debug().codegenToSeq()
    return [stages.apply(number)._3() for number in range(stages.length())]


def projections(frame: DataFrame) -> tuple[int, int]:
    """Number of projections, and of those in the generated code of the one stage."""
    execution: Any = frame._jdf.queryExecution()
    plan = str(execution.executedPlan().toString())
    return plan.count("Project ["), plan.count("*(1) Project [")


def test_two_columns_and_five_rules_stay_one_stage_of_short_generated_code(
    spark: SparkSession, tmp_path: Any
) -> None:
    path = str(tmp_path / "received")
    with contract_with(COLUMNS):
        line = {**received_line(), "tax_amount": "1", "source_file": "a"}
        local_frame(spark, _schema(), [line]).write.parquet(path)
        own = validated(spark, RULES, path)
    plain = validated(spark, (), path)
    (own_stage,), (plain_stage,) = generated(own), generated(plain)
    size = plain_stage.maxMethodCodeSize()
    assert size < own_stage.maxMethodCodeSize() < MOST_GROWTH * size
    # The rules take one projection; a config without any takes none.
    before, now = projections(plain), projections(own)
    assert now == (before[0] + 1, before[1] + 1)
