"""Attempts with their chunk, number and times."""

from __future__ import annotations

from pipeline.planning.attempts import chunk_attempts, spans_as_text, spans_of_text
from pipeline.planning.recovery import TaskAttempt
from schemas.partitions import PartitionSpan

SPANS = {"A-G": PartitionSpan(0, 2), "other": PartitionSpan(2, 1)}


def test_a_retry_could_start_when_the_attempt_before_it_ended() -> None:
    tasks = [
        TaskAttempt(1, "h", "SUCCESS", 2.0, None, 4.0, 50, "7", 1.0),
        TaskAttempt(1, "h", "FAILED", 1.5, "broke", 1.2, 0, "7", 1.0),
        TaskAttempt(2, "h", "SUCCESS", 1.0, None, 1.1, 9, "8", 1.0),
        TaskAttempt(9, "h", "SUCCESS", 1.0, None, 1.1, 9, "8", 1.0),
    ]
    found = chunk_attempts(tasks, SPANS)
    assert [(a.chunk, a.partition, a.number, a.worker, a.state) for a in found] == [
        ("other", 2, 1, "8 on h", "SUCCESS"),
        ("A-G", 1, 1, "7 on h", "FAILED"),
        ("A-G", 1, 2, "7 on h", "SUCCESS"),
    ]
    assert [(a.ready_ms, a.started_ms, a.ended_ms, a.waited_seconds, a.lines) for a in found] == [
        (1000, 1100, 2100, 0.1, 9),
        (1000, 1200, 2700, 0.2, 0),
        (2700, 4000, 6000, 1.3, 50),
    ]


def test_spans_survive_as_text() -> None:
    assert spans_of_text(spans_as_text(SPANS)) == SPANS
