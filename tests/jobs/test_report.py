"""Pages of runs: beside a run, after it, of a killed one, and as a site. Their numbers are the tables'."""

from __future__ import annotations

import datetime as dt
import stat
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pyspark.sql import SparkSession

import pipeline.report.pages.collect
import pipeline.report.pages.render
from jobs.publish_sales import JOB as PUBLISH_SALES
from jobs.report_runs import JOB as REPORT_RUNS
from pipeline.lake.ledger import Ledger
from pipeline.lake.tables import Lake
from pipeline.planning.reconciliation import ReconciliationKey
from pipeline.steps.publish_window import PublishWindow
from schemas.gold import INVOICES
from schemas.tables import LEDGER_CHUNKS, LEDGER_DATES, LEDGER_RUNS, RECEIVED_SALES, SALES
from tests.jobs.shop import Ran, Shop, line
from tests.jobs.test_resume import killed_before
from tests.pipeline.report.pages.made import balance
from tests.pipeline.report.pages.test_render import cells
from tests.pipeline.steps.test_chunk_failures import failing

GOOD, BAD = "2026-03-02", "2026-03-03"
SECRET = "C-4711"


def land(shop: Shop) -> None:
    """Two dates of four lines each: one twice, one without a customer; and one line that is rejected."""
    shop.arguments = ["--set", "audit.max_rejected_share=0.5"]
    for date in (GOOD, BAD):
        lines = [
            line(f"{date}/a", f"{date}T15:00:00Z", product_name="Apple", customer_id=SECRET),
            line(f"{date}/h", f"{date}T15:00:00Z", product_name="Honey", customer_id=None),
            line(f"{date}/x", f"{date}T15:00:00Z", quantity="<b>none</b>", customer_id=SECRET),
        ]
        shop.land(date, lines[0], *lines)


def page_of(ran: Ran) -> Path:
    return Path(urlsplit(ran.result["page"]).path)


def flow_of(html: str) -> dict[str, int]:
    rows = cells(html, "Lines from delivered to billed, each with its share of the states before")
    return {row[0]: int(row[1].replace(",", "")) for row in rows[1:]}


def test_the_page_of_a_run_holds_what_the_tables_hold(shop: Shop) -> None:
    land(shop)
    ran = shop.done("--report", str(shop.folder / "pages"))
    path = page_of(ran)
    html = path.read_text()
    assert path.name == f"{ran.result['run_id']}.html"
    assert f"page of this run: {path.as_uri()}" in ran.stdout
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    flow = flow_of(html)
    received = shop.rows(RECEIVED_SALES)
    rejected = [row for row in received if row["validation_status"] == "rejected"]
    assert flow["Delivered"] == len(received) == 8
    assert flow["Rejected"] == len(rejected) == 2
    assert flow["Published"] == len(shop.rows(SALES)) == 4
    assert flow["Duplicates"] == sum(row["duplicates"] for row in shop.rows(SALES)) == 2
    assert flow["Billed"] == sum(row["lines"] for row in shop.rows(INVOICES)) == 2
    assert flow["No customer"] == 2
    attempts = cells(html, "The slowest attempts")[1:]
    assert {row[0] for row in attempts} == {"A-G", "H-N"}
    assert sum(int(row[8]) for row in attempts) == 4
    assert cells(html, "Rejected lines by reason")[1:] == [["bad_quantity", "2"]]
    assert ["audit.max_rejected_share", "0.5", "0.05"] in cells(
        html, "Settings that differ from configs/cymbal.yaml"
    )
    assert "“Honey” is the product_name with the most lines, 2 of 4 (50.0%)" in html
    # Neither a customer nor a raw line.
    assert SECRET not in html
    assert "&lt;b&gt;none" not in html


@pytest.mark.parametrize("allowed", [False, True])
def test_a_customer_who_is_the_hot_key_is_named_only_with_samples(shop: Shop, allowed: bool) -> None:
    land(shop)
    options = ["--set", "chunks.key=customer_id", "--set", f"report.samples={str(allowed).lower()}"]
    html = page_of(shop.done("--report", str(shop.folder / "pages"), *options)).read_text()
    named = f"“{SECRET}”" if allowed else "one value (named with report.samples: true)"
    assert f"{named} is the customer_id with the most lines, 2 of 2" in html
    assert (SECRET in html) == allowed


def test_samples_are_shown_escaped_where_the_config_says_so(shop: Shop) -> None:
    land(shop)
    ran = shop.done("--report", str(shop.folder / "pages"), "--set", "report.samples=true")
    html = page_of(ran).read_text()
    (row,) = cells(html, "Rejected lines by reason, with samples as received")[1:]
    assert row[:2] == ["bad_quantity", "2"]
    assert "&lt;b&gt;none&lt;/b&gt;" in row[2]
    assert SECRET in row[2]
    assert "<b>" not in html


def test_a_failed_chunk_is_named_and_the_rest_is_accounted_for(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(shop)
    with monkeypatch.context() as patched:
        patched.setattr(PublishWindow, "sales", failing("this honey is bad"))
        ran = shop.run("--report", str(shop.folder / "pages"))
    assert ran.code == 3
    html = page_of(ran).read_text()
    assert "run_batch ended with exit code 3" in html
    assert f"{BAD} failed, it has no revision yet" in html
    assert flow_of(html)["Waiting"] == 3
    attempts = cells(html, "Attempts that failed, ran again or were slow")[1:]
    failed = [row for row in attempts if row[4] == "failed"]
    assert {row[0] for row in failed} == {"H-N"}
    assert all("this honey is bad" in row[9] for row in failed)
    assert {row[2] for row in failed} == {"1", "2"}


@pytest.mark.parametrize("owner", [pipeline.report.pages.collect, pipeline.report.pages.render])
def test_a_page_that_cannot_be_made_is_a_warning(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, owner: Any
) -> None:
    land(shop)
    name = "collect_live" if owner is pipeline.report.pages.collect else "render_run"

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no ink left")

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, broken)
        ran = shop.done("--report", str(shop.folder / "pages"))
    assert ran.result["page"] is None
    (warning,) = ran.result["warnings"]
    assert warning == f"--report {shop.folder / 'pages'}: the page was not written: no ink left"
    assert warning in ran.stderr


def test_a_folder_that_cannot_be_made_is_a_warning(shop: Shop) -> None:
    land(shop)
    (shop.folder / "file").write_text("")
    ran = shop.done("--report", str(shop.folder / "file"))
    assert ran.result["page"] is None
    assert "the page was not written: " in ran.result["warnings"][0]


def test_a_dry_run_and_a_command_that_was_refused_write_no_page(shop: Shop) -> None:
    land(shop)
    ran = shop.done("--dry-run", "--report", str(shop.folder / "pages"))
    assert (ran.result["page"], ran.result["warnings"]) == (None, [])
    assert not (shop.folder / "pages").exists()


def test_the_page_of_a_killed_run_is_made_afterwards(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    land(shop)
    killed_before(shop, monkeypatch, Ledger, "record_dates", lambda run_id, dates: bool(dates))
    (begun,) = shop.rows(LEDGER_RUNS)
    out = shop.folder / "pages"

    def make() -> str:
        shop.done("--run", begun["run_id"], "--out", str(out), job=REPORT_RUNS)
        return (out / f"{begun['run_id']}.html").read_text()

    html = make()
    assert "run_batch was cut off before it ended" in html
    assert "Run the same command again: it completes or undoes what was cut off" in html
    assert flow_of(html)["Waiting"] == 6
    shop.done()
    html = make()
    assert "Nothing needs to be done: a later run of the same command did what was left." in html
    # What it had committed was recorded under its name by the next run.
    assert flow_of(html)["Published"] == 4
    assert "Waiting" not in flow_of(html)
    assert cells(html, "Rejected lines by reason")[1:] == [["bad_quantity", "2"]]


def test_the_page_made_afterwards_says_the_same(shop: Shop) -> None:
    land(shop)
    ran = shop.done("--report", str(shop.folder / "pages"))
    live = page_of(ran).read_text()
    shop.done("--run", ran.result["run_id"], "--out", str(shop.folder / "after"), job=REPORT_RUNS)
    after = (shop.folder / "after" / page_of(ran).name).read_text()
    for caption in ("Lines by chunk", "Gross by currency", "Rejected lines by reason", "Tasks by chunk"):
        assert cells(after, caption) == cells(live, caption)
    assert flow_of(after) == flow_of(live)
    assert "When each task ran is not known" in after


def test_a_run_that_the_ledger_does_not_know_is_refused(shop: Shop) -> None:
    land(shop)
    ran = shop.done()
    refused = shop.run("--run", "nobody", job=REPORT_RUNS)
    assert refused.code == 2
    assert (
        f"run nobody: the ledger of file:{shop.lake} has none; the latest are {ran.result['run_id']}"
        in refused.error
    )


def test_a_run_with_nothing_to_do_has_a_page_too(shop: Shop) -> None:
    land(shop)
    shop.done()
    ran = shop.done("--report", str(shop.folder / "pages"), job=PUBLISH_SALES)
    assert ran.result["status"] == "unchanged"
    assert "publish_sales found nothing new" in page_of(ran).read_text()


def test_a_site_renders_only_what_is_new(spark: SparkSession, shop: Shop) -> None:
    land(shop)
    site = shop.folder / "site"
    first = shop.done("--report", str(site / "runs"))
    kept = page_of(first).read_text()
    made = shop.done("--out", str(site), job=REPORT_RUNS)
    assert made.result["pages"] == ["2026.html", "index.html"]
    assert page_of(first).read_text() == kept  # it has the attempts that the ledger does not keep
    index = (site / "index.html").read_text()
    assert f'href="runs/{first.result["run_id"]}.html" aria-label="{GOOD} billed, revision 1"' in index
    rows = cells(index, "Business dates, newest first")
    assert [row[:4] for row in rows[1:]] == [[BAD, "billed", "1", "2"], [GOOD, "billed", "1", "2"]]
    assert shop.done("--out", str(site), job=REPORT_RUNS).result["pages"] == []
    shop.land(BAD, line("late", f"{GOOD}T15:00:00Z", product_name="Zebra"), name="more.csv")
    second = shop.done()
    made = shop.done("--out", str(site), job=REPORT_RUNS)
    assert made.result["pages"] == [f"runs/{second.result['run_id']}.html", "2026.html", "index.html"]
    index = (site / "index.html").read_text()
    assert f'href="runs/{second.result["run_id"]}.html" aria-label="{GOOD} billed, revision 2"' in index
    assert {stat.S_IMODE(path.stat().st_mode) for path in site.rglob("*.*")} == {0o640}


def test_a_year_of_the_ledger_is_small(spark: SparkSession, shop: Shop) -> None:
    """A run each night; a tenth of them restated the date before."""
    began = dt.datetime(2025, 3, 3, 4, 0, tzinfo=dt.UTC)
    lake = Lake(spark, str(shop.lake))
    lake.prepare()
    ledger, nights = Ledger(lake), range(365)
    runs = [f"{began + dt.timedelta(days=n):%Y%m%dT%H%M%S}-run_batch-{n:08x}" for n in nights]
    ends: list[dict[str, Any]] = []
    dates: list[dict[str, Any]] = []
    chunks: list[dict[str, Any]] = []
    for n in nights:
        at, date = began + dt.timedelta(days=n), began.date() + dt.timedelta(days=n - 1)
        end = {"ended_at": at + dt.timedelta(minutes=5), "exit_code": 0, "status": "done"}
        ends.append({"run_id": runs[n], "job": "run_batch", "started_at": at, "config_hash": "h", **end})
        restated = [(date - dt.timedelta(days=1), 2)] if n % 10 == 9 else []
        for day, revision in [(date, 1), *restated]:
            done = {"business_date": day, "run_id": runs[n], "status": "done", "revision": revision}
            dates.append({**done, "silver_version": n, "drop_dates": [date], "at": at, "sequence": n})
            key = ReconciliationKey(day, "A-G", "USD")
            columns = balance(100, 100).as_columns()
            chunks.append(
                {"run_id": runs[n], "business_date": day, "chunk": key.chunk, "currency": "USD", **columns}
            )
    for table, rows in ((LEDGER_RUNS, ends), (LEDGER_DATES, dates), (LEDGER_CHUNKS, chunks)):
        lake.append(table, rows)
    ledger.record_tasks(
        runs[0], [{"chunk": "A-G", "partitions": 1, "tasks": 1, "failed_attempts": 0, "task_seconds": 1.5}]
    )
    site = shop.folder / "site"
    rendered = shop.done("--out", str(site), job=REPORT_RUNS).result["pages"]
    assert len(rendered) == 365 + 3
    assert (site / "index.html").stat().st_size < 500_000
    assert sum(path.stat().st_size for path in site.glob("*.*")) < 2_000_000
    index = (site / "index.html").read_text()
    assert "365 business dates from 2025-03-02 to 2026-03-01. None of them failed or is held back." in index
    assert 'aria-label="2025-03-10 published, not billed, revision 2"' in index
    assert len(cells(index, "Business dates, newest first")) == 1 + 365
    assert shop.done("--out", str(site), job=REPORT_RUNS).result["pages"] == []


def test_a_killed_run_of_a_site_is_rendered_again_once_it_is_finished(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(shop)
    site = shop.folder / "site"
    killed_before(shop, monkeypatch, Ledger, "record_drops")
    (begun,) = shop.rows(LEDGER_RUNS)
    page = f"runs/{begun['run_id']}.html"
    assert page in shop.done("--out", str(site), job=REPORT_RUNS).result["pages"]
    assert page not in shop.done("--out", str(site), job=REPORT_RUNS).result["pages"]
    shop.done()
    assert page in shop.done("--out", str(site), job=REPORT_RUNS).result["pages"]
