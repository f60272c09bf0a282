"""Bad deliveries, all in one night: each is told, none costs another drop its date, nothing is lost."""

from __future__ import annotations

import gzip
import random
import shutil
from dataclasses import dataclass, field

import pytest
from pyspark.sql import SparkSession

from pipeline.landing.landing import Landing
from schemas.landing import RECEIVED_NAMES
from schemas.tables import LEDGER_DROPS, RECEIVED_SALES, SALES
from tests.jobs.shop import Ran, Shop, line
from tests.support.landing import csv_text, drop_folder, write_csv

HALF = ["--set", "audit.max_rejected_share=0.5"]
JUNK = random.Random(20260302)  # any seed: what matters is that it is the same junk each time
BAD_DROPS = {
    # blocked: read, and not trusted
    "2026-03-02": "drop 2026-03-02 is blocked: 3 of 4 lines rejected (75.00%, audit.max_rejected_share "
    "allows 50.00%): bad_quantity 3; for example bad_quantity in sales.csv: {",
    "2026-03-03": "drop 2026-03-03 is blocked: manifest says 5 rows in sales.csv, 1 were read",
    "2026-03-04": "drop 2026-03-04 is blocked: manifest says gross_amount 10.01 USD in sales.csv, "
    "10.000 was read",
    # failed: cannot be read
    "2026-03-05": "drop_date=2026-03-05/shop 7.csv: column 'currency' is missing",
    "2026-03-06": "drop 2026-03-06 failed: sales.csv.gz cannot be read: ",
    "2026-03-07": "drop_date=2026-03-07/sales.csv: column 'channel' stands twice in the header",
    "2026-03-08": "drop_date=2026-03-08/manifest.json: not of the form",
    "2026-03-09": "drop_date=2026-03-09/sales.csv: column 'store_id' is missing",
    "2026-03-14": "drop_date=2026-03-14/manifest.json: not of the form",
    "2026-03-15": "drop_date=2026-03-15/sales.csv: its first line is no header: ",
    "2026-03-16": "drop_date=2026-03-16/sales.csv.gz: cannot be read: ",
}
FAILED = [date for date in BAD_DROPS if date > "2026-03-04"]


def sold_on(date: str, number: str = "1", **fields: str | None) -> dict[str, str | None]:
    return line(f"{date}/{number}", f"{date}T15:00:00Z", **fields)


@dataclass
class Nights:
    shop: Shop
    runs: list[Ran] = field(default_factory=list)
    sales: list[list[str]] = field(default_factory=list)
    revisions: list[dict[str, int]] = field(default_factory=list)

    def run(self, *arguments: str) -> None:
        self.runs.append(self.shop.run(*arguments))
        self.sales.append(self.shop.sales("transaction_id"))
        self.revisions.append(self.shop.revisions())


def _land_bad(shop: Shop) -> None:
    shop.land(
        "2026-03-02", sold_on("2026-03-02"), *[sold_on("2026-03-02", str(n), quantity="x") for n in (2, 3, 4)]
    )
    shop.land("2026-03-03", sold_on("2026-03-03", "2"))
    shop.manifest("2026-03-03", {"name": "sales.csv", "rows": 5})
    shop.land("2026-03-04", sold_on("2026-03-04", "2"))
    shop.manifest("2026-03-04", {"name": "sales.csv", "rows": 1, "gross_amount": {"USD": "10.01"}})
    without = [name for name in RECEIVED_NAMES if name != "currency"]
    write_csv(shop.landing, "2026-03-05", [sold_on("2026-03-05")], "shop 7.csv", without)
    many = [sold_on("2026-03-06", str(n), customer_id=JUNK.randbytes(20).hex()) for n in range(2000)]
    whole = gzip.compress(csv_text(many).encode())
    path = shop.land_bytes("2026-03-06", b"", "sales.csv.gz")
    path.write_bytes(whole[: len(whole) // 2])
    twice = csv_text([sold_on("2026-03-07")]).replace("payment_method", "channel")
    shop.land_bytes("2026-03-07", twice.encode())
    shop.land("2026-03-08", sold_on("2026-03-08"))
    (drop_folder(shop.landing, "2026-03-08") / "manifest.json").write_text('{"files": [')
    shop.land_bytes("2026-03-09", JUNK.randbytes(20_000))
    shop.land("2026-03-14", sold_on("2026-03-14"))
    (drop_folder(shop.landing, "2026-03-14") / "manifest.json").write_text("[" * 100_000)
    shop.land_bytes("2026-03-15", b"a" * 2_000_000)
    path = shop.land_bytes("2026-03-16", b"", "sales.csv.gz")
    path.write_bytes(csv_text([sold_on("2026-03-16")]).encode())


def _land_odd(shop: Shop) -> None:
    """Odd, and fine: lines are rejected one by one, the drop is not."""
    latin = csv_text([sold_on("2026-03-10"), sold_on("2026-03-10", "2", product_name="Caf\u00e9")]).encode(
        "latin-1"
    )
    shop.land_bytes("2026-03-10", latin)
    good = csv_text([sold_on("2026-03-11"), sold_on("2026-03-11", "2")]).encode()
    shop.land_bytes("2026-03-11", good + b"x" * 10_000_000 + b"\n" + b"x," * 30_000 + b"\n")
    shop.land("2026-03-12")
    with_more = csv_text([{**sold_on("2026-03-13"), "till": "9"}], ["till", *RECEIVED_NAMES])
    shop.land_bytes("2026-03-13", with_more.encode())


def _land_unready(shop: Shop) -> None:
    drop_folder(shop.landing, "2026-03-18")
    shop.land("2026-03-19", sold_on("2026-03-19"))
    shop.manifest("2026-03-19", {"name": "sales.csv"}, {"name": "more.csv"})
    shop.land("2026-03-20", sold_on("2026-03-20"))


def _put_right(shop: Shop) -> None:
    for date in BAD_DROPS:
        shutil.rmtree(drop_folder(shop.landing, date))
        if date != "2026-03-03":
            shop.land(date, sold_on(date, "right"))
    shop.manifest("2026-03-03", closed=True)
    shop.manifest("2026-03-18", closed=True)
    shop.land("2026-03-19", sold_on("2026-03-19", "2"), name="more.csv")


@pytest.fixture(scope="module")
def nights(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Nights:
    nights = Nights(Shop(spark, tmp_path_factory.mktemp("nights"), HALF))
    for date in ("2026-03-02", "2026-03-03", "2026-03-04"):
        nights.shop.land(date, sold_on(date))
    nights.run()
    _land_bad(nights.shop)
    _land_odd(nights.shop)
    nights.run()
    _land_unready(nights.shop)
    nights.run("--from", "2026-03-17", "--to", "2026-03-20")
    _put_right(nights.shop)
    nights.run()
    return nights


@pytest.mark.parametrize("date", BAD_DROPS)
def test_each_bad_drop_is_told(nights: Nights, date: str) -> None:
    bad = nights.runs[1]
    assert bad.code == 4
    assert BAD_DROPS[date] in bad.error
    assert bad.drop_status[date] == ("failed" if date in FAILED else "blocked")


def test_bad_drops_cost_no_other_drop_its_date(nights: Nights) -> None:
    bad = nights.runs[1]
    done = sorted(date for date, status in bad.date_status.items() if status == "done")
    assert done == ["2026-03-10", "2026-03-11", "2026-03-13"]
    assert nights.sales[1] == sorted(
        [
            *(f"{date}/1" for date in ("2026-03-02", "2026-03-03", "2026-03-04", "2026-03-10", "2026-03-13")),
            "2026-03-11/1",
            "2026-03-11/2",
        ]
    )


def test_dates_of_a_blocked_drop_keep_their_revision(nights: Nights) -> None:
    blocked = ["2026-03-02", "2026-03-03", "2026-03-04"]
    assert [nights.runs[1].date_status[date] for date in blocked] == ["blocked"] * 3
    assert {date: nights.revisions[1][date] for date in blocked} == dict.fromkeys(blocked, 1)


def test_no_line_is_lost_between_accepted_and_rejected(nights: Nights) -> None:
    told = {
        drop["drop_date"]: (drop["lines"], drop["accepted"], drop["rejected"])
        for drop in nights.runs[1].result["drops"]
    }
    assert {date: told[date] for date in ("2026-03-02", "2026-03-10", "2026-03-11", "2026-03-12")} == {
        "2026-03-02": (4, 1, 3),
        "2026-03-10": (2, 1, 1),
        "2026-03-11": (4, 2, 2),
        "2026-03-12": (0, 0, 0),
    }
    assert nights.runs[1].result["rejected"] == {"bad_quantity": 3, "malformed_line": 3}
    held = {row["drop_date"] for row in nights.shop.rows(LEDGER_DROPS, status="failed")}
    assert held == set(FAILED)


def test_an_extra_column_is_left_out_warned_of_and_recorded(nights: Nights) -> None:
    assert "warning: drop 2026-03-13: columns left out, not of the contract: till" in nights.runs[1].stderr
    (row,) = nights.shop.rows(LEDGER_DROPS, drop_date="2026-03-13")
    assert row["extra_columns"] == ["till"]


def test_what_is_not_ready_is_told_and_the_rest_goes_on(nights: Nights) -> None:
    not_ready = nights.runs[2]
    # An audit stopped other dates too: not ready goes before it.
    assert not_ready.code == 5
    assert "drop 2026-03-17 is not ready: no such folder in the landing" in not_ready.error
    assert "drop 2026-03-18 is not ready: no file, and no manifest that says it is closed" in not_ready.error
    assert "drop 2026-03-19 is not ready: file more.csv of the manifest is not there" in not_ready.error
    assert not_ready.date_status["2026-03-20"] == "done"
    assert set(nights.sales[2]) - set(nights.sales[1]) == {"2026-03-20/1"}


def test_put_right_everything_is_published(nights: Nights) -> None:
    last = nights.runs[3]
    assert last.code == 0, last.stderr
    # The closed drop of 03-03 withdrew what it held before: published, and empty.
    assert last.date_status["2026-03-03"] == "done"
    assert nights.revisions[3]["2026-03-03"] == 2
    assert nights.shop.rows(SALES, business_date="2026-03-03") == []
    assert nights.shop.rows(RECEIVED_SALES, drop_date="2026-03-03") == []
    kept = [sale for sale in nights.sales[2] if sale[:10] not in BAD_DROPS]
    right = [f"{date}/right" for date in BAD_DROPS if date != "2026-03-03"]
    assert nights.sales[3] == sorted([*kept, *right, "2026-03-19/1", "2026-03-19/2"])


def test_a_file_that_changes_while_it_is_read_waits(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shop.land("2026-03-02", sold_on("2026-03-02"))
    whole = csv_text([sold_on("2026-03-02"), sold_on("2026-03-02", "2")]).encode()
    listed = Landing.lines

    def grow(landing: Landing, headers: object) -> object:
        path.write_bytes(whole)
        return listed(landing, headers)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Landing, "lines", grow)
        ran = shop.run()
    assert ran.code == 5
    assert "drop 2026-03-02 failed: its files changed while they were read" in ran.error
    assert shop.sales("transaction_id") == []
    shop.done()
    assert shop.sales("transaction_id") == ["2026-03-02/1", "2026-03-02/2"]
