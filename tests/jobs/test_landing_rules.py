"""What of a landing is a delivery: each file of a drop is read, or the drop waits, and the file is named."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.ingest_sales import JOB as INGEST_SALES
from pipeline import clock
from pipeline.landing.config import LandingConfig
from pipeline.landing.landing import Landing, unreadable_file
from pipeline.planning.readiness import NOT_READ
from schemas.tables import LEDGER_DROPS, LEDGER_RUNS, RECEIVED_SALES
from tests.jobs.shop import Ran, Shop, line
from tests.support.landing import csv_text, drop_folder


def sold_on(date: str, number: str = "1", **fields: str | None) -> dict[str, str | None]:
    return line(f"{date}/{number}", f"{date}T15:00:00Z", **fields)


def _also(content: bytes, name: str = "more.csv") -> Callable[[Shop, str], None]:
    """A sound file, and one of other bytes."""

    def land(shop: Shop, date: str) -> None:
        shop.land(date, sold_on(date))
        _put(shop, date, name, content)

    return land


def _only(content: bytes, name: str = "sales.csv") -> Callable[[Shop, str], None]:
    """One file of these bytes, where a sound one may have been."""

    def land(shop: Shop, date: str) -> None:
        _put(shop, date, name, content)

    return land


def _put(shop: Shop, date: str, name: str, content: bytes) -> None:
    path = drop_folder(shop.landing, date) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _manifest(text: str) -> Callable[[Shop, str], None]:
    """A sound file, and a manifest."""
    return _also(text.encode(), "manifest.json")


def _empty_folder(shop: Shop, date: str) -> None:
    shop.land(date, sold_on(date))
    (drop_folder(shop.landing, date) / "store=S02").mkdir()


SALES = csv_text([sold_on("2026-03-01", "other")]).encode()
NO_ROWS = "and no manifest that states 0 rows for it"
NOT_READY: dict[str, tuple[Callable[[Shop, str], None], str]] = {
    "2026-03-02": (_only(b""), f"file sales.csv has no byte, {NO_ROWS}"),
    "2026-03-03": (_only(gzip.compress(b""), "sales.csv.gz"), f"file sales.csv.gz has no header, {NO_ROWS}"),
    "2026-03-04": (_only(b"\n \r\n\t\n"), f"file sales.csv has no header, {NO_ROWS}"),
    "2026-03-05": (_only(b"\x00" * 70_000), f"file sales.csv has no header, {NO_ROWS}"),
    "2026-03-06": (_only(b"\x00" * 3_000_000), "file sales.csv has no line in its first 1,048,576 bytes"),
    "2026-03-07": (_only(b"", "sales.json"), f"file sales.json has no byte, {NO_ROWS}"),
    "2026-03-08": (_only(b"\n\n", "sales.json"), f"file sales.json has no line, {NO_ROWS}"),
    "2026-03-09": (_only(b"\x00" * 600, "sales.json"), f"file sales.json has no line, {NO_ROWS}"),
    "2026-03-10": (_also(b"\xef\xbb\xbf\n"), f"file more.csv has no header, {NO_ROWS}"),
    "2026-03-11": (_also(b"not a delivery", "readme.txt"), f"readme.txt {NOT_READ}"),
    "2026-03-12": (_also(SALES, "sales.csv.7z"), f"sales.csv.7z {NOT_READ}"),
    "2026-03-13": (_also(SALES, "store=S02/sales.csv"), f"store=S02/ {NOT_READ}"),
    "2026-03-14": (_empty_folder, f"store=S02/ {NOT_READ}"),
    "2026-03-15": (_also(SALES, "drop_date=2026-03-15/sales.csv"), f"drop_date=2026-03-15/ {NOT_READ}"),
    "2026-03-16": (_only(SALES, "sales.csv/part-00000-c000.csv"), f"sales.csv/ {NOT_READ}"),
    "2026-03-17": (_manifest('{"files": []}'), "file sales.csv is not in the manifest's list of files"),
    "2026-03-18": (_manifest('{"closed": true}'), "the manifest says closed, but file sales.csv is there"),
    "2026-03-19": (
        _manifest('{"closed": true, "files": [{"name": "sales.csv"}]}'),
        "the manifest says closed, but file sales.csv is there",
    ),
    "2026-03-20": (
        _manifest('{"files": [{"name": "shop.csv"}]}'),
        "file shop.csv of the manifest is not there",
    ),
    "2026-03-21": (
        _also(SALES, os.fsdecode(b"caf\xe9.csv")),
        f"caf\\udce9.csv (its name is not UTF-8: rename it) {NOT_READ}",
    ),
}
PUBLISHED_BEFORE = ("2026-03-02", "2026-03-13", "2026-03-15")


def _land_sound(shop: Shop) -> None:
    """Odd, and a delivery."""
    shop.land("2026-03-23")  # a header, and no line
    shop.land("2026-03-24", sold_on("2026-03-24"))
    _put(shop, "2026-03-24", "none.csv", b"")
    _put(shop, "2026-03-24", "none.json", b"\x00\x00")
    none = [{"name": name, "rows": 0} for name in ("none.csv", "none.json")]
    shop.manifest("2026-03-24", {"name": "sales.csv", "rows": 1}, *none)
    shop.land("2026-03-25", sold_on("2026-03-25"))
    for name in (".sales.csv", "_SUCCESS", "_temporary/0/sales.csv", ".git/x.csv"):
        _put(shop, "2026-03-25", name, SALES)
    _manifest("{}")(shop, "2026-03-26")
    shop.land("2026-03-28", sold_on("2026-03-28"), name="12:30.csv")
    shop.manifest("2026-03-27", closed=True)


def _land_beside(shop: Shop) -> None:
    """Folders that are no drop: an archive of one, and some that are nearly one."""
    archive = shop.landing / "archive" / "drop_date=2026-03-25"
    archive.mkdir(parents=True)
    (archive / "old.csv").write_bytes(SALES)
    shutil.copytree(archive, shop.landing / "_archive" / "drop_date=2026-03-25")
    for name in NEARLY[1:-1]:
        (shop.landing / name).mkdir()
        (shop.landing / name / "sales.csv").write_bytes(SALES)
    (shop.landing / NEARLY[-1]).write_bytes(SALES)
    (shop.landing / os.fsdecode(b"gr\xfc.csv")).write_bytes(SALES)


NEARLY = (
    "archive",
    "drop_date=2026-3-3",
    "drop_date=20260304",
    "drop_date=2026-03-05 ",
    "Drop_Date=2026-03-06",
    "drop_date=2026-02-30",
    "2026-03-07",
    "sales.csv",
)


@pytest.fixture(scope="module")
def nights(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, Ran]:
    shop = Shop(spark, tmp_path_factory.mktemp("rules"))
    for date in PUBLISHED_BEFORE:
        shop.land(date, sold_on(date, "before"))
    shop.done()
    for date, (land, _) in NOT_READY.items():
        land(shop, date)
    _land_sound(shop)
    _land_beside(shop)
    return shop, shop.run()


@pytest.mark.parametrize("date", NOT_READY)
def test_a_drop_that_is_not_whole_waits_and_names_the_file(nights: tuple[Shop, Ran], date: str) -> None:
    _, ran = nights
    assert ran.code == 5
    assert f"drop {date} is not ready: {NOT_READY[date][1]}" in ran.stderr
    assert date not in ran.drop_status


def test_nothing_of_a_drop_that_is_not_whole_is_touched(nights: tuple[Shop, Ran]) -> None:
    shop, _ = nights
    waiting = [row for row in shop.rows(RECEIVED_SALES) if row["drop_date"] in NOT_READY]
    assert {row["transaction_id"] for row in waiting} == {f"{date}/before" for date in PUBLISHED_BEFORE}
    assert {row["drop_date"] for row in shop.rows(LEDGER_DROPS)} >= set(PUBLISHED_BEFORE)
    published = {date: shop.sales("transaction_id", business_date=date) for date in PUBLISHED_BEFORE}
    assert published == {date: [f"{date}/before"] for date in PUBLISHED_BEFORE}


def test_what_is_a_delivery_is_read_and_nothing_else(nights: tuple[Shop, Ran]) -> None:
    shop, ran = nights
    assert ran.drop_status == dict.fromkeys(
        ("2026-03-23", "2026-03-24", "2026-03-25", "2026-03-26", "2026-03-27", "2026-03-28"), "ingested"
    )
    lines = {drop["drop_date"]: drop["lines"] for drop in ran.result["drops"]}
    assert lines == {
        "2026-03-23": 0,
        "2026-03-24": 1,
        "2026-03-25": 1,
        "2026-03-26": 1,
        "2026-03-27": 0,
        "2026-03-28": 1,
    }
    assert "2026-03-01/other" not in shop.sales("transaction_id")


def test_what_is_nearly_a_drop_is_told(nights: tuple[Shop, Ran]) -> None:
    _, ran = nights
    told = [text for text in ran.result["warnings"] if text.endswith("in the landing is no drop: left out")]
    names = [*NEARLY, "gr\\udcfc.csv (its name is not UTF-8: rename it)"]
    assert sorted(told) == sorted(f"{name} in the landing is no drop: left out" for name in names)


def test_a_misspelled_folder_of_the_day_that_is_asked_for_is_named(shop: Shop) -> None:
    shop.land("2026-03-02", sold_on("2026-03-02"))
    (shop.landing / "drop_date=2026-3-3").mkdir()
    ran = shop.run("--date", "2026-03-03")
    assert ran.code == 5
    told = "drop 2026-03-03 is not ready: no such folder in the landing; is 'drop_date=2026-3-3' meant?"
    assert told in ran.error


@pytest.mark.parametrize(("ahead", "code"), [("1", 5), ("2", 0)])
def test_a_drop_may_be_as_far_ahead_of_the_business_day_as_the_config_says(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, ahead: str, code: int
) -> None:
    # In New York it is still the day before.
    monkeypatch.setattr(clock, "now", lambda: dt.datetime(2026, 3, 3, 4, 59, tzinfo=dt.UTC))
    for date in ("2026-03-03", "2026-03-04"):
        shop.land(date, sold_on("2026-03-02", date))
    ran = shop.run("--set", f"landing.max_days_ahead={ahead}", job=INGEST_SALES)
    assert ran.code == code
    assert ran.drop_status["2026-03-03"] == "ingested"
    assert ("drop 2026-03-04 is not ready: its date is after 2026-03-03" in ran.stderr) == (code == 5)


def test_a_file_that_appears_in_an_ingested_drop_is_noticed(shop: Shop) -> None:
    shop.land("2026-03-02", sold_on("2026-03-02"))
    shop.done()
    _put(shop, "2026-03-02", "late.txt", b"x")
    ran = shop.run()
    assert (ran.code, shop.sales("transaction_id")) == (5, ["2026-03-02/1"])
    assert f"late.txt {NOT_READ}" in ran.error


def test_a_file_replaced_by_an_empty_one_keeps_its_lines_until_it_is_whole(shop: Shop) -> None:
    path = shop.land("2026-03-02", sold_on("2026-03-02"))
    shop.done()
    whole = path.read_bytes()
    path.write_bytes(b"")
    for arguments in ((), ("--reingest",)):
        ran = shop.run(*arguments)
        assert (ran.code, shop.sales("transaction_id")) == (5, ["2026-03-02/1"])
    path.write_bytes(whole + csv_text([sold_on("2026-03-02", "2")]).partition("\n")[2].encode())
    shop.done()
    assert shop.sales("transaction_id") == ["2026-03-02/1", "2026-03-02/2"]


NAMES = (
    "shop 7.csv",
    "net 100%.csv",
    "till=3.csv",
    "caf\u00e9 M\u00fcnchen.csv",
    "a+b&c#d;e.csv",
    "copy [1] {x,y}.csv",
    "q?s*.csv",
    "enc%20oded.csv",
    "back\\slash.csv",
    "plus+ %2B.csv.gz",
    "L" * 200 + ".json",
)

PACKED = ("till 1 #%.csv.gz", "till 2 \u00fc[?].csv.gz", "till 3.csv.GZ")


@pytest.fixture(scope="module")
def named(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, Ran]:
    shop = Shop(spark, tmp_path_factory.mktemp("names 100% [1]"))
    for number, name in enumerate(NAMES):
        date = f"2026-03-{number + 2:02d}"
        land = shop.land_json if name.endswith(".json") else shop.land
        land(date, sold_on(date), sold_on(date, "2"), name=name)
        shop.manifest(date, {"name": name, "rows": 2, "gross_amount": {"USD": "20.00"}})
        # A pattern would read this one, too.
        (shop.landing / f"drop_date={date}" / "_q1s2.csv").write_bytes(SALES)
    for date in ("2026-03-22", "2026-03-23"):  # the names of one drop, and of its neighbour
        for name in PACKED:
            shop.land(date, sold_on(date, name), name=name)
        shop.manifest(date, *[{"name": name, "rows": 1} for name in PACKED])
    whole = gzip.compress(csv_text([sold_on("2026-03-20", str(n)) for n in range(20_000)]).encode())
    shop.land("2026-03-21", sold_on("2026-03-21"), name="12:30.csv")
    _put(shop, "2026-03-20", "half 50% #.csv.gz", whole[: len(whole) // 2])
    return shop, shop.run(job=INGEST_SALES)


def test_a_file_may_have_any_name(named: tuple[Shop, Ran]) -> None:
    shop, _ = named
    found = {row["source_file"]: row["status"] for row in _files_of(shop)}
    assert found == dict.fromkeys([*NAMES, *PACKED], "ingested")


def test_a_damaged_file_of_any_name_is_named(named: tuple[Shop, Ran]) -> None:
    _, ran = named
    assert ran.code == 5, ran.stderr
    assert "drop 2026-03-21 is not ready: file 12:30.csv is not read: with a colon, a path" in ran.error
    assert "drop 2026-03-20 failed: half 50% #.csv.gz cannot be read: " in ran.error
    assert list(ran.drop_status.values()).count("ingested") == len(NAMES) + 2


def _files_of(shop: Shop) -> list[dict[str, str]]:
    status = {row["drop_date"]: row["status"] for row in shop.rows(LEDGER_DROPS)}
    return [{**row, "status": status[row["drop_date"]]} for row in shop.rows(RECEIVED_SALES)]


def test_a_name_in_an_error_of_spark_is_decoded() -> None:
    found = unreadable_file("error while reading file:/x/drop_date=2026-03-02/a%20b%25.csv. SQLSTATE: KD001")
    assert found is not None
    assert (str(found.drop_date), found.name) == ("2026-03-02", "a b%.csv")


def test_a_manifest_that_is_not_of_its_form_fails_its_drop_and_ends_its_run(shop: Shop) -> None:
    bad = {
        "2026-03-02": '{"files": [{"name": "sales.csv", "gross_amount": {"USD": "sNaN"}}]}',
        "2026-03-03": '{"files": [{"name": "sales.csv", "gross_amount": {"USD": NaN}}]}',
        "2026-03-04": '{"files": [{"name": "\\ud800.csv"}]}',
        "2026-03-05": '{"files": [{"name": "sales.csv", "gross_amount": {"USD": 1e999999999}}]}',
    }
    for date, text in bad.items():
        _manifest(text)(shop, date)
    # A key that no message could tell.
    _put(shop, "2026-03-06", "sales.json", json.dumps({**sold_on("2026-03-06"), "\ud800": 1}).encode())
    ran = shop.run()
    assert ran.code == 4
    for date in bad:
        assert f"drop {date} failed: drop_date={date}/manifest.json: not of the form" in ran.stderr
    assert [row["status"] for row in shop.rows(LEDGER_RUNS)].count("failed") == 1


def test_a_listing_of_all_and_of_one_day_find_the_same(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for date in ("2026-03-02", "2026-03-13", "2026-03-15"):
        NOT_READY[date][0](shop, date)
    _land_beside(shop)
    landing = Landing(shop.spark, str(shop.landing), LandingConfig())
    by_folder = [(drop.date, drop.fingerprint) for drop in landing.drops(None, None)]
    monkeypatch.setattr(type(landing._files), "is_on_this_host", False)
    at_once = [(drop.date, drop.fingerprint) for drop in landing.drops(None, None)]
    assert at_once == by_folder
    assert len(by_folder) == 3


def test_the_root_of_a_landing_may_end_in_a_slash(shop: Shop) -> None:
    shop.land("2026-03-02", sold_on("2026-03-02"))
    shop.done("--landing", f"{Path(shop.landing).as_uri()}/")
    assert shop.sales("transaction_id") == ["2026-03-02/1"]
