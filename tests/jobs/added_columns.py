"""Runs the batch over a contract with a further column of each kind: see test_added_columns.

The contract is extended before anything else is imported, as a change of schemas/landing.py would be.
"""

from __future__ import annotations

import datetime as dt
import os
import shlex
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import schemas.landing as contract

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tests.jobs.shop import Shop

FORMS = {
    "text": "text, or empty",
    "integer": "an integer",
    "timestamp": "ISO 8601",
    "quantity": "a decimal",
    "amount": "a decimal",
    "line_type": "SALE or RETURN",
    "currency": "ISO 4217",
}
ADDED = tuple(
    contract.ReceivedColumn(f"added_{kind}", kind, False, form, added_in=3)  # type: ignore[arg-type]
    for kind, form in FORMS.items()
)
GOOD = {
    "added_text": "gold",
    "added_integer": "7",
    "added_timestamp": "2026-03-02T10:00:00Z",
    "added_quantity": "1.5",
    "added_amount": "0.25",
    "added_line_type": "RETURN",
    "added_currency": "USD",
}
BAD = {
    "added_integer": "seven",
    "added_timestamp": "noon",
    "added_quantity": "a few",
    "added_amount": "0.255",
    "added_line_type": "GIFT",
    "added_currency": "usd",
}
REASONS = {
    "added_integer": "bad_added_integer",
    "added_timestamp": "bad_added_timestamp",
    "added_quantity": "bad_added_quantity",
    "added_amount": "excess_scale_added_amount",
    "added_line_type": "bad_added_line_type",
    "added_currency": "bad_added_currency",
}
TYPED = {
    "added_text": "gold",
    "added_integer": 7,
    "added_timestamp": dt.datetime(2026, 3, 2, 10, tzinfo=dt.UTC),
    "added_quantity": Decimal("1.500"),
    "added_amount": Decimal("0.250"),
    "added_line_type": "RETURN",
    "added_currency": "USD",
}
DAY, NEXT = "2026-03-02", "2026-03-03"


OLD = "2026-02-27"


def make_old_lake(folder: Path) -> None:
    """Makes a lake under the contract as it stands."""
    from tests.jobs.shop import Shop, line

    shop = Shop(session(folder), folder)
    shop.land(OLD, line("old", f"{OLD}T15:00:00Z"))
    shop.done()


def extend() -> None:
    """Adds a column of each kind to the contract, with the schema version that brings them."""
    contract.RECEIVED_COLUMNS = (*contract.RECEIVED_COLUMNS, *ADDED)
    contract.RECEIVED_NAMES = tuple(column.name for column in contract.RECEIVED_COLUMNS)
    from schemas import tables

    tables.SCHEMA_VERSION = 3


def session(folder: Path) -> SparkSession:
    """A session as the tests have it."""
    from pipeline.lake.session import open_session
    from tests.conftest import set_environment, submit_arguments

    set_environment(folder)
    os.environ["PYSPARK_SUBMIT_ARGS"] = shlex.join(submit_arguments(folder))
    return open_session("added columns")


def run(folder: Path) -> None:
    """Delivers good, bad, equal and unequal lines, and looks each of them up."""
    from jobs.compare_revisions import JOB as COMPARE_REVISIONS
    from jobs.replay_quarantine import JOB as REPLAY_QUARANTINE
    from jobs.verify_sales import JOB as VERIFY_SALES
    from schemas.tables import CONFLICTS, RECEIVED_SALES, SALES
    from tests.jobs.shop import Shop, line

    shop = Shop(session(folder), folder, ["--set", "audit.max_rejected_share=1"])
    names = list(GOOD)
    _migrate(shop)

    def sold(number: str, date: str = DAY, **fields: Any) -> dict[str, str | None]:
        return line(number, f"{date}T15:00:00Z", **fields)

    shop.land(
        DAY, sold("good", **GOOD), *(sold(name, **{name: text}) for name, text in BAD.items()), sold("none")
    )
    shop.done()
    assert shop.rows(SALES, *names, transaction_id="good") == [TYPED]
    assert shop.rows(SALES, *names, transaction_id="none") == [dict.fromkeys(names)]
    rejected = {row["transaction_id"]: row for row in shop.rows(RECEIVED_SALES) if row["raw"]}
    assert {name: row["reject_reasons"] for name, row in rejected.items()} == {
        name: [reason] for name, reason in REASONS.items()
    }
    for name, text in BAD.items():
        assert f'"{name}":"{text}"' in rejected[name]["raw"]

    # An equal copy is a duplicate; one that differs in any added column is a conflict.
    others = {**GOOD, **dict.fromkeys(GOOD)}
    late = [sold("good", **{**GOOD, name: value}) for name, value in others.items()]
    shop.land(NEXT, sold("good", **GOOD), *late)
    shop.done("--set", "audit.max_conflict_share=1")
    assert shop.rows(SALES, "duplicates", transaction_id="good") == [{"duplicates": 1}]
    assert len(shop.rows(CONFLICTS, transaction_id="good")) == len(GOOD)

    # A file of the time before the columns: its lines hold null, and equal those with empty fields.
    before = [c.name for c in contract.RECEIVED_COLUMNS if c.added_in == 1]
    from tests.support.landing import csv_text

    shop.land_bytes("2026-03-04", csv_text([sold("none")], before).encode())
    shop.done("--set", "audit.max_conflict_share=1")
    assert shop.rows(SALES, "duplicates", transaction_id="none") == [{"duplicates": 1}]

    shop.land(DAY, sold("good", **{**GOOD, "added_amount": "0.26"}), sold("none"))
    shop.land(NEXT)
    shop.manifest(NEXT, closed=True)
    (shop.landing / f"drop_date={NEXT}" / "sales.csv").unlink()
    shop.done("--set", "audit.max_conflict_share=1")
    compared = shop.done("--date", DAY, job=COMPARE_REVISIONS).stdout
    assert "added_amount" in compared

    shop.land("2026-03-05", sold("again", "2026-03-05", added_integer="x", added_text="kept"))
    shop.done()
    shop.done("--reason", "bad_added_integer", "--dry-run", job=REPLAY_QUARANTINE)
    shop.done("--set", "audit.max_conflict_share=1", job=VERIFY_SALES)
    sys.stdout.write("all added columns held\n")


def _migrate(shop: Shop) -> None:
    """The lake was made before the columns: it is migrated once, and nothing in it is stale then."""
    from jobs.compare_revisions import JOB as COMPARE_REVISIONS
    from jobs.migrate_tables import JOB as MIGRATE_TABLES
    from jobs.restore_sales import JOB as RESTORE_SALES
    from jobs.verify_sales import JOB as VERIFY_SALES
    from schemas.tables import LEDGER_RUNS, SALES
    from tests.jobs.shop import line

    refused = shop.run()
    assert (refused.code, "run migrate_tables" in refused.error) == (2, True), refused.stderr
    kept = [row for row in shop.rows(LEDGER_RUNS) if row["settings"]]
    shop.done(job=MIGRATE_TABLES)
    assert [row for row in shop.rows(LEDGER_RUNS) if row["settings"]] == kept
    assert shop.run().result["status"] == "unchanged"
    # Revision 1 is of the time before the columns.
    shop.land(OLD, line("old", f"{OLD}T15:00:00Z", added_text="new"))
    shop.done()
    compared = shop.done("--date", OLD, job=COMPARE_REVISIONS).stdout
    assert "added_text" in compared, compared
    shop.done("--date", OLD, "--revision", "1", job=RESTORE_SALES)
    assert shop.rows(SALES, "added_text", business_date=OLD) == [{"added_text": None}]
    shop.done(job=VERIFY_SALES)


if __name__ == "__main__":
    what, target = sys.argv[1], Path(sys.argv[2])
    if what == "old":
        make_old_lake(target)
    else:
        extend()
        run(target)
