"""Ingest: landed drops to bronze. One pass over their text and one commit, for one drop or many."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch.context import Batch
from lake.landing import Landing, unreadable_file
from lake.manifest import read_manifest
from lake.tables import Commit, filter_dates
from planning.audit import audit_drop
from planning.reconciliation import EXACT, ZERO
from planning.staleness import DropState
from planning.windows import partition_spans, sized_windows
from schemas.drops import DateContent, Drop, IngestedDrop, LandedFile
from schemas.errors import AuditError, NotReadyError, TryAgainError
from schemas.states import DropStatus, ExitCode, Stage, ValidationStatus
from schemas.tables import RECEIVED_SALES
from transforms.control_totals import count_received
from transforms.publication import with_chunk
from transforms.receipts import count_receipts, count_reject_reasons, filter_accepted
from transforms.received import judge_received

JOB = "ingest_sales"
Headers = dict[Drop, dict[str, tuple[str, ...]]]
ExtraColumns = Mapping[dt.date, tuple[str, ...]]


def ingest(batch: Batch, *, needs_every_day: bool = True) -> list[dt.date]:
    """Ingests every drop asked for that is new or changed.

    Args:
        batch: the run.
        needs_every_day: whether a day asked for that has no folder is one whose drop is still to come; else
            it is told, and passed over.

    Returns:
        Drop dates that were asked for and are not there yet.
    """
    recover_receipts(batch)
    landing = batch.open_landing()
    batch.tell("listing drops")
    drops = landing.drops(batch.asked.first, batch.asked.last)
    batch.outcome.warnings += [f"{name} in the landing is no drop: left out" for name in landing.near_drops()]
    changed = [landing.with_manifest(drop) for drop in _split_changed(batch, drops)]
    fresh, unready = _split_ready(batch, landing, changed, _missing_days(batch, drops, needs_every_day))
    if batch.dry_run:
        _plan_only(batch, landing, read_headers(batch, landing, fresh))
    elif fresh:
        ingest_drops(batch, landing, fresh)
    return unready


def ingest_drops(batch: Batch, landing: Landing, drops: list[Drop]) -> None:
    """Ingests drops in windows, each one pass and one commit: what a crash costs at most."""
    known = batch.ledger.drops()
    due = [drop.date for drop in drops if _has_deadline(batch, drop, known.get(drop.date))]
    per_line = batch.ledger.bytes_per_line()
    expected = round(sum(drop.bytes for drop in drops) / per_line)
    with batch.timetable.stage(Stage.INGEST, len(drops), expected, due) as times:
        for window in sized_windows(
            drops, lambda drop: drop.bytes, batch.settings.ingest.max_bytes_per_window
        ):
            _ingest_window(batch, landing, window)
            batch.timetable.advance(round(sum(drop.bytes for drop in window) / per_line))
        times.lines = sum(found.lines for found in batch.outcome.drops)


def _has_deadline(batch: Batch, drop: Drop, known: DropState | None) -> bool:
    """Whether a drop is a night's own: not history, and not one delivered again."""
    is_held = known is not None and known.held_input is not None
    return not is_held and not batch.settings.late.is_history(drop.date)


def _ingest_window(batch: Batch, landing: Landing, drops: list[Drop]) -> None:
    headers = read_headers(batch, landing, drops)
    version = _write(batch, landing, headers)
    if version is not None:
        batch.tell("counting what was received")
        _record(batch, _counted(batch, version, headers, _extra_columns(landing, headers)), version)
    _note_changed_while_read(batch, landing, headers)


def commit_judged(batch: Batch, lines: DataFrame, drops: list[Drop]) -> None:
    """Writes judged lines of drops whose files are gone, and records them.

    Args:
        batch: the run.
        lines: all lines of the drops, as ``bronze/received_sales`` has them.
        drops: the drops.
    """
    dates = [drop.date for drop in drops]
    version = batch.lake.replace(RECEIVED_SALES, lines, dates, _metadata(batch, drops, {}))
    if version is None:
        raise TryAgainError("bronze/received_sales: the commit of this replay is not there; run again")
    _record(batch, _counted(batch, version, drops, {}), version)


def recover_receipts(batch: Batch) -> None:
    """Writes the ledger rows of commits to bronze whose run ended before it wrote them."""
    if batch.dry_run:
        return
    for commit in batch.lake.commits(RECEIVED_SALES, batch.ledger.last_bronze_version()):
        if commit.metadata.get("job") == JOB:
            _record_recovered(batch, commit)


def _split_changed(batch: Batch, drops: list[Drop]) -> list[Drop]:
    """Drops whose files differ from those that bronze holds."""
    known = batch.ledger.drops()
    changed = [drop for drop in drops if batch.reingest or not _is_held(drop, known.get(drop.date))]
    unchanged = [drop for drop in drops if drop not in changed]
    batch.outcome.unchanged_drops += [drop.date for drop in unchanged]
    if batch.asked.days() and not batch.dry_run:
        # Only of drops asked for by date: a row a night for each drop of years would tell nothing.
        asked = [IngestedDrop(drop, status=DropStatus.UNCHANGED) for drop in unchanged]
        batch.ledger.record_drops(batch.run_id, asked, None)
    return changed


def _missing_days(batch: Batch, drops: list[Drop], needs_every_day: bool) -> list[dt.date]:
    """Days asked for that have no folder and must have one; where they need none, they are told."""
    there = {drop.date for drop in drops}
    missing = [date for date in batch.asked.days() if date not in there]
    if needs_every_day or not missing:
        return missing
    days = "1 day has" if len(missing) == 1 else f"{len(missing):,} days have"
    batch.outcome.warnings.append(
        f"{days} no folder in the landing, from {missing[0]} to {missing[-1]}: passed over"
    )
    return []


def _split_ready(
    batch: Batch, landing: Landing, changed: list[Drop], missing: list[dt.date]
) -> tuple[list[Drop], list[dt.date]]:
    """Changed drops that can be read, and the dates of drops asked for that are not there yet."""
    reasons = dict.fromkeys(missing, "no such folder in the landing")
    ready = []
    for drop in changed:
        reason = landing.why_not_ready(drop)
        if reason is None:
            ready.append(drop)
        else:
            reasons[drop.date] = reason
    for date, reason in sorted(reasons.items()):
        batch.outcome.fail(ExitCode.NOT_READY, f"drop {date} is not ready: {reason}")
    return ready, sorted(reasons)


def _is_held(drop: Drop, state: DropState | None) -> bool:
    return state is not None and state.status is DropStatus.INGESTED and state.fingerprint == drop.fingerprint


def _plan_only(batch: Batch, landing: Landing, headers: Headers) -> None:
    """Says what an ingest of these drops and the publication after it would do; reads their lines once."""
    if not headers:
        return
    chunks = batch.settings.chunks
    batch.outcome.planned += [
        f"ingest drop {drop.date}: {len(drop.files)} files, {drop.bytes:,} bytes" for drop in headers
    ]
    accepted = filter_accepted(judge_received(landing.lines(headers), batch.terms))
    by_date: Counter[dt.date] = Counter()
    by_chunk: Counter[str] = Counter()
    for row in count_received(with_chunk(accepted, chunks.key, chunks.key_ranges)).collect():
        by_date[row.business_date] += row.lines
        by_chunk[row.chunk] += row.lines
    batch.outcome.planned += [
        f"publish {date}: {lines:,} new lines" for date, lines in sorted(by_date.items())
    ]
    spans = partition_spans(by_chunk, chunks.target_rows_per_partition)
    batch.outcome.planned += [
        f"chunk {chunk}: {by_chunk[chunk]:,} lines, {span.count} partitions" for chunk, span in spans.items()
    ]
    batch.outcome.spans |= spans


def read_headers(batch: Batch, landing: Landing, drops: list[Drop]) -> Headers:
    """Column names of each file of drops; a drop whose headers do not do fails, and is left out."""
    batch.tell(f"reading the headers of {len(drops)} drops")
    headers: Headers = {}
    for drop in drops:
        try:
            if drop.problem is not None:
                raise AuditError(drop.problem)
            headers[drop] = landing.headers(drop)
        except AuditError as error:
            _fail(batch, drop, str(error), ExitCode.AUDIT)
            continue
        except NotReadyError as error:  # since it was found ready
            _fail(batch, drop, str(error), ExitCode.NOT_READY)
            continue
        extra = landing.extra_columns(headers[drop])
        if extra:
            names = ", ".join(extra)
            batch.outcome.warnings.append(f"drop {drop.date}: columns left out, not of the contract: {names}")
    return headers


def _fail(batch: Batch, drop: Drop, reason: str, code: ExitCode) -> None:
    failed = IngestedDrop(drop, status=DropStatus.FAILED, reason=reason)
    batch.outcome.drops = [found for found in batch.outcome.drops if found.drop.date != drop.date]
    batch.outcome.drops.append(failed)
    batch.outcome.fail(code, f"drop {drop.date} failed: {reason}")
    if not batch.dry_run:
        batch.ledger.record_drops(batch.run_id, [failed], None)


def _write(batch: Batch, landing: Landing, headers: Headers) -> int | None:
    """Writes the lines of drops in one commit; a drop that cannot be read through is left behind."""
    while headers:
        size = sum(drop.bytes for drop in headers) / 1e6
        batch.tell(f"ingesting {len(headers):,} drops, {size:,.1f} MB{batch.timetable.left()}")
        try:
            lines = judge_received(landing.lines(headers), batch.terms)
            metadata = _metadata(batch, headers, _extra_columns(landing, headers))
            version = batch.lake.replace(RECEIVED_SALES, lines, [drop.date for drop in headers], metadata)
        except (Py4JJavaError, PySparkException) as error:
            broken = _broken_drop(str(error), headers)
            if broken is None:
                raise
            drop, name, cause = broken
            _fail(batch, drop, f"{name} cannot be read: {cause}", ExitCode.AUDIT)
            del headers[drop]
            continue
        if version is None:
            raise TryAgainError("bronze/received_sales: the commit of this ingest is not there; run again")
        return version
    return None


def _extra_columns(landing: Landing, headers: Headers) -> ExtraColumns:
    return {drop.date: landing.extra_columns(files) for drop, files in headers.items()}


def _metadata(batch: Batch, drops: Iterable[Drop], extra_columns: ExtraColumns) -> dict[str, Any]:
    return {
        "job": JOB,
        "run_id": batch.run_id,
        "judged_by": batch.settings.judging_digest,
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


def _broken_drop(message: str, headers: Headers) -> tuple[Drop, str, str] | None:
    found = unreadable_file(message)
    if found is None:
        return None
    causes = [line.strip() for line in message.splitlines() if line.strip().startswith("Caused by:")]
    cause = (
        causes[-1].removeprefix("Caused by:").strip()
        if causes
        else "its end is missing or its bytes are damaged"
    )
    drops = [drop for drop in headers if drop.date == found.drop_date]
    return (drops[0], found.name, cause[:300]) if drops else None


def _counted(
    batch: Batch, version: int, drops: Iterable[Drop], extra_columns: ExtraColumns
) -> list[IngestedDrop]:
    judged_by = batch.settings.judging_digest
    found = {
        drop.date: IngestedDrop(drop, judged_by=judged_by, extra_columns=extra_columns.get(drop.date, ()))
        for drop in drops
    }
    _count(batch, version, found)
    return list(found.values())


def _count(batch: Batch, version: int, found: dict[dt.date, IngestedDrop]) -> None:
    received = filter_dates(batch.lake.read(RECEIVED_SALES, version), "drop_date", found)
    for row in count_receipts(received).collect():
        _add_receipt(found[row.drop_date], row)
    if any(drop.rejected for drop in found.values()):
        for row in count_reject_reasons(received).collect():
            found[row.drop_date].reasons[row.reason] += row.lines


def _add_receipt(drop: IngestedDrop, row: Any) -> None:
    drop.lines += row.lines
    drop.file_lines[row.source_file] += row.lines
    if row.validation_status == ValidationStatus.ACCEPTED:
        drop.accepted += row.lines
        key = (row.business_date, row.sale_date, row.is_adjustment)
        _add_content(drop, DateContent(*key, lines=row.lines))
    else:
        drop.rejected += row.lines
    if row.currency is not None:
        totals = drop.file_gross.setdefault(row.source_file, {})
        totals[row.currency] = EXACT.add(totals.get(row.currency, ZERO), row.gross)


def _add_content(drop: IngestedDrop, more: DateContent) -> None:
    for position, there in enumerate(drop.content):
        same = (there.business_date, there.sale_date, there.is_adjustment)
        if same == (more.business_date, more.sale_date, more.is_adjustment):
            drop.content[position] = DateContent(*same, lines=there.lines + more.lines)
            return
    drop.content.append(more)


def _record(batch: Batch, drops: list[IngestedDrop], version: int) -> None:
    for found in drops:
        found.reason = audit_drop(found, batch.settings.audit.max_rejected_share)
        if found.reason is not None:
            found.status = DropStatus.BLOCKED
            batch.outcome.fail(
                ExitCode.AUDIT,
                f"drop {found.drop.date} is blocked: {found.reason}{_example(batch, version, found)}",
            )
    batch.ledger.record_drops(batch.run_id, drops, version)
    batch.outcome.drops += drops


def _example(batch: Batch, version: int, found: IngestedDrop) -> str:
    """One rejected line in words, so that the user sees at once what is wrong."""
    if not found.rejected:
        return ""
    reason = found.reasons.most_common(1)[0][0]
    received = filter_dates(batch.lake.read(RECEIVED_SALES, version), "drop_date", [found.drop.date])
    line = received.filter(F.array_contains("reject_reasons", reason)).select("source_file", "raw").first()
    return "" if line is None else f"; for example {reason} in {line.source_file}: {line.raw[:300]}"


def _note_changed_while_read(batch: Batch, landing: Landing, headers: Headers) -> None:
    """A drop whose files changed under the ingest is not trusted: its dates wait for the next run."""
    for drop in headers:
        if landing.refreshed(drop).fingerprint == drop.fingerprint:
            continue
        _fail(
            batch,
            drop,
            "its files changed while they were read; run again when they are whole",
            ExitCode.NOT_READY,
        )


def _record_recovered(batch: Batch, commit: Commit) -> None:
    batch.tell("completing the ledger of an ingest that was cut off")
    found = {}
    for text, said in commit.metadata["drops"].items():
        date = dt.date.fromisoformat(text)
        files = tuple(LandedFile(name, "", size, version) for name, size, version in said["files"])
        manifest = None if said["manifest"] is None else read_manifest(said["manifest"])
        drop = Drop(
            date,
            files,
            manifest,
            manifest_version=said["manifest_version"],
            known_fingerprint=said["fingerprint"],
        )
        judged_by = str(commit.metadata["judged_by"])
        found[date] = IngestedDrop(drop, judged_by=judged_by, extra_columns=tuple(said["extra_columns"]))
    _count(batch, commit.version, found)
    for drop_found in found.values():
        drop_found.reason = audit_drop(drop_found, batch.settings.audit.max_rejected_share)
        if drop_found.reason is not None:
            drop_found.status = DropStatus.BLOCKED
    batch.ledger.record_drops(str(commit.metadata["run_id"]), found.values(), commit.version)
