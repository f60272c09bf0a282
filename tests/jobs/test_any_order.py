"""Events that interact: each line accounted for, none published or billed twice, in whatever order they come.

S is a sale date, E a drop ten days later: what it holds of S is an adjustment, or the late resend of a line.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

import pipeline.clock
import pipeline.settings
from jobs.bill_customers import JOB as BILL_CUSTOMERS
from jobs.ingest_sales import JOB as INGEST_SALES
from jobs.maintain_tables import JOB as MAINTAIN_TABLES
from jobs.publish_sales import JOB as PUBLISH_SALES
from jobs.repair_lake import JOB as REPAIR_LAKE
from jobs.replay_quarantine import JOB as REPLAY_QUARANTINE
from jobs.restore_sales import JOB as RESTORE_SALES
from jobs.run_batch import JOB as RUN_BATCH
from jobs.status import JOB as STATUS
from jobs.verify_sales import JOB as VERIFY_SALES
from pipeline.lake.lock import LakeLock
from pipeline.lake.tables import Lake
from schemas.gold import DAILY_SALES, GOLD_TABLES, INVOICES
from schemas.landing import RULES_VERSION
from schemas.tables import (
    CONFLICTS,
    LEDGER_DATES,
    LEDGER_DROPS,
    LEDGER_RUNS,
    RECEIVED_SALES,
    REFUSED_SALES,
    SALES,
)
from tests.jobs.shop import Ran, Shop, line
from tests.support.landing import drop_folder
from tests.support.suspended import no_heartbeat, silence_lock
from transforms import rules

S, E = "2026-03-02", "2026-03-12"


class Killed(BaseException):
    """As a killed driver: nothing of the run goes on after it, not even its error handling."""


def sold(number: str, date: str = S, **fields: str | None) -> dict[str, str | None]:
    return line(number, f"{date}T15:00:00Z", customer_id=f"C-{number}", **fields)


X, Y, Z = sold("X"), sold("Y"), sold("Z", E)


def published(shop: Shop) -> list[tuple[str, ...]]:
    """Transaction and business date of every published line."""
    return shop.sales("transaction_id", "business_date")


def billed(shop: Shop) -> list[tuple[str, ...]]:
    rows = shop.rows(INVOICES, "customer_id", "business_date", "lines")
    return sorted((row["customer_id"], row["business_date"], str(row["lines"])) for row in rows)


def left_out(shop: Shop) -> list[tuple[str, ...]]:
    rows = shop.rows(CONFLICTS, "transaction_id", "business_date", "outcome")
    return sorted((row["transaction_id"], row["business_date"], row["outcome"]) for row in rows)


def refuse(shop: Shop, drop_date: str, *lines: dict[str, str | None]) -> None:
    """Delivers a drop again, with a manifest that does not agree with it."""
    shop.land(drop_date, *lines)
    shop.manifest(drop_date, {"name": "sales.csv", "rows": 99})


def accept(shop: Shop, drop_date: str, *lines: dict[str, str | None]) -> None:
    (drop_folder(shop.landing, drop_date) / "manifest.json").unlink(missing_ok=True)
    shop.land(drop_date, *lines)


def check_sound(shop: Shop) -> None:
    """Nothing is left to publish, and the laws hold."""
    again = shop.run("--set", "billing.issue=false")
    assert (again.code, again.result["status"]) == (0, "unchanged"), again.stderr
    shop.done(job=VERIFY_SALES)


def check_same_at_once(shop: Shop) -> None:
    """A lake made from the landing in one run is the same."""
    check_sound(shop)
    fresh = shop.other("fresh")
    fresh.done()
    for table in (SALES, CONFLICTS):
        assert sorted(map(str, shop.rows(table))) == sorted(map(str, fresh.rows(table))), table.name
    assert billed(shop) == billed(fresh)


def late_resend(shop: Shop) -> None:
    shop.land(S, X, Y)
    shop.done()
    shop.land(E, X, Z)
    shop.done()
    assert left_out(shop) == [("X", E, "late_duplicate")]


def test_1_a_refused_redelivery_gives_no_line_to_its_late_resend(shop: Shop) -> None:
    late_resend(shop)
    before = shop.content()
    refuse(shop, S, Y)
    ran = shop.run()
    assert ran.code == 4
    assert f"drop {S} is blocked" in ran.error
    assert published(shop) == [("X", S), ("Y", S), ("Z", E)]
    assert billed(shop) == [("C-X", S, "1"), ("C-Y", S, "1"), ("C-Z", E, "1")]
    data = ("bronze/received_sales", "silver/sales", "silver/conflicts", "gold/daily_sales", "gold/invoices")
    assert {name: shop.content()[name] for name in data} == {name: before[name] for name in data}
    refused = shop.rows(REFUSED_SALES, "transaction_id", "refused_because", drop_date=S)
    assert refused == [
        {"transaction_id": "Y", "refused_because": "manifest says 99 rows in sales.csv, 1 were read"}
    ]
    shop.done(job=VERIFY_SALES)
    # Asked for by date alone it stays so, too.
    assert shop.run("--date", E, job=PUBLISH_SALES).result["status"] == "unchanged"
    accept(shop, S, Y)
    shop.done()
    assert published(shop) == [("X", E), ("Y", S), ("Z", E)]
    assert shop.rows(REFUSED_SALES) == []
    check_sound(shop)


def test_2_a_refused_redelivery_takes_no_line_from_an_adjustment(shop: Shop) -> None:
    shop.land(S, Y)
    shop.land(E, X, Z)
    shop.done()
    refuse(shop, S, X, Y)
    assert shop.run().code == 4
    assert published(shop) == [("X", E), ("Y", S), ("Z", E)]
    assert billed(shop) == [("C-X", E, "1"), ("C-Y", S, "1"), ("C-Z", E, "1")]
    accept(shop, S, X, Y)
    shop.done()
    assert published(shop) == [("X", S), ("Y", S), ("Z", E)]
    check_same_at_once(shop)


@pytest.mark.parametrize("arguments", [(), ("--date", S)])
def test_3_a_date_held_back_for_its_conflicts_holds_back_what_it_decides(
    shop: Shop, arguments: tuple[str, ...]
) -> None:
    late_resend(shop)
    shop.land(S, Y, {**Y, "gross_amount": "11.00"})
    shop.done(job=INGEST_SALES)
    ran = shop.run(*arguments, job=PUBLISH_SALES)
    assert ran.code == 4
    assert f"date {S} is blocked: 50.00% of its lines conflict" in ran.stderr
    assert ran.date_status == {S: "blocked", E: "blocked"}
    assert published(shop) == [("X", S), ("Y", S), ("Z", E)]
    (held,) = [date for date in ran.result["dates"] if date["business_date"] == E]
    assert held["reason"].startswith(f"date {S} waits: 50.00%")
    assert shop.run().code == 4
    assert billed(shop) == [("C-X", S, "1"), ("C-Y", S, "1"), ("C-Z", E, "1")]
    assert shop.run(job=VERIFY_SALES).code == 5  # both dates are stale, and told
    assert {state["state"] for state in shop.run(job=STATUS).result["states"]} == {"blocked"}
    shop.land(S, Y)
    shop.done()
    assert published(shop) == [("X", E), ("Y", S), ("Z", E)]
    check_sound(shop)


def test_3_of_linked_dates_one_asked_for_brings_the_other(shop: Shop) -> None:
    late_resend(shop)
    shop.land(S, Y)
    shop.done(job=INGEST_SALES)
    ran = shop.done("--date", S, job=PUBLISH_SALES)
    assert ran.date_status == {S: "done", E: "done"}
    assert published(shop) == [("X", E), ("Y", S), ("Z", E)]
    versions = {row["silver_version"] for row in shop.rows(LEDGER_DATES, revision=2)}
    assert len(versions) == 1  # no reader sees X on both dates, nor on none


def test_4_lines_of_a_drop_refused_from_the_first_are_not_lost_where_they_are_resent(shop: Shop) -> None:
    refuse(shop, S, X, Y)
    assert shop.run().code == 4
    shop.land(E, X, Y, Z)
    ran = shop.run("--date", E)
    assert ran.code == 4
    assert f"drop {S} is blocked" in ran.stderr
    assert ran.date_status == {S: "blocked", E: "blocked"}
    assert published(shop) == []
    # What its sender takes back is no delivery any more.
    (drop_folder(shop.landing, S) / "sales.csv").unlink()
    shop.manifest(S, closed=True)
    shop.done()
    assert published(shop) == [("X", E), ("Y", E), ("Z", E)]
    check_same_at_once(shop)


def test_5_other_late_days_are_asked_about_and_change_no_published_key(shop: Shop) -> None:
    shop.land(S, Y)
    shop.land(E, X, Z)
    shop.done()
    late = ("--set", "late.days=30")
    before, versions = shop.content(), shop.versions()
    refused = shop.run(*late)
    assert refused.code == 2
    assert "late.days is 7 in the lake, 30 in this run" in refused.error
    assert "--reingest" in refused.error
    assert "--from-now-on" in refused.error
    assert shop.content() == before
    resent = "2026-03-15"
    shop.land(resent, X, sold("N", resent))
    shop.done(*late, "--from-now-on")
    assert published(shop) == [("N", resent), ("X", E), ("Y", S), ("Z", E)]
    assert left_out(shop) == [("X", S, "late_duplicate")]
    assert shop.run(*late).result["status"] == "unchanged"
    shop.done(job=VERIFY_SALES)
    assert shop.run().code == 2  # the settings of before are now the other ones
    shop.done(*late, "--reingest")
    assert published(shop) == [("N", resent), ("X", S), ("Y", S), ("Z", E)]
    assert left_out(shop) == []
    shop.done(job=VERIFY_SALES)
    assert versions[SALES.name] < shop.versions()[SALES.name]


def test_5_another_time_zone_dates_every_drop_again_or_none(shop: Shop) -> None:
    night = line("N", f"{S}T04:30:00Z", customer_id="C-N")  # 23:30 of the day before in New York
    shop.land(S, night)
    shop.done()
    zone = ("--set", "business_day.timezone=Europe/Berlin")
    shop.land("2026-03-03", night)
    for flags in ((), ("--from-now-on",)):
        refused = shop.run(*zone, *flags)
        assert refused.code == 2
        assert "business_day.timezone" in refused.error
        assert published(shop) == [("N", "2026-03-01")]
    shutil.rmtree(drop_folder(shop.landing, S))  # what is landed no more is dated from what bronze kept
    shop.done(*zone, "--reingest")
    assert published(shop) == [("N", S)]
    assert billed(shop) == [("C-N", S, "1")]
    shop.done(*zone, job=VERIFY_SALES)


def test_6_content_that_changed_under_the_same_size_and_time_is_published(shop: Shop) -> None:
    path = shop.land(S, X, Y)
    shop.done()
    before = path.stat()
    path = shop.land(S, X, {**Y, "gross_amount": "12.00"})
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert shop.run().result["status"] == "unchanged"
    shop.done("--reingest")
    assert shop.sales("transaction_id", "gross_amount") == [("X", "10.000"), ("Y", "12.000")]
    check_sound(shop)
    versions = shop.versions()
    again = shop.done("--reingest")  # read again, and the same
    assert again.date_status == {}
    assert {name: v for name, v in shop.versions().items() if name != RECEIVED_SALES.name} == {
        name: v for name, v in versions.items() if name != RECEIVED_SALES.name
    }


def test_6_rules_of_a_new_version_are_asked_about_and_then_published(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.land(S, X, sold("M", quantity="0"))
    mild = ("--set", "audit.max_rejected_share=0.5")
    shop.done(*mild)
    assert published(shop) == [("X", S)]
    monkeypatch.setattr(pipeline.settings, "RULES_VERSION", 1000)
    refused = shop.run(*mild)
    assert refused.code == 2
    assert f"rules is {RULES_VERSION} in the lake, 1000 in this run" in refused.error
    lenient = {**rules._rules(), "zero_quantity": lambda _: rules.F.lit(False)}
    monkeypatch.setattr(rules, "_rules", lambda: lenient)
    shop.done(*mild, "--reingest")
    assert published(shop) == [("M", S), ("X", S)]


def killed_in(shop: Shop, patch: pytest.MonkeyPatch, table: Any, *, after: bool = False, **run: Any) -> None:
    """Kills a run before, or after, its commit to a table."""
    real = Lake._guarded

    def kill(this: Lake, action: Any, of: Any) -> None:
        if of is table and not after:
            raise Killed
        real(this, action, of)
        if of is table:
            raise Killed

    with patch.context() as patched:
        patched.setattr(Lake, "_guarded", kill)
        with pytest.raises(Killed):
            shop.run(*run.pop("arguments", ()), **run)


MILD = ("--set", "audit.max_conflict_share=0.9")


def test_7_conflicts_of_a_revision_that_never_came_are_taken_back(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.arguments = list(MILD)
    times = shop.land(S, X, Y).stat()
    shop.done()
    shop.land(S, X, Y, {**Y, "gross_amount": "11.00"})
    killed_in(shop, monkeypatch, SALES)
    assert left_out(shop) == [("Y", S, "conflict")]
    os.utime(shop.land(S, X, Y), ns=(times.st_atime_ns, times.st_mtime_ns))  # the earlier file, copied back
    shop.done()
    assert left_out(shop) == []
    check_sound(shop)


def test_7_conflicts_go_with_a_chunk_that_fails_for_good(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    import pipeline.steps.publish_window

    shop.arguments = list(MILD)
    shop.land(S, X, Y)
    shop.done()
    shop.land(S, X, Y, {**Y, "gross_amount": "11.00"})

    def fail(window: Any, plan: Any) -> Any:
        raise RuntimeError("a value of this date cannot be written")

    with monkeypatch.context() as patched:
        patched.setattr(pipeline.steps.publish_window.PublishWindow, "sales", fail)
        assert shop.run().code == 1
    assert left_out(shop) == []
    assert shop.run(job=VERIFY_SALES).code == 5
    shop.done()
    assert left_out(shop) == [("Y", S, "conflict")]
    check_sound(shop)


def test_7_a_killed_restore_leaves_no_conflicts_behind(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.arguments = list(MILD)
    shop.land(S, X, Y, {**Y, "gross_amount": "11.00"})
    shop.done()
    shop.land(S, X, Y)
    shop.done()
    killed_in(shop, monkeypatch, SALES, arguments=("--date", S, "--revision", "1"), job=RESTORE_SALES)
    assert left_out(shop) == [("Y", S, "conflict")]
    check_sound(shop)
    assert left_out(shop) == []


def test_8_a_night_of_walk_ins_leaves_a_lake_that_works(shop: Shop) -> None:
    shop.land(S, sold("W") | {"customer_id": None})
    shop.done()
    assert billed(shop) == []
    shop.land("2026-03-03", sold("A", "2026-03-03"))
    shop.done()
    shop.land(S, closed := sold("V") | {"customer_id": None})
    assert closed["customer_id"] is None
    shop.done()
    assert {s["state"] for s in shop.done(job=STATUS).result["states"]} == {"billed"}
    assert billed(shop) == [("C-A", "2026-03-03", "1")]
    check_sound(shop)


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("is_closed", [True, False])
def test_9_a_first_delivery_may_be_closed_and_may_hold_no_line(
    shop: Shop, is_closed: bool, is_first: bool
) -> None:
    if not is_first:
        shop.land("2026-03-04", sold("A", "2026-03-04"))
        shop.done()
    if is_closed:
        shop.manifest(S, closed=True)
    else:
        shop.land(S)  # a header, and no line
    ran = shop.done()
    assert (ran.drop_status, ran.date_status) == ({S: "ingested"}, {})
    assert shop.done().result["status"] == "unchanged"
    shop.land("2026-03-05", sold("B", "2026-03-05"))
    assert shop.done().date_status == {"2026-03-05": "done"}
    check_sound(shop)


def test_9_what_a_replay_finds_gone_and_failed_ends_well(shop: Shop) -> None:
    shop.arguments = ["--set", "audit.max_rejected_share=0.9"]
    shop.land(S, X, sold("J", currency="JPY", gross_amount="100", discount_amount="0"))
    shop.done()
    (drop_folder(shop.landing, S) / "sales.csv").write_text("store_id\n1\n")
    assert shop.run().code == 4
    shutil.rmtree(drop_folder(shop.landing, S))
    shop.done("--reason", "currency_not_allowed", "--set", "currencies=[JPY, USD]", job=REPLAY_QUARANTINE)
    assert published(shop) == [("J", S), ("X", S)]


def test_11_a_clock_that_was_ahead_decides_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    import datetime as dt

    real = pipeline.clock.now
    with monkeypatch.context() as patched:
        patched.setattr(pipeline.clock, "now", lambda: real() + dt.timedelta(days=4000))
        shop.land(S, X, Y)
        shop.done()
    refuse(shop, S, Y)
    assert shop.run().code == 4
    assert shop.run(job=PUBLISH_SALES).date_status == {S: "blocked"}
    assert published(shop) == [("X", S), ("Y", S)]
    accept(shop, S, X)
    shop.done()
    assert published(shop) == [("X", S)]
    versions = shop.versions()
    assert shop.run().result["status"] == "unchanged"
    assert shop.versions() == versions


def test_12_a_second_landing_does_not_replace_a_drop_of_the_first(shop: Shop, tmp_path: Path) -> None:
    shop.land(S, X)
    shop.done()
    second = Shop(shop.spark, tmp_path / "second")
    second.lake = shop.lake
    second.land(S, Y)
    refused = second.run()
    assert refused.code == 2
    assert "/second/landing" in refused.error
    assert "--from-now-on" in refused.error
    assert published(shop) == [("X", S)]
    second.land("2026-03-03", sold("A", "2026-03-03"))
    second.done("--date", "2026-03-03")  # another date is nobody's
    second.done("--from-now-on")
    assert published(shop) == [("A", "2026-03-03"), ("Y", S)]


def test_13_a_date_with_unpublished_lines_is_not_restored(shop: Shop) -> None:
    shop.land(S, X)
    shop.done()
    shop.land(S, X, Y)
    shop.done()
    late = "2026-03-04"
    shop.land(late, sold("L"), sold("A", late))
    shop.done(job=INGEST_SALES)
    refused = shop.run("--date", S, "--revision", "1", job=RESTORE_SALES)
    assert refused.code == 5
    assert f"{S} is stale" in refused.error
    shop.done()
    assert published(shop) == [("A", late), ("L", S), ("X", S), ("Y", S)]
    shop.done("--date", S, "--revision", "1", job=RESTORE_SALES)
    assert published(shop) == [("A", late), ("X", S)]
    shop.done(job=VERIFY_SALES)
    shop.land("2026-03-05", sold("K"))
    shop.done()
    assert published(shop) == [("A", late), ("K", S), ("L", S), ("X", S), ("Y", S)]
    check_same_at_once(shop)


def test_13_a_restore_that_would_publish_a_line_twice_or_lose_it_is_refused(shop: Shop) -> None:
    late_resend(shop)
    shop.land(S, Y)
    shop.done()
    assert published(shop) == [("X", E), ("Y", S), ("Z", E)]
    before = shop.content()
    for date, revision, what in ((S, "1", "be published twice"), (E, "1", "not be published")):
        refused = shop.run("--date", date, "--revision", revision, job=RESTORE_SALES)
        assert refused.code == 4, published(shop)
        assert what in refused.error
        assert shop.content()["silver/sales"] == before["silver/sales"]
    check_sound(shop)


def test_13_a_date_is_not_restored_while_one_that_shares_its_sale_date_is_stale(shop: Shop) -> None:
    shop.land(S, X, Y)
    shop.done()
    shop.land(S, X)
    shop.done()
    shop.land(E, Y, Z)
    shop.done(job=INGEST_SALES)
    refused = shop.run("--date", S, "--revision", "1", job=RESTORE_SALES)
    assert refused.code == 5
    assert f"{E} is stale" in refused.error
    shop.done()
    assert published(shop) == [("X", S), ("Y", E), ("Z", E)]
    check_sound(shop)


def test_a_delivery_that_its_manifest_refused_stays_refused_once_its_files_are_gone(shop: Shop) -> None:
    shop.arguments = ["--set", "audit.max_rejected_share=0.9"]
    shop.land(S, X, Y)
    shop.done()
    refuse(shop, S, X, sold("J", currency="JPY", gross_amount="100", discount_amount="0"))
    assert shop.run().code == 4
    shutil.rmtree(drop_folder(shop.landing, S))
    yen = ("--set", "currencies=[JPY, USD]")
    ran = shop.run("--reason", "currency_not_allowed", *yen, job=REPLAY_QUARANTINE)
    assert ran.code == 4
    assert "manifest says 99 rows in sales.csv" in ran.stderr
    assert published(shop) == [("X", S), ("Y", S)]
    # Nor by other settings: what was accepted is validated again, what was refused stays so.
    late = (*yen, "--set", "late.days=9")
    shop.run(*late, "--reingest")
    assert published(shop) == [("X", S), ("Y", S)]
    assert [row["transaction_id"] for row in shop.rows(REFUSED_SALES)] != []
    assert shop.run(*late).result["status"] in ("unchanged", "failed")


@pytest.mark.parametrize("moment", ["before the write", "before the commit", "before its ledger rows"])
def test_14_15_23_a_run_that_was_suspended_cannot_commit(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """While it sleeps, another run takes the lake over, publishes, and deletes all that nothing refers to."""
    shop.arguments = list(MILD)
    shop.land(S, X, Y)
    real, real_check, seen, checks = Lake._guarded, LakeLock.check, [], []

    def sleep() -> None:
        seen.append(None)
        silence_lock(shop.lake)
        seen.append(shop.run("--retain-hours", "0", job=MAINTAIN_TABLES))
        shop.land("2026-03-03", sold("A", "2026-03-03"))
        seen.append(shop.run())

    def guarded(this: Lake, action: Any, of: Any) -> None:
        is_write = of is SALES and this.exists(SALES)
        is_record = of is LEDGER_DATES and bool(shop.rows(SALES))
        if not seen and moment == "before the commit" and is_write:
            checks.append("begun")
        elif not seen and (is_record if moment == "before its ledger rows" else is_write):
            sleep()
        real(this, action, of)

    def check(this: LakeLock) -> None:
        """Called before a write and once more before its commit."""
        if checks and not seen:
            checks.append("checked")
            if len(checks) == 3:
                sleep()
        real_check(this)

    with monkeypatch.context() as patched, no_heartbeat():
        patched.setattr(Lake, "_guarded", guarded)
        patched.setattr(LakeLock, "check", check)
        outer = shop.run()
    _, maintained, other = seen
    assert (maintained.code, other.code) == (0, 0), (maintained.stderr, other.stderr)
    assert any("files of the last 168 hours are kept" in text for text in maintained.result["warnings"])
    assert outer.code == 75
    assert "run again" in outer.errors[-1]
    assert published(shop) == [("A", "2026-03-03"), ("X", S), ("Y", S)]
    rows = [(row["business_date"], row["revision"]) for row in shop.rows(LEDGER_DATES, status="done")]
    assert sorted(rows) == [(S, 1), ("2026-03-03", 1)]
    check_sound(shop)


def test_14_a_second_run_waits_or_is_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.land(S, X)
    real, seen = Lake._guarded, []

    def beside(this: Lake, action: Any, of: Any) -> None:
        if of is SALES and not seen:
            seen.append(None)
            seen.append(shop.run(job=PUBLISH_SALES))
            started = time.monotonic()
            seen.append(shop.run("--wait", "3", job=MAINTAIN_TABLES))
            assert time.monotonic() - started >= 3
        real(this, action, of)

    with monkeypatch.context() as patched:
        patched.setattr(Lake, "_guarded", beside)
        shop.done()
    for refused in seen[1:]:
        assert refused.code == 75
        assert "is at work in this lake" in refused.errors[0]
    # What reads alone takes no lock.
    assert len(shop.rows(LEDGER_RUNS, job="publish_sales")) == 0
    shop.done("--wait", "3", job=PUBLISH_SALES)


def test_18_other_key_ranges_are_asked_about_and_dates_are_verified_by_their_own(shop: Shop) -> None:
    shop.arguments = list(MILD)
    shop.land(S, X, Y, {**Y, "gross_amount": "11.00", "product_name": "Banana"})
    shop.done()
    ranges = ("--set", "chunks.ranges=[A-M, N-Z]")
    shop.done(*ranges, job=VERIFY_SALES)
    refused = shop.run(*ranges)
    assert (refused.code, "chunks.ranges" in refused.error, "--republish" in refused.error) == (2, True, True)
    shop.done(*ranges, job=VERIFY_SALES)
    shop.land("2026-03-03", sold("A", "2026-03-03"))
    shop.done(*ranges, "--from-now-on")
    assert shop.sales("transaction_id", "chunk") == [("A", "A-M"), ("X", "A-G"), ("Y", "A-G")]
    shop.done(*ranges, job=VERIFY_SALES)
    shop.land("2026-03-04", sold("L"))  # a late line takes its date along to the chunks of its drop
    shop.done(*ranges)
    assert set(shop.sales("chunk")) == {"A-M"}
    shop.done(*ranges, job=VERIFY_SALES)
    back = ("--set", "chunks.ranges=[A-G, H-N, O-U, V-Z]")
    shop.done(*back, "--republish")
    assert set(shop.sales("chunk")) == {"A-G"}
    assert shop.run(*back).result["status"] == "unchanged"
    shop.done(*back, job=VERIFY_SALES)


def test_19_a_log_without_a_commit_is_a_table_that_is_not_there(shop: Shop) -> None:
    for table in (RECEIVED_SALES, SALES, LEDGER_DROPS):
        (shop.lake / table.name / "_delta_log").mkdir(parents=True)
    shop.land(S, X)
    shop.done()
    check_sound(shop)


def test_20_a_restored_date_is_verified_by_its_lines(shop: Shop) -> None:
    shop.land(S, X)
    shop.done()
    shop.land(S, X, Y)
    shop.done()
    shop.done("--date", S, "--revision", "1", job=RESTORE_SALES)
    shop.done("--retain-hours", "0", job=MAINTAIN_TABLES)
    shop.done(job=VERIFY_SALES)
    from delta.tables import DeltaTable

    for table in (SALES, *GOLD_TABLES):  # from gold, too: it must not be what tells
        DeltaTable.forPath(shop.spark, str(shop.lake / table.name)).delete()
    ran = shop.run(job=VERIFY_SALES)
    assert ran.code == 4
    assert f"{S} does not hold the lines that it was restored to" in ran.stderr


def test_21_an_ingest_that_was_never_recorded_is_found_below_one_that_was(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pipeline.steps.recovery

    shop.land(S, X)
    killed_in(shop, monkeypatch, LEDGER_DROPS)
    with monkeypatch.context() as patched:  # as a run beside it, which 0.1.0 let go on
        patched.setattr(pipeline.steps.recovery, "recover_ingests", lambda batch: None)
        shop.land("2026-03-03", sold("A", "2026-03-03"))
        shop.done("--date", "2026-03-03")
    assert published(shop) == [("A", "2026-03-03")]
    shutil.rmtree(drop_folder(shop.landing, S))
    shop.done("--date", "2026-03-03")
    assert published(shop) == [("A", "2026-03-03"), ("X", S)]


def test_22_a_bronze_that_is_older_than_the_ledger_is_told(shop: Shop) -> None:
    shop.land(S, X, Y)
    shop.done()
    backup = shop.folder / "backup"
    shutil.copytree(shop.lake / RECEIVED_SALES.name, backup)
    shop.land("2026-03-03", sold("A", "2026-03-03"))
    shop.done()
    shutil.rmtree(shop.lake / RECEIVED_SALES.name)
    shutil.copytree(backup, shop.lake / RECEIVED_SALES.name)
    before = published(shop)
    for job in (RUN_BATCH, PUBLISH_SALES, BILL_CUSTOMERS):
        ran = shop.run("--republish", job=job) if job is PUBLISH_SALES else shop.run(job=job)
        assert ran.code == 4
        assert "bronze/received_sales is at version" in ran.error
        assert "repair_lake" in ran.error
    assert shop.run(job=VERIFY_SALES).code == 4
    assert published(shop) == before
    # What the backup lacks is not emptied: its dates wait until it is landed, or found landed, again.
    repaired = shop.run(job=REPAIR_LAKE)
    assert "drop 2026-03-03: bronze holds its lines no more: land it again" in repaired.result["repaired"]
    assert shop.run("--date", "2026-03-09").code in (4, 5)
    assert published(shop) == before
    shop.done()
    assert published(shop) == before
    check_sound(shop)


def test_22_lines_that_bronze_lost_do_not_empty_their_date(shop: Shop) -> None:
    from delta.tables import DeltaTable

    shop.land(S, X, Y)
    shop.done()
    DeltaTable.forPath(shop.spark, str(shop.lake / RECEIVED_SALES.name)).delete("transaction_id = 'X'")
    ran = shop.run("--republish")
    assert ran.code == 4
    assert f"date {S}" in ran.error
    assert "bronze/received_sales holds 1 lines (10.00" in ran.error
    assert published(shop) == [("X", S), ("Y", S)]
    verified = shop.run(job=VERIFY_SALES)
    assert verified.code == 4
    assert f"drop {S}: bronze/received_sales holds 1 accepted lines" in verified.stderr


def test_27_a_refused_delivery_is_read_once(shop: Shop) -> None:
    shop.land(S, X, Y)
    shop.done()
    refuse(shop, S, X)
    first = shop.run()
    assert first.code == 4
    versions, drops = shop.versions(), len(shop.rows(LEDGER_DROPS))
    for _ in range(2):
        again = shop.run()
        assert again.code == 4
        assert f"drop {S} is still blocked: manifest says 99 rows" in again.error
    assert shop.versions() == versions
    assert len(shop.rows(LEDGER_DROPS)) == drops
    # With another share the audit may come out otherwise.
    assert shop.run("--set", "audit.max_rejected_share=0.5").code == 4
    assert shop.versions() != versions
    check = shop.run(job=VERIFY_SALES)
    assert check.code == 0


def test_a_crash_around_every_commit_of_a_refusal_is_completed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.land(S, X, Y)
    shop.done()
    refuse(shop, S, Y)
    for table, after in ((RECEIVED_SALES, True), (REFUSED_SALES, False), (REFUSED_SALES, True)):
        killed_in(shop, monkeypatch, table, after=after)
        ran: Ran = shop.run("--date", "2026-03-09", job=PUBLISH_SALES)  # any next run completes it
        assert ran.code == 4
        held = sorted(row["transaction_id"] for row in shop.rows(RECEIVED_SALES))
        assert held == ["X", "Y"]
        assert [row["transaction_id"] for row in shop.rows(REFUSED_SALES)] == ["Y"]
        assert published(shop) == [("X", S), ("Y", S)]
        refuse(shop, S, Y)
        manifest = drop_folder(shop.landing, S) / "manifest.json"
        os.utime(manifest, (time.time() + 5, time.time() + 5 + len(str(table))))
    assert len(shop.rows(DAILY_SALES)) == 1
