"""Task attempts of chunks with their times: when each could start, started and ended, and where."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.planning.recovery import TaskAttempt
from schemas.partitions import PartitionSpan

SUCCESS, FAILED, CUT_OFF = "SUCCESS", "FAILED", "CUT_OFF"


@dataclass(frozen=True)
class ChunkAttempt:
    """One attempt of a task that writes a partition of a chunk. Times are milliseconds since 1970.

    Attributes:
        chunk: chunk.
        partition: Spark partition.
        number: 1 for the first attempt of its partition, 2 for the first retry, and so on.
        worker: executor and host, as ``3 on 10.0.0.7``.
        state: ``SUCCESS``, ``FAILED``, ``KILLED``, or ``CUT_OFF`` if the driver ended first.
        ready_ms: from when it could have started: its stage was submitted, or the attempt before it ended.
        started_ms: start.
        ended_ms: end.
        lines: lines that it wrote.
        cause: why it failed, in Spark's words; None if it did not.
    """

    chunk: str
    partition: int
    number: int
    worker: str
    state: str
    ready_ms: int
    started_ms: int
    ended_ms: int
    lines: int = 0
    cause: str | None = None

    @property
    def is_retry(self) -> bool:
        """Whether an attempt of its partition came before it."""
        return self.number > 1

    @property
    def waited_seconds(self) -> float:
        """From when it could start to its start."""
        return max(0, self.started_ms - self.ready_ms) / 1000

    @property
    def seconds(self) -> float:
        """From its start to its end."""
        return max(0, self.ended_ms - self.started_ms) / 1000


def chunk_attempts(attempts: Iterable[TaskAttempt], spans: Mapping[str, PartitionSpan]) -> list[ChunkAttempt]:
    """Names the chunk of each attempt of one write, and counts the attempts of each partition.

    Args:
        attempts: attempts of the stage that writes.
        spans: its partitions by chunk.

    Returns:
        The attempts in order of their start; those of no chunk are left out.
    """
    chunk_of = {p: chunk for chunk, span in spans.items() for p in range(span.first, span.first + span.count)}
    found: list[ChunkAttempt] = []
    last: dict[int, ChunkAttempt] = {}
    for attempt in sorted(attempts, key=lambda attempt: attempt.started):
        if attempt.partition not in chunk_of:
            continue
        before, started_ms = last.get(attempt.partition), round(attempt.started * 1000)
        ready = round(attempt.submitted * 1000)
        if before is not None:
            ready = max(ready, before.ended_ms)
        last[attempt.partition] = ChunkAttempt(
            chunk=chunk_of[attempt.partition],
            partition=attempt.partition,
            number=1 if before is None else before.number + 1,
            worker=f"{attempt.executor} on {attempt.host}",
            state=attempt.state,
            ready_ms=min(ready or started_ms, started_ms),
            started_ms=started_ms,
            ended_ms=started_ms + round(attempt.seconds * 1000),
            lines=attempt.lines,
            cause=attempt.cause,
        )
        found.append(last[attempt.partition])
    return found


def spans_as_text(spans: Mapping[str, PartitionSpan]) -> str:
    """Spans as JSON, for the properties of a Spark job."""
    return json.dumps({chunk: [span.first, span.count] for chunk, span in spans.items()})


def spans_of_text(text: str) -> dict[str, PartitionSpan]:
    """Reads what :func:`spans_as_text` wrote."""
    return {chunk: PartitionSpan(first, count) for chunk, (first, count) in json.loads(text).items()}
