"""A place looked over before a run: each thing that can be wrong is found, and told with what to do."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from types import SimpleNamespace
from typing import Any

import pytest
from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

import pipeline.clock
import pipeline.steps.doctor
from jobs.doctor import JOB as DOCTOR
from pipeline.lake.files import FileStore
from pipeline.steps.host_checks import authentication_of, check_native_libraries, read_place
from scripts.submission.request import ROOT, read_properties
from tests.jobs.shop import Ran, Shop, line

DATE = "2026-03-02"
Disk = namedtuple("Disk", "total used free")


def states(ran: Ran) -> dict[str, str]:
    return {check["check"]: check["state"] for check in ran.result["checks"]}


def found(ran: Ran, check: str) -> dict[str, str]:
    return next(one for one in ran.result["checks"] if one["check"] == check)


def test_a_sound_place(shop: Shop) -> None:
    shop.land(DATE, line("A", f"{DATE}T15:00:00Z"))
    ran = shop.done(job=DOCTOR)
    assert set(states(ran).values()) == {"ok"}
    assert set(states(ran)) == {
        "environment", "files of runs", "Java", "native libraries", "Spark", "Delta", "settings",
        "settings of the user", "retries", "authentication", "Python of executors", "time zone",
        "landing", "lake", "catalog", "clock", "disk", "log store",
    }  # fmt: skip
    assert found(ran, "landing")["said"].endswith(f"1 drops, {DATE} to {DATE}")
    assert found(ran, "Python of executors")["said"].split(": ")[1].startswith("Python 3.")
    assert list(shop.lake.rglob("*")) == []  # nothing is left behind


def test_an_empty_landing_is_a_warning_and_none_a_problem(shop: Shop) -> None:
    empty = shop.done(job=DOCTOR)
    assert states(empty)["landing"] == "warning"
    shutil.rmtree(shop.landing)
    none = shop.run(job=DOCTOR)
    assert none.code == 2
    assert "landing: landing" in none.error
    assert "no such folder: give --landing, or storage.landing in the config" in none.error
    # One problem hides no other: all is looked at.
    assert states(none)["log store"] == "ok"


def test_a_lake_that_cannot_be_written_to(shop: Shop) -> None:
    shop.lake.write_text("a file, where the folder should be")
    ran = shop.run(job=DOCTOR)
    assert ran.code == 2
    assert states(ran)["lake"] == "problem"
    assert found(ran, "lake")["advice"].startswith("give --lake")


@pytest.mark.parametrize(("free", "state", "code"), [(9e9, "warning", 0), (0.5e9, "problem", 2)])
def test_little_disk(shop: Shop, monkeypatch: pytest.MonkeyPatch, free: float, state: str, code: int) -> None:
    monkeypatch.setattr(pipeline.steps.doctor.shutil, "disk_usage", lambda _: Disk(100e9, 0, free))
    ran = shop.run(job=DOCTOR)
    assert (ran.code, states(ran)["disk"]) == (code, state)


@pytest.mark.parametrize(("second", "state", "code"), [(False, "ok", 0), (True, "problem", 2)])
def test_a_lake_needs_a_store_that_creates_a_file_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, second: bool, state: str, code: int
) -> None:
    written = iter([True, second])
    monkeypatch.setattr(FileStore, "create", lambda *_: next(written))
    ran = shop.run(job=DOCTOR)
    assert (ran.code, states(ran)["log store"]) == (code, state)


def test_clocks_apart(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    now = pipeline.clock.now
    monkeypatch.setattr(pipeline.clock, "now", lambda: now().replace(year=2030))
    ran = shop.run(job=DOCTOR)
    assert ran.code == 2
    assert "synchronize the clocks" in ran.error


def test_what_results_rest_on_was_changed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    told = "spark.sql.ansi.enabled is false, must be true"
    monkeypatch.setattr(pipeline.steps.doctor, "wrong_settings", lambda _: [told])
    ran = shop.run(job=DOCTOR)
    assert ran.code == 2
    assert f"settings: {told}: take it out of the place's settings" in ran.error


def test_what_the_job_overrode_is_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    told = "spark.sql.caseSensitive is true, must be false"
    monkeypatch.setattr(pipeline.steps.doctor, "overridden_settings", lambda _: [told])
    ran = shop.done(job=DOCTOR)
    assert found(ran, "settings")["state"] == "warning"
    assert found(ran, "settings")["said"] == f"overridden: {told}"


def test_a_folder_that_is_nearly_a_drop(shop: Shop) -> None:
    shop.land(DATE, line("A", f"{DATE}T15:00:00Z"))
    (shop.landing / "drop_date=2026-3-3").mkdir()
    (shop.landing / "archive").mkdir()
    ran = shop.done(job=DOCTOR)
    assert found(ran, "landing")["state"] == "warning"
    assert found(ran, "landing")["said"].startswith("archive, drop_date=2026-3-3 in file:")


class Context:
    """A context of another master, and of executors without Python."""

    def __init__(self, real: Any, master: str) -> None:
        self.master = master
        self.pythonExec = "python-of-nowhere"
        self._jsc = real._jsc


class Asked:
    """As much of a batch as a look needs."""

    def __init__(self, spark: Any, master: str) -> None:
        self.spark = self
        self.sparkContext = Context(spark.sparkContext, master)


@pytest.mark.parametrize(
    ("master", "state"),
    [
        ("local", "problem"),
        ("local[2]", "problem"),
        ("local[*]", "problem"),
        ("local[2,4]", "ok"),
        ("spark://host:7077", "ok"),
        ("yarn", "ok"),
    ],
)
def test_a_master_that_never_retries(shop: Shop, master: str, state: str) -> None:
    assert pipeline.steps.doctor._retries(Asked(shop.spark, master))[0] == state  # type: ignore[arg-type]


def test_executors_without_python(shop: Shop) -> None:
    state, said, _ = pipeline.steps.doctor._python(Asked(shop.spark, "yarn"))  # type: ignore[arg-type]
    assert (state, said) == ("warning", "no python-of-nowhere on the executors")


def test_a_zone_that_java_lacks(shop: Shop) -> None:
    ran = shop.run("--set", "business_day.store_timezones={'S77': Factory}", job=DOCTOR)
    assert ran.code == 2
    assert "time zone: time zone Factory: Java does not know it" in ran.error


def test_variables_of_other_programs_are_named(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CYMBAL_LEFT_OUT", "PYTHONOPTIMIZE SPARK_HOME")
    monkeypatch.setenv("CYMBAL_VAR", str(shop.folder / "var"))
    ran = shop.done(job=DOCTOR)
    assert found(ran, "environment")["said"] == "left out: PYTHONOPTIMIZE, SPARK_HOME"
    assert found(ran, "files of runs")["said"] == str(shop.folder / "var")


def test_files_of_runs_that_cannot_be_written(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.landing.mkdir(exist_ok=True)
    (shop.folder / "file").touch()
    monkeypatch.setenv("CYMBAL_VAR", str(shop.folder / "file"))
    ran = shop.run(job=DOCTOR)
    assert ran.code == 2
    assert f"files of runs: {shop.folder / 'file'} cannot be written to: set CYMBAL_VAR" in ran.error


def test_native_code_that_java_cannot_load(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise Py4JError("UnsatisfiedLinkError: failed to map segment from shared object")

    jvm = SimpleNamespace(
        java=spark._jvm.java,  # type: ignore[union-attr]
        org=SimpleNamespace(
            xerial=SimpleNamespace(
                snappy=SimpleNamespace(Snappy=SimpleNamespace(getNativeLibraryVersion=refuse))
            )
        ),
        com=spark._jvm.com,  # type: ignore[union-attr]
    )
    batch: Any = SimpleNamespace(spark=SimpleNamespace(_jvm=jvm))
    state, said, advice = check_native_libraries(batch)
    assert (state, said) == ("problem", "Java cannot load Snappy from /tmp")
    assert "java.io.tmpdir" in advice


def test_monitoring_reads_one_json_object(shop: Shop) -> None:
    shop.land(DATE, line("A", f"{DATE}T15:00:00Z"))
    ran = shop.run("--json", job=DOCTOR)
    told = json.loads(ran.stdout)
    assert (told["job"], told["exit_code"], told["error"]) == ("doctor", 0, None)
    assert told["checks"] == ran.result["checks"]
    assert set(told["checks"][0]) == {"check", "state", "said", "advice"}
    shutil.rmtree(shop.landing)
    ran = shop.run("--json", job=DOCTOR)
    assert json.loads(ran.stdout)["exit_code"] == 2
    assert ran.error.startswith("error: doctor: landing: ")


def test_settings_that_are_not_the_places_are_named_with_what_they_do(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop.folder / "spark-defaults.conf").write_text("spark.sql.warehouse.dir  s3a://a-secret\n# spark.a b\n")
    monkeypatch.setenv("SPARK_CONF_DIR", str(shop.folder))
    monkeypatch.setenv("CYMBAL_SPARK_ARGS", "--conf spark.ui.enabled=false --conf spark.not.set=1")
    said = found(shop.done(job=DOCTOR), "settings of the user")["said"]
    # The tests' own session has other values than the local place.
    assert "spark.sql.shuffle.partitions is 2, not 8 (Each task costs some milliseconds" in said
    assert said.endswith("; further: spark.sql.warehouse.dir")
    assert "a-secret" not in said


def test_every_setting_of_a_place_has_its_value_and_a_reason() -> None:
    for place in ("local", "standalone", "yarn", "kubernetes"):
        settings = read_place(ROOT / "configs" / "places" / f"{place}.conf")
        assert settings.keys() == read_properties(ROOT / "configs" / "places" / f"{place}.conf").keys()
        assert all(reason for _, reason in settings.values())
    assert settings["spark.authenticate"][0] == "true"
    assert settings["spark.network.crypto.enabled"][1] == settings["spark.authenticate"][1]


@pytest.mark.parametrize(
    ("settings", "state", "said"),
    [
        ({"spark.master": "local[2,4]", "spark.driver.host": "127.0.0.1"}, "ok", "no other host reaches"),
        ({"spark.master": "local[2,4]", "spark.driver.host": "10.0.0.5"}, "warning", "at 10.0.0.5"),
        ({"spark.master": "spark://head:7077"}, "warning", "answer everyone"),
        ({"spark.master": "yarn", "spark.authenticate": "false"}, "warning", "answer everyone"),
        ({"spark.master": "spark://head:7077", "spark.authenticate": "true"}, "ok", "secret, not encrypted"),
        (
            {"spark.master": "yarn", "spark.authenticate": "true", "spark.network.crypto.enabled": "true"},
            "ok",
            "by a secret, encrypted",
        ),
    ],
)
def test_whom_the_ports_of_a_run_answer(settings: dict[str, str], state: str, said: str) -> None:
    found = authentication_of(settings)
    assert (found[0].value, bool(found[2])) == (state, state != "ok")
    assert said in found[1]


@pytest.mark.parametrize("place", ["local", "standalone", "yarn", "kubernetes"])
def test_the_pages_of_a_driver_are_off_and_kill_nothing(place: str) -> None:
    settings = read_properties(ROOT / "configs" / "places" / f"{place}.conf")
    assert (settings["spark.ui.enabled"], settings["spark.ui.killEnabled"]) == ("false", "false")
