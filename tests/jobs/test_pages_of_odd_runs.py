"""Pages of runs that were refused, outrun, killed, or made long ago: their numbers are still the tables'."""

from __future__ import annotations

import datetime as dt
import json
import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

import pipeline.cli.page
import pipeline.clock
from jobs.ingest_sales import JOB as INGEST_SALES
from jobs.maintain_tables import JOB as MAINTAIN_TABLES
from jobs.migrate_tables import JOB as MIGRATE_TABLES
from jobs.publish_sales import JOB as PUBLISH_SALES
from jobs.report_runs import JOB as REPORT_RUNS
from jobs.restore_sales import JOB as RESTORE_SALES
from pipeline.lake.ledger import Ledger
from pipeline.steps.publish_window import PublishWindow
from schemas.billing import DOCUMENTS
from schemas.tables import LEDGER_RUNS, SALES
from tests.jobs.shop import Ran, Shop, line
from tests.jobs.test_old_lakes import MILD, unpacked
from tests.jobs.test_report import BAD, GOOD, SECRET, flow_of, land, page_of
from tests.jobs.test_resume import killed_before
from tests.pipeline.report.pages.test_render import cells
from tests.pipeline.steps.test_chunk_failures import failing


def sold(transaction: str, date: str, **fields: str | None) -> dict[str, str | None]:
    return line(transaction, f"{date}T15:00:00Z", **fields)


def pages(shop: Shop) -> tuple[str, str]:
    return "--report", str(shop.folder / "pages")


def made_later(shop: Shop, ran: Ran) -> str:
    """The page of a run, made from the ledger as it is now."""
    out = shop.folder / "later"
    shop.done("--run", ran.result["run_id"], "--out", str(out), job=REPORT_RUNS)
    return (out / f"{ran.result['run_id']}.html").read_text()


def test_a_run_that_bills_a_date_of_an_earlier_run_counts_only_its_own_lines(shop: Shop) -> None:
    shop.land(GOOD, sold("a", GOOD, customer_id="C-1"), sold("b", GOOD, customer_id=None))
    shop.done(job=INGEST_SALES)
    shop.done(job=PUBLISH_SALES)
    shop.land(BAD, sold("c", BAD, customer_id="C-1"), *[sold(name, BAD, customer_id=None) for name in "de"])
    html = page_of(shop.done(*pages(shop))).read_text()
    flow = flow_of(html)
    assert (flow["Published"], flow["Billed"], flow["No customer"]) == (3, 1, 2)
    assert f"2 lines of {GOOD}, {BAD} are on customers&#39; statements." in html


def test_documents_and_tables_that_a_run_built_are_on_its_page(shop: Shop) -> None:
    land(shop)
    ran = shop.done(*pages(shop))
    live, later = page_of(ran).read_text(), made_later(shop, ran)
    issued = shop.rows(DOCUMENTS)
    net = sum((row["net_amount"] for row in issued), Decimal(0))
    for html in (live, later):
        assert cells(html, "Documents that were issued")[1:] == [["invoice", "USD", "2", f"{net:,.2f}"]]
        assert "2 billing documents were issued." in html
        built = {row[0]: row[1] for row in cells(html, "Tables that were built, and their dates")[1:]}
        assert built["billing/documents"] == built["gold/daily_sales"] == "2"


def test_a_killed_run_is_not_finished_by_a_run_of_something_else(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(shop)
    killed_before(shop, monkeypatch, Ledger, "record_drops")
    (begun,) = shop.rows(LEDGER_RUNS)
    killed = Ran(0, {"run_id": begun["run_id"]}, "", "")
    shop.done(job=MAINTAIN_TABLES)
    assert shop.rows(SALES) == []
    html = made_later(shop, killed)
    assert "Run the same command again: it completes or undoes what was cut off" in html
    assert "Nothing needs to be done" not in html
    shop.done(*pages(shop))
    assert "Nothing needs to be done: a later run of the same command" in made_later(shop, killed)


def test_a_page_made_later_counts_as_of_its_run_whatever_the_clocks_said(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run had a clock that was years ahead; then more lines of its failed date arrived."""
    land(shop)
    with monkeypatch.context() as patched:
        patched.setattr(pipeline.clock, "now", lambda: dt.datetime(2036, 3, 4, 5, 0, tzinfo=dt.UTC))
        patched.setattr(PublishWindow, "sales", failing("this honey is bad"))
        first = shop.run(*pages(shop))
    assert first.code == 3
    live = page_of(first).read_text()
    assert flow_of(live)["Waiting"] == 3
    shop.land(BAD, sold("more", BAD), sold("and more", BAD), name="more.csv")
    second = shop.done(*pages(shop))
    html = made_later(shop, first)
    assert flow_of(html) == flow_of(live)
    steps = "Time of each step against the median of up to 20 earlier runs, and the margin to the deadline"
    assert {row[6] for row in cells(html, steps)[1:]} == {"0"}
    earlier = {row[0]: row[6] for row in cells(page_of(second).read_text(), steps)[1:]}
    assert earlier["ingest_sales"] == "1"
    site = shop.folder / "a site"
    shop.done("--out", str(site), job=REPORT_RUNS)
    assert (
        f"The last run, {second.result['run_id']}, ended with exit code 0"
        in (site / "index.html").read_text()
    )


def test_rejects_of_a_refused_delivery_are_known_after_a_better_one_came(shop: Shop) -> None:
    shop.land(GOOD, sold("a", GOOD), sold("b", GOOD, quantity="none"))
    refused = shop.run(*pages(shop))
    assert refused.code == 4
    live = page_of(refused).read_text()
    assert cells(live, "Rejected lines by reason")[1:] == [["bad_quantity", "1"]]
    shop.land(GOOD, sold("a", GOOD), sold("b", GOOD))
    shop.done()
    html = made_later(shop, refused)
    assert cells(html, "Rejected lines by reason") == cells(live, "Rejected lines by reason")
    assert flow_of(html) == flow_of(live) == {"Delivered": 2, "Refused deliveries": 2}


@pytest.mark.parametrize("allowed", [False, True])
def test_what_errors_quote_from_the_data_is_shown_only_with_samples(shop: Shop, allowed: bool) -> None:
    shop.land(GOOD, sold("a", GOOD), sold("b", GOOD, quantity="none", customer_id=SECRET))
    samples = ("--set", f"report.samples={str(allowed).lower()}")
    ran = shop.run(*pages(shop), *samples)
    assert SECRET in ran.stderr
    assert (SECRET in page_of(ran).read_text()) == allowed
    assert ("an example is in ledger/runs" in page_of(ran).read_text()) != allowed
    site = shop.folder / "site"
    shop.done("--out", str(site), *samples, job=REPORT_RUNS)
    assert f"drop {GOOD} is blocked: " in (site / "index.html").read_text()
    assert SECRET not in (site / "index.html").read_text()


def test_a_lake_without_runs_has_no_site(shop: Shop) -> None:
    """Most likely its path is misspelled."""
    refused = shop.run("--out", str(shop.folder / "site"), job=REPORT_RUNS)
    assert refused.code == 5
    assert f"the ledger of file:{shop.lake} records no run yet" in refused.error
    assert not (shop.folder / "site").exists()


def test_restored_and_withdrawn_dates_have_the_numbers_of_their_tables(shop: Shop) -> None:
    shop.land(GOOD, sold("a", GOOD), sold("b", GOOD))
    shop.done()
    shop.land(GOOD, sold("a", GOOD), sold("b", GOOD), sold("c", GOOD))
    shop.done()
    html = page_of(shop.done("--date", GOOD, "--revision", "1", *pages(shop), job=RESTORE_SALES)).read_text()
    rows = cells(html, "What became of each business date")[1:]
    assert [row[:4] for row in rows] == [[GOOD, "done", "3", "2"]]
    assert flow_of(html)["Published"] == len(shop.rows(SALES)) == 2
    (shop.landing / f"drop_date={GOOD}" / "sales.csv").unlink()
    shop.manifest(GOOD, closed=True)
    html = page_of(shop.done(*pages(shop))).read_text()
    rows = cells(html, "What became of each business date")[1:]
    assert [row[:3] for row in rows] == [[GOOD, "done", "4"]]
    assert shop.rows(SALES) == []
    assert f"0 lines of {GOOD} were published." in html
    site = shop.folder / "site"
    shop.done("--out", str(site), job=REPORT_RUNS)
    dates = cells((site / "index.html").read_text(), "Business dates, newest first")[1:]
    assert [row[:4] for row in dates] == [[GOOD, "billed", "4", ""]]


def test_a_run_that_lost_the_lake_has_its_exit_code_on_its_page(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(shop)
    real = Ledger.record_dates

    def lose(ledger: Ledger, run_id: str, dates: Sequence[Mapping[str, Any]]) -> None:
        real(ledger, run_id, dates)
        if dates:
            taken = shop.lake / "ledger" / "_running" / "lock.000000000099"
            taken.write_text(json.dumps({"run_id": "another", "beats": 1}))

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "record_dates", lose)
        ran = shop.run(*pages(shop))
    assert ran.code == 75
    html = page_of(ran).read_text()
    assert "run_batch ended with exit code 75" in html
    assert "<dt>Exit code</dt><dd>75</dd>" in html
    assert "run another took this lake" in html
    assert flow_of(html)["Published"] == len(shop.rows(SALES)) == 4


def test_a_site_sums_lines_without_a_category_and_with_one_of_that_name(shop: Shop) -> None:
    shop.land(GOOD, sold("a", GOOD, category=None), sold("b", GOOD, category="none"))
    shop.done()
    site = shop.folder / "a site"
    shop.done("--out", str(site), job=REPORT_RUNS)
    net = sum((row["net_amount"] for row in shop.rows(SALES)), Decimal(0))
    html = (site / "index.html").read_text()
    assert cells(html, "Net sales by month and category, USD")[1:] == [
        ["2026-03", f"{net:,.2f}", f"{net:,.2f}"]
    ]
    # The folder's name has a space: what was rendered is found again.
    assert shop.done("--out", str(site), job=REPORT_RUNS).result["pages"] == []


def test_a_page_that_was_made_while_its_run_was_at_work_does_not_stay(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(shop)
    site, real = shop.folder / "site", Ledger.record_stages

    def look(ledger: Ledger, run_id: str, stages: object) -> None:
        shop.done("--run", run_id, "--out", str(site / "runs"), job=REPORT_RUNS)
        real(ledger, run_id, stages)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "record_stages", look)
        ran = shop.done()
    page = site / "runs" / f"{ran.result['run_id']}.html"
    assert "run_batch is still at work" in page.read_text()
    shop.done("--out", str(site), job=REPORT_RUNS)
    assert "run_batch is done" in page.read_text()


def test_a_store_that_never_answers_holds_the_run_up_for_some_seconds(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(shop)
    shop.done()
    monkeypatch.setattr(pipeline.cli.page, "_SECONDS", 3.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        ran = shop.done("--report", f"webhdfs://127.0.0.1:{silent.getsockname()[1]}/pages")
        assert time.monotonic() - began < 40
    assert ran.result["page"] is None
    assert "the page was not written: it took longer than 3 s: does the folder answer?" in ran.stderr


@pytest.mark.parametrize("one", [True, False])
def test_a_folder_that_report_runs_cannot_make_is_named(shop: Shop, one: bool) -> None:
    land(shop)
    ran = shop.done()
    file = Path(shop.folder / "file")
    file.write_text("")
    run = ["--run", ran.result["run_id"]] if one else []
    refused = shop.run(*run, "--out", str(file), job=REPORT_RUNS)
    assert refused.code == 2
    assert f"--out {file}: " in refused.error


def test_a_migration_publishes_nothing_and_takes_no_number_from_the_site(
    spark: SparkSession, tmp_path: Path
) -> None:
    shop = unpacked(spark, tmp_path, "sound", MILD)
    published = Counter(row["business_date"] for row in shop.rows(SALES))
    html = page_of(shop.done(*pages(shop), job=MIGRATE_TABLES)).read_text()
    rows = cells(html, "What became of each business date")[1:]
    assert {row[0] for row in rows} == set(published)
    assert {row[1] for row in rows} == {"recorded again"}
    number = f"{len(rows)} dates" if len(rows) > 1 else "1 date"
    assert f"The run published nothing; it recorded again what readers see of {number}." in html
    assert "Every accepted line" not in html
    site = shop.folder / "site"
    shop.done("--out", str(site), job=REPORT_RUNS)
    shown = cells((site / "index.html").read_text(), "Business dates, newest first")[1:]
    assert {row[0]: int(row[3]) for row in shown} == published
