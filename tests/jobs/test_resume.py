"""Crashes between commits, audits that fail, and two runs at once: nothing lost, nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pyspark.sql import SparkSession

import pipeline.steps.publish
import pipeline.steps.recording
from jobs.publish_sales import JOB as PUBLISH_SALES
from jobs.verify_sales import JOB as VERIFY_SALES
from pipeline.lake.ledger import Ledger
from pipeline.lake.tables import Lake
from pipeline.planning.reconciliation import ControlTotals, ReconciliationKey
from schemas.gold import DAILY_SALES, INVOICES
from schemas.tables import CONFLICTS, LEDGER_DATES, RECEIVED_SALES, SALES, Table
from tests.jobs.shop import Ran, Shop, line
from tests.model.trouble import Killed, at_commit, kill
from tests.support.suspended import no_heartbeat, silence_lock
from tests.support.tables import shorten_log

Counts = dict[ReconciliationKey, ControlTotals]


def land(shop: Shop) -> None:
    shop.land(
        "2026-03-02",
        line("A", "2026-03-02T15:00:00Z"),
        line("B", "2026-03-01T15:00:00Z", product_name="Zebra"),
        line("A", "2026-03-02T15:00:00Z"),
    )
    shop.land(
        "2026-03-03",
        line("A", "2026-03-02T15:00:00Z", gross_amount="11.00"),
        line("C", "2026-03-03T15:00:00Z"),
    )


def killed_before(
    shop: Shop,
    patch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    when: Callable[..., bool] = lambda *arguments: True,
) -> None:
    """Runs the night, and kills it as it comes to a call (to the first one with such arguments)."""
    real = getattr(owner, name)

    def kill(this: Any, *arguments: Any, **named: Any) -> Any:
        if when(*arguments):
            raise Killed
        return real(this, *arguments, **named)

    with patch.context() as patched:
        patched.setattr(owner, name, kill)
        with pytest.raises(Killed):
            shop.run()


def writes(table: Table) -> Callable[..., bool]:
    return lambda *arguments: arguments[0] is table


MILD = ["--set", "audit.max_conflict_share=0.9"]


@pytest.fixture(scope="module")
def clean(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shop = Shop(spark, tmp_path_factory.mktemp("clean"), MILD)
    land(shop)
    shop.done()
    return shop


def test_a_run_killed_between_any_two_commits_is_taken_up(
    clean: Shop, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.arguments = MILD
    land(shop)
    killed_before(shop, monkeypatch, Ledger, "record_drops")  # bronze is committed, the ledger knows nothing
    assert len(shop.rows(RECEIVED_SALES)) == 5
    killed_before(shop, monkeypatch, Lake, "replace", writes(SALES))  # conflicts are committed, sales are not
    assert shop.rows(SALES) == []
    # Sales are committed and reconciled, and not yet done.
    killed_before(shop, monkeypatch, Ledger, "record_dates", lambda run_id, dates: bool(dates))
    assert len(shop.rows(SALES)) == 3
    assert shop.rows(LEDGER_DATES) == []
    killed_before(shop, monkeypatch, Lake, "replace", writes(DAILY_SALES))
    killed_before(shop, monkeypatch, Ledger, "record_builds")
    killed_before(shop, monkeypatch, Lake, "replace", writes(INVOICES))
    shop.done()
    assert shop.content() == clean.content()
    assert set(shop.revisions().values()) == {1}
    # Bronze was parsed and sales were published once: the table's creation and one commit.
    assert (shop.versions()[RECEIVED_SALES.name], shop.versions()[SALES.name]) == (1, 1)
    assert shop.run().result["status"] == "unchanged"


def test_conflicts_without_sales_are_undone_behind_a_shortened_log_of_sales(shop: Shop) -> None:
    date = "2026-03-02"
    sound = [line("A", f"{date}T15:00:00Z"), line("B", f"{date}T15:00:00Z")]
    shop.arguments = MILD
    shop.land(date, *sound)
    shop.done()
    shorten_log(shop.spark, shop.lake, SALES)
    assert shop.run().result["status"] == "unchanged"
    shop.land(date, *sound, line("A", f"{date}T15:00:00Z", gross_amount="11.00"))
    with at_commit(CONFLICTS.name, after=kill), pytest.raises(Killed):
        shop.run()
    assert len(shop.rows(CONFLICTS)) == 1
    # The sender takes the change back: no date is stale, and nothing but the undo touches the conflicts.
    shop.land(date, *sound)
    shop.done()
    assert shop.rows(CONFLICTS) == []
    shop.done(job=VERIFY_SALES)
    # What was published stays, where the log holds nothing of it either.
    shop.land(date, *sound, line("A", f"{date}T15:00:00Z", gross_amount="11.00"))
    shop.done()
    shorten_log(shop.spark, shop.lake, SALES)
    assert shop.run().result["status"] == "unchanged"
    assert len(shop.rows(CONFLICTS)) == 1
    shop.done(job=VERIFY_SALES)


def test_what_does_not_reconcile_is_put_back(
    spark: SparkSession, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = line("A", "2026-03-02T15:00:00Z"), line("B", "2026-03-02T15:00:00Z", gross_amount="5.00")
    other = line("C", "2026-03-03T15:00:00Z")
    shop.land("2026-03-02", first)
    shop.done()
    shop.land("2026-03-02", first, second)
    shop.land("2026-03-03", other)
    real = pipeline.steps.recording.count_sales

    def lose_a_cent(sales: Any) -> tuple[Counts, Counts]:
        published, duplicates = real(sales)
        for cell in [cell for cell in published if cell.business_date.day == 2]:
            measure = published[cell]
            lines, gross = measure.lines, measure.gross
            published[cell] = ControlTotals(lines, gross - gross.scaleb(-3), measure.absolute_gross)
        return published, duplicates

    with monkeypatch.context() as patched:
        patched.setattr(pipeline.steps.recording, "count_sales", lose_a_cent)
        ran = shop.run()
    assert ran.code == 4
    assert "date 2026-03-02 does not reconcile and was rolled back" in ran.error
    assert ran.date_status == {"2026-03-02": "failed", "2026-03-03": "done"}
    assert shop.sales("transaction_id") == ["A", "C"]
    assert shop.revisions() == {"2026-03-02": 1, "2026-03-03": 1}
    built = {(row["business_date"], row["sales_revision"], row["lines"]) for row in shop.rows(DAILY_SALES)}
    assert built == {("2026-03-02", 1, 1), ("2026-03-03", 1, 1)}
    shop.done()
    assert shop.sales("transaction_id") == ["A", "B", "C"]
    assert shop.revisions() == {"2026-03-02": 2, "2026-03-03": 1}


def test_a_run_that_lost_the_lake_changes_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first plans with a conflict; the second publishes a delivery without it; the first writes."""
    shop.arguments = MILD
    land(shop)
    seen: list[Ran] = []
    left: list[dict[str, list[str]]] = []
    real = pipeline.steps.publish._replace_conflicts

    def let_another_publish(*arguments: Any) -> None:
        if not left:
            silence_lock(shop.lake)
            left.append({})
            shop.land("2026-03-03", line("C", "2026-03-03T15:00:00Z"))
            seen.append(shop.done())
            left.append(shop.content())
        real(*arguments)

    with monkeypatch.context() as patched, no_heartbeat():
        patched.setattr(pipeline.steps.publish, "_replace_conflicts", let_another_publish)
        ran = shop.run()
    assert seen[0].code == 0
    assert ran.code == 75
    assert "took this lake" in ran.errors[-1]
    assert shop.content() == left[1]
    assert shop.done(job=VERIFY_SALES).errors == []
    assert shop.run(job=PUBLISH_SALES).result["status"] == "unchanged"


def test_a_cut_off_ingest_of_a_drop_that_was_delivered_anew_is_no_fault_of_the_run_that_reads_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.land("2026-03-02", line("T-1"))
    killed_before(shop, monkeypatch, Ledger, "record_drops")
    shop.land("2026-03-02", line("T-1"), line("T-2"))
    # A run that only publishes has no delivery of the date, and says so.
    ran = shop.run(job=PUBLISH_SALES)
    assert ran.code == 5
    assert "drop 2026-03-02 failed: its files changed while they were read, or since; run again" in ran.stderr
    shop.land("2026-03-03", line("T-3", "2026-03-03T12:00:00Z"))
    killed_before(shop, monkeypatch, Ledger, "record_drops")
    shop.land("2026-03-03", line("T-4", "2026-03-03T12:00:00Z"))
    ran = shop.done()
    assert ran.errors == []
    assert shop.sales("transaction_id") == ["T-1", "T-2", "T-4"]
    shop.done(job=VERIFY_SALES)
