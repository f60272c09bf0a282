"""Ingest: chooses the landed drops to read and ingests them in windows, each in one pass and one commit."""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from pipeline.lake.conditions import failed_rule
from pipeline.lake.evaluation import evaluation_for
from pipeline.lake.tasks import RowWatch
from pipeline.landing.landing import Landing, unreadable_file
from pipeline.landing.unpack import printable
from pipeline.planning.staleness import DropState
from pipeline.planning.windows import partition_spans, sized_windows
from pipeline.profiles import COMPRESSIONS
from pipeline.steps.context import Batch
from pipeline.steps.kept import revalidate_accepted
from pipeline.steps.receiving import ExtraColumns, receive, recorded_manifest_version
from schemas.drops import Drop, IngestedDrop
from schemas.errors import AuditError, NotReadyError, UsageError
from schemas.states import DropReason, DropStatus, ExitCode, Stage
from schemas.tables import RECEIVED_SALES
from transforms.control_totals import count_received
from transforms.ingest_counts import filter_accepted
from transforms.publication import with_chunk
from transforms.received import validate_received

_LOG = logging.getLogger(__name__)

# Parquet and packed text may hold a line in a few bytes, whatever a line of the latest drops took.
_PACKED = (".parquet", *COMPRESSIONS)
_FEWEST_BYTES_PER_LINE = 2.0

Headers = dict[Drop, dict[str, tuple[str, ...]]]


def ingest(batch: Batch, *, needs_every_day: bool = True) -> list[dt.date]:
    """Ingests every requested drop that is new or changed.

    Args:
        batch: the run; its requested dates are drop dates.
        needs_every_day: whether a requested day without a folder is not ready; if not, it is skipped with a
            warning.

    Returns:
        Requested drop dates that are not ready.
    """
    landing = batch.open_landing()
    _LOG.info("listing drops")
    requested = landing.drops(batch.requested.first, batch.requested.last)
    batch.outcome.warnings += [f"{name} in the landing is no drop: left out" for name in landing.strays()]
    pending = _validated_before(batch)
    drops = _without_cleared(batch, _with_pending(batch, landing, requested, pending))
    changed = [landing.with_manifest(drop) for drop in _split_changed(batch, drops, pending)]
    _check_landing(batch, landing, changed)
    fresh, not_ready = _split_ready(
        batch, landing, changed, _missing_days(batch, landing, requested, needs_every_day)
    )
    if batch.dry_run:
        _plan_only(batch, landing, read_headers(batch, landing, fresh))
        gone = sorted(set(pending) - {drop.date for drop in fresh})
        batch.outcome.planned += [f"validate drop {date} again, from what bronze kept" for date in gone]
        return not_ready
    if fresh:
        ingest_drops(batch, landing, fresh)
    # Drops that left the landing, or were refused this time: validate their accepted lines from bronze.
    pending = _validated_before(batch)
    if pending:
        revalidate_accepted(batch, pending)
    return not_ready


def _without_cleared(batch: Batch, drops: list[Drop]) -> list[Drop]:
    """The drops but those whose files were all deleted after they were ingested: they count as deleted drops.

    A retention job deletes files and may leave their folders and manifests. A drop that is meant to be empty
    is closed by a new manifest.
    """
    known = batch.ledger.drops()
    cleared = [drop for drop in drops if drop.date in known and _is_cleared(batch, drop, known[drop.date])]
    if cleared:
        shown = ", ".join(str(drop.date) for drop in cleared[:3])
        more = f" and {len(cleared) - 3:,} more" if len(cleared) > 3 else ""
        batch.outcome.warnings.append(
            f"no file is left of {len(cleared):,} ingested drops ({shown}{more}): as if they were deleted, "
            "nothing changes"
        )
    return [drop for drop in drops if drop not in cleared]


def _is_cleared(batch: Batch, drop: Drop, state: DropState) -> bool:
    if drop.files or drop.unrecognized_files or state.accepted is None or state.is_in_trouble:
        return False
    if _is_ingested(drop, state):  # it is closed, and was
        return False
    if drop.manifest_path is None:
        return True
    # A commit that the log no longer holds does not say: the drop is not ready then.
    commit = batch.lake.commit(RECEIVED_SALES, state.accepted.bronze_version)
    return drop.manifest_version == recorded_manifest_version(commit, drop.date)


def check_all_validated(batch: Batch) -> None:
    """Proves that every accepted delivery was validated under the settings of the lake.

    Raises:
        NotReadyError: one was not, because a run with --reingest was cut off.
    """
    pending = _validated_before(batch)
    if pending:
        raise NotReadyError(
            f"{len(pending)} drops ({min(pending)} to {max(pending)}) still have to be validated under the "
            "settings of the lake, since a run with --reingest was cut off: run run_batch"
        )


def _validated_before(batch: Batch) -> list[dt.date]:
    """Drops whose accepted delivery was validated before the settings changed for all drops."""
    since = batch.pinned.validated_since
    return [
        date
        for date, drop in batch.ledger.drops().items()
        if drop.accepted is not None and drop.accepted.settings_sequence < since
    ]


def _with_pending(
    batch: Batch, landing: Landing, requested: list[Drop], pending: list[dt.date]
) -> list[Drop]:
    """The requested drops, plus landed drops that must be validated again because the settings changed."""
    missing = set(pending) - {drop.date for drop in requested}
    if not missing:
        return requested
    extra = [
        drop for drop in landing.drops(min(missing), max(missing)) if drop.date in missing and drop.files
    ]
    if extra:
        _LOG.info(f"the settings changed for all drops: reading {len(extra):,} drops that were not requested")
    return sorted([*requested, *extra], key=lambda drop: drop.date)


def _check_landing(batch: Batch, landing: Landing, changed: list[Drop]) -> None:
    """Refuses to replace a drop from another landing, unless --from-now-on is given."""
    known = batch.ledger.drops()
    for drop in changed:
        accepted = known[drop.date].accepted if drop.date in known else None
        before = batch.ledger.landing_of(accepted.run_id) if accepted else None
        if before in (None, landing.root) or batch.from_now_on:
            continue
        raise UsageError(
            f"drop {drop.date} was ingested from the landing {before}; this run reads {landing.root} and "
            "would replace it: give --from-now-on if the landing has moved"
        )


def ingest_drops(batch: Batch, landing: Landing, drops: list[Drop]) -> None:
    """Ingests drops in windows of one pass and one commit each, so that a crash costs one window at most."""
    known = batch.ledger.drops()
    due = [drop.date for drop in drops if _has_deadline(batch, drop, known.get(drop.date))]
    per_line = batch.ledger.bytes_per_line()
    expected = round(sum(drop.bytes for drop in drops) / per_line)
    stage = batch.timetable.stage(Stage.INGEST, len(drops), expected, due)
    with stage as times, evaluation_for(batch.spark, most_lines(drops, known, per_line)):
        for window in sized_windows(
            drops, lambda drop: drop.bytes, batch.settings.ingest.max_bytes_per_window
        ):
            _ingest_window(batch, landing, window)
            batch.timetable.advance(round(sum(drop.bytes for drop in window) / per_line))
        times.lines = sum(ingested.lines for ingested in batch.outcome.drops)


def most_lines(drops: list[Drop], known: Mapping[dt.date, DropState], per_line: float) -> int:
    """Lines that an ingest may have to work on: those landed, and those put back if an audit refuses them."""
    landed = sum(
        file.size / (_FEWEST_BYTES_PER_LINE if file.name.lower().endswith(_PACKED) else per_line)
        for drop in drops
        for file in drop.files
    )
    return round(landed) + sum(known[drop.date].lines for drop in drops if drop.date in known)


def _has_deadline(batch: Batch, drop: Drop, known: DropState | None) -> bool:
    """Whether a drop is delivered for the first time and is no history."""
    is_ingested = known is not None and known.accepted is not None
    return not is_ingested and not batch.settings.late.is_history(drop.date)


def _ingest_window(batch: Batch, landing: Landing, drops: list[Drop]) -> None:
    """Ingests drops in one commit. A drop with an unreadable file fails; the others are tried again."""
    batch.timetable.begin_window(drop.date for drop in drops)
    headers = read_headers(batch, landing, drops)
    blank: dict[tuple[dt.date, str], int] = {}
    while headers:
        size = sum(drop.bytes for drop in headers) / 1e6
        _LOG.info(f"ingesting {len(headers):,} drops, {size:,.1f} MB{batch.timetable.left()}")
        try:
            with RowWatch(batch.spark) as rows:
                receive(
                    batch,
                    validate_received(landing.lines(headers), batch.terms),
                    headers,
                    _extra_columns(landing, headers),
                    partial(_spoiled, landing, tuple(headers)),
                    partial(_check_left_out, landing, headers, rows, blank),
                )
            batch.outcome.warnings += landing.notes_of_lines()
            for ingested in batch.outcome.drops:
                counts = (lines for (date, _), lines in blank.items() if date == ingested.drop.date)
                ingested.blank_lines += sum(counts)
            return
        except _RepeatedHeaderError as error:
            batch.outcome.warnings += error.texts
        except (Py4JJavaError, PySparkException) as error:
            failed = failed_rule(str(error), batch.settings.own_rules)
            if failed is not None:
                raise failed from None
            broken = _broken_drop(str(error), headers)
            if broken is None:
                raise
            drop, name, cause = broken
            _fail(batch, drop, f"{name} cannot be read: {cause}", ExitCode.AUDIT)
            del headers[drop]


class _RepeatedHeaderError(Exception):
    """Files repeat their headers in their midst; the landing reads such lines from now on."""

    def __init__(self, texts: list[str]) -> None:
        super().__init__("; ".join(texts))
        self.texts = texts


def _check_left_out(
    landing: Landing, headers: Headers, rows: RowWatch, blank: dict[tuple[dt.date, str], int]
) -> None:
    """Proves, before the commit, that the read left out the header of each file and no more but blank lines.

    Spark's counts of rows read and written prove it at no cost. If they differ by more than the headers, a
    scan of the text counts, by file, what was left out. It fills ``blank``: lines by drop date and file.

    Raises:
        _RepeatedHeaderError: lines were left out that repeat a header.
    """
    expected = landing.headers_left_out(headers)
    if expected is not None and rows.left_out() == expected:
        return
    found = landing.count_left_out(headers)
    blank |= {(file.drop_date, file.name): file.blank for file in found}
    repeated = [file for file in found if file.headers > 1]
    if repeated:
        raise _RepeatedHeaderError(
            [
                f"drop {file.drop_date}: {file.headers - 1:,} lines of {file.name} repeat its header"
                for file in repeated
            ]
        )


def _spoiled(landing: Landing, drops: Iterable[Drop]) -> dict[dt.date, str]:
    """Drops whose files changed while they were read, so that the lines read may be wrong; with reasons."""
    return {
        drop.date: "its files changed while they were read; run again when they are complete"
        for drop in drops
        if _has_changed(landing, drop)
    }


def _has_changed(landing: Landing, drop: Drop) -> bool:
    try:
        return landing.refreshed(drop).fingerprint != drop.fingerprint
    except (Py4JJavaError, OSError):  # its folder is gone
        return True


def _split_changed(batch: Batch, drops: list[Drop], pending: list[dt.date]) -> list[Drop]:
    """Drops that must be read: they are new, their files changed, or they must be validated again.

    It reports drops that are unchanged or would be refused again.
    """
    known = batch.ledger.drops()
    changed, unchanged = [], []
    for drop in drops:
        state = known.get(drop.date)
        if state is None or drop.date in pending or (batch.reingest and drop.date in batch.requested):
            changed.append(drop)
        elif _is_ingested(drop, state):
            unchanged.append(drop)
        elif _is_still_refused(batch, drop, state):
            batch.outcome.fail(ExitCode.AUDIT, f"drop {drop.date} is still blocked: {state.reason}")
        else:
            changed.append(drop)
    batch.outcome.unchanged_drops += [drop.date for drop in unchanged]
    if batch.requested.days() and not batch.dry_run:
        # Only for drops requested by date: else each night would add a row for every drop of years.
        recorded = [IngestedDrop(drop, status=DropStatus.UNCHANGED) for drop in unchanged]
        batch.ledger.record_drops(batch.run_id, recorded, None, batch.ingest_audit())
    return changed


def _missing_days(batch: Batch, landing: Landing, drops: list[Drop], needs_every_day: bool) -> list[dt.date]:
    """Requested days that must have a folder and have none.

    If they need none, it warns of them, and returns only those that a misspelled folder seems to mean.
    """
    landed = {drop.date for drop in drops}
    missing = [date for date in batch.requested.days() if date not in landed]
    if needs_every_day or not missing:
        return missing
    meant = set(landing.near_drops().values())
    misspelled = [date for date in missing if date in meant]
    missing = [date for date in missing if date not in meant]
    if not missing:
        return misspelled
    days = "1 day has" if len(missing) == 1 else f"{len(missing):,} days have"
    batch.outcome.warnings.append(
        f"{days} no folder in the landing, from {missing[0]} to {missing[-1]}: skipped"
    )
    return misspelled


def _split_ready(
    batch: Batch, landing: Landing, changed: list[Drop], missing: list[dt.date]
) -> tuple[list[Drop], list[dt.date]]:
    """Changed drops that can be read, and the dates of drops that are not ready."""
    reasons = dict.fromkeys(missing, "no such folder in the landing")
    for name, date in landing.near_drops().items() if missing else ():
        if date in reasons:
            reasons[date] += f"; is {name!r} meant? Rename it"
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


def _is_ingested(drop: Drop, state: DropState) -> bool:
    return state.status is DropStatus.INGESTED and state.fingerprint == drop.fingerprint


def _is_still_refused(batch: Batch, drop: Drop, state: DropState) -> bool:
    """Whether the audit would refuse the delivery again: files, settings and allowed share are the same."""
    return (
        state.status is DropStatus.BLOCKED
        and state.fingerprint == drop.fingerprint
        and state.settings_sequence == batch.pinned.current.sequence
        and state.max_rejected_share == batch.settings.audit.max_rejected_share
        and not (state.reason_code is DropReason.SMALL_DELIVERY and _has_new_limit(batch, drop, state))
    )


def _has_new_limit(batch: Batch, drop: Drop, state: DropState) -> bool:
    """Whether a delivery that was refused for its size has to be audited again."""
    min_share = batch.settings.audit.min_share_of_previous
    return drop.date in batch.accepted or state.min_share_of_previous != min_share


def _plan_only(batch: Batch, landing: Landing, headers: Headers) -> None:
    """Describes an ingest of these drops and the publish after it, for a dry run; reads their lines once."""
    if not headers:
        return
    chunks = batch.settings.chunks
    chunking = batch.pinned.current.chunking
    batch.outcome.planned += [
        f"ingest drop {drop.date}: {len(drop.files)} files, {drop.bytes:,} bytes" for drop in headers
    ]
    accepted = filter_accepted(validate_received(landing.lines(headers), batch.terms))
    by_date: Counter[dt.date] = Counter()
    by_chunk: Counter[str] = Counter()
    for row in count_received(with_chunk(accepted, chunking.key, chunking.key_ranges)).collect():
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
    """Column names of each file, by drop. A drop with a bad manifest or header fails and is left out."""
    _LOG.info(f"reading the headers of {len(drops)} drops")
    headers: Headers = {}
    for drop in drops:
        try:
            if drop.problem is not None:
                raise AuditError(drop.problem)
            names = landing.headers(drop)
            headers[landing.with_trailers(drop)] = names
        except AuditError as error:
            _fail(batch, drop, str(error), ExitCode.AUDIT)
            continue
        except NotReadyError as error:  # it changed after it was checked
            _fail(batch, drop, str(error), ExitCode.NOT_READY)
            continue
        extra = landing.extra_columns(names)
        if extra:
            shown = ", ".join(extra)
            batch.outcome.warnings.append(f"drop {drop.date}: columns left out, not of the contract: {shown}")
    batch.outcome.warnings += [note for note in landing.notes if note not in batch.outcome.warnings]
    return headers


def _fail(batch: Batch, drop: Drop, reason: str, code: ExitCode) -> None:
    failed = IngestedDrop(drop, status=DropStatus.FAILED, reason=reason)
    batch.outcome.drops = [other for other in batch.outcome.drops if other.drop.date != drop.date]
    batch.outcome.drops.append(failed)
    batch.outcome.fail(code, f"drop {drop.date} failed: {reason}")
    if not batch.dry_run:
        batch.ledger.record_drops(batch.run_id, [failed], None, batch.ingest_audit())


def _extra_columns(landing: Landing, headers: Headers) -> ExtraColumns:
    return {drop.date: landing.extra_columns(files) for drop, files in headers.items()}


def _broken_drop(message: str, headers: Headers) -> tuple[Drop, str, str] | None:
    """The drop, file and cause that an error of Spark names; None if it names no file of these drops."""
    file = unreadable_file(message)
    if file is None:
        return None
    causes = [line.strip() for line in message.splitlines() if line.strip().startswith("Caused by:")]
    cause = causes[-1].removeprefix("Caused by:").strip() if causes else "the file is truncated or damaged"
    drops = [drop for drop in headers if drop.date == file.drop_date]
    return (drops[0], file.name, printable(cause[:300])) if drops else None
