"""Lakes that version 0.1.0 made: brought up to date, and back to the laws where it had left them.

The lakes are in lakes_0_1_0; its README tells, for each, what was done, what is wrong and what is right.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from jobs.issue_invoices import JOB as ISSUE_INVOICES
from jobs.maintain_tables import JOB as MAINTAIN_TABLES
from jobs.migrate_tables import JOB as MIGRATE_TABLES
from jobs.repair_lake import JOB as REPAIR_LAKE
from jobs.status import JOB as STATUS
from jobs.verify_sales import JOB as VERIFY_SALES
from schemas.billing import DOCUMENTS
from schemas.gold import DAILY_SALES, INVOICES
from schemas.lake import TABLES
from schemas.tables import CONFLICTS, LEDGER_DATES, LEDGER_DROPS, RECEIVED_SALES, REFUSED_SALES, SALES
from tests.jobs.papers import check_laws, papers, sold
from tests.jobs.shop import Shop, line

LAKES = Path(__file__).parent / "lakes_0_1_0"
MILD = ["--set", "audit.max_conflict_share=0.9", "--set", "audit.max_rejected_share=0.5"]

S, E = "2026-03-02", "2026-03-12"
pytestmark = pytest.mark.usefixtures("interpreted")
# Half a minute each: with --lakes. One of them stays in every run.
lakes = pytest.mark.lakes


def unpacked(spark: SparkSession, folder: Path, name: str, arguments: list[str]) -> Shop:
    with tarfile.open(LAKES / f"{name}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return Shop(spark, folder, list(arguments))


def content(shop: Shop) -> dict[str, list[str]]:
    """What readers see."""
    tables = (SALES, CONFLICTS, DAILY_SALES, INVOICES)
    return {table.name: sorted(map(str, shop.rows(table))) for table in tables}


def published(shop: Shop) -> list[tuple[str, ...]]:
    return shop.sales("transaction_id", "business_date", "gross_amount")


def billed(shop: Shop) -> list[tuple[str, ...]]:
    rows = shop.rows(INVOICES, "customer_id", "business_date", "net_amount")
    return sorted((row["customer_id"], row["business_date"], str(row["net_amount"])) for row in rows)


def left_out(shop: Shop) -> list[tuple[str, ...]]:
    rows = shop.rows(CONFLICTS, "transaction_id", "business_date", "outcome")
    return sorted((row["transaction_id"], row["business_date"], row["outcome"]) for row in rows)


def schema_version(shop: Shop, name: str) -> str | None:
    return DeltaTable(str(shop.lake / name)).metadata().configuration.get("cymbal.schemaVersion")


def test_a_sound_lake_is_migrated_and_goes_on(spark: SparkSession, tmp_path: Path) -> None:
    shop = unpacked(spark, tmp_path, "sound", MILD)
    before = content(shop)
    for job in (VERIFY_SALES, STATUS, MAINTAIN_TABLES):
        refused = shop.run(job=job)
        assert refused.code == 2
        assert "was made by an older version" in refused.error
        assert "run migrate_tables" in refused.error
    wrong_config = shop.run("--set", "late.days=9", job=MIGRATE_TABLES)
    assert (wrong_config.code, "give the config of the lake" in wrong_config.error) == (2, True)
    planned = shop.done("--dry-run", job=MIGRATE_TABLES).result["planned"]
    assert any(text.startswith("ledger/drops: columns added: ") for text in planned)
    assert "drop 2026-03-06: its refused delivery would be taken out of bronze" in planned
    assert schema_version(shop, "silver/sales") is None
    migrated = shop.done(job=MIGRATE_TABLES).result["migrated"]
    assert (
        "drop 2026-03-06: its refused delivery is kept apart, the accepted one before it is back" in migrated
    )
    assert not [text for text in migrated if "does not hold" in text]
    assert content(shop) == before
    made = [table for table in TABLES if (shop.lake / table.name).exists()]
    assert {schema_version(shop, table.name) for table in made} == {"2"}
    held = shop.rows(RECEIVED_SALES, "transaction_id", "gross_amount", drop_date="2026-03-06")
    assert sorted((row["transaction_id"], str(row["gross_amount"])) for row in held) == [
        ("F-1", "10.000"),
        ("F-2", "5.000"),
    ]
    assert len(shop.rows(REFUSED_SALES, drop_date="2026-03-06")) == 3
    shop.done(job=VERIFY_SALES)
    versions = shop.versions()
    again = shop.run()
    assert (again.code, "drop 2026-03-06 is still blocked: manifest says 99 rows" in again.error) == (4, True)
    assert shop.versions() == versions
    assert shop.done(job=MIGRATE_TABLES).result["status"] == "unchanged"
    shop.land("2026-03-13", line("N\u0303", "2026-03-13T15:00:00Z"), line("K", f"{E}T15:00:00Z"))
    assert shop.run().code == 4
    # Texts are not brought into another normal form: earlier lines are as they came.
    wanted = ["J-1", "K", "N\u0303", "Z-1"]
    assert [row[0] for row in published(shop) if row[1] in (E, "2026-03-13")] == wanted
    shop.done(job=VERIFY_SALES)


def test_the_same_batch_over_a_migrated_lake_is_unchanged(spark: SparkSession, tmp_path: Path) -> None:
    shop = unpacked(spark, tmp_path, "sound_plain", MILD)
    before = content(shop)
    shop.done(job=MIGRATE_TABLES)
    versions = shop.versions()
    assert shop.run().result["status"] == "unchanged"
    assert (content(shop), shop.versions()) == (before, versions)
    other = shop.run("--set", "late.days=9")
    assert (other.code, "late.days is 7 in the lake, 9 in this run" in other.error) == (2, True)


def test_what_a_lake_published_before_documents_existed_is_billed_elsewhere(
    spark: SparkSession, tmp_path: Path
) -> None:
    shop = unpacked(spark, tmp_path, "sound_plain", MILD)
    shop.done(job=MIGRATE_TABLES)
    assert not (shop.lake / DOCUMENTS.name).exists()
    # A new date, and a late line that restates a date that is published already.
    shop.land("2026-03-13", sold("N", "2026-03-13"), sold("late", E))
    ran = shop.done()
    (begins,) = [text for text in ran.result["warnings"] if text.startswith("billing begins")]
    assert f"4 dates, {S} to {E}, are published already and get no documents" in begins
    numbers = [(row[1], row[2], row[4]) for row in papers(shop)]
    assert numbers == [("2026-03-13", "C-1", 10)]
    shop.done(job=VERIFY_SALES)
    assert shop.run().result["status"] == "unchanged"
    # Whoever has billed nothing elsewhere says from when on: all at once, in the order of the dates.
    shop.done("--set", f"billing.issue_from={S}", job=ISSUE_INVOICES)
    issued = [(row[1], row[2], str(row[4])) for row in papers(shop)]
    assert issued[1:] == [
        (S, "C-A-1", "4.500"),
        (S, "C-A-2", "9.000"),
        (S, "C-L-1", "9.000"),
        ("2026-03-03", "C-B-1", "9.000"),
        ("2026-03-06", "C-F-1", "9.000"),
        ("2026-03-06", "C-F-2", "4.000"),
        (E, "C-1", "10.000"),
        (E, "C-J-1", "9.000"),
        (E, "C-Z-1", "9.000"),
    ]
    check_laws(shop)
    shop.done(job=VERIFY_SALES)


ACCEPTED = {
    "case1": [("X", S, "10.000"), ("Y", S, "10.000"), ("Z", E, "10.000")],
    "case2": [("X", E, "10.000"), ("Y", S, "10.000"), ("Z", E, "10.000")],
    "case6": [("A", S, "10.000"), ("B", S, "12.000")],
    "case7": [("A", S, "10.000"), ("B", S, "10.000")],
}
LEFT_OUT = {"case1": [("X", E, "late_duplicate")], "case2": [], "case6": [], "case7": []}


@pytest.mark.parametrize(
    "case", ["case1", *(pytest.param(case, marks=lakes) for case in ACCEPTED if case != "case1")]
)
def test_a_lake_is_repaired(spark: SparkSession, tmp_path: Path, case: str) -> None:
    shop = unpacked(spark, tmp_path, case, MILD[:2] if case == "case7" else [])
    shop.done(job=MIGRATE_TABLES)
    if case != "case7":  # what was half done is undone before anything else
        assert shop.run(job=VERIFY_SALES).code == 4
        planned = shop.done("--dry-run", job=REPAIR_LAKE).result["planned"]
        assert any("would be published" in text for text in planned), planned
    repaired = shop.done(job=REPAIR_LAKE).result["repaired"]
    assert bool([text for text in repaired if "published again" in text]) == (case != "case7"), repaired
    assert published(shop) == ACCEPTED[case]
    assert left_out(shop) == LEFT_OUT[case]
    assert len(billed(shop)) == len(ACCEPTED[case])
    shop.done(job=VERIFY_SALES)
    versions = shop.versions()
    again = shop.run()
    assert again.code == (4 if case in ("case1", "case2") else 0)
    assert shop.versions() == versions
    assert shop.done(job=REPAIR_LAKE).result["status"] == "unchanged"


@lakes
def test_a_lake_that_a_night_of_walk_ins_killed_works_again(spark: SparkSession, tmp_path: Path) -> None:
    shop = unpacked(spark, tmp_path, "case8", [])
    shop.done(job=MIGRATE_TABLES)
    shop.done()
    assert billed(shop) == [("C-D-3", "2026-03-03", "9.000"), ("C-D-4", "2026-03-04", "9.000")]
    shop.done(job=VERIFY_SALES)
    assert shop.done(job=REPAIR_LAKE).result["repaired"] == []


@lakes
def test_a_late_line_that_a_restore_hid_is_published(spark: SparkSession, tmp_path: Path) -> None:
    shop = unpacked(spark, tmp_path, "case13", [])
    assert "D" not in [row[0] for row in published(shop)]
    migrated = shop.done(job=MIGRATE_TABLES).result["migrated"]
    assert f"date {S}: does not hold what bronze gives, the next run publishes it again" in migrated
    assert shop.run(job=VERIFY_SALES).code == 4
    shop.done(job=REPAIR_LAKE)
    assert [row for row in published(shop) if row[0] == "D"] == [("D", S, "10.000")]
    shop.done(job=VERIFY_SALES)
    assert shop.run().result["status"] == "unchanged"


@lakes
@pytest.mark.parametrize("case", ["case14", "case14_middle"])
def test_nights_that_the_ledger_lost_are_recorded(spark: SparkSession, tmp_path: Path, case: str) -> None:
    shop = unpacked(spark, tmp_path, case, [])
    before = content(shop)
    shop.done(job=MIGRATE_TABLES)
    shop.done(job=REPAIR_LAKE)
    assert content(shop) == before
    nights = {"2026-03-02", "2026-03-03", "2026-03-04"}
    assert {row["drop_date"] for row in shop.rows(LEDGER_DROPS, status="ingested")} == nights
    assert {row["business_date"] for row in shop.rows(LEDGER_DATES, status="done")} == nights
    versions = shop.versions()
    assert shop.run().result["status"] == "unchanged"
    assert shop.versions() == versions
    shop.done(job=VERIFY_SALES)
