"""The work of a run, counted: a regression shows on any machine, however fast or busy it is.

Where the code comes to do with less, its change lowers the bound here as well; a change that needs more says
here why.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import SparkSession

from jobs.generate_sales import JOB as GENERATE
from jobs.issue_invoices import JOB as ISSUE_INVOICES
from jobs.run_batch import JOB as RUN_BATCH
from schemas.lake import TABLES
from tests.jobs.papers import sold
from tests.jobs.shop import Shop
from tests.support.counted_work import StageWork, Work, counted
from tests.support.landing import write_csv
from tests.support.lines import received_line
from tests.support.plans import main_line, publishing_plan
from tests.support.runs import run_job
from tests.support.tables import table_versions

# Three dates of one window, with copies, conflicts and rejects; the gates are open, such dirt is meant.
GENERATED = ["--rows", "4000", "--from", "2026-11-02", "--to", "2026-11-04", "--formats", "[csv]"]
ASKED = ["currencies=[USD, JPY, KWD]", "audit.max_rejected_share=1", "audit.max_conflict_share=1"]
# A chunk of about 1,000 lines gets partitions of its own, so that a task too many for each shows.
SETTINGS = [part for value in (*ASKED, "chunks.target_rows_per_partition=500") for part in ("--set", value)]
# A stage that reads fewer rows reads a table's log or the ledger, not lines.
FEWEST_LINES = 1000


@dataclass(frozen=True)
class Exactly:
    """A count that is what it is for a reason."""

    count: float
    why: str

    def __contains__(self, found: float) -> bool:
        return found == self.count


@dataclass(frozen=True)
class AtMost:
    """A count that may go down at any time."""

    count: float
    why: str

    def __contains__(self, found: float) -> bool:
        return found <= self.count


Bounds = dict[str, Exactly | AtMost]

# Jobs and tasks: what was counted (82 and 106) and a tenth more, so that one more query passes and one for
# each date or chunk does not.
FIRST_RUN: Bounds = {
    "bytes of the landing read, by its bytes": Exactly(1, "the text is read once: parsing it costs most"),
    "bronze read to count it, by its lines": AtMost(2, "lines by drop, and reasons of those rejected"),
    "bronze read to plan and publish, by its lines": AtMost(
        4.1, "totals, hashes of suspects, their lines, the publish; what of these is kept is read from memory"
    ),
    "silver read, by its lines": AtMost(4, "reconciled once, then once for each gold table"),
    "exchanges of published lines": Exactly(1, "a line goes to its chunk's partition, and stays there"),
    "scans of bronze by the publish": Exactly(1, "what else it looks up is broadcast"),
    "jobs": AtMost(90, "each costs the driver a round to the executors"),
    "tasks": AtMost(117, "each costs a launch, and those that write a file"),
}
# What was counted (22 and 32 without documents, 30 jobs with them) and a tenth more.
SMALL_NIGHT: Bounds = {
    "jobs": AtMost(33, "no query over a table's log, and none for each day that the lake holds"),
    "tasks": AtMost(48, "the same"),
    "queries over a table's log": Exactly(0, "the files of a date are told by the checksum of the log"),
    "steps in generated code": Exactly(0, "few lines do not pay for code that is generated and compiled"),
}
NIGHT_OF_COPIES: Bounds = {
    "jobs": AtMost(
        44, "two dates to publish, copies to compare, and documents to compare with what was billed"
    ),
    "tasks": AtMost(68, "the same"),
    "queries over a table's log": Exactly(0, "the files of a drop are told by the checksum of the log"),
    "steps in generated code": Exactly(0, "few lines do not pay for code that is generated and compiled"),
}
UNCHANGED_RUN: Bounds = {
    "rows read": Exactly(0, "the ledger and the logs tell that nothing is new: no line is read"),
    "jobs": Exactly(0, "the driver reads the ledger by itself"),
    "tasks": Exactly(0, "no executor is needed"),
}
# A table's first run makes it, which is a commit of its own.
FIRST_COMMITS = {
    "bronze/received_sales": 2,
    "silver/sales": 2,
    "silver/conflicts": 2,
    "gold/daily_sales": 2,
    "gold/weekly_product_sales": 2,
    "gold/invoices": 2,
    "billing/documents": 2,
    "billing/document_lines": 2,
    "ledger/drops": 2,
    "ledger/stores": 2,
    "ledger/dates": 2,
    "ledger/runs": 3,  # running, done
    "ledger/chunks": 2,
    "ledger/tasks": 2,
    "ledger/builds": 5,  # one for each gold table, and one for the documents
    "ledger/stages": 2,
    "ledger/series": 2,
}
UNCHANGED_COMMITS = {"ledger/runs": 2}  # running, unchanged


def test_a_run_does_no_more_than_it_must_and_an_unchanged_one_next_to_nothing(
    spark: SparkSession, tmp_path: Path
) -> None:
    landing, lake = tmp_path / "landing", tmp_path / "lake"
    assert GENERATE.run(["--landing", str(landing), *GENERATED]) == 0

    def run() -> None:
        assert run_job(RUN_BATCH, landing, lake, *SETTINGS).code == 0

    first = counted(spark, run)
    made = table_versions(lake, TABLES)
    assert {name: version + 1 for name, version in made.items()} == FIRST_COMMITS
    assert beyond(FIRST_RUN, figures(first, landing)) == []

    again = counted(spark, run)
    now = table_versions(lake, TABLES)
    assert {name: now[name] - made[name] for name in now if now[name] != made[name]} == UNCHANGED_COMMITS
    read = sum(stage.rows_read for stage in again.stages)
    assert beyond(UNCHANGED_RUN, {"rows read": read, "jobs": again.jobs, "tasks": again.tasks}) == []


def test_small_nights_into_a_lake_of_a_hundred_days_take_few_jobs(
    spark: SparkSession, tmp_path: Path
) -> None:
    landing, lake = tmp_path / "landing", tmp_path / "lake"
    first = dt.date(2026, 6, 1)
    days = [first + dt.timedelta(days=number) for number in range(102)]

    def deliver(date: dt.date, lines: int) -> None:
        sold_at = f"{date}T16:00:00Z"
        sold = [
            received_line(transaction_id=f"T-{n}", sold_at=sold_at, product_name="AHOV."[n % 5])
            for n in range(lines)
        ]
        write_csv(landing, date, sold)

    def run() -> None:
        # One line in two of a small date is in conflict: the gate is open, such dirt is meant.
        assert run_job(RUN_BATCH, landing, lake, "--set", "audit.max_conflict_share=1").code == 0

    for date in days[:100]:
        deliver(date, 1)
    run()
    deliver(days[100], 50)
    assert beyond(SMALL_NIGHT, night_figures(counted(spark, run))) == []

    # A late line, a late line that is sent again with another amount, and a line that stands twice.
    before = f"{days[99]}T16:00:00Z"
    late = received_line(transaction_id="T-late", sold_at=before)
    resent = received_line(transaction_id="T-0", sold_at=before, gross_amount="77.77")
    own = received_line(transaction_id="T-0", sold_at=f"{days[101]}T16:00:00Z")
    write_csv(landing, days[101], [late, resent, own, own])
    assert beyond(NIGHT_OF_COPIES, night_figures(counted(spark, run))) == []


def night_figures(work: Work) -> dict[str, float]:
    """What the bounds of a small night are about."""
    return {
        "jobs": work.jobs,
        "tasks": work.tasks,
        "queries over a table's log": len(work.of_step("Delta")),
        "steps in generated code": sum("[codegen id" in node.details for plan in work.plans for node in plan),
    }


def test_a_night_issues_with_the_same_work_after_five_dates_and_after_forty(
    spark: SparkSession, tmp_path: Path, interpreted: None
) -> None:
    after_few, after_many = (issue_of_a_night(spark, tmp_path / str(days), days) for days in (5, 40))
    assert after_few == after_many
    assert after_few["rows read"] > 0


def issue_of_a_night(spark: SparkSession, folder: Path, days: int) -> dict[str, int]:
    """What the issue of a new date and of a note to the day before makes Spark do, in a lake of some days."""
    shop = Shop(spark, folder)
    first = dt.date(2026, 6, 1)
    dates = [str(first + dt.timedelta(days=number)) for number in range(days + 1)]
    for date in dates[:-1]:
        shop.land(date, *(sold(f"T-{n}", date, f"C-{n}") for n in range(3)))
    shop.done()
    shop.land(dates[-1], sold("late", dates[-2], "C-1"), *(sold(f"T-{n}", dates[-1]) for n in range(20)))
    shop.done("--set", "billing.issue=false")
    found = counted(spark, lambda: check_issued(shop))
    issuing = found.of_step("issuing")
    return {
        "jobs": found.jobs,
        "tasks": found.tasks,
        "rows read": rows(issuing),
        "rows written": sum(stage.rows_written for stage in issuing),
    }


def check_issued(shop: Shop) -> None:
    kinds = {row["kind"]: row["documents"] for row in shop.done(job=ISSUE_INVOICES).result["documents"]}
    assert kinds == {"invoice": 1, "debit_note": 1}


def test_what_is_beyond_a_bound_is_told_with_its_reason() -> None:
    bounds: Bounds = {"passes": Exactly(1, "once"), "jobs": AtMost(10, "rounds"), "tasks": AtMost(5, "files")}
    assert beyond(bounds, {"passes": 1, "jobs": 10, "tasks": 4}) == []
    assert beyond(bounds, {"passes": 2, "jobs": 11, "tasks": 5}) == [
        "passes: 2, must be Exactly 1: once",
        "jobs: 11, must be AtMost 10: rounds",
    ]


def figures(work: Work, landing: Path) -> dict[str, float]:
    """What the bounds are about."""
    ingesting = reading_lines(work, "listing", "reading the headers", "ingesting")
    lines = max(stage.rows_written for stage in ingesting)
    published = max(stage.rows_written for stage in work.of_step("publishing"))
    landed = sum(path.stat().st_size for path in landing.glob("*/*.csv"))
    plan = main_line(publishing_plan(work.plans))
    return {
        "bytes of the landing read, by its bytes": sum(stage.bytes_read for stage in ingesting) / landed,
        "bronze read to count it, by its lines": rows(reading_lines(work, "counting")) / lines,
        "bronze read to plan and publish, by its lines": rows(reading_lines(work, "planning", "publishing"))
        / lines,
        "silver read, by its lines": rows(reading_lines(work, "reconciling", "building")) / published,
        "exchanges of published lines": sum(node.name.startswith("Exchange") for node in plan),
        "scans of bronze by the publish": sum(node.name.startswith("Scan parquet") for node in plan),
        "jobs": work.jobs,
        "tasks": work.tasks,
    }


def reading_lines(work: Work, *steps: str) -> list[StageWork]:
    """The stages of some steps that read lines."""
    return [stage for stage in work.of_step(*steps) if stage.rows_read >= FEWEST_LINES]


def rows(stages: list[StageWork]) -> int:
    """Rows that they read."""
    return sum(stage.rows_read for stage in stages)


def beyond(bounds: Bounds, found: dict[str, float]) -> list[str]:
    """What is not as it should be, in words; an empty list is well."""
    assert bounds.keys() == found.keys()
    return [
        f"{name}: {found[name]:g}, must be {type(bound).__name__} {bound.count:g}: {bound.why}"
        for name, bound in bounds.items()
        if found[name] not in bound
    ]
