"""Receiving: writes lines to bronze, counts and audits them, and takes refused deliveries out again.

Bronze holds accepted deliveries only. If an audit refuses a delivery, the refused lines go to
``bronze/refused_sales`` and the previous delivery is put back. The metadata of each commit holds all that the
ledger needs, so that the next run can complete an interrupted ingest.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.lake.conditions import failed_rule
from pipeline.lake.frames import local_frame
from pipeline.lake.ledger import IngestAudit
from pipeline.lake.tables import Commit
from pipeline.landing.manifest import read_manifest
from pipeline.planning.audit import Refusal, audit_drop, audit_size
from pipeline.planning.shown_text import EXAMPLE
from pipeline.steps.context import Batch
from pipeline.steps.ingest_counts import count_drops
from pipeline.steps.publish_commit import ROLL_BACK
from schemas.drops import Drop, IngestedDrop, LandedFile, Manifest
from schemas.errors import UsageError
from schemas.own_rules import OwnRule
from schemas.states import DropReason, DropStatus, ExitCode
from schemas.tables import RECEIVED_SALES, REFUSED_SALES
from transforms.receipt_gaps import count_gaps

_LOG = logging.getLogger(__name__)

JOB = "ingest_sales"
ExtraColumns = Mapping[dt.date, tuple[str, ...]]
Reasons = dict[dt.date, str]


@dataclass
class Written:
    """Deliveries that one commit wrote to bronze.

    Attributes:
        version: version of ``bronze/received_sales`` that the commit made.
        before: the version before it.
        run_id: run that wrote it.
        drops: its deliveries, counted, by drop date.
        audit: settings and limits that they were ingested under.
        is_own: whether this run wrote it; if not, this run completes an interrupted one.
        rules: the team's own rules that it was validated by.
        accepted: drop dates whose delivery may be far smaller than usual.
        spoiled: why deliveries cannot be trusted, by drop date: they changed while they were read.
    """

    version: int
    before: int
    run_id: str
    drops: dict[dt.date, IngestedDrop]
    audit: IngestAudit
    is_own: bool = True
    rules: tuple[OwnRule, ...] = ()
    accepted: frozenset[dt.date] = frozenset()
    spoiled: Reasons = field(default_factory=dict)


def receive(
    batch: Batch,
    lines: DataFrame,
    drops: Iterable[Drop],
    extra_columns: ExtraColumns | None = None,
    find_spoiled: Callable[[], Reasons] = dict,
    check: Callable[[], None] | None = None,
    *,
    keeps_refused: bool = False,
) -> None:
    """Writes the lines of deliveries in one commit, audits them, and takes refused deliveries out again.

    Args:
        batch: the run.
        lines: all lines of the drops, with the columns of ``bronze/received_sales``.
        drops: the drops.
        extra_columns: names of received columns that the contract does not have, by drop date.
        find_spoiled: called after the write; returns the deliveries that changed while they were read, with
            the reason.
        check: called between the write and the commit; an exception from it stops the commit.
        keeps_refused: whether ``bronze/refused_sales`` keeps the drops' refused lines.

    Raises:
        TryAgainError: another run committed to bronze first.
        UsageError: a warning of the team's own cannot be computed for a line. Bronze holds what it held.
    """
    drops, extra = list(drops), extra_columns or {}
    batch.lake.ensure(RECEIVED_SALES)
    before = batch.lake.version(RECEIVED_SALES) or 0
    audit = batch.ingest_audit()
    metadata = _metadata(batch, drops, extra, audit, before)
    version = batch.lake.replace(RECEIVED_SALES, lines, [drop.date for drop in drops], metadata, check)
    _LOG.info("counting what was received")
    ingested = {
        drop.date: IngestedDrop(
            drop, judged_by=batch.settings.rules_digest, extra_columns=extra.get(drop.date, ())
        )
        for drop in drops
    }
    written = Written(
        version,
        before,
        batch.run_id,
        ingested,
        audit,
        rules=batch.settings.own_rules,
        accepted=batch.accepted,
    )
    with batch.timetable.audit():
        try:
            _count(batch, version, ingested, written.rules)
        except UsageError as error:
            _undo(batch, written, str(error))
            raise
        batch.outcome.warnings += [text for drop in ingested.values() for text in _null_words(drop)]
        batch.outcome.warnings += _receipt_gaps(batch, version, ingested)
        written.spoiled = {**_without_expected_stores(batch, ingested), **find_spoiled()}
        _settle(batch, written, keeps_refused=keeps_refused)


def recover_ingests(batch: Batch) -> None:
    """Audits and records every ingest commit to bronze that the ledger lacks."""
    for commit in batch.unrecorded_commits(RECEIVED_SALES, JOB):
        _recover(batch, commit, batch.lake.commits(RECEIVED_SALES, commit.version))


def _metadata(
    batch: Batch, drops: Iterable[Drop], extra_columns: ExtraColumns, audit: IngestAudit, before: int
) -> dict[str, Any]:
    return {
        "job": JOB,
        "run_id": batch.run_id,
        "before": before,
        "judged_by": batch.settings.rules_digest,
        "settings_sequence": audit.settings_sequence,
        "max_rejected_share": audit.max_rejected_share,
        "min_share_of_previous": audit.min_share_of_previous,
        **_rules_metadata(batch.settings.own_rules),
        "accepted": sorted(date.isoformat() for date in batch.accepted),
        "drops": {
            drop.date.isoformat(): {
                "fingerprint": drop.fingerprint,
                "files": [[file.name, file.size, file.version] for file in drop.files],
                "manifest": None if drop.manifest is None else drop.manifest.as_json(),
                "manifest_version": drop.manifest_version,
                "extra_columns": list(extra_columns.get(drop.date, ())),
            }
            for drop in drops
        },
    }


def _rules_metadata(rules: Sequence[OwnRule]) -> dict[str, Any]:
    """The team's own rules, for a run that completes this ingest under another config."""
    return {"rules": {rule.name: rule.as_json() for rule in rules}} if rules else {}


def _recorded_rules(metadata: Mapping[str, Any]) -> tuple[OwnRule, ...]:
    return tuple(OwnRule.from_json(name, values) for name, values in metadata.get("rules", {}).items())


def _settle(batch: Batch, written: Written, *, keeps_refused: bool = False) -> None:
    """Audits the deliveries of a commit, rolls back the refused and spoiled ones, and records all."""
    _audit(batch, written)
    known = batch.ledger.drops()
    refused = {
        date: str(drop.reason) for date, drop in written.drops.items() if drop.status is DropStatus.BLOCKED
    }
    if refused:
        _keep_refused(batch, written, refused)
    if refused or written.spoiled:
        _roll_back(batch, written, {**refused, **written.spoiled})
    _record(batch, written)
    if keeps_refused:
        return
    _clear_refused(
        batch,
        [
            date
            for date, drop in written.drops.items()
            if drop.status is DropStatus.INGESTED
            and date in known
            and known[date].status is DropStatus.BLOCKED
        ],
    )


def _audit(batch: Batch, written: Written) -> None:
    for date, drop in written.drops.items():
        if date in written.spoiled:
            drop.status, drop.reason = DropStatus.FAILED, written.spoiled[date]
            # A run that completes an earlier ingest and then reads the drop itself tells what came of that.
            if written.is_own or not batch.ingests(date):
                batch.outcome.fail(ExitCode.NOT_READY, f"drop {date} failed: {drop.reason}")
            continue
        refusal = audit_drop(drop, written.audit.max_rejected_share) or _too_small(batch, written, drop)
        if refusal is not None:
            drop.status, drop.reason, drop.reason_code = DropStatus.BLOCKED, refusal.text, refusal.code
            example = _example(batch, written.version, drop)
            batch.outcome.fail(ExitCode.AUDIT, f"drop {date} is blocked: {drop.reason}{example}")


def _too_small(batch: Batch, written: Written, drop: IngestedDrop) -> Refusal | None:
    """Why a delivery may not be whole. What bronze kept of a drop was audited before."""
    date = drop.drop.date
    if date in written.accepted or (not drop.drop.files and drop.drop.known_fingerprint is not None):
        return None
    lines = {
        other: sum(part.lines for part in state.content)
        for other, state in sorted(batch.ledger.drops().items())
        if state.accepted is not None
    }
    earlier = [count for other, count in lines.items() if other < date and other.weekday() == date.weekday()]
    return audit_size(drop, lines.get(date, 0), earlier, written.audit.min_share_of_previous)


def _keep_refused(batch: Batch, written: Written, refused: Reasons) -> None:
    """Copies refused lines to ``bronze/refused_sales``, which no publish reads."""
    _LOG.info(f"moving the lines of {len(refused)} refused deliveries to {REFUSED_SALES.name}")
    lines = batch.lake.read_dates(RECEIVED_SALES, refused, written.version)
    because = F.lit(None).cast("string")
    for date, reason in refused.items():
        because = F.when(F.col("drop_date") == F.lit(date), F.lit(reason)).otherwise(because)
    metadata = {"job": JOB, "run_id": batch.run_id, "of": written.version, "drops": _by_iso_date(refused)}
    batch.lake.replace(REFUSED_SALES, lines.withColumn("refused_because", because), refused, metadata)


def _roll_back(batch: Batch, written: Written, reasons: Reasons) -> None:
    """Puts back the deliveries that bronze held before."""
    _LOG.info(f"putting back the previous delivery of {len(reasons)} drops")
    previous = batch.lake.read_dates(RECEIVED_SALES, reasons, written.before)
    metadata = {
        "job": ROLL_BACK,
        "run_id": batch.run_id,
        "of": written.version,
        "drops": _by_iso_date(reasons),
        "codes": {
            date.isoformat(): drop.reason_code for date, drop in written.drops.items() if drop.reason_code
        },
        "spoiled": sorted(date.isoformat() for date in written.spoiled),
    }
    batch.lake.replace(RECEIVED_SALES, previous, reasons, metadata)


def _undo(batch: Batch, written: Written, reason: str, *, is_rolled_back: bool = False) -> None:
    """Takes back deliveries that cannot be counted: no audit can be made of them."""
    written.spoiled = dict.fromkeys(written.drops, reason)
    for drop in written.drops.values():
        drop.status, drop.reason = DropStatus.FAILED, reason
    if not is_rolled_back:
        _roll_back(batch, written, written.spoiled)
    _record(batch, written)


def _clear_refused(batch: Batch, dates: list[dt.date]) -> None:
    """Deletes the refused lines of drops whose new delivery was accepted."""
    if not dates or not batch.lake.exists(REFUSED_SALES):
        return
    nothing = local_frame(batch.spark, REFUSED_SALES.schema)
    metadata = {"job": JOB, "run_id": batch.run_id, "accepted": [date.isoformat() for date in dates]}
    batch.lake.replace(REFUSED_SALES, nothing, dates, metadata)


def _record(batch: Batch, written: Written) -> None:
    # Before the drops: a run that finds a commit without its row of drops records both.
    batch.ledger.record_stores(written.run_id, written.drops.values(), written.version, is_new=written.is_own)
    counts = _rule_counts(written)
    batch.ledger.record_rules(written.run_id, counts, written.version, is_new=written.is_own)
    batch.ledger.record_drops(written.run_id, written.drops.values(), written.version, written.audit)
    if written.is_own:
        batch.outcome.drops += written.drops.values()


def _rule_counts(written: Written) -> list[dict[str, Any]]:
    """What the team's own rules did to each delivery, refused ones too."""
    return [
        {
            "drop_date": date,
            "rule": rule.name,
            "effect": "warn" if rule.warns else "reject",
            "lines": (drop.warned if rule.warns else drop.reasons)[rule.name],
        }
        for date, drop in sorted(written.drops.items())
        for rule in written.rules
        if drop.status is not DropStatus.FAILED
    ]


def _by_iso_date(reasons: Reasons) -> dict[str, str]:
    return {date.isoformat(): reason for date, reason in sorted(reasons.items())}


def _null_words(drop: IngestedDrop) -> list[str]:
    return [
        f"drop {drop.drop.date}: {count:,} lines of {file} have a customer_id such as NULL, \\N or None, "
        "taken as text and billed: name the word in nulls if it stands for nothing"
        for file, count in sorted(drop.null_words.items())
    ]


def _count(batch: Batch, version: int, drops: dict[dt.date, IngestedDrop], rules: Sequence[OwnRule]) -> None:
    received = batch.lake.read_dates(RECEIVED_SALES, drops, version)
    try:
        count_drops(received, drops, by_store=True, warnings=[rule for rule in rules if rule.warns])
    except (Py4JJavaError, PySparkException) as error:
        raise failed_rule(str(error), rules) or error from None


def _without_expected_stores(batch: Batch, drops: Mapping[dt.date, IngestedDrop]) -> Reasons:
    """Deliveries that lack an expected store and therefore are not ready; or warns of them.

    What bronze kept of a drop was checked before, and a closed drop is meant to be empty.
    """
    reasons: Reasons = {}
    for date, drop in drops.items():
        if not drop.drop.files:
            continue
        missing = [
            store.store_id
            for store in batch.settings.expected_stores
            if store.is_expected(date) and store.store_id not in drop.stores
        ]
        if missing:
            shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5:,} more" if len(missing) > 5 else "")
            reasons[date] = f"no accepted line of expected stores: {shown}"
    if batch.settings.stores.missing == "block":
        return {date: f"{reason} (stores.missing: block)" for date, reason in reasons.items()}
    batch.outcome.warnings += [f"drop {date}: {reason}" for date, reason in reasons.items()]
    return {}


def _receipt_gaps(batch: Batch, version: int, drops: Mapping[dt.date, IngestedDrop]) -> list[str]:
    """Tells the stores whose receipt numbers jump, if the config says that they do not."""
    if not batch.settings.stores.gapless:
        return []
    gaps: dict[dt.date, list[Any]] = defaultdict(list)
    received = batch.lake.read_dates(RECEIVED_SALES, drops, version)
    for row in count_gaps(received).orderBy("drop_date", "store_id").collect():
        gaps[row.drop_date].append(row)
    return [
        f"drop {date}: receipt numbers of stores jump: "
        + ", ".join(f"{row.store_id} lacks {row.missing:,}, the first after {row.after}" for row in rows[:5])
        + (", ..." if len(rows) > 5 else "")
        for date, rows in sorted(gaps.items())
    ]


def _example(batch: Batch, version: int, drop: IngestedDrop) -> str:
    """A rejected line for the error message, so that the user sees at once what is wrong."""
    if not drop.rejected:
        return ""
    reason = drop.reasons.most_common(1)[0][0]
    received = batch.lake.read_dates(RECEIVED_SALES, [drop.drop.date], version)
    line = received.filter(F.array_contains("reject_reasons", reason)).select("source_file", "raw").first()
    return "" if line is None else f"{EXAMPLE}{reason} in {line.source_file}: {line.raw[:300]}"


def _recover(batch: Batch, commit: Commit, later: list[Commit]) -> None:
    _LOG.info("completing an ingest that was cut off")
    metadata = commit.metadata
    replaced = {date for other in later for date in _kept_dates(other, later)}
    drops = {date: drop for date, drop in _recorded_drops(metadata).items() if date not in replaced}
    if not drops:
        return
    audit = IngestAudit(
        int(metadata.get("settings_sequence", 0)),
        float(metadata.get("max_rejected_share", batch.settings.audit.max_rejected_share)),
        float(metadata.get("min_share_of_previous", 0.0)),
    )
    before = int(metadata.get("before", commit.version - 1))
    written = Written(
        commit.version,
        before,
        str(metadata["run_id"]),
        drops,
        audit,
        is_own=False,
        rules=_recorded_rules(metadata),
        accepted=frozenset(map(dt.date.fromisoformat, metadata.get("accepted", ()))),
    )
    rolled_back = [other for other in later if other.metadata.get("of") == commit.version]
    try:
        _count(batch, commit.version, drops, written.rules)
    except UsageError as error:
        # The rules of that run, not of this one: it goes on, and reads the delivery again.
        _undo(batch, written, str(error), is_rolled_back=bool(rolled_back))
        batch.outcome.warnings.append(f"an ingest that was cut off is undone: {error}")
        return
    if not rolled_back:
        written.spoiled = {**_without_expected_stores(batch, drops), **_spoiled_since(batch, drops)}
        _settle(batch, written)
        return
    _read_refusals(drops, rolled_back[0].metadata)
    _record(batch, written)


def _read_refusals(drops: Mapping[dt.date, IngestedDrop], metadata: Mapping[str, Any]) -> None:
    """Gives deliveries the outcome that the commit which rolled them back holds."""
    spoiled, codes = metadata.get("spoiled", ()), metadata.get("codes", {})
    for text, reason in metadata["drops"].items():
        drop = drops.get(dt.date.fromisoformat(text))
        if drop is not None:
            drop.status = DropStatus.FAILED if text in spoiled else DropStatus.BLOCKED
            drop.reason = reason
            drop.reason_code = DropReason(codes[text]) if text in codes else None


def _kept_dates(commit: Commit, later: Iterable[Commit]) -> set[dt.date]:
    """Drop dates that an ingest wrote to bronze and that were not rolled back."""
    if commit.metadata.get("job") != JOB:
        return set()
    rolled_back = {
        iso_date
        for other in later
        if other.metadata.get("of") == commit.version
        for iso_date in other.metadata.get("drops", ())
    }
    return {
        dt.date.fromisoformat(iso_date)
        for iso_date in commit.metadata.get("drops", ())
        if iso_date not in rolled_back
    }


def _spoiled_since(batch: Batch, drops: Mapping[dt.date, IngestedDrop]) -> Reasons:
    """Deliveries whose files changed since, so that the interrupted ingest may have read a mixture; why."""
    try:
        landing = batch.open_landing()
    except UsageError:
        return {}
    landed = {drop.date: drop.fingerprint for drop in landing.drops(min(drops), max(drops)) if drop.files}
    return {
        date: "its files changed while they were read, or since; run again"
        for date, drop in drops.items()
        if date in landed and drop.drop.files and landed[date] != drop.drop.fingerprint
    }


def recorded_manifest(commit: Commit, date: dt.date) -> Manifest | None:
    """The manifest of a delivery, from the commit that wrote it to bronze; None if it had none."""
    recorded = commit.metadata.get("drops", {}).get(date.isoformat(), {}).get("manifest")
    return None if recorded is None else read_manifest(recorded)


def recorded_manifest_version(commit: Commit, date: dt.date) -> str | None:
    """The version of a delivery's manifest, from the commit that wrote it; None if it does not say."""
    recorded: Mapping[str, Any] = commit.metadata.get("drops", {}).get(date.isoformat(), {})
    return recorded.get("manifest_version")


def _recorded_drops(metadata: Mapping[str, Any]) -> dict[dt.date, IngestedDrop]:
    """The deliveries in a commit's metadata, not counted yet."""
    drops = {}
    for text, recorded in metadata["drops"].items():
        date = dt.date.fromisoformat(text)
        drop = Drop(
            date,
            tuple(LandedFile(name, "", size, version) for name, size, version in recorded["files"]),
            None if recorded["manifest"] is None else read_manifest(recorded["manifest"]),
            manifest_version=recorded["manifest_version"],
            known_fingerprint=recorded["fingerprint"],
        )
        extra = tuple(recorded["extra_columns"])
        drops[date] = IngestedDrop(drop, judged_by=str(metadata["judged_by"]), extra_columns=extra)
    return drops
