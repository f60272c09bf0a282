"""Real drivers, killed by SIGKILL around the commits of an issue, over a week of what changes bills."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs.issue_invoices import JOB as ISSUE_INVOICES
from jobs.restore_sales import JOB as RESTORE_SALES
from jobs.verify_sales import JOB as VERIFY_SALES
from schemas.billing import DOCUMENT_LINES, DOCUMENTS
from schemas.tables import LEDGER_BUILDS, LEDGER_SERIES
from tests.jobs.papers import check_laws, papers, sold
from tests.jobs.shop import Shop
from tests.support.cluster import CHEAP, ROOT
from tools.drills.jar import build_jar
from tools.drills.runs import KILLED, Runner

pytestmark = [pytest.mark.drivers, pytest.mark.usefixtures("interpreted")]

MON, TUE = "2026-03-02", "2026-03-03"
# Without the year of issue, whatever year it is.
SERIES = "billing.series={invoice: I-, credit_note: C-, debit_note: D-, correction: K-}"
DECIDING = [
    f"{moment}:{table.name}:1" for table in (DOCUMENT_LINES, DOCUMENTS) for moment in ("before", "after")
]
# Then what the ledger tells of them: each run goes on where the last one was killed.
EVERY = DECIDING + [
    f"{moment}:{table.name}:1" for table in (LEDGER_SERIES, LEDGER_BUILDS) for moment in ("before", "after")
]
KILLS = 22


def bill(shop: Shop) -> None:
    shop.land(MON, sold("A", MON), sold("B", MON, gross="20.00"), sold("W", MON, None, "99.00"))


def late_line(shop: Shop) -> None:
    shop.land(TUE, sold("C", TUE, gross="5.00"), sold("late", MON, gross="3.00"))


def changed_customer(shop: Shop) -> None:
    shop.land(MON, sold("A", MON, "C-3"), sold("B", MON, gross="20.00"), sold("W", MON, None, "99.00"))


def withdrawn_drop(shop: Shop) -> None:
    (shop.landing / f"drop_date={MON}" / "sales.csv").unlink()
    shop.manifest(MON, closed=True)


def restore(shop: Shop) -> None:
    shop.done("--date", MON, "--revision", "3", job=RESTORE_SALES)


# What happens, the documents that state it, and where the drivers that issue them are killed.
NIGHTS: list[tuple[Callable[[Shop], None], list[tuple[Any, ...]], list[str]]] = [
    (bill, [("I-1", MON, "C-1", None, 30)], EVERY),
    (late_line, [("I-2", TUE, "C-1", None, 5), ("D-1", MON, "C-1", "I-1", 3)], DECIDING),
    (changed_customer, [("I-3", MON, "C-3", None, 10), ("C-1", MON, "C-1", "I-1", -10)], DECIDING),
    (withdrawn_drop, [("C-2", MON, "C-1", "I-1", -20), ("C-3", MON, "C-3", "I-3", -10)], DECIDING),
    (restore, [("D-2", MON, "C-1", "I-1", 20), ("D-3", MON, "C-3", "I-3", 10)], DECIDING[2:]),
]


def test_22_killed_drivers_leave_no_gap_no_number_twice_and_equal_sums(
    spark: SparkSession, tmp_path: Path
) -> None:
    # The first night is published before a document is issued: without this it would count as billed before.
    shop = Shop(spark, tmp_path, ["--set", SERIES, "--set", f"billing.issue_from={MON}"])
    arguments = ["--landing", str(shop.landing), "--lake", str(shop.lake), *shop.arguments]
    jars = [*sorted((ROOT / "var" / "jars").glob("*.jar")), build_jar(spark, tmp_path / "faults")]
    drivers = Runner("local", tmp_path / "runs", CHEAP, arguments, jars)
    issued: list[tuple[Any, ...]] = []
    kills = 0
    for change, expected, points in NIGHTS:
        change(shop)
        shop.done("--set", "billing.issue=false")
        before, after = by_number(issued), by_number([*issued, *expected])
        for point in points:
            killed = drivers.run(ISSUE_INVOICES.name, settings=halt_at(point))
            assert killed.code == KILLED, (point, killed.terminal)
            kills += 1
            # The kill came where it was meant to: lines first, then the documents, which decide.
            is_issued = "ledger/" in point or point == DECIDING[-1]
            assert papers(shop) == (after if is_issued else before), point
            assert has_lines_without_document(shop) == (point in DECIDING[1:3]), point
            check_recovery(shop, point, after)
        shop.done(job=ISSUE_INVOICES)
        issued += expected
        assert papers(shop) == after
        check_laws(shop)
        shop.done(job=VERIFY_SALES)
    assert kills == KILLS
    assert shop.run().result["status"] == "unchanged"


def halt_at(point: str) -> dict[str, str]:
    """Settings by which a driver kills itself, JVM and Python, around a commit."""
    return {
        "spark.delta.logStore.file.impl": "cymbal.drill.HaltingLogStore",
        "spark.hadoop.cymbal.fault.halt": point,
    }


def has_lines_without_document(shop: Shop) -> bool:
    lines, documents = (
        {row["document_number"] for row in shop.rows(table)} for table in (DOCUMENT_LINES, DOCUMENTS)
    )
    return bool(lines - documents)


def check_recovery(shop: Shop, point: str, expected: list[tuple[Any, ...]]) -> None:
    """A run over a copy of what the kill left comes to the same documents as one that nothing disturbed."""
    copy = shop.other("recovered")
    shutil.copytree(shop.lake, copy.lake)
    copy.done(job=ISSUE_INVOICES)
    assert papers(copy) == expected, point
    check_laws(copy)
    assert copy.run(job=ISSUE_INVOICES).result["status"] == "unchanged"
    shutil.rmtree(copy.lake)
    copy.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]


def by_number(documents: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Documents by series and running number."""
    return sorted(documents, key=lambda row: (row[0].split("-")[0], int(row[0].split("-")[1])))
