"""Bills that stay issued: numbers, notes, crashes and older backups, through the jobs."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from jobs.backfill_sales import JOB as BACKFILL_SALES
from jobs.ingest_sales import JOB as INGEST_SALES
from jobs.issue_invoices import JOB as ISSUE_INVOICES
from jobs.publish_sales import JOB as PUBLISH_SALES
from jobs.repair_lake import JOB as REPAIR_LAKE
from jobs.restore_sales import JOB as RESTORE_SALES
from jobs.show_document import JOB as SHOW_DOCUMENT
from jobs.verify_sales import JOB as VERIFY_SALES
from jobs.write_off_numbers import JOB as WRITE_OFF
from pipeline import clock
from pipeline.lake.tables import Lake
from pipeline.steps.issue import BILLED_ELSEWHERE, ISSUE_FROM
from schemas.billing import DOCUMENT_LINES, DOCUMENTS, LOST_NUMBERS
from schemas.tables import LEDGER_BUILDS, LEDGER_SERIES
from tests.jobs.papers import check_laws, papers, sold
from tests.jobs.shop import Shop
from tests.model.trouble import Killed, at_commit, kill
from tests.support.tables import shorten_log, table_path, table_versions

MON, TUE, WED = "2026-03-02", "2026-03-03", "2026-03-04"
MOMENTS = ("before", "after")


@pytest.fixture(autouse=True)
def on_one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers carry the year of issue, whatever year it is."""
    begin_day(monkeypatch, "2026-03-10")


def begin_day(monkeypatch: pytest.MonkeyPatch, date: str) -> None:
    """From now on it is this day."""
    noon, started = dt.datetime.fromisoformat(f"{date}T12:00:00Z"), dt.datetime.now(dt.UTC)
    monkeypatch.setattr(clock, "now", lambda: noon + (dt.datetime.now(dt.UTC) - started))


def test_a_week_of_bills_and_of_what_changed_after_them(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    begin_day(monkeypatch, TUE)
    walk_in = sold("W", MON, None, "99.00")
    shop.land(MON, sold("A", MON), sold("B", MON, gross="20.00"), walk_in)
    ran = shop.done()
    assert papers(shop) == [("2026-1", MON, "C-1", None, 30)]
    assert ran.result["documents"] == [
        {"kind": "invoice", "currency": "USD", "documents": 1, "net_amount": "30.000"}
    ]
    assert ran.result["last_numbers"] == {"2026-": 1}
    assert shop.run().result["status"] == "unchanged"

    # Tuesday, and a late line of Monday.
    begin_day(monkeypatch, WED)
    shop.land(TUE, sold("C", TUE, gross="5.00"), sold("late", MON, gross="3.00"))
    shop.done()
    assert papers(shop)[1:] == [("2026-2", TUE, "C-1", None, 5), ("2026-D1", MON, "C-1", "2026-1", 3)]

    # The sender corrects Monday: a line was another customer's.
    begin_day(monkeypatch, "2026-03-05")
    shop.land(MON, sold("A", MON, "C-3"), sold("B", MON, gross="20.00"), walk_in)
    shop.done()
    assert papers(shop)[2:4] == [("2026-3", MON, "C-3", None, 10), ("2026-C1", MON, "C-1", "2026-1", -10)]
    taken_back = shop.rows(DOCUMENT_LINES, document_number="2026-C1")
    assert [(row["transaction_id"], row["sign"], row["net_amount"]) for row in taken_back] == [("A", -1, 10)]

    # Monday's drop is withdrawn. The late line came with Tuesday's drop and stays.
    begin_day(monkeypatch, "2026-03-06")
    (shop.landing / f"drop_date={MON}" / "sales.csv").unlink()
    shop.manifest(MON, closed=True)
    shop.done()
    assert papers(shop)[4:6] == [
        ("2026-C2", MON, "C-1", "2026-1", -20),
        ("2026-C3", MON, "C-3", "2026-3", -10),
    ]

    # That was a mistake: the revision before is restored, and billed with the next night.
    begin_day(monkeypatch, "2026-03-07")
    shop.done("--date", MON, "--revision", "3", job=RESTORE_SALES)
    assert len(shop.rows(DOCUMENTS)) == 7
    shop.done()
    assert papers(shop)[7:] == [("2026-D2", MON, "C-1", "2026-1", 20), ("2026-D3", MON, "C-3", "2026-3", 10)]
    check_laws(shop)
    shop.done(job=VERIFY_SALES)
    assert shop.run().result["status"] == "unchanged"
    assert papers_of_the_page() == [
        (row["document_number"], row["kind"], row["business_date"], row["refers_to"], row["net_amount"])
        for row in sorted(shop.rows(DOCUMENTS, customer_id="C-1"), key=lambda row: row["document_number"])
    ]
    printed = re.findall(r"show_document (2026-\S+)\n(.*?)\n(?:\n|```)", PAGE.read_text("utf-8"), re.DOTALL)
    assert [number for number, _ in printed] == ["2026-1", "2026-D1", "2026-C1"]
    for number, text in printed:
        words = text.split()
        assert shop.done(number, job=SHOW_DOCUMENT).stdout.split()[: len(words)] == words, number


PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "bill-customers.md"


def papers_of_the_page() -> list[tuple[Any, ...]]:
    """Customer C-1's papers, as the page shows them."""
    page = PAGE.read_text("utf-8")
    rows = re.findall(r"^\| `(2026-\S+)` \| (\w+) \| (\S+) \| (\S*) ?\| (\S+) \|", page, re.MULTILINE)
    return sorted(
        (number, kind, date, to.strip("`") or None, Decimal(net)) for number, kind, date, to, net in rows
    )


def test_a_correction_states_what_changed_besides_the_net_amount(shop: Shop) -> None:
    shop.land(MON, sold("A", MON))
    shop.done()
    changed = sold("A", MON, gross="12.00") | {"discount_amount": "2.00"}
    shop.land(MON, changed)
    shop.done()
    assert papers(shop) == [("2026-1", MON, "C-1", None, 10), ("2026-K1", MON, "C-1", "2026-1", 0)]
    (note,) = shop.rows(DOCUMENTS, kind="correction")
    assert (note["gross_amount"], note["discount_amount"], note["lines"]) == (2, 2, 0)
    check_laws(shop)
    # Another name of a product changes no amount: the next note does not take the line back.
    shop.land(MON, changed | {"product_name": "Pear"}, sold("B", MON, gross="1.00"))
    shop.done()
    assert [row["transaction_id"] for row in shop.rows(DOCUMENT_LINES, document_number="2026-D1")] == ["B"]
    check_laws(shop)


def test_customers_that_swap_lines_of_equal_sums_get_them_with_their_next_note(shop: Shop) -> None:
    shop.land(MON, sold("A", MON, "C-1"), sold("B", MON, "C-2"))
    shop.done()
    shop.land(MON, sold("A", MON, "C-2"), sold("B", MON, "C-1"))
    shop.done()
    assert [row[0] for row in papers(shop)] == ["2026-1", "2026-2"]
    shop.land(MON, sold("A", MON, "C-2"), sold("B", MON, "C-1", gross="11.00"))
    shop.done()
    assert papers(shop)[2:] == [("2026-D1", MON, "C-1", "2026-1", 1)]
    lines = shop.rows(DOCUMENT_LINES, document_number="2026-D1")
    assert sorted((row["transaction_id"], row["sign"]) for row in lines) == [("A", -1), ("B", 1)]
    check_laws(shop)
    shop.done(job=VERIFY_SALES)


def test_a_date_on_hold_waits_and_its_late_lines_are_on_its_first_invoice(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = ["--set", "billing.hold_days=3"]
    monkeypatch.setattr(clock, "now", lambda: dt.datetime(2026, 3, 5, 4, 59, tzinfo=dt.UTC))
    shop.land(MON, sold("A", MON))
    shop.done(*hold)  # the fourth of March in New York
    assert shop.rows(DOCUMENTS) == []
    shop.land(TUE, sold("late", MON, gross="1.00"))
    monkeypatch.setattr(clock, "now", lambda: dt.datetime(2026, 3, 5, 5, 0, tzinfo=dt.UTC))
    shop.done(*hold)
    assert papers(shop) == [("2026-1", MON, "C-1", None, 11)]


def test_years_and_kinds_have_their_own_numbers(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    series = [
        "--set",
        "billing.series={invoice: 'R{year}/', credit_note: 'R{year}/', debit_note: D-, correction: K-}",
    ]
    shop.land(MON, sold("A", MON))
    shop.done(*series)
    monkeypatch.setattr(clock, "now", lambda: dt.datetime(2027, 1, 1, 4, 59, tzinfo=dt.UTC))
    shop.land(MON, sold("A", MON, gross="9.00"), sold("B", MON, "C-2"))
    shop.done(*series)  # still the old year in New York
    monkeypatch.setattr(clock, "now", lambda: dt.datetime(2027, 1, 1, 5, 0, tzinfo=dt.UTC))
    shop.land(MON, sold("A", MON, gross="8.00"), sold("B", MON, "C-2"))
    ran = shop.done(*series)
    assert [row[0] for row in papers(shop)] == ["R2026/1", "R2026/2", "R2026/3", "R2027/1"]
    assert papers(shop)[1] == ("R2026/2", MON, "C-1", "R2026/1", -1)
    assert ran.result["last_numbers"] == {"R2026/": 3, "R2027/": 1}


def test_a_lake_that_was_published_before_bills_only_what_comes_after(shop: Shop) -> None:
    off = ["--set", "billing.issue=false"]
    shop.land(MON, sold("A", MON))
    shop.done(*off)
    ran = shop.done(*off, job=ISSUE_INVOICES)
    assert ran.result["warnings"] == ["billing.issue is false: no document is issued"]
    assert not (shop.lake / DOCUMENTS.name).exists()
    shop.land(TUE, sold("B", TUE), sold("late", MON))
    planned = shop.done("--dry-run", job=ISSUE_INVOICES)
    assert planned.result["planned"] == []
    ran = shop.done()
    assert [text for text in ran.result["warnings"] if "1 dates, 2026-03-02 to 2026-03-02" in text]
    assert [row[:2] for row in papers(shop)] == [("2026-1", TUE)]
    shop.done()
    assert len(shop.rows(DOCUMENTS)) == 1
    shop.done("--set", f"billing.issue_from={MON}", job=ISSUE_INVOICES)
    assert [row[:2] for row in papers(shop)] == [("2026-1", TUE), ("2026-2", MON)]
    # Once it has a document, its later differences are stated, too.
    shop.land(MON, sold("A", MON, gross="11.00"))
    shop.done()
    assert [row[0] for row in papers(shop)] == ["2026-1", "2026-2", "2026-D1"]


def test_a_date_that_is_first_published_after_billing_began_is_billed_and_named(shop: Shop) -> None:
    shop.land(TUE, sold("B", TUE))
    shop.done("--set", "billing.issue=false")
    shop.done()
    shop.land(MON, sold("A", MON))
    planned = shop.done("--dry-run", job=ISSUE_INVOICES)
    assert planned.result["planned"] == []
    ran = shop.done()
    assert papers(shop) == [("2026-1", MON, "C-1", None, 10)]
    named = [text for text in ran.result["warnings"] if "get documents though they are before" in text]
    assert len(named) == 1
    assert named[0].endswith(f"after billing began: {MON}")
    assert shop.done().result["warnings"] == []
    shop.done(job=VERIFY_SALES)


def test_a_lake_that_knows_only_the_first_date_with_documents_keeps_to_it(shop: Shop) -> None:
    shop.land(TUE, sold("B", TUE))
    shop.done("--set", "billing.issue=false")
    path = table_path(shop.lake, DOCUMENTS)
    shop.done()
    # As an earlier version began it: the day after the last published date.
    table = f"delta.`{path}`"
    shop.spark.sql(f"ALTER TABLE {table} UNSET TBLPROPERTIES ('{BILLED_ELSEWHERE}')")
    shop.spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('{ISSUE_FROM}' = '{WED}')")
    shop.done("--dry-run", job=ISSUE_INVOICES)
    assert shop.run().result["status"] == "unchanged"
    shop.land(MON, sold("A", MON))
    shop.land(WED, sold("C", WED))
    shop.done()
    assert [row[:2] for row in papers(shop)] == [("2026-1", MON), ("2026-2", WED)]
    before = table_versions(shop.lake, [DOCUMENTS])
    shop.done()
    assert before == table_versions(shop.lake, [DOCUMENTS])


def test_history_is_not_billed(shop: Shop) -> None:
    shop.land(MON, sold("A", MON))
    shop.land(TUE, sold("B", TUE))
    shop.done("--from", MON, "--to", TUE, "--set", f"late.history_before={TUE}", job=BACKFILL_SALES)
    assert shop.rows(DOCUMENTS) == []
    shop.arguments = ["--set", f"late.history_before={TUE}"]
    shop.done("--set", f"billing.issue_from={TUE}")
    assert [row[:2] for row in papers(shop)] == [("2026-1", TUE)]


def test_without_a_statement_of_the_newest_revision_a_date_waits(shop: Shop) -> None:
    shop.land(MON, sold("A", MON))
    shop.done(job=INGEST_SALES)
    shop.done(job=PUBLISH_SALES)
    ran = shop.run("--set", f"billing.issue_from={MON}", job=ISSUE_INVOICES)
    assert ran.code == 5
    assert "run bill_customers first" in ran.error
    assert shop.rows(DOCUMENTS) == []


# --- crashes


def land_a_night_with_notes(shop: Shop) -> None:
    """A night that issues two invoices, then what makes one night of an invoice and notes of three kinds."""
    monday = [sold(name, MON, f"C-{name}") for name in "ABCD"]
    shop.land(MON, *monday)
    shop.done()
    changed = [sold("A", MON, "C-A", "9.00"), sold("B", MON, "C-B", "11.00"), monday[2]]
    other_sums = sold("D", MON, "C-D", "12.00") | {"discount_amount": "2.00"}
    shop.land(MON, *changed, other_sums)
    shop.land(TUE, sold("E", TUE, "C-A"), sold("F", TUE, "C-B"))


EXPECTED = [
    ("2026-1", MON, "C-A", None, 10),
    ("2026-2", MON, "C-B", None, 10),
    ("2026-3", MON, "C-C", None, 10),
    ("2026-4", MON, "C-D", None, 10),
    ("2026-5", TUE, "C-A", None, 10),
    ("2026-6", TUE, "C-B", None, 10),
    ("2026-C1", MON, "C-A", "2026-1", -1),
    ("2026-D1", MON, "C-B", "2026-2", 1),
    ("2026-K1", MON, "C-D", "2026-4", 0),
]


def test_a_run_killed_before_or_after_any_commit_of_the_issue_leaves_no_gap_and_no_number_twice(
    shop: Shop,
) -> None:
    land_a_night_with_notes(shop)
    shop.done("--set", "billing.issue=false")
    # Each next run is killed at its next commit of the issue: nothing, lines, documents, series, builds.
    tables = (DOCUMENT_LINES, DOCUMENTS, LEDGER_SERIES, LEDGER_BUILDS)
    for table in tables:
        for moment in MOMENTS:
            copy = shop.other(f"{table.name.replace('/', '_')}_{moment}")
            shutil.copytree(shop.lake, copy.lake)
            with at_commit(table.name, **{moment: kill}), pytest.raises(Killed):
                copy.run(job=ISSUE_INVOICES)
            check_numbers_without_documents(copy)
            copy.done()
            assert papers(copy) == EXPECTED, (table.name, moment)
            check_laws(copy)
            copy.done(job=VERIFY_SALES)
            assert copy.run().result["status"] == "unchanged"
            recorded = [row["last_number"] for row in copy.rows(LEDGER_SERIES, series="2026-")]
            assert max(recorded) == 6


def check_numbers_without_documents(shop: Shop) -> None:
    """What a reader finds right after the crash: whole documents, and no number twice."""
    numbers = [row["document_number"] for row in shop.rows(DOCUMENTS)]
    assert len(numbers) == len(set(numbers))
    assert len(numbers) in (4, len(EXPECTED))
    with_lines = {row["document_number"] for row in shop.rows(DOCUMENT_LINES)}
    assert with_lines >= set(numbers)


def test_22_drivers_killed_around_the_issue_commits_in_a_row(shop: Shop) -> None:
    land_a_night_with_notes(shop)
    shop.done("--set", "billing.issue=false")
    for table, moment in [*product([DOCUMENT_LINES] * 10, MOMENTS), *product([DOCUMENTS], MOMENTS)]:
        with at_commit(table.name, **{moment: kill}), pytest.raises(Killed):
            shop.run(job=ISSUE_INVOICES)
        check_numbers_without_documents(shop)
    shop.done()
    assert papers(shop) == EXPECTED
    check_laws(shop)


def test_a_crash_behind_a_shortened_log_of_documents_leaves_no_line_twice(shop: Shop) -> None:
    shop.land(MON, sold("A", MON))
    shop.done()
    shorten_log(shop.spark, shop.lake, DOCUMENTS)
    shop.done(job=VERIFY_SALES)
    shop.land(TUE, sold("B", TUE))
    with at_commit(DOCUMENT_LINES.name, after=kill), pytest.raises(Killed):
        shop.run()
    shop.done()
    assert papers(shop) == [("2026-1", MON, "C-1", None, 10), ("2026-2", TUE, "C-1", None, 10)]
    check_laws(shop)
    shop.done(job=VERIFY_SALES)


def test_a_run_that_fails_between_the_two_commits_takes_its_lines_back(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.land(MON, sold("A", MON))
    real = Lake.add

    def refuse(lake: Lake, table: Any, *arguments: Any) -> int:
        if table is DOCUMENTS:
            raise OSError("no space left on device")
        return real(lake, table, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Lake, "add", refuse)
        assert shop.run().code == 1
    assert shop.rows(DOCUMENT_LINES) == []
    shop.done()
    assert papers(shop) == [("2026-1", MON, "C-1", None, 10)]
    check_laws(shop)


# --- backups and damage


def test_a_number_of_an_older_backup_is_not_given_again(shop: Shop) -> None:
    shop.land(MON, sold("A", MON))
    shop.done()
    backup = shop.folder / "backup"
    shutil.copytree(shop.lake / "billing", backup)
    shop.land(TUE, sold("B", TUE))
    shop.done()
    later = shop.folder / "later"
    shutil.copytree(shop.lake / "billing", later)
    replace_folder(shop, backup)
    shop.land(WED, sold("C", WED))
    ran = shop.run()
    assert ran.code == 4
    assert "billing/documents is at version 1, the ledger records version 2" in ran.error
    replace_folder(shop, later)
    shop.done()
    assert [row[:2] for row in papers(shop)] == [("2026-1", MON), ("2026-2", TUE), ("2026-3", WED)]
    check_laws(shop)


def test_a_lake_that_is_older_than_documents_handed_out_gives_no_number_again(shop: Shop) -> None:
    shop.land(MON, sold("A", MON))
    shop.done()
    whole = shop.folder / "whole"
    shutil.copytree(shop.lake, whole)
    shop.land(TUE, sold("B", TUE))
    shop.done()
    kept = shop.folder / "night.json"
    shutil.copy(shop.folder / "result.json", kept)
    later = shop.folder / "later"
    shutil.copytree(shop.lake, later)
    # Lake and ledger are of one older backup: only the result file of the night after it knows more.
    replace_folder(shop, whole, shop.lake)
    ran = shop.run("--numbers-of", str(kept))
    assert ran.code == 4
    assert (
        "the result of an earlier run names documents that billing/documents does not hold: 2026-2"
        in ran.error
    )
    assert len(shop.rows(DOCUMENTS)) == 1
    replace_folder(shop, later, shop.lake)
    shop.done("--numbers-of", str(kept))
    # Only billing is older, and the ledger was trimmed to it: the series' marks stay.
    replace_folder(shop, whole / "billing")
    shop.done(job=REPAIR_LAKE)
    ran = shop.run()
    assert ran.code == 4
    assert "the ledger records documents that billing/documents does not hold: 2026-2" in ran.error
    assert shop.run(job=VERIFY_SALES).code == 4
    for path in (shop.folder / "none.json", shop.landing):
        assert shop.run("--numbers-of", str(path)).code == 2
    kept.write_text("[]")
    assert "not a result file" in shop.run("--numbers-of", str(kept)).error


REASON = ("--reason", "the only copy was on a lost disk")


def test_documents_that_no_copy_holds_are_written_off_and_the_batch_goes_on(shop: Shop) -> None:
    shop.land(MON, sold("A", MON))
    shop.done()
    backup = shop.folder / "backup"
    shutil.copytree(shop.lake / DOCUMENTS.name, backup)
    shop.land(TUE, sold("B", TUE), sold("late", MON, gross="1.00"))
    shop.done()
    shop.land(WED, sold("C", WED))
    shop.done()
    assert [row[0] for row in papers(shop)] == ["2026-1", "2026-2", "2026-3", "2026-D1"]
    handed_out = shop.folder / "handed-out.json"
    shutil.copy(shop.folder / "result.json", handed_out)
    # Only the documents are older than the rest of the lake.
    replace_folder(shop, backup, shop.lake / DOCUMENTS.name)
    assert "or run repair_lake" in shop.run().error
    shop.done(job=REPAIR_LAKE)
    ran = shop.run()
    assert ran.code == 4
    assert "does not hold: 2026-2 to 2026-3, 2026-D1. Was the lake" in ran.error
    assert "if no copy holds them, run write_off_numbers" in ran.error
    lines = len(shop.rows(DOCUMENT_LINES))
    planned = shop.done("--dry-run", *REASON, job=WRITE_OFF).result["planned"]
    assert planned == ["write off 2026-2 to 2026-3", "write off 2026-D1"]
    assert (shop.rows(LOST_NUMBERS), len(shop.rows(DOCUMENT_LINES))) == ([], lines)
    with at_commit(LOST_NUMBERS.name, before=kill), pytest.raises(Killed):
        shop.run(*REASON, job=WRITE_OFF)
    ran = shop.done(*REASON, job=WRITE_OFF)
    assert ran.result["written_off"] == ["2026-2 to 2026-3", "2026-D1"]
    assert ran.result["last_numbers"] == {"2026-": 3, "2026-D": 1}
    (warning,) = ran.result["warnings"]
    assert warning.endswith(
        f"that they are void; the next issue states 3 dates in new documents: {MON}, {TUE}, {WED}"
    )
    assert shop.done(*REASON, job=WRITE_OFF).result["status"] == "unchanged"
    assert len(shop.rows(DOCUMENT_LINES)) == lines
    shop.done("--numbers-of", str(handed_out))
    assert papers(shop) == [
        ("2026-1", MON, "C-1", None, 10),
        ("2026-4", TUE, "C-1", None, 10),
        ("2026-5", WED, "C-1", None, 10),
        ("2026-D2", MON, "C-1", "2026-1", 1),
    ]
    check_laws(shop)
    verified = shop.done(job=VERIFY_SALES)
    assert f"written off: 2026-2 to 2026-3, on 2026-03-10: {REASON[1]}" in verified.stdout.replace("\n", " ")
    ran = shop.run("2026-3", job=SHOW_DOCUMENT)
    assert (ran.code, "it is lost; written off: 2026-2 to 2026-3" in ran.error) == (2, True)
    # The record is part of the proof: without it, the numbers have a gap.
    shutil.rmtree(shop.lake / LOST_NUMBERS.name)
    assert "series 2026-: the numbers are not 1 to 5" in shop.run(job=VERIFY_SALES).error


def test_without_any_document_left_the_numbers_go_on_and_no_date_is_billed_twice(shop: Shop) -> None:
    shop.land(MON, sold("A", MON))
    shop.done()
    shutil.rmtree(shop.lake / "billing")
    clear_cache(shop)
    assert "the ledger has 2026-1, which are gone" in shop.run(job=VERIFY_SALES).error
    shop.done(job=REPAIR_LAKE)
    shop.land(TUE, sold("B", TUE))
    ran = shop.run()
    assert (ran.code, "does not hold: 2026-1." in ran.error) == (4, True)
    assert any(
        "1 dates, 2026-03-02 to 2026-03-02, are published already" in text for text in ran.result["warnings"]
    )
    # Someone holds a paper that no result file and no ledger knows of.
    for wrong in (["--number", "17"], ["--number", "2026-9", "--date", MON]):
        assert shop.run(*REASON, *wrong, job=WRITE_OFF).code == 2
    shop.done(*REASON, "--number", "2026-9", "--number", "2026-C1", job=WRITE_OFF)
    shop.done()
    assert papers(shop) == [("2026-10", TUE, "C-1", None, 10)]
    shop.done(job=VERIFY_SALES)
    recorded = {(row["series"], row["last_number"]) for row in shop.rows(LEDGER_SERIES)}
    assert recorded == {("2026-", 1), ("2026-", 9), ("2026-", 10), ("2026-C", 1)}


def replace_folder(shop: Shop, copy: Path, folder: Path | None = None) -> None:
    target = folder or shop.lake / "billing"
    shutil.rmtree(target)
    shutil.copytree(copy, target)
    clear_cache(shop)


def clear_cache(shop: Shop) -> None:
    shop.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]


def test_issuing_again_commits_nothing(shop: Shop) -> None:
    shop.land(MON, sold("A", MON))
    shop.done()
    before = table_versions(shop.lake, [DOCUMENTS, DOCUMENT_LINES, LEDGER_SERIES, LEDGER_BUILDS])
    shop.done(job=ISSUE_INVOICES)
    shop.done()
    assert before == table_versions(shop.lake, [DOCUMENTS, DOCUMENT_LINES, LEDGER_SERIES, LEDGER_BUILDS])
    # A restated date with the same statement: it is looked at once, and no document says so.
    shop.land(MON, sold("A", MON), sold("W", MON, None))
    ran = shop.done()
    assert ran.result["documents"] == []
    assert len(shop.rows(DOCUMENTS)) == 1
    assert shop.run().result["status"] == "unchanged"
    assert shop.rows(DOCUMENTS)[0]["net_amount"] == Decimal(10)


def test_verify_finds_every_document_that_was_tampered_with(shop: Shop) -> None:
    shop.land(MON, sold("A", MON), sold("B", MON, "C-2"))
    shop.land(TUE, sold("C", TUE))
    shop.done()
    shop.done(job=VERIFY_SALES)
    sound = shop.folder / "sound"
    shutil.copytree(shop.lake / "billing", sound)
    documents, lines = (f"delta.`{shop.lake / table.name}`" for table in (DOCUMENTS, DOCUMENT_LINES))
    sums = f"documents of {MON}, customer C-1, USD: their sum differs"
    for statement, messages in {
        f"UPDATE {documents} SET net_amount = 9 WHERE document_number = '2026-1'": (
            "billing/documents version 2 changed or deleted documents",
            sums,
            "document 2026-1 and its lines",
        ),
        f"DELETE FROM {documents} WHERE document_number = '2026-1'": (
            "series 2026-: the numbers are not",
            sums,
        ),
        f"DELETE FROM {documents} WHERE document_number = '2026-3'": (
            "its last commit has 2026-3, which are gone",
        ),
        f"DELETE FROM {lines} WHERE document_number = '2026-1'": ("document 2026-1 and its lines",),
        f"UPDATE {lines} SET sign = -1 WHERE document_number = '2026-1'": ("document 2026-1 and its lines",),
        f"UPDATE {lines} SET product_name = 'Other' WHERE document_number = '2026-1'": (
            "billing/document_lines version 2 changed or deleted lines of documents",
        ),
    }.items():
        shop.spark.sql(statement)
        ran = shop.run(job=VERIFY_SALES)
        assert ran.code == 4, statement
        assert all(message in ran.error for message in messages), (statement, ran.error)
        replace_folder(shop, sound)
    shop.done(job=VERIFY_SALES)


def test_an_issue_that_was_cut_off_waits_and_is_no_fault(shop: Shop) -> None:
    shop.land(MON, sold("A", MON))
    with at_commit(DOCUMENTS.name, after=kill), pytest.raises(Killed):
        shop.run()  # the table's creation
    with at_commit(DOCUMENT_LINES.name, after=kill), pytest.raises(Killed):
        shop.run()
    ran = shop.run(job=VERIFY_SALES)
    assert ran.code == 5
    assert "the next run rolls its lines back" in ran.error
    shop.done()
    shop.done(job=VERIFY_SALES)
