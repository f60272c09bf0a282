"""The physical plan of a publish, as it ran: one scan of bronze, one shuffle, one sort, one write."""

from __future__ import annotations

import ast
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipeline.planning.windows import partition_spans
from schemas.ranges import parse_ranges
from tests.support.lines import accepted_line, bronze_frame
from tests.support.plans import (
    PLACEMENT,
    Node,
    executed_plans,
    main_line,
    operations_of_writing_stage,
    publishing_plan,
)
from tests.support.publication import FOUR_RANGES
from transforms.copies import Copies, filter_hashes, find_conflicts, find_suspect_hashes, resolve_copies
from transforms.publication import ChunkPlan, line_columns, published_sales, with_chunk

DAY, LONG_AGO = dt.date(2026, 11, 27), dt.date(2026, 11, 10)
NAMES = ("Apple", "Honey", "Onion", "Zucchini", "7up")


@pytest.fixture(scope="module")
def writer_that_sorts(spark: SparkSession) -> Iterator[None]:
    """With writers open at once a write need not sort; without, it sorts whatever is not sorted yet."""
    key = "spark.sql.maxConcurrentOutputFileWriters"
    before = spark.conf.get(key)
    spark.conf.set(key, "0")
    yield
    spark.conf.set(key, str(before))


@pytest.fixture(scope="module")
def bronze(
    spark: SparkSession, writer_that_sorts: None, tmp_path_factory: pytest.TempPathFactory
) -> DataFrame:
    """Bronze with two days' lines, copies in different chunks, and adjustments; written unsorted."""
    lines = [
        accepted_line(transaction_id=f"T-{n}", product_name=NAMES[n % 5], drop_date=day)
        for n in range(40)
        for day in (DAY, LONG_AGO)
    ]
    lines += [
        accepted_line(transaction_id="T-0", product_name="Zucchini", source_file="z.csv"),
        accepted_line(transaction_id="T-1", sale_date=LONG_AGO, is_adjustment=True),
        accepted_line(transaction_id="T-new", sale_date=LONG_AGO, is_adjustment=True),
    ]
    path = str(tmp_path_factory.mktemp("plan") / "bronze")
    spark.sparkContext.setJobGroup("unsorted", "test")
    bronze_frame(spark, lines).write.format("delta").partitionBy("drop_date").save(path)
    return spark.read.format("delta").load(path)


def sales_of(bronze: DataFrame, dates: list[dt.date], with_late: bool) -> DataFrame:
    """Sales of some dates, put together as a publish does (batch.window keeps the same frames)."""
    ranges = parse_ranges(FOUR_RANGES)
    lines = with_chunk(
        bronze.filter(F.col("business_date").isin(dates)).select(*line_columns()), "product_name", ranges
    )
    spans = partition_spans(dict.fromkeys((*FOUR_RANGES, "other"), 20), 10)
    plan = ChunkPlan(spans)
    if not with_late:
        return published_sales(lines, plan, None)
    # In a publish the conflicts are committed before, so all of it is there, and its size known.
    hashes = find_suspect_hashes(lines).persist()
    assert hashes.count() == 3
    suspects = filter_hashes(lines, hashes).persist()
    others = bronze.filter((F.col("sale_date") == F.lit(LONG_AGO)) & ~F.col("business_date").isin(dates))
    earlier = filter_hashes(others, hashes).select(*line_columns())
    every = suspects.unionByName(earlier.withColumn("chunk", F.lit(None).cast("string")))
    resolved = resolve_copies(every).filter(F.col("business_date").isin(dates)).persist()
    assert (resolved.count(), find_conflicts(resolved).count()) == (4, 2)
    return published_sales(lines, plan, Copies(hashes, resolved))


def write(spark: SparkSession, frame: DataFrame, path: Path, group: str) -> list[list[Node]]:
    spark.sparkContext.setJobGroup(group, "test")
    writer = frame.write.format("delta").partitionBy("business_date")
    return executed_plans(spark, lambda: writer.save(str(path)))


def named(nodes: list[Node], name: str) -> list[Node]:
    return [node for node in nodes if node.name == name or node.name.startswith(f"{name} ")]


def assert_one_shuffle_one_sort_one_scan(plans: list[list[Node]]) -> None:
    nodes = main_line(publishing_plan(plans))
    names = [node.name for node in nodes]
    (exchange,) = named(nodes, "Exchange")
    assert PLACEMENT in exchange.details, exchange.details
    (sort,) = named(nodes, "Sort")
    assert "business_date" in sort.details.split("Arguments: [")[1].split(",")[0], sort.details
    assert len(named(nodes, "Scan parquet")) == 1, names
    # One expression that Spark has no generated code for, as a higher-order function, takes it from a stage.
    lines_pass = [node for node in nodes if node.name.split()[0] in ("Project", "Filter", "Sort")]
    assert lines_pass
    assert not [node.details for node in lines_pass if "[codegen id" not in node.details]
    # Nothing splits or joins the planned partitions again.
    assert not named(nodes, "AQEShuffleRead"), names
    # No window and no join over the lines themselves: what is looked up is broadcast.
    assert not named(nodes, "Window"), names
    assert not [name for name in names if "SortMergeJoin" in name or "ShuffledHashJoin" in name], names


def test_a_publish_shuffles_once_sorts_once_and_reads_bronze_once(
    spark: SparkSession, bronze: DataFrame, tmp_path: Path
) -> None:
    sales = sales_of(bronze, [DAY, LONG_AGO], with_late=False)
    plans = write(spark, sales, tmp_path / "sales", "plain")
    assert_one_shuffle_one_sort_one_scan(plans)
    assert "Sort" not in operations_of_writing_stage(spark, "plain")
    # The same look at a write that does sort, so that the line above means something.
    assert "Sort" in operations_of_writing_stage(spark, "unsorted")


def test_copies_and_late_resends_add_only_what_is_broadcast(
    spark: SparkSession, bronze: DataFrame, tmp_path: Path
) -> None:
    sales = sales_of(bronze, [DAY], with_late=True)
    plans = write(spark, sales, tmp_path / "sales", "late")
    assert_one_shuffle_one_sort_one_scan(plans)
    assert "Sort" not in operations_of_writing_stage(spark, "late")
    spark.catalog.clearCache()


def test_transforms_use_the_public_dataframe_api_only() -> None:
    forbidden = {
        "_jdf",
        "_jvm",
        "_jc",
        "_jsc",
        "_jsparkSession",
        "_sc",
        "rdd",
        "sparkContext",
        "sparkSession",
    }
    folder = Path(__file__).resolve().parents[2] / "transforms"
    found: list[Any] = []
    for path in sorted(folder.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in forbidden:
                found.append((path.name, node.lineno, node.attr))
    assert found == []
    assert len(list(folder.glob("*.py"))) > 5
