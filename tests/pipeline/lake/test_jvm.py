from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from pipeline.lake.jvm import java_class

# How py4j asks Java what a name is: it searches packages for it.
ASKS_FOR_A_NAME = "r\nu\n"


@pytest.fixture
def commands(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that this process sends to Java."""
    sent: list[str] = []
    connection = type(spark._jvm._gateway_client._get_connection())  # type: ignore[union-attr]
    send = connection.send_command

    def noted(self: Any, command: str) -> Any:
        sent.append(command)
        return send(self, command)

    monkeypatch.setattr(connection, "send_command", noted)
    return sent


def test_functions_of_columns_ask_for_no_name(spark: SparkSession, commands: list[str]) -> None:
    spark.range(1).select(F.coalesce(F.col("id"), F.lit(1)), "id")
    assert len(commands) > 5
    asked = {command.split("\n")[2] for command in commands if command.startswith(ASKS_FOR_A_NAME)}
    assert {name for name in asked if "functions" in name or "PythonUtils" in name} == set()


def test_a_class_is_reached_by_its_full_name(spark: SparkSession, commands: list[str]) -> None:
    assert java_class(spark._jvm, "java.util.ArrayList")().size() == 0
    assert java_class(spark._jvm, "org.apache.hadoop.fs.Path")("/a/b").getName() == "b"
    assert [command for command in commands if command.startswith(ASKS_FOR_A_NAME)] == []
