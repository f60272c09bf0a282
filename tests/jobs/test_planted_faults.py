"""Faults put into a sound lake by hand: verify_sales ends with 4 and names each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow.parquet as pq
import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from jobs.verify_sales import JOB as VERIFY_SALES
from schemas.gold import DAILY_SALES, INVOICES, WEEKLY_PRODUCT_SALES
from schemas.tables import CONFLICTS, RECEIVED_SALES, SALES, Table
from tests.jobs.shop import Shop, line

S, E = "2026-03-02", "2026-03-12"


@dataclass(frozen=True)
class Fault:
    """What is done to a table, and what verify_sales says of it."""

    table: Table
    plant: Callable[[DeltaTable], object]
    said: str


def _append(condition: str, **changes: str) -> Callable[[DeltaTable], object]:
    """Appends copies of rows, with other values."""

    def plant(table: DeltaTable) -> None:
        rows = table.toDF().filter(condition).localCheckpoint()
        for name, value in changes.items():
            rows = rows.selectExpr(*[f"{value} as {c}" if c == name else c for c in rows.columns])
        rows.write.format("delta").mode("append").save(_path(table))

    return plant


def _path(table: DeltaTable) -> str:
    return str(table.detail().select("location").first().location)


def _without_partitions(table: DeltaTable) -> None:
    rows = table.toDF().localCheckpoint()
    rows.write.format("delta").mode("overwrite").option("overwriteSchema", "true").partitionBy().save(
        _path(table)
    )


NAMED = f"store 1042, transaction {{}}, line 1 of {S}"
FAULTS = {
    "a line is lost": Fault(
        SALES,
        lambda t: t.delete("transaction_id = 'Y'"),
        NAMED.format("Y") + ", published: 0 times in silver",
    ),
    "a line is published on two dates": Fault(
        SALES,
        _append("transaction_id = 'Y'", business_date=f"date'{E}'"),
        f"key published 2 times, on {S}, {E}: store 1042, transaction Y",
    ),
    "an amount is another": Fault(
        SALES,
        lambda t: t.update("transaction_id = 'Y'", {"gross_amount": "11.00", "net_amount": "10.00"}),
        NAMED.format("Y") + ", published: 1 times in silver, must be 0",
    ),
    "a duplicate is not counted": Fault(
        SALES, lambda t: t.update("transaction_id = 'D'", {"duplicates": "0"}), NAMED.format("D")
    ),
    "a line is in another chunk": Fault(
        SALES, lambda t: t.update("transaction_id = 'Y'", {"chunk": "'V-Z'"}), "does not reconcile"
    ),
    "a conflict is gone": Fault(
        CONFLICTS, lambda t: t.delete("transaction_id = 'X'"), NAMED.format("X") + ", late_duplicate: 0 times"
    ),
    "a conflict of no revision": Fault(
        CONFLICTS, _append("true", outcome="'conflict'", business_date=f"date'{S}'"), NAMED.format("X")
    ),
    "rows of a date that was never published": Fault(
        CONFLICTS,
        _append("true", business_date="date'2026-04-01'"),
        "silver/conflicts holds rows of 2026-04-01, which was never published",
    ),
    "rows without a date": Fault(
        SALES,
        _append("transaction_id = 'Y'", business_date="cast(null as date)"),
        "silver/sales holds rows of None, which was never published",
    ),
    "a table lost its partitions": Fault(
        CONFLICTS, _without_partitions, NAMED.format("X") + ", late_duplicate: 0 times"
    ),
    "bronze has rows without a drop": Fault(
        RECEIVED_SALES,
        _append("transaction_id = 'Y'", drop_date="cast(null as date)"),
        "bronze/received_sales holds rows without a drop date",
    ),
    "an invoice is gone": Fault(
        INVOICES, lambda t: t.delete("customer_id = 'C-Y'"), f"gold/invoices {S} USD: 0 rows"
    ),
    "a total is of another revision": Fault(
        DAILY_SALES,
        lambda t: t.update(f"business_date = '{S}'", {"sales_revision": "7"}),
        f"daily_sales {S} USD",
    ),
    "a week counts a line too many": Fault(
        WEEKLY_PRODUCT_SALES,
        lambda t: t.update("true", {"lines": "lines + 1"}),
        "gold/weekly_product_sales 2026-03-02 USD: 1 rows",
    ),
    "bronze lost a line": Fault(
        RECEIVED_SALES,
        lambda t: t.delete("transaction_id = 'Y'"),
        f"drop {S}: bronze/received_sales holds 3 accepted lines that are not the 4",
    ),
}


pytestmark = pytest.mark.usefixtures("interpreted")


@pytest.fixture(scope="module")
def sound(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shop = Shop(spark, tmp_path_factory.mktemp("sound"))

    def sold(number: str, date: str = S) -> dict[str, str | None]:
        return line(number, f"{date}T15:00:00Z", customer_id=f"C-{number}")

    shop.land(S, sold("X"), sold("Y"), sold("D"), sold("D"))
    shop.land(E, sold("X"), sold("Z", E))
    shop.done()
    shop.done(job=VERIFY_SALES)
    return shop


@pytest.mark.parametrize("fault", FAULTS)
def test_verify_names(sound: Shop, fault: str) -> None:
    broken = _with_faults(sound, fault)
    ran = broken.run(job=VERIFY_SALES)
    assert ran.code == 4, ran.stderr
    assert FAULTS[fault].said in ran.stderr


def _copy(sound: Shop, name: str) -> Shop:
    copy = sound.other(name.replace(" ", "-"))
    shutil.copytree(sound.lake, copy.lake)
    return copy


def _with_faults(sound: Shop, *faults: str) -> Shop:
    broken = _copy(sound, " and ".join(faults))
    for planted in map(FAULTS.__getitem__, faults):
        planted.plant(DeltaTable.forPath(sound.spark, str(broken.lake / planted.table.name)))
    return broken


def test_rows_without_a_date_hide_no_other_fault(sound: Shop) -> None:
    faults = ("rows without a date", "a conflict is gone")
    ran = _with_faults(sound, *faults).run(job=VERIFY_SALES)
    assert ran.code == 4
    for fault in faults:
        assert FAULTS[fault].said in ran.stderr


def test_a_data_file_that_is_gone_is_named_also_where_its_date_is_not_asked_for(sound: Shop) -> None:
    broken = _copy(sound, "gone")
    (file,) = (broken.lake / DAILY_SALES.name / f"business_date={E}").glob("part-*.parquet")
    file.unlink()
    ran = broken.run("--date", S, job=VERIFY_SALES)
    assert ran.code == 4
    assert (
        f"gold/daily_sales: 1 of its data files are gone, the first is business_date={E}/part-" in ran.error
    )


def test_a_file_without_rows_is_no_stray_date(sound: Shop) -> None:
    """As another writer leaves one whose rows it deleted: with the file in the log, and none of its rows."""
    other = _copy(sound, "no-rows")
    folder, date = other.lake / CONFLICTS.name, "2026-04-01"
    (path,) = (folder / f"business_date={E}").glob("part-*.parquet")
    (folder / f"business_date={date}").mkdir()
    empty = folder / f"business_date={date}" / "none.parquet"
    pq.write_table(pq.read_table(path, partitioning=None).slice(0, 0), empty)
    version = max(int(log.stem) for log in (folder / "_delta_log").glob("0*.json")) + 1
    add = {
        "path": f"business_date={date}/none.parquet",
        "partitionValues": {"business_date": date},
        "size": empty.stat().st_size,
        "modificationTime": 0,
        "dataChange": True,
    }
    (folder / "_delta_log" / f"{version:020d}.json").write_text(json.dumps({"add": add}) + "\n")
    name = f"delta.`{folder}`"
    sound.spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ('touched.by' = 'others')")
    other.done(job=VERIFY_SALES)
