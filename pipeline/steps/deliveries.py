"""Counts the deliveries in bronze again: for a lake of an older version, or a damaged one."""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from pipeline.planning.staleness import DropState
from pipeline.steps.context import Batch
from pipeline.steps.ingest_counts import count_bronze
from pipeline.steps.kept import last_trouble
from pipeline.steps.publish_commit import RECOUNT, ROLL_BACK
from pipeline.steps.receiving import JOB as INGEST
from schemas.drops import Drop, IngestedDrop
from schemas.states import DropReason, DropStatus
from schemas.tables import RECEIVED_SALES, REFUSED_SALES

_LOG = logging.getLogger(__name__)

# The reason in the ledger for a drop whose accepted lines bronze lost.
LOST = "bronze holds its lines no more: land it again"
# Errors of Delta and Spark for a version, or a file of it, that no longer exists.
GONE = re.compile(r"NOT_EXIST|NOT_FOUND|TIME_TRAVEL|FileNotFound|VersionNotFound")


def recount_deliveries(batch: Batch, *, everything: bool) -> list[str]:
    """Takes refused deliveries out of bronze, then records the lines that bronze holds of each drop.

    Args:
        batch: the run.
        everything: whether to record every drop; if not, only drops whose ledger row is wrong.

    Returns:
        The actions taken, one line each.
    """
    if not batch.lake.exists(RECEIVED_SALES):
        return []
    known = batch.ledger.drops()
    actions = [_take_out(batch, date) for date in sorted(known) if batch.ledger.holds_refused(date)]
    counted = count_bronze(batch.lake, batch.lake.all_dates(RECEIVED_SALES))
    wrong = {
        date for date in {*known, *counted} if everything or _differs(known.get(date), counted.get(date))
    }
    if not wrong:
        return actions
    version = batch.lake.note(RECEIVED_SALES, {"job": RECOUNT, "run_id": batch.run_id})
    present, gone, troubled = [], [], []
    for date in sorted(wrong):
        state = known.get(date)
        drop = counted.get(date) or IngestedDrop(Drop(date, ()))
        drop.judged_by = batch.settings.rules_digest
        fingerprint = state.accepted.fingerprint if state and state.accepted else ""
        drop.drop = Drop(date, (), known_fingerprint=fingerprint)
        if state is None or state.accepted is not None or drop.lines:
            present.append(drop)
        if state is not None and state.content and not drop.lines:
            gone.append(lost(drop))
        if state is not None and state.is_in_trouble:
            troubled.append(last_trouble(batch, state))
    for (run_id, sequence), group in _by_ingest(batch, present, known).items():
        audit = replace(batch.ingest_audit(), settings_sequence=sequence)
        batch.ledger.record_drops(run_id, group, version, audit)
    batch.ledger.record_drops(batch.run_id, [*gone, *troubled], None, batch.ingest_audit())
    actions += [f"drop {drop.drop.date}: {drop.accepted} accepted lines recorded" for drop in present]
    return actions + [f"drop {drop.drop.date}: {drop.reason}" for drop in gone]


def _by_ingest(
    batch: Batch, drops: Iterable[IngestedDrop], known: Mapping[dt.date, DropState]
) -> dict[tuple[str, int], list[IngestedDrop]]:
    """Drops by the run that ingested them and the number of its pinned-settings record."""
    groups: dict[tuple[str, int], list[IngestedDrop]] = defaultdict(list)
    for drop in drops:
        state = known.get(drop.drop.date)
        accepted = state.accepted if state else None
        sequence = accepted.settings_sequence if accepted else 0
        run_id = accepted.run_id if accepted else batch.run_id
        groups[(run_id, sequence or batch.pinned.current.sequence)].append(drop)
    return groups


def _differs(state: DropState | None, counted: IngestedDrop | None) -> bool:
    recorded = state.content if state is not None else ()
    return set(map(str, recorded)) != set(map(str, counted.content if counted else ()))


def lost(drop: IngestedDrop) -> IngestedDrop:
    """The drop as failed: bronze lost its lines. Its dates keep their revision until it is landed again."""
    return replace(drop, status=DropStatus.FAILED, reason=LOST, reason_code=DropReason.LOST_LINES)


def _take_out(batch: Batch, date: dt.date) -> str:
    """Moves a refused delivery out of bronze and puts the previous accepted one back.

    Returns:
        The action taken, in one line.
    """
    refused_version = batch.ledger.refused_version(date)
    for commit in batch.lake.commits(RECEIVED_SALES, refused_version):
        if commit.metadata.get("job") == ROLL_BACK and date.isoformat() in commit.metadata["drops"]:
            return f"drop {date}: its refused delivery was kept apart before"
    _LOG.info(f"taking the refused delivery of {date} out of bronze")
    latest = batch.lake.version(RECEIVED_SALES) or 0
    reason = batch.ledger.drops()[date].reason or "refused by an audit"
    lines = batch.lake.read_dates(RECEIVED_SALES, [date], latest)
    details = {"run_id": batch.run_id, "of": latest, "drops": {date.isoformat(): reason}}
    refused_lines = lines.withColumn("refused_because", F.lit(reason))
    batch.lake.replace(REFUSED_SALES, refused_lines, [date], {"job": INGEST, **details})
    accepted = batch.ledger.accepted_version_before_refusal(date)
    metadata = {"job": ROLL_BACK, **details}
    if accepted is None:
        batch.lake.replace(RECEIVED_SALES, lines.limit(0), [date], metadata)
        return f"drop {date}: its refused delivery is kept apart, bronze holds none of it"
    try:
        previous = batch.lake.read_dates(RECEIVED_SALES, [date], accepted)
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
