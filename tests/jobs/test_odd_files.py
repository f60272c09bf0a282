"""Files as tills, databases and spreadsheets really write them: read rightly, or refused by name."""

from __future__ import annotations

import bz2
import gzip
import json
import re
import unicodedata
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from jobs.ingest_sales import JOB as INGEST_SALES
from pipeline.landing.config import LandingConfig
from pipeline.landing.landing import Landing
from schemas.landing import RECEIVED_NAMES
from schemas.tables import LEDGER_RUNS, RECEIVED_SALES
from tests.jobs.shop import Ran, Shop, line
from tests.support.counted_work import counted
from tests.support.landing import csv_text, drop_folder

COMPOSED, DECOMPOSED = "K-\u00e9", unicodedata.normalize("NFD", "K-\u00e9")
QUOTED = {
    "rfc": ('"TV 40"" black"', 'TV 40" black'),
    "as it stands": ('TV 44" black', 'TV 44" black'),
    "comma": ('"Tea, green"', "Tea, green"),
    "unescaped": ('"TV 41" black"', None),
    "backslash": ('"say \\"hi\\" mug"', None),
    "behind": ('"TV" 42', None),
    "open": ('"TV 43', None),
}


def sold(date: str, number: str, **fields: str | None) -> dict[str, str | None]:
    return line(f"{date}/{number}", f"{date}T15:00:00Z", **fields)


def text(date: str, count: int, **fields: str | None) -> str:
    return csv_text([sold(date, str(n), **fields) for n in range(1, count + 1)])


def put(shop: Shop, date: str, name: str, content: bytes | str) -> None:
    path = drop_folder(shop.landing, date) / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def _land_quotes(shop: Shop) -> None:
    rows = text("2026-03-02", 0)
    for number, (field, _) in QUOTED.items():
        (row,) = csv_text([sold("2026-03-02", number, product_name="@")]).splitlines()[1:]
        rows += row.replace("@", field) + "\n"
    put(shop, "2026-03-02", "sales.csv", rows)
    # The line end is in the last column: the first half has all its fields.
    (row,) = csv_text(
        [
            sold("2026-03-03", "cut", channel='"Tent'.replace('"', "")),
        ]
    ).splitlines()[1:]
    put(
        shop,
        "2026-03-03",
        "sales.csv",
        text("2026-03-03", 3) + row.replace(",Tent", ',"Tent') + '\n2 persons"\n',
    )


def _land_rows(shop: Shop) -> None:
    empty = [",,,,,,,,,,,,,,", '"","",,,,,,,,,,,,,', " , ,,,,,,,,,,,,,\u00a0"]
    put(
        shop,
        "2026-03-04",
        "sales.csv",
        text("2026-03-04", 3) + "\n".join([*empty, "TOTAL,,,,,,,,,,30.00,,,,", ""]),
    )
    joined = [text("2026-03-05", 2), csv_text([sold("2026-03-05", "9", product_name="Br\u00f6t\ufffechen")])]
    put(shop, "2026-03-05", "sales.csv", "".join([*joined, "\n", text("2026-03-05", 0)]))
    cheese = csv_text([sold("2026-03-05", "8", product_name="K\u00e4se \u20ac")])
    ends = [sold("2026-03-15", "1"), sold("2026-03-15", "2", channel="st\uffffore"), sold("2026-03-15", "3")]
    put(shop, "2026-03-15", "sales.csv", csv_text(ends))
    put(shop, "2026-03-05", "latin.csv", (cheese + text("2026-03-05", 0)).encode("windows-1252"))


def _land_names(shop: Shop) -> None:
    content = text("2026-03-06", 1).encode()
    numbered = [content.replace(b"2026-03-06/1", f"2026-03-06/{n}".encode()) for n in range(8)]
    put(shop, "2026-03-06", "STORE02.CSV", numbered[0])
    put(shop, "2026-03-06", "SALES.CSV.GZ", gzip.compress(numbered[1]))
    put(shop, "2026-03-06", "sales.csv.bz2", bz2.compress(numbered[2]))
    put(shop, "2026-03-06", "Sales.csv.Zst", zstd(numbered[3]))
    with zipfile.ZipFile(drop_folder(shop.landing, "2026-03-06") / "two.csv.zip", "w") as archive:
        archive.writestr("a.csv", numbered[4])
        archive.writestr("below/b.csv", numbered[5])
    put(shop, "2026-03-06", "more.Json", json.dumps(sold("2026-03-06", "6")))
    put(shop, "2026-03-06", "README.md", "ignored by the config")


def zstd(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


def _land_ids(shop: Shop) -> None:
    ids = {
        "composed": COMPOSED,
        "decomposed": DECOMPOSED,
        "zero": f"\u200b{COMPOSED}",
        "mark": f"{COMPOSED}\u200e",
    }
    shop.land("2026-03-07", *[sold("2026-03-07", n, customer_id=found) for n, found in ids.items()])
    words = ["NULL", "\\N", "None", "NaN", "C-1"]
    shop.land("2026-03-08", *[sold("2026-03-08", str(n), customer_id=w) for n, w in enumerate(words)])


def _land_json(shop: Shop) -> None:
    renamed = []
    for number in range(3):
        content: dict[str, Any] = dict(sold("2026-03-09", str(number)))
        content["customerId"] = content.pop("customer_id")
        renamed.append(json.dumps(content))
    put(shop, "2026-03-09", "sales.json", "\n".join(renamed))
    first = [json.dumps(sold("2026-03-10", str(number))) for number in range(3, 5)]
    put(shop, "2026-03-10", "sales.json", "\n".join([*first, *renamed]).replace("03-09", "03-10"))


def _land_bytes(shop: Shop) -> None:
    packed = gzip.compress(text("2026-03-11", 500).encode())
    put(shop, "2026-03-11", "sales.csv", packed)
    put(shop, "2026-03-12", "sales.csv.gz", gzip.compress(packed))
    put(shop, "2026-03-13", "sales.csv.gz", packed + b"\x00\x01\x02padding\x1b[31m" * 40)
    put(shop, "2026-03-14", "sales.csv.gz", text("2026-03-14", 2))
    put(shop, "2062-03-03", "sales.csv", text("2026-03-03", 1))


LATIN = "deliveries=[{files: latin.csv, encoding: windows-1252}]"
SET = (LATIN, "landing.ignore=[readme*]", "audit.max_rejected_share=1")
ARGUMENTS = [part for value in SET for part in ("--set", value)]


@pytest.fixture(scope="module")
def night(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, Ran]:
    shop = Shop(spark, tmp_path_factory.mktemp("odd"), ARGUMENTS)
    for land in (_land_quotes, _land_rows, _land_names, _land_ids, _land_json, _land_bytes):
        land(shop)
    return shop, shop.run()


def names(shop: Shop, date: str, column: str = "product_name") -> dict[str, Any]:
    rows = shop.rows(RECEIVED_SALES, drop_date=date, validation_status="accepted")
    return {row["transaction_id"].partition("/")[2]: row[column] for row in rows}


def told(ran: Ran, date: str) -> str:
    """The error about a drop."""
    (error,) = [text for text in re.split("; (?=drop )", ran.error) if f"drop {date} " in text]
    return error


def malformed(shop: Shop, date: str) -> list[str]:
    rows = shop.rows(RECEIVED_SALES, drop_date=date, validation_status="rejected")
    assert all("malformed_line" in row["reject_reasons"] for row in rows), rows
    return [json.loads(row["raw"])["line"] for row in rows]


def test_a_quote_that_is_not_rfc_4180_makes_its_line_malformed(night: tuple[Shop, Ran]) -> None:
    shop, _ = night
    assert names(shop, "2026-03-02") == {n: value for n, (_, value) in QUOTED.items() if value is not None}
    assert len(malformed(shop, "2026-03-02")) == sum(value is None for _, value in QUOTED.values())


def test_a_record_cut_by_a_line_end_in_its_last_column_is_malformed_as_a_whole(
    night: tuple[Shop, Ran],
) -> None:
    shop, _ = night
    assert sorted(names(shop, "2026-03-03")) == ["1", "2", "3"]
    halves = malformed(shop, "2026-03-03")
    assert sorted(half[-10:] for half in halves) == sorted(['card,"Tent', '2 persons"'])


def test_a_row_of_empty_fields_is_blank_and_a_footer_is_rejected(night: tuple[Shop, Ran]) -> None:
    shop, _ = night
    rows = shop.rows(RECEIVED_SALES, drop_date="2026-03-04")
    assert Counter(row["validation_status"] for row in rows) == {"accepted": 3, "rejected": 1}
    (footer,) = [row for row in rows if row["validation_status"] == "rejected"]
    assert json.loads(footer["raw"])["store_id"] == "TOTAL"


def test_each_repeated_header_is_rejected_and_named(night: tuple[Shop, Ran]) -> None:
    shop, ran = night
    assert sorted(names(shop, "2026-03-05")) == ["1", "2", "8", "9"]
    rows = shop.rows(RECEIVED_SALES, drop_date="2026-03-05", validation_status="rejected")
    found = sorted((row["source_file"], json.loads(row["raw"])["currency"]) for row in rows)
    assert found == [("latin.csv", "currency"), ("sales.csv", "currency"), ("sales.csv", "currency")]
    warning = "drop 2026-03-05: 2 lines of sales.csv repeat its header"
    assert warning in ran.result["warnings"]


def test_a_file_that_repeats_its_header_keeps_its_text(night: tuple[Shop, Ran]) -> None:
    shop, _ = night
    assert names(shop, "2026-03-05")["8"] == "K\u00e4se \u20ac"
    assert names(shop, "2026-03-05")["9"] == "Br\u00f6t\ufffechen"


def test_a_noncharacter_does_not_end_the_input(night: tuple[Shop, Ran]) -> None:
    shop, _ = night
    assert sorted(names(shop, "2026-03-15")) == ["1", "3"]
    (row,) = shop.rows(RECEIVED_SALES, drop_date="2026-03-15", validation_status="rejected")
    assert row["reject_reasons"] == ["malformed_line"]


def test_empty_rows_are_counted_by_drop(night: tuple[Shop, Ran]) -> None:
    _, ran = night
    blank = {drop["drop_date"]: drop["blank_lines"] for drop in ran.result["drops"] if drop["blank_lines"]}
    assert blank == {"2026-03-04": 3, "2026-03-05": 1}


def test_files_without_blank_or_repeated_lines_are_scanned_once(
    night: tuple[Shop, Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, _ = night
    scans: list[Any] = []
    monkeypatch.setattr(Landing, "count_left_out", lambda *given: scans.append(given) or [])
    put(shop, "2026-03-20", "a.csv", text("2026-03-20", 3))
    put(shop, "2026-03-20", "b.csv", text("2026-03-20", 2))
    ran = shop.run("--date", "2026-03-20")
    assert [drop["accepted"] for drop in ran.result["drops"]] == [5]
    assert scans == []


def test_endings_count_in_any_letter_case_and_each_compression_is_read(night: tuple[Shop, Ran]) -> None:
    shop, ran = night
    assert sorted(names(shop, "2026-03-06")) == ["0", "1", "2", "3", "4", "5", "6"]
    files = {row["source_file"] for row in shop.rows(RECEIVED_SALES, drop_date="2026-03-06")}
    wanted = {"STORE02.CSV", "SALES.CSV.GZ", "sales.csv.bz2", "Sales.csv.Zst", "two.csv.zip", "more.Json"}
    assert files == wanted
    assert "README" not in ran.stderr


def test_an_id_is_one_id_however_it_is_encoded(night: tuple[Shop, Ran]) -> None:
    shop, _ = night
    assert set(names(shop, "2026-03-07", "customer_id").values()) == {COMPOSED}


def test_a_word_for_nothing_that_is_taken_as_text_is_warned_of(night: tuple[Shop, Ran]) -> None:
    _, ran = night
    warned = [text for text in ran.result["warnings"] if "customer_id such as NULL" in text]
    assert len(warned) == 1
    assert warned[0].startswith("drop 2026-03-08: 4 lines of sales.csv have")


def test_a_key_that_no_line_holds_fails_the_drop_with_the_near_name(night: tuple[Shop, Ran]) -> None:
    _, ran = night
    assert ran.drop_status["2026-03-09"] == "failed"
    error = told(ran, "2026-03-09")
    assert "column 'customer_id' is missing" in error
    assert error.endswith("; customerId; did you mean columns: {customer_id: customerId}?")


def test_a_key_that_vanishes_within_a_file_is_warned_of_with_counts(night: tuple[Shop, Ran]) -> None:
    _, ran = night
    told = "3 lines of drop_date=2026-03-10/sales.json have no key 'customer_id' and are read without it"
    assert told in ran.result["warnings"]


def test_bytes_that_are_no_text_are_named_by_their_magic_number(night: tuple[Shop, Ran]) -> None:
    _, ran = night
    for date, wanted in DAMAGED.items():
        assert wanted in told(ran, date)
        assert told(ran, date).isprintable()


DAMAGED = {
    "2026-03-11": "sales.csv: its bytes are gzip, which its name does not say (1f 8b 08 00)",
    "2026-03-12": "sales.csv.gz: its bytes are gzip, which its name does not say (1f 8b 08 00)",
    "2026-03-13": "sales.csv.gz: cannot be read: other bytes follow its gzip stream",
    "2026-03-14": "sales.csv.gz: cannot be read: its bytes are no gzip",
}


def test_no_table_but_raw_holds_bytes_that_no_terminal_shows(night: tuple[Shop, Ran]) -> None:
    shop, _ = night
    for row in shop.rows(LEDGER_RUNS):
        assert row["error"] is None or row["error"].isprintable()


def test_a_drop_of_a_mistyped_year_waits(night: tuple[Shop, Ran]) -> None:
    _, ran = night
    assert "drop 2062-03-03 is not ready: its date is after 20" in told(ran, "2062-03-03")
    assert ran.code == 5


def test_headers_of_any_order_are_read_in_one_plan(shop: Shop, tmp_path: Path) -> None:
    del tmp_path
    for number in range(5):
        columns = [*RECEIVED_NAMES[number:], f"till {number}", *RECEIVED_NAMES[:number]]
        columns = columns if number else list(RECEIVED_NAMES)
        row = sold("2026-03-02", str(number), product_name=f"Tea, {number}")
        shop.land_bytes("2026-03-02", csv_text([row], columns).encode(), f"{number}.csv")
    (row,) = csv_text([sold("2026-03-02", "wide")]).splitlines()[1:]
    shop.land_bytes("2026-03-02", f"{csv_text([])}{row},one more\n".encode(), "wide.csv")
    ran = shop.run("--set", "audit.max_rejected_share=1")
    assert ran.code == 0, ran.stderr
    assert names(shop, "2026-03-02") == {str(number): f"Tea, {number}" for number in range(5)}
    assert malformed(shop, "2026-03-02") == [f"{row},one more"]


def test_eighty_headers_take_the_jobs_and_tasks_of_two(
    spark: SparkSession, interpreted: None, tmp_path: Path
) -> None:
    def work(headers: int) -> tuple[int, int]:
        shop = Shop(spark, tmp_path / str(headers))
        for number in range(80):
            at = number % headers % 15
            columns = [*RECEIVED_NAMES[at:], f"till {number % headers}", *RECEIVED_NAMES[:at]]
            content = csv_text([sold("2026-03-02", str(number))], columns)
            shop.land_bytes("2026-03-02", content.encode(), f"{number}.csv")
        done = counted(spark, lambda: shop.done(job=INGEST_SALES) and None)
        assert len(names(shop, "2026-03-02")) == 80
        return done.jobs, done.tasks

    jobs, tasks = work(1)
    many = work(80)
    assert many == work(2)
    # One job hands out where each header has which column.
    assert many[0] == jobs + 1
    assert many[1] <= 2 * tasks


def test_eighty_headers_take_the_plan_nodes_of_two(spark: SparkSession, tmp_path: Path) -> None:
    def nodes(files: int) -> int:
        root = tmp_path / str(files)
        for number in range(files):
            columns = [*RECEIVED_NAMES[number % 15 :], f"till {number}", *RECEIVED_NAMES[: number % 15]]
            path = drop_folder(root, "2026-03-02") / f"{number}.csv"
            path.write_text(csv_text([sold("2026-03-02", str(number))], columns))
        landing = Landing(spark, str(root), LandingConfig())
        (drop,) = landing.drops(None, None)
        lines = landing.lines({drop: landing.headers(drop)})
        plan: Any = lines._jdf.queryExecution().optimizedPlan()
        return len(plan.toString().splitlines())

    assert nodes(80) == nodes(2)
