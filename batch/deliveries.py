"""What bronze holds, counted again: for a lake that an older version made, or that was damaged."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from batch.context import Batch
from batch.receiving import ROLL_BACK, count_drops
from lake.tables import filter_dates
from planning.staleness import DropState
from schemas.drops import Drop, IngestedDrop
from schemas.states import DropStatus
from schemas.tables import RECEIVED_SALES, REFUSED_SALES

# How Delta and Spark say that a version, or a file of it, is there no more.
GONE = re.compile(r"NOT_EXIST|NOT_FOUND|TIME_TRAVEL|FileNotFound|VersionNotFound")


def recount_deliveries(batch: Batch, *, everything: bool) -> list[str]:
    """Takes refused deliveries out of bronze, then records anew what bronze holds of each drop.

    Args:
        batch: the run.
        everything: whether every drop is recorded anew; else only those that the ledger tells wrong.

    Returns:
        What was done, one line each.
    """
    if not batch.lake.exists(RECEIVED_SALES):
        return []
    known = batch.ledger.drops()
    said = [_take_out(batch, date) for date in sorted(known) if batch.ledger.holds_refused(date)]
    counted = _counted(batch)
    wrong = {
        date for date in {*known, *counted} if everything or _differs(known.get(date), counted.get(date))
    }
    if not wrong:
        return said
    version = batch.lake.note(RECEIVED_SALES, {"job": "recount", "run_id": batch.run_id})
    there, gone, troubled = [], [], []
    for date in sorted(wrong):
        state = known.get(date)
        found = counted.get(date) or IngestedDrop(Drop(date, ()))
        found.judged_by = batch.settings.rules_digest
        fingerprint = state.accepted.fingerprint if state and state.accepted else ""
        found.drop = Drop(date, (), known_fingerprint=fingerprint)
        if state is None or state.accepted is not None or found.lines:
            there.append(found)
        if state is not None and state.content and not found.lines:
            gone.append(_gone(found))
        if state is not None and state.is_in_trouble:
            troubled.append(_troubled(batch, state))
    batch.ledger.record_drops(batch.run_id, there, version, batch.ingest_audit())
    batch.ledger.record_drops(batch.run_id, [*gone, *troubled], None, batch.ingest_audit())
    said += [f"drop {found.drop.date}: {found.accepted} accepted lines recorded" for found in there]
    return said + [f"drop {found.drop.date}: {found.reason}" for found in gone]


def _counted(batch: Batch) -> dict[dt.date, IngestedDrop]:
    received = batch.lake.read(RECEIVED_SALES)
    dates = [row.drop_date for row in received.select("drop_date").distinct().collect()]
    counted = {date: IngestedDrop(Drop(date, ())) for date in dates}
    batch.tell(f"counting {len(dates):,} drops of bronze again")
    count_drops(received, counted)
    return counted


def _differs(state: DropState | None, found: IngestedDrop | None) -> bool:
    told = state.content if state is not None else ()
    return set(map(str, told)) != set(map(str, found.content if found else ()))


def _gone(found: IngestedDrop) -> IngestedDrop:
    """A drop whose accepted lines are lost: its dates keep what readers see until it is landed again."""
    reason = "bronze holds its lines no more: land it again"
    return replace(found, status=DropStatus.FAILED, reason=reason)


def _troubled(batch: Batch, state: DropState) -> IngestedDrop:
    """The last delivery of a drop that was refused or failed, as the ledger is to tell it again."""
    found = IngestedDrop(Drop(state.date, (), known_fingerprint=state.fingerprint))
    if state.status is DropStatus.BLOCKED and batch.lake.exists(REFUSED_SALES):
        count_drops(
            filter_dates(batch.lake.read(REFUSED_SALES), "drop_date", [state.date]), {state.date: found}
        )
    found.judged_by, found.status, found.reason = batch.settings.rules_digest, state.status, state.reason
    return found


def _take_out(batch: Batch, date: dt.date) -> str:
    """Moves a refused delivery out of bronze, and brings back the one that was accepted before."""
    batch.tell(f"taking the refused delivery of {date} out of bronze")
    latest = batch.lake.version(RECEIVED_SALES) or 0
    reason = batch.ledger.drops()[date].reason or "refused by an audit"
    lines = filter_dates(batch.lake.read(RECEIVED_SALES, latest), "drop_date", [date])
    told = {"run_id": batch.run_id, "of": latest, "drops": {date.isoformat(): reason}}
    because = lines.withColumn("refused_because", F.lit(reason))
    batch.lake.replace(REFUSED_SALES, because, [date], {"job": "ingest_sales", **told})
    accepted = batch.ledger.accepted_version_before_refusal(date)
    metadata = {"job": ROLL_BACK, **told}
    if accepted is None:
        batch.lake.replace(RECEIVED_SALES, lines.limit(0), [date], metadata)
        return f"drop {date}: its refused delivery is kept apart, bronze holds none of it"
    try:
        previous = filter_dates(batch.lake.read(RECEIVED_SALES, accepted), "drop_date", [date])
        batch.lake.replace(RECEIVED_SALES, previous, [date], metadata)
    except (Py4JJavaError, PySparkException) as error:
        if not GONE.search(str(error)):
            raise
        batch.lake.replace(RECEIVED_SALES, lines.limit(0), [date], metadata)
        return (
            f"drop {date}: its refused delivery is kept apart; the files of the accepted one before it are "
            "gone, so that its dates wait for a new delivery"
        )
    return f"drop {date}: its refused delivery is kept apart, the accepted one before it is back"
