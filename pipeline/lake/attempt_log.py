"""Reads the attempts of a run's writes from Spark's event log, also from the log of a killed driver."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO

import pyarrow as pa

from pipeline.lake.event_log import Event
from pipeline.lake.files import FileStatus, FileStore
from pipeline.lake.tasks import CHUNKS_PROPERTY
from pipeline.planning.attempts import CUT_OFF, ChunkAttempt, chunk_attempts, spans_of_text
from pipeline.planning.recovery import TaskAttempt
from schemas.partitions import PartitionSpan

# Larger logs are not read: a page is not worth the memory.
MAX_BYTES = 512 << 20
_KINDS = ("JobStart", "StageSubmitted", "TaskStart", "TaskEnd")


@dataclass
class _Write:
    """One write of a run: its spans, its stages, and the last event of each of their tasks."""

    spans: dict[str, PartitionSpan]
    stages: set[int]
    tasks: dict[int, Event] = field(default_factory=dict)


def read_attempts(logs: FileStore, application_id: str, run_id: str) -> list[ChunkAttempt]:
    """Returns every attempt of the tasks that wrote chunks in a run, in order of their start.

    Args:
        logs: folder of event logs, at any depth, plain or compressed with zstd.
        application_id: Spark's id of the run's application.
        run_id: run.

    Raises:
        FileNotFoundError: the folder has no log of the application.
        OSError: a log cannot be read, or is larger than 512 MB.
    """
    files = [file for file in logs.files() if application_id in file.name]
    if not files:
        raise FileNotFoundError(f"{logs.root} holds no event log of {application_id}")
    lines = (line for file in sorted(files, key=lambda file: file.path) for line in _lines(logs, file))
    return attempts_of_run(_events(lines), run_id)


def attempts_of_run(events: Iterable[Event], run_id: str) -> list[ChunkAttempt]:
    """Returns the attempts of the writes of a run, from the events of its log in order."""
    submitted: dict[tuple[int, int], tuple[int, int]] = {}
    writes: dict[str, _Write] = {}
    for event in events:
        kind = event["Event"].removeprefix("SparkListener")
        if kind == "JobStart":
            _note_job(writes, event, run_id)
        elif kind == "StageSubmitted":
            info = event["Stage Info"]
            attempt = info["Stage ID"], info.get("Stage Attempt ID", 0)
            submitted[attempt] = info.get("Number of Tasks", 0), info.get("Submission Time") or 0
        elif kind in ("TaskStart", "TaskEnd"):
            for write in writes.values():
                if event["Stage ID"] in write.stages and event.get("Task Info"):
                    write.tasks[event["Task Info"]["Task ID"]] = event
    return [attempt for write in writes.values() for attempt in _attempts(write, submitted)]


def _note_job(writes: dict[str, _Write], event: Event, run_id: str) -> None:
    properties = event.get("Properties") or {}
    group = properties.get("spark.jobGroup.id") or ""
    if CHUNKS_PROPERTY not in properties or not group.startswith(f"{run_id} "):
        return
    write = writes.setdefault(group, _Write(spans_of_text(properties[CHUNKS_PROPERTY]), set()))
    write.stages.update(event["Stage IDs"])


def _attempts(write: _Write, submitted: dict[tuple[int, int], tuple[int, int]]) -> list[ChunkAttempt]:
    partitions = sum(span.count for span in write.spans.values())
    # The stage that writes has one task for each partition of the chunks. Other stages may have as many.
    sized = {
        stage for (stage, number), (tasks, _) in submitted.items() if number == 0 and tasks == partitions
    }
    ran = [event for event in write.tasks.values() if event["Stage ID"] in sized]
    written: Counter[int] = Counter()
    for event in ran:
        written[event["Stage ID"]] += _output(event).get("Bytes Written", 0)
    stage = max(written, key=lambda stage: (written[stage], stage), default=None)
    end_ms = max((_end_ms(event) for event in write.tasks.values()), default=0)
    tasks = [
        _task(event, submitted, end_ms)
        for event in ran
        if event["Stage ID"] == stage and not _is_resubmitted(event)
    ]
    return chunk_attempts(tasks, write.spans)


def _is_resubmitted(event: Event) -> bool:
    """Whether a task whose map output was lost ended a second time, without running again."""
    return bool(event.get("Task End Reason", {}).get("Reason") == "Resubmitted")


def _end_ms(event: Event) -> int:
    info = event["Task Info"]
    return int(info.get("Finish Time") or info["Launch Time"])


def _task(event: Event, submitted: dict[tuple[int, int], tuple[int, int]], end_ms: int) -> TaskAttempt:
    info, reason = event["Task Info"], event.get("Task End Reason")
    launched = int(info["Launch Time"])
    ended = _end_ms(event) if reason else max(end_ms, launched)
    _, submitted_ms = submitted.get((event["Stage ID"], event.get("Stage Attempt ID", 0)), (0, 0))
    return TaskAttempt(
        partition=info.get("Partition ID", -1),
        host=info.get("Host", ""),
        state=_state(reason["Reason"]) if reason else CUT_OFF,
        seconds=(ended - launched) / 1000,
        cause=_cause(reason) if reason else None,
        executor=info.get("Executor ID", ""),
        submitted=submitted_ms / 1000,
        started=launched / 1000,
        lines=_output(event).get("Records Written", 0),
    )


def _output(event: Event) -> Event:
    metrics: Event = event.get("Task Metrics") or {}
    output: Event = metrics.get("Output Metrics") or {}
    return output


def _state(reason: str) -> str:
    return {"Success": "SUCCESS", "TaskKilled": "KILLED"}.get(reason, "FAILED")


def _cause(reason: Event) -> str | None:
    if reason["Reason"] == "Success":
        return None
    texts = (reason.get(name) for name in ("Full Stack Trace", "Description", "Loss Reason", "Message"))
    return str(next((text for text in texts if text), reason["Reason"]))


def _events(lines: Iterable[bytes]) -> Iterator[Event]:
    """Parses only the events that count: most lines of a log are plans."""
    marks = tuple(f'"SparkListener{kind}"'.encode() for kind in _KINDS)
    for line in lines:
        if line.endswith(b"\n") and any(mark in line[:80] for mark in marks):
            yield json.loads(line)


def _lines(logs: FileStore, file: FileStatus) -> Iterator[bytes]:
    """Yields whole lines. The log of a killed driver may end within one, or within a compressed block."""
    if file.size > MAX_BYTES:
        raise OSError(f"{file.path} is larger than {MAX_BYTES >> 20} MB")
    content = logs.read(file.path, MAX_BYTES)
    is_compressed = ".zstd" in file.name
    plain: IO[bytes] = io.BytesIO(content)
    if is_compressed:
        plain = io.BytesIO(_decompressed(content))
    yield from plain


def _decompressed(content: bytes) -> bytes:
    parts = []
    with pa.CompressedInputStream(pa.BufferReader(content), "zstd") as stream:
        try:
            while part := stream.read(1 << 16):
                parts.append(part)
        except OSError:  # cut off: what came before counts
            pass
    return b"".join(parts)
