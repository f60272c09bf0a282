"""Commands that are refused: one clear line, code 2, and nothing written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from jobs.publish_sales import JOB as PUBLISH_SALES
from jobs.run_batch import JOB as RUN_BATCH
from pipeline.lake.causes import explain
from tests.jobs.shop import Shop, line

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--lakee", "x"], ["No such option", "--lakee", "--lake"]),
        (["--republis"], ["No such option", "--republish"]),
        (["--from", "2026-13-01"], ["--from", "'2026-13-01'", "YYYY-MM-DD"]),
        (["--date", "20260302"], ["--date", "'20260302'", "YYYY-MM-DD", "2026-11-27"]),
        (["--from", "2026-03-03", "--to", "2026-03-02"], ["--from 2026-03-03 is after --to 2026-03-02"]),
        (["--date", "2026-03-02", "--to", "2026-03-02"], ["--date", "--from", "do not combine"]),
        (["extra"], ["unexpected extra argument", "extra"]),
        (["--set", "late.dayz=7"], ["unknown config key 'late.dayz'", "did you mean 'late.days'"]),
        (["--set", "days=7"], ["unknown config key 'days'", "did you mean 'late.days'"]),
        (["--set", "late.days"], ["'late.days'", "key=value"]),
        (["--set", "late.days=soon"], ["late.days", "'soon'", "integer"]),
        (["--set", "late.days=[1"], ["late.days=[1", "YAML"]),
        (["--set", "chunks.ranges=[A-G, G-N]"], ["'A-G'", "'G-N'", "overlap"]),
        (["--set", "chunks.ranges=[H-N, A-G]"], ["'H-N'", "'A-G'", "out of order"]),
        (["--set", "chunks.ranges=[G-A]"], ["'G-A'", "out of order"]),
        (["--set", "chunks.ranges=[1-9]"], ["'1-9'", "A-G"]),
        (["--set", "chunks.key=product"], ["chunks.key", "'product'", "product_name"]),
        (
            ["--set", "business_day.timezone=New York"],
            ["business_day.timezone", "'New York'", "America/New_York"],
        ),
        (["--set", "currencies=[DOLLAR]"], ["currencies", "'DOLLAR'", "USD"]),
        (["--set", "columns={shop: shop_no}"], ["columns", "'shop'"]),
        (["--set", "audit.max_rejected_share=5"], ["audit.max_rejected_share", "5"]),
        (
            ["--landing", "s3a://me:hidden@bucket"],
            ["--landing: the address holds a password", "SPARK_CONF_DIR"],
        ),
        (
            ["--set", "storage.lake=s3a://me:hidden@bucket"],
            ["--set storage.lake: the address holds a password"],
        ),
    ],
)
def test_a_wrong_command_is_refused_before_spark_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], parts: list[str]
) -> None:
    lake = tmp_path / "lake"
    assert RUN_BATCH.run(["--lake", str(lake), *arguments]) == 2
    errors = [text for text in capsys.readouterr().err.splitlines() if text]
    assert len(errors) == 1, errors
    assert errors[0].startswith("error: run_batch: ")
    assert all(part in errors[0] for part in parts), errors[0]
    assert "hidden" not in errors[0]
    assert not lake.exists()


@pytest.mark.parametrize(("key", "other"), [("landing", "lake"), ("lake", "landing")])
def test_a_password_in_an_address_of_the_config_is_refused_and_not_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, other: str
) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text(f"storage: {{{key}: 's3a://me:hidden@bucket', {other}: 'wasb://a@b'}}\n")
    assert RUN_BATCH.run(["--config", str(config)]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: run_batch: {config}: storage.{key} = an address: the address holds a pas")
    assert "hidden" not in told


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (None, ["No such file"]),
        (b"late: {days: [", ["not YAML"]),
        (b"\xff\xfe\x00", ["not YAML"]),
        (b"- late", ["must be a mapping"]),
        (b"late: {dayz: 7}", ["unknown config key 'late.dayz'", "late.days"]),
        (b"late: 7", ["late"]),
        (b"[" * 100_000, ["not YAML"]),
    ],
)
def test_a_config_that_cannot_be_read_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, parts: list[str]
) -> None:
    config = tmp_path / "shop.yaml"
    if content is not None:
        config.write_bytes(content)
    assert RUN_BATCH.run(["--lake", str(tmp_path / "lake"), "--config", str(config)]) == 2
    (error,) = [text for text in capsys.readouterr().err.splitlines() if text]
    assert error.startswith("error: run_batch: ")
    assert str(config) in error
    assert all(part in error for part in parts), error


def test_an_option_of_another_job_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert PUBLISH_SALES.run(["--reingest"]) == 2
    assert "No such option" in capsys.readouterr().err


def test_help_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert RUN_BATCH.run(["--help"]) == 0
    assert "--dry-run" in capsys.readouterr().out


def test_a_landing_that_is_not_there_is_refused(shop: Shop) -> None:
    ran = shop.run("--landing", str(shop.folder / "nowhere"))
    assert ran.code == 2
    assert "nowhere: no such folder" in ran.error
    file = shop.folder / "file.csv"
    file.touch()
    ran = shop.run("--landing", str(file))
    assert ran.code == 2
    assert "file.csv: no such folder" in ran.error
    ran = shop.run("--landing", "nosuch://bucket/landing")
    assert ran.code == 2
    assert 'nosuch://bucket/landing: No FileSystem for scheme "nosuch"' in ran.error


def test_a_lake_that_cannot_be_written_to_is_refused(shop: Shop) -> None:
    (shop.folder / "file").write_text("not a folder")
    ran = shop.run("--lake", str(shop.folder / "file" / "lake"))
    assert ran.code == 2
    assert "error: run_batch: lake file:" in ran.error
    assert "/file/lake: cannot be written to: " in ran.error
    assert (shop.folder / "file").read_text() == "not a folder"


def test_a_java_error_is_told_by_its_cause(spark: SparkSession) -> None:
    jvm: Any = spark._jvm
    with pytest.raises(Py4JJavaError) as raised:
        jvm.java.util.ArrayList().get(3)
    assert explain(raised.value).startswith("java.lang.IndexOutOfBoundsException: Index 3")


def test_a_result_that_cannot_be_written_is_told(shop: Shop) -> None:
    (shop.folder / "file").write_text("not a folder")
    ran = shop.run("--dry-run", "--result", str(shop.folder / "file" / "result.json"))
    assert ran.code == 2
    assert f"--result {shop.folder / 'file' / 'result.json'}: " in ran.error


@pytest.mark.command
@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["run_bach"], ["unknown job run_bach", "did you mean run_batch?"]),
        (["--place", "locall", "run_batch"], ["unknown place locall", "did you mean local?"]),
        (["run_batch", "--lakee", "x"], ["No such option", "--lakee", "--lake"]),
    ],
)
def test_submit_refuses_in_one_line(spark: SparkSession, arguments: list[str], parts: list[str]) -> None:
    own = ("CYMBAL_", "JAVA_HOME", "SPARK_", "PYSPARK_", "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    # In one stream: spark-submit puts what a Python job writes to stderr on its own stdout.
    finished = subprocess.run(
        [str(ROOT / "scripts" / "submit.sh"), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 2, finished.stdout
    (error,) = [text for text in finished.stdout.splitlines() if text]
    assert error.startswith("error: ")
    assert all(part in error for part in parts), error


@pytest.mark.parametrize(
    "setting", ["business_day.timezone=Factory", "business_day.store_timezones={'S77': Factory}"]
)
def test_a_zone_that_java_lacks_ends_a_run_before_any_work(shop: Shop, setting: str) -> None:
    shop.land("2026-03-02", line("A", "2026-03-02T15:00:00Z"))
    ran = shop.run("--set", setting)
    assert ran.code == 2
    assert "time zone Factory: Java does not know it" in ran.error
    assert not shop.lake.exists()
