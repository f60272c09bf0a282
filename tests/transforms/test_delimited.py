from __future__ import annotations

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tests.support.lines import texts_frame
from transforms.delimited import Dialect, is_record

pytestmark = pytest.mark.usefixtures("interpreted")


@pytest.mark.parametrize(
    ("dialect", "blank", "records"),
    [
        (
            Dialect(),
            ["", " \t", ",,,", "\t,,", "\x00\u00a0", '"",""', ' ," "', "\u00a0,", "\x0b, ,\x1a"],
            ["a", ",a,", "\ta", "\x00\u00a0a", '"",a', ";;", "\u00e9"],
        ),
        (Dialect("\t", None), ["\t\t", " \t\u00a0", "\x00\t"], ["\ta", '""\t', ","]),
        (Dialect("|"), ["|||", "\t||", '""| '], ["|a|", ",|,"]),
    ],
)
def test_a_row_is_blank_if_each_field_holds_blanks_and_control_characters_alone(
    spark: SparkSession, dialect: Dialect, blank: list[str], records: list[str]
) -> None:
    lines = texts_frame(spark, "value", rows=[[line] for line in (*blank, *records)])
    kept = lines.filter(is_record(F.col("value"), dialect)).orderBy("n").collect()
    assert [row.value for row in kept] == records
