"""The design's table of semantics, row by row, over three weeks of one shop: each line would come out
otherwise under the nearest wrong reading.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs.ingest_sales import JOB as INGEST_SALES
from jobs.verify_sales import JOB as VERIFY_SALES
from schemas.gold import DAILY_SALES, INVOICES
from schemas.tables import CONFLICTS, LEDGER_CHUNKS, LEDGER_DROPS, RECEIVED_SALES
from tests.jobs.shop import Ran, Shop, line
from tests.support.landing import drop_folder

SETTINGS = [
    "--set", "currencies=[USD, JPY, KWD]",
    "--set", "business_day.store_timezones={TOKYO: Asia/Tokyo}",
    "--set", "audit.max_conflict_share=0.9",
    "--set", "audit.max_rejected_share=0.5",
]  # fmt: skip
EARLY = "2026-03-09T15:00:00Z"

PLUM = line("D-1", EARLY, product_name="Plum")
PLUM_AS_WRITTEN_ELSEWHERE = line(
    " D-1 ",
    "2026-03-09T11:00:00-04:00",
    product_name="Plum ",
    quantity="2.000",
    gross_amount="10.0",
    discount_amount="+1",
)
MONEY = {"store_id": "MONEY", "product_name": "Kiwi", "category": "M", "customer_id": "C-M"}
RESENT = line("R-3", EARLY, gross_amount="33.00")

FIRST_DROP = [
    # 23:59 and 00:01 in New York; the clocks went forward on 03-08.
    line("N-1", "2026-03-08T04:59:00Z", store_id="NY"),
    line("N-2", "2026-03-08T05:01:00Z", store_id="NY"),
    line("N-3", "2026-03-09T03:59:00Z", store_id="NY"),
    line("N-4", "2026-03-09T04:01:00Z", store_id="NY"),
    line("N-5", "2026-03-08T15:01:00Z", store_id="TOKYO"),
    # The same numbers on two sale dates, and in two stores.
    line("K-1", "2026-03-08T16:00:00Z", store_id="KA"),
    line("K-1", "2026-03-09T16:00:00Z", store_id="KA"),
    line("K-1", "2026-03-08T16:00:00Z", store_id="KB"),
    line("C-1", EARLY, gross_amount="10.00"),
    line("C-2", EARLY, product_name="Apple"),
    line("U-1", EARLY, **MONEY),
    line(
        "U-2",
        EARLY,
        **MONEY,
        line_type="RETURN",
        quantity="-1",
        gross_amount="-5.00",
        discount_amount="-0.50",
    ),
    line("J-1", EARLY, **MONEY, currency="JPY", gross_amount="1500", discount_amount=None),
    line("J-2", EARLY, **MONEY, currency="JPY", gross_amount="100.5", discount_amount=None),
    line("W-1", EARLY, **MONEY, currency="KWD", gross_amount="1.234", discount_amount="0.004"),
    line("W-2", EARLY, **MONEY, currency="KWD", gross_amount="1.2345", discount_amount="0"),
    line("R-1", EARLY, gross_amount="20.00"),
    line("R-2", EARLY, gross_amount="30.00"),
]
SECOND_DROP = [
    PLUM,
    line("C-1", EARLY, gross_amount="11.00"),
    line("C-2", EARLY, product_name="Zebra"),
    line("M-2", "2026-03-10T15:00:00Z"),
]
MOVES_AWAY = line("M-1", "2026-03-10T15:00:00Z", store_id="MOVES")
EARLY_COPY = line("C-2", EARLY, product_name="Apple")


@dataclass
class Weeks:
    """What each of the shop's runs came to, and the state after it."""

    shop: Shop
    runs: list[Ran]
    revisions: list[dict[str, int]]
    versions: list[dict[str, int]]
    sales: list[list[tuple[str, ...]]]

    def run(self) -> None:
        """Runs the night again."""
        self.runs.append(self.shop.run())
        assert self.runs[-1].code == 0, self.runs[-1].stderr
        self.revisions.append(self.shop.revisions())
        self.versions.append(self.shop.versions())
        self.sales.append(
            self.shop.sales("transaction_id", "store_id", "business_date", "sale_date", "is_adjustment")
        )

    def after(self, run: int, transaction_id: str) -> list[tuple[str, ...]]:
        """Store, business date, sale date, is_adjustment of a transaction's lines after a run."""
        return [row[1:] for row in self.sales[run] if row[0] == transaction_id]


@pytest.fixture(scope="module")
def weeks(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    shop = Shop(spark, tmp_path_factory.mktemp("weeks"), SETTINGS)
    weeks = Weeks(shop, [], [], [], [])
    shop.land("2026-03-09", *FIRST_DROP)
    shop.land("2026-03-09", PLUM, name="b.csv")
    shop.land("2026-03-09", PLUM_AS_WRITTEN_ELSEWHERE, name="a.csv")
    shop.manifest(
        "2026-03-09",
        {"name": "a.csv", "rows": 1, "gross_amount": {"USD": "10"}},
        {"name": "b.csv"},
        # J-2 and W-2 are rejected, yet counted as rows; their amounts parse but not in their currency.
        {"name": "sales.csv", "rows": 18},
    )
    shop.land("2026-03-10", *SECOND_DROP, MOVES_AWAY)
    shop.land("2026-03-11", EARLY_COPY)
    shop.land(
        "2026-11-02",
        # 23:59 and 00:01 in New York; the clocks went back on 11-01.
        line("A-1", "2026-11-01T03:59:00Z", store_id="NY"),
        line("A-2", "2026-11-01T04:01:00Z", store_id="NY"),
        line("A-3", "2026-11-02T04:59:00Z", store_id="NY"),
        line("A-4", "2026-11-02T05:01:00Z", store_id="NY"),
    )
    weeks.run()
    late_by_7 = line("L-7", EARLY, store_id="LATE")
    late_by_8 = line("L-8", "2026-03-08T15:00:00Z", store_id="LATE")
    shop.land("2026-03-16", late_by_7, late_by_8)
    shop.land(
        "2026-03-20",
        line("R-1", EARLY, gross_amount="20.0"),
        line("R-2", EARLY, gross_amount="31.00"),
        RESENT,
        RESENT,
        late_by_8,
    )
    weeks.run()
    # A line moves to another date, what 03-20 adjusted comes in time, and a landed drop is gone.
    shop.land("2026-03-10", *SECOND_DROP, {**MOVES_AWAY, "sold_at": EARLY})
    shop.land("2026-03-11", EARLY_COPY, RESENT)
    shutil.rmtree(drop_folder(shop.landing, "2026-11-02"))
    weeks.run()
    weeks.run()
    return weeks


@pytest.mark.parametrize(
    ("transaction_id", "sale_date"),
    [
        ("N-1", "2026-03-07"),
        ("N-2", "2026-03-08"),
        ("N-3", "2026-03-08"),
        ("N-4", "2026-03-09"),
        ("N-5", "2026-03-09"),
        ("A-1", "2026-10-31"),
        ("A-2", "2026-11-01"),
        ("A-3", "2026-11-01"),
        ("A-4", "2026-11-02"),
    ],
)
def test_a_sale_date_is_the_local_date_of_its_store(
    weeks: Weeks, transaction_id: str, sale_date: str
) -> None:
    ((_, business_date, found, is_adjustment),) = weeks.after(0, transaction_id)
    assert (business_date, found, is_adjustment) == (sale_date, sale_date, "False")


def test_a_business_day_may_start_later_and_history_is_never_late(shop: Shop) -> None:
    shop.land(
        "2026-03-09",
        # 03:59 and 04:01 on the clock, on the day that has no 02:30: not four hours after midnight.
        line("S-1", "2026-03-08T07:59:00Z"),
        line("S-2", "2026-03-08T08:01:00Z"),
        line("H-1", "2026-01-31T12:00:00Z"),
        line("H-2", "2026-02-01T12:00:00Z"),
    )
    shop.land("2026-11-02", line("S-3", "2026-11-01T08:59:00Z"), line("S-4", "2026-11-01T09:01:00Z"))
    shop.done(
        "--set", "business_day.starts_at=04:00", "--set", "late.history_before=2026-02-01", job=INGEST_SALES
    )  # fmt: skip
    found = {
        row["transaction_id"]: (row["sale_date"], row["business_date"], row["is_adjustment"])
        for row in shop.rows(RECEIVED_SALES)
    }
    assert found == {
        "S-1": ("2026-03-07", "2026-03-07", False),
        "S-2": ("2026-03-08", "2026-03-08", False),
        "S-3": ("2026-10-31", "2026-10-31", False),
        "S-4": ("2026-11-01", "2026-11-01", False),
        "H-1": ("2026-01-31", "2026-01-31", False),
        "H-2": ("2026-02-01", "2026-03-09", True),
    }


def test_late_by_7_days_restates_and_by_8_is_an_adjustment(weeks: Weeks) -> None:
    assert weeks.after(1, "L-7") == [("LATE", "2026-03-09", "2026-03-09", "False")]
    assert weeks.after(1, "L-8") == [("LATE", "2026-03-16", "2026-03-08", "True")]
    first, second = weeks.revisions[:2]
    assert set(first) == {
        "2026-03-07", "2026-03-08", "2026-03-09", "2026-03-10", "2026-10-31", "2026-11-01", "2026-11-02",
    }  # fmt: skip
    assert set(first.values()) == {1}
    # Only the restated date has a next revision.
    assert second == first | {"2026-03-09": 2, "2026-03-16": 1, "2026-03-20": 1}


def test_gold_follows_a_restated_date(weeks: Weeks) -> None:
    rows = weeks.shop.rows(
        DAILY_SALES, "sales_revision", "lines", business_date="2026-03-09", store_id="LATE"
    )
    assert rows == [{"sales_revision": 3, "lines": 1}]
    revisions = {(row["business_date"], row["sales_revision"]) for row in weeks.shop.rows(DAILY_SALES)}
    # 03-20 is empty after its last revision: no row of an older one may stay.
    assert revisions == set(weeks.revisions[2].items()) - {("2026-03-20", 2)}
    invoiced = {(row["business_date"], row["sales_revision"]) for row in weeks.shop.rows(INVOICES)}
    assert invoiced == revisions


def test_the_same_numbers_on_two_dates_and_in_two_stores_are_lines_of_their_own(weeks: Weeks) -> None:
    assert weeks.after(0, "K-1") == [
        ("KA", "2026-03-08", "2026-03-08", "False"),
        ("KA", "2026-03-09", "2026-03-09", "False"),
        ("KB", "2026-03-08", "2026-03-08", "False"),
    ]


def test_equal_copies_are_published_once_and_counted(weeks: Weeks) -> None:
    kept = [("2026-03-09", "a.csv", "2", "Plum", "10.000")]
    columns = ("drop_date", "source_file", "duplicates", "product_name", "gross_amount")
    assert weeks.shop.sales(*columns, transaction_id="D-1") == kept


def test_of_copies_that_differ_the_earliest_stays(weeks: Weeks) -> None:
    shop = weeks.shop
    assert shop.sales("gross_amount", "drop_date", "duplicates", transaction_id="C-1") == [
        ("10.000", "2026-03-09", "0")
    ]
    # Its copies lie in two chunks: they must meet for one to stay, and the equal one to be counted.
    assert shop.sales("product_name", "chunk", "duplicates", transaction_id="C-2") == [("Apple", "A-G", "1")]
    lost = shop.rows(
        CONFLICTS, "transaction_id", "chunk", "gross_amount", "kept_drop_date", outcome="conflict"
    )
    assert sorted(map(str, lost)) == sorted(
        map(
            str,
            [
                {
                    "transaction_id": "C-1",
                    "chunk": "A-G",
                    "gross_amount": Decimal("11.000"),
                    "kept_drop_date": "2026-03-09",
                },
                {
                    "transaction_id": "C-2",
                    "chunk": "V-Z",
                    "gross_amount": Decimal("10.000"),
                    "kept_drop_date": "2026-03-09",
                },
            ],
        )
    )


def test_a_resend_after_the_late_days_is_looked_up_in_earlier_drops(weeks: Weeks) -> None:
    assert weeks.after(1, "R-1") == [("1042", "2026-03-09", "2026-03-09", "False")]
    assert weeks.after(1, "R-3") == [("1042", "2026-03-20", "2026-03-09", "True")]
    by_date = {date["business_date"]: date for date in weeks.runs[1].result["dates"]}
    told = {
        name: by_date["2026-03-20"][name] for name in ("received", "published", "duplicates", "conflicts")
    }
    # R-1 and L-8 were there before, R-2 was and differs, R-3 is new and came twice.
    assert told == {"received": 5, "published": 1, "duplicates": 3, "conflicts": 1}


def test_what_adjusted_a_changed_sale_date_is_published_again(weeks: Weeks) -> None:
    second, third = weeks.revisions[1:3]
    assert third == second | {"2026-03-09": 3, "2026-03-10": 2, "2026-03-20": 2}
    # R-3 is now found in the drop of 03-11, which came in time.
    assert weeks.after(2, "R-3") == [("1042", "2026-03-09", "2026-03-09", "False")]
    outcomes = sorted(
        (row["transaction_id"], row["outcome"], row["kept_drop_date"])
        for row in weeks.shop.rows(CONFLICTS, business_date="2026-03-20")
    )
    assert outcomes == [
        ("L-8", "late_duplicate", "2026-03-16"),
        ("R-1", "late_duplicate", "2026-03-09"),
        ("R-2", "late_conflict", "2026-03-09"),
        ("R-3", "late_duplicate", "2026-03-11"),
        ("R-3", "late_duplicate", "2026-03-11"),
    ]
    assert weeks.shop.sales("gross_amount", transaction_id="R-2") == ["30.000"]


def test_a_changed_delivery_moves_a_line_to_another_date(weeks: Weeks) -> None:
    assert weeks.after(1, "M-1") == [("MOVES", "2026-03-10", "2026-03-10", "False")]
    assert weeks.after(2, "M-1") == [("MOVES", "2026-03-09", "2026-03-09", "False")]
    assert weeks.after(2, "M-2") == [("1042", "2026-03-10", "2026-03-10", "False")]


def test_a_landed_drop_that_is_deleted_changes_nothing(weeks: Weeks) -> None:
    assert weeks.after(2, "A-4") == weeks.after(0, "A-4")
    assert weeks.revisions[2]["2026-11-02"] == 1


def test_the_same_command_again_commits_nothing(weeks: Weeks) -> None:
    last = weeks.runs[3]
    assert (last.code, last.result["status"], last.errors) == (0, "unchanged", [])
    assert weeks.versions[3] == weeks.versions[2]
    assert len(weeks.versions[3]) == 5


def test_lines_and_money_reconcile_by_date_chunk_and_currency(weeks: Weeks) -> None:
    run_id = weeks.runs[0].result["run_id"]
    cells = {
        (row["chunk"], row["currency"]): row
        for row in weeks.shop.rows(LEDGER_CHUNKS, run_id=run_id, business_date="2026-03-09")
    }
    shares = ("received", "published", "duplicates", "conflicts")

    def told(chunk: str, currency: str, prefix: str) -> tuple[Any, ...]:
        return tuple(str(cells[chunk, currency][prefix + share]) for share in shares)

    assert told("O-U", "USD", "") == ("3", "1", "2", "0")
    assert told("O-U", "USD", "gross_") == ("30.000", "10.000", "20.000", "0.000")
    assert told("V-Z", "USD", "absolute_gross_") == ("10.000", "0.000", "0.000", "10.000")
    # A sale and its return: the signed sum alone would hide a lost pair.
    assert told("H-N", "USD", "gross_") == ("5.000", "5.000", "0.000", "0.000")
    assert told("H-N", "USD", "absolute_gross_") == ("15.000", "15.000", "0.000", "0.000")
    assert told("H-N", "JPY", "gross_") == ("1500.000", "1500.000", "0.000", "0.000")
    assert told("H-N", "KWD", "gross_") == ("1.234", "1.234", "0.000", "0.000")
    for row in weeks.shop.rows(LEDGER_CHUNKS):
        for prefix in ("", "gross_", "absolute_gross_"):
            assert row[f"{prefix}received"] == sum(row[prefix + share] for share in shares[1:]), row
    (drop,) = weeks.shop.rows(LEDGER_DROPS, drop_date="2026-03-09")
    assert (drop["lines"], drop["accepted"], drop["rejected"], drop["files"]) == (20, 18, 2, 3)


def test_money_keeps_its_decimals_and_currencies_are_never_added(weeks: Weeks) -> None:
    shop = weeks.shop
    rejected = {
        row["transaction_id"]: row["reject_reasons"]
        for row in shop.rows(RECEIVED_SALES, validation_status="rejected")
    }
    assert rejected == {"J-2": ["excess_scale_gross_amount"], "W-2": ["excess_scale_gross_amount"]}
    for table, where in ((DAILY_SALES, {"store_id": "MONEY"}), (INVOICES, {"customer_id": "C-M"})):
        found = {
            row["currency"]: tuple(
                str(row[name])
                for name in (
                    "lines",
                    "units",
                    "gross_amount",
                    "discount_amount",
                    "net_amount",
                    "returns_amount",
                )
            )
            for row in shop.rows(table, **where)
        }
        assert found == {
            "USD": ("2", "1.000", "5.000", "0.500", "4.500", "-4.500"),
            "JPY": ("1", "2.000", "1500.000", "0.000", "1500.000", "0.000"),
            "KWD": ("1", "2.000", "1.234", "0.004", "1.230", "0.000"),
        }


def test_verify_proves_it_all_again_and_lists_numbers_on_two_dates(weeks: Weeks) -> None:
    ran = weeks.shop.done(job=VERIFY_SALES)
    assert "9 dates from 2026-03-07 to 2026-11-02" in ran.stdout
    assert "store KA, transaction K-1, line 1: sale dates 2026-03-08, 2026-03-09" in ran.stdout
    assert "store KB" not in ran.stdout
    assert weeks.shop.versions() == weeks.versions[3]
