"""What results rest on is the job's own: no setting of a place or a user, and no language, changes them."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

import pipeline.lake.session
from pipeline.lake.session import REQUIRED, open_session, overridden_settings, wrong_settings
from schemas.errors import UsageError
from schemas.lake import TABLES
from tests.jobs.shop import Shop, line
from tests.support.landing import csv_text
from tests.support.tables import table_path

ROOT = Path(__file__).resolve().parents[3]
# A house's spark-defaults.conf.
DEFAULTS = {
    "spark.sql.files.ignoreCorruptFiles": "true",
    "spark.sql.files.ignoreMissingFiles": "true",
    "spark.sql.session.timeZone": "Asia/Tokyo",
    "spark.sql.ansi.enabled": "false",
    "spark.sql.caseSensitive": "true",
    "spark.sql.storeAssignmentPolicy": "LEGACY",
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
    "spark.sql.sources.partitionOverwriteMode": "dynamic",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.parquet.datetimeRebaseModeInRead": "LEGACY",
    "spark.sql.legacy.timeParserPolicy": "LEGACY",
    "spark.sql.legacy.allowHashOnMapType": "true",
    "spark.sql.variant.allowDuplicateKeys": "true",
    "spark.sql.extensions": "com.example.Own",
    "spark.databricks.delta.schema.autoMerge.enabled": "true",
    "spark.databricks.delta.replaceWhere.constraintCheck.enabled": "false",
    "spark.databricks.delta.properties.defaults.columnMapping.mode": "name",
    "spark.databricks.delta.properties.defaults.enableChangeDataFeed": "true",
    "spark.databricks.delta.properties.defaults.enableDeletionVectors": "true",
    "spark.databricks.delta.optimizeWrite.enabled": "true",
    "spark.databricks.delta.autoCompact.enabled": "true",
    "spark.databricks.delta.commitInfo.userMetadata": "the house",
    "spark.databricks.delta.write.txnAppId": "the house",
    "spark.databricks.delta.write.txnVersion": "1",
    "spark.hadoop.fs.s3a.input.stream.type": "prefetch",
}
# Two nights and what the session says of itself; between them bronze is cut, as a disk that fails leaves it.
CHILD = """
import json, sys
from pathlib import Path
from jobs.publish_sales import JOB as PUBLISH
from jobs.run_batch import JOB as RUN
from pipeline.lake.session import open_session, overridden_settings, wrong_settings
landing, lake = sys.argv[1:]
where = ["--landing", landing, "--lake", lake]
first = RUN.run([*where, "--result", f"{lake}.json"])
spark = open_session("again")
told = {
    "first": first,
    "wrong": wrong_settings(spark),
    "overridden": overridden_settings(spark),
    "stream": spark.sparkContext._jsc.hadoopConfiguration().get("fs.s3a.input.stream.type"),
    "locale": spark._jvm.java.util.Locale.getDefault().toString(),
    "properties": {
        str(path.parent.parent.relative_to(lake)): [
            json.loads(text)["metaData"]["configuration"]
            for text in path.read_text().splitlines() if "metaData" in json.loads(text)
        ]
        for path in Path(lake).rglob("00000000000000000000.json")
    },
}
for path in Path(lake, "bronze").rglob("*.parquet"):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
told["second"] = PUBLISH.run([*where, "--republish"])
print(json.dumps(told))
"""


def sold(number: str, **fields: str | None) -> dict[str, str | None]:
    return line(number, "2026-03-03T02:30:00Z", **fields)


@pytest.fixture(scope="module")
def elsewhere(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, dict[str, Any]]:
    """A shop whose nights ran in a house with settings and digits of its own."""
    shop = Shop(spark, tmp_path_factory.mktemp("elsewhere"))
    shop.land("2026-03-03", sold("A"), sold("B", quantity="x" * 3), *[sold(f"C-{n}") for n in range(40)])
    junk = random.Random(5)  # any seed: what matters is that it does not compress to nothing
    many = csv_text([sold(str(n), customer_id=junk.randbytes(20).hex()) for n in range(3000)]).encode()
    whole = gzip.compress(many)
    cut = shop.land_bytes("2026-03-04", b"", "cut.csv.gz")
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    conf = shop.folder / "conf"
    conf.mkdir()
    (conf / "spark-defaults.conf").write_text(
        "".join(f"{name} {value}\n" for name, value in DEFAULTS.items())
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SPARK_CONF_DIR": str(conf),
        "JAVA_TOOL_OPTIONS": "-Duser.language=fa -Duser.region=IR -Duser.country=IR",
    }
    finished = subprocess.run(
        [sys.executable, "-c", CHILD, str(shop.landing), str(shop.lake)],
        env=environment,
        cwd=shop.folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    told = json.loads(finished.stdout.splitlines()[-1])
    return shop, {**told, "stderr": finished.stderr}


def test_a_cut_file_fails_its_drop_whatever_the_house_ignores(elsewhere: tuple[Shop, dict[str, Any]]) -> None:
    _, told = elsewhere
    assert told["first"] == 4
    assert "drop 2026-03-04 failed: cut.csv.gz cannot be read: " in told["stderr"]


def test_a_table_that_is_damaged_is_not_read_as_empty(elsewhere: tuple[Shop, dict[str, Any]]) -> None:
    shop, told = elsewhere
    assert told["second"] not in (0, 4, 5)
    assert len(shop.sales("transaction_id")) == 41


def test_the_tables_are_those_of_a_house_without_settings(elsewhere: tuple[Shop, dict[str, Any]]) -> None:
    shop, told = elsewhere
    here = shop.other("here")
    assert here.run().code == 4
    paths = {table.name: table_path(here.lake, table) for table in TABLES}
    expected = {name: _first_properties(path) for name, path in paths.items() if path.exists()}
    assert told["properties"] == expected
    columns = ("transaction_id", "business_date", "sold_at", "net_amount", "chunk", "source_file")
    assert shop.sales(*columns) == here.sales(*columns)


def _first_properties(path: Path) -> list[Any]:
    lines = (path / "_delta_log" / f"{0:020d}.json").read_text().splitlines()
    return [json.loads(text)["metaData"]["configuration"] for text in lines if "metaData" in text]


def test_every_setting_that_was_overridden_is_told(elsewhere: tuple[Shop, dict[str, Any]]) -> None:
    _, told = elsewhere
    assert told["wrong"] == []
    assert told["stream"] == "classic"
    assert {text.split(" is ")[0] for text in told["overridden"]} == set(DEFAULTS)
    assert "spark.sql.ansi.enabled is false, must be true" in told["overridden"]
    assert "spark.sql.legacy.timeParserPolicy is LEGACY, must not be set" in told["overridden"]


def test_files_of_a_log_are_named_in_ascii_digits(elsewhere: tuple[Shop, dict[str, Any]]) -> None:
    shop, told = elsewhere
    assert told["locale"] == "en"
    names = [path.name for path in shop.lake.rglob("*")]
    assert f"{0:020d}.json" in names
    assert [name for name in names if not name.isascii()] == []


@pytest.fixture
def unnoted(spark: SparkSession) -> Iterator[SparkSession]:
    """The session of the tests, left as it was."""
    yield spark
    spark.conf.unset(pipeline.lake.session._OVERRIDDEN)


def test_a_session_that_runs_already_is_set_right(unnoted: SparkSession) -> None:
    for name in (
        "spark.sql.files.ignoreCorruptFiles",
        "spark.sql.caseSensitive",
        "spark.sql.legacy.timeParserPolicy",
    ):
        unnoted.conf.set(name, "LEGACY" if "legacy" in name else "true")
    assert len(wrong_settings(unnoted)) == 3
    assert open_session("again") is unnoted
    told = [
        "spark.sql.caseSensitive is true, must be false",
        "spark.sql.files.ignoreCorruptFiles is true, must be false",
        "spark.sql.legacy.timeParserPolicy is LEGACY, must not be set",
    ]
    assert (wrong_settings(unnoted), overridden_settings(unnoted)) == ([], told)
    open_session("and again")
    assert overridden_settings(unnoted) == told
    assert unnoted.conf.get("spark.sql.legacy.timeParserPolicy") != "LEGACY"


def test_every_required_setting_is_one_that_this_spark_knows(spark: SparkSession) -> None:
    # Under another name a setting would be set, read back, and change nothing.
    java: Any = spark._jvm
    java.org.apache.spark.sql.delta.sources.DeltaSQLConf.DELTA_SCHEMA_AUTO_MIGRATE()  # makes Delta's known
    known = getattr(getattr(java.org.apache.spark.sql.internal, "SQLConf$"), "MODULE$")
    outside = {"spark.sql.catalog.spark_catalog", "spark.hadoop.fs.s3a.input.stream.type"}
    unknown = {name for name in set(REQUIRED) - outside if known.getConfigEntry(name) is None}
    assert unknown == set()


def test_a_setting_that_cannot_be_changed_ends_the_run(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REQUIRED, "spark.sql.extensions", "another.Extension")
    with pytest.raises(UsageError) as raised:
        open_session("again")
    assert raised.value.exit_code == 2
    for part in (
        "spark.sql.extensions is io.delta.sql.DeltaSparkSessionExtension",
        "must be another.Extension",
    ):
        assert part in str(raised.value)
