"""How far a run is, from attempts made by hand; and its file, whole, half and of another version."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from pipeline.planning.progress import (
    EventKind,
    Phase,
    TaskEvent,
    expected_end,
    phases_of,
    read_json,
)
from pipeline.planning.recovery import TaskAttempt, without_values
from pipeline.planning.task_progress import chunk_progress, task_events
from pipeline.planning.watching import RunState, WatchedRun
from schemas.partitions import PartitionSpan
from schemas.states import Stage
from tests.support.progress import PROGRESS, moment

SPANS = {"A-G": PartitionSpan(0, 2), "H-N": PartitionSpan(2, 1)}
LINES = {"A-G": 2000, "H-N": 1000}
NOW = 1_000_100.0


def attempt(partition: int, state: str, started: float, seconds: float = 0.0, **more: object) -> TaskAttempt:
    return TaskAttempt(partition, "h", state, seconds, started=1_000_000.0 + started, **more)  # type: ignore[arg-type]


def at(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(1_000_000.0 + seconds, dt.UTC)


def test_chunks_count_their_own_tasks() -> None:
    attempts = [
        attempt(0, "SUCCESS", 0, 50, lines=990),
        attempt(1, "FAILED", 0, 60, cause="x"),
        attempt(1, "RUNNING", 60),
    ]
    first, second = chunk_progress(attempts, SPANS, LINES, 2, NOW)
    assert (first.name, first.tasks, first.done, first.running) == ("A-G", 2, 1, 1)
    assert (first.retried, first.failed, first.lines) == (1, 1, 990)
    assert first.lines_per_second == pytest.approx(9.9)  # 990 lines in the 100 s since its first attempt
    # A task of 1000 lines takes 50 s, as the first one did: the retry is 40 s old.
    assert first.share == pytest.approx((1 + 0.8) / 2)
    assert first.end == at(110)
    # H-N waits. The second core is free.
    assert (second.done, second.running, second.share, second.lines_per_second) == (0, 0, 0.0, None)
    assert second.end == at(150)


def test_waiting_tasks_take_the_cores_that_come_free_first() -> None:
    attempts = [attempt(0, "SUCCESS", 0, 50, lines=1000), attempt(1, "RUNNING", 90)]
    _, second = chunk_progress(attempts, SPANS, LINES, 1, NOW)
    assert second.end == at(140 + 50)  # one core: after the task that began at 90 s and takes 50 s


def test_without_a_finished_task_nothing_is_estimated() -> None:
    first, second = chunk_progress([attempt(0, "RUNNING", 0)], SPANS, LINES, 2, NOW)
    assert (first.end, second.end, first.share, first.lines_per_second) == (None, None, 0.0, None)


def test_a_chunk_that_is_done_keeps_its_end_and_its_speed() -> None:
    attempts = [attempt(2, "SUCCESS", 10, 20, lines=1000)]
    _, done = chunk_progress(attempts, SPANS, LINES, 2, NOW)
    assert (done.is_done, done.end, done.lines_per_second, done.share) == (True, at(30), 50.0, 1.0)


def test_a_task_never_counts_as_done_by_its_time_alone() -> None:
    slow = [attempt(0, "SUCCESS", 0, 10, lines=1000), attempt(2, "RUNNING", 20)]
    _, running = chunk_progress(slow, SPANS, LINES, 2, NOW)
    assert running.share == 0.95


def test_a_failure_its_retry_and_its_success_are_told_in_order() -> None:
    attempts = [
        attempt(2, "FAILED", 0, cause="java.io.IOException: disk\n\tat some.Trace"),
        attempt(0, "SUCCESS", 1),
        attempt(2, "RUNNING", 2),
    ]
    failed = TaskEvent(
        kind=EventKind.FAILED, of="H-N", partition=2, attempt=1, host="h", cause="java.io.IOException: disk"
    )
    retried = TaskEvent(kind=EventKind.RETRIED, of="H-N", partition=2, attempt=2, host="h")
    assert task_events(attempts, SPANS) == [failed, retried]
    attempts[2] = attempt(2, "SUCCESS", 2)
    assert task_events(attempts, SPANS)[2:] == [retried.model_copy(update={"kind": EventKind.RECOVERED})]
    assert failed.describe() == "H-N: attempt 1 of partition 2 failed on h: java.io.IOException: disk"
    assert retried.describe() == "H-N: attempt 2 of partition 2 runs on h"


def test_a_step_without_chunks_names_itself() -> None:
    (event,) = task_events([attempt(7, "FAILED", 0, cause=None)], {}, "ingest")
    assert (event.of, event.cause) == ("ingest", "no cause given")


def test_a_stage_ends_with_the_last_of_its_chunks() -> None:
    known = PROGRESS.model_copy(update={"chunks": PROGRESS.chunks[:2]})
    assert expected_end(known, None) == moment(900)
    assert expected_end(known, moment(950)) == moment(950)
    assert expected_end(PROGRESS, moment(800)) == moment(800)  # the end of one chunk is unknown
    assert expected_end(known.model_copy(update={"phase": Phase.BILLS}), None) is None


def test_the_phases_of_a_night() -> None:
    assert phases_of(Stage) == tuple(Phase)
    assert phases_of([Stage.PUBLISH]) == (Phase.PUBLISH,)


def test_the_file_gives_back_what_was_written_but_for_quoted_values() -> None:
    read = read_json(PROGRESS.to_json())
    assert read is not None
    assert read.model_copy(update={"events": PROGRESS.events}) == PROGRESS
    assert read.events[0].cause == (
        "java.io.IOException: [CAST_INVALID_INPUT] The value … of customer … is no number"
    )
    assert b"Lovelace" not in PROGRESS.to_json()


def test_half_a_file_and_another_version_are_none() -> None:
    content = PROGRESS.to_json()
    assert all(read_json(content[:end]) is None for end in range(0, len(content), 50))
    assert read_json(json.dumps({**json.loads(content), "version": 2}).encode()) is None
    # A newer run may tell more.
    assert read_json(json.dumps({**json.loads(content), "more": 1}).encode()) is not None


@pytest.mark.parametrize(
    ("cause", "kept"),
    [
        ("[X] The value 'a' of \"b\" is `c`", "[X] The value … of … is …"),
        ("cut in the value 'Ada Lov", "cut in the value …"),
        ("customer 123456 on 2026-03-02", "customer … on 2026-03-02"),
    ],
)
def test_what_is_quoted_from_the_data_goes(cause: str, kept: str) -> None:
    assert without_values(cause) == kept


ENDED = PROGRESS.model_copy(update={"ended": True})


@pytest.mark.parametrize(
    ("watched", "state"),
    [
        (WatchedRun(None, False, 0, 0, None), RunState.NONE),
        (WatchedRun(None, False, 0, 999, ENDED), RunState.ENDED),
        (WatchedRun("r", False, 0, 0, ENDED), RunState.ENDED),  # it is about to give the lock back
        (WatchedRun("r", False, 5, 5, PROGRESS), RunState.AT_WORK),
        (WatchedRun("r", False, 5, 5, None), RunState.AT_WORK),  # its file is not there yet
        (WatchedRun("r", True, 5, 5, PROGRESS), RunState.KILLED),
        # The clocks differ by an hour: a heartbeat that changes is alive.
        (WatchedRun("r", False, 5, 3600, PROGRESS), RunState.AT_WORK),
        (WatchedRun("r", False, 29, 3600, PROGRESS), RunState.AT_WORK),
        (WatchedRun("r", False, 30, 3600, PROGRESS), RunState.SILENT),
        (WatchedRun("r", False, 119, -3600, PROGRESS), RunState.AT_WORK),
        (WatchedRun("r", False, 120, -3600, PROGRESS), RunState.SILENT),
    ],
)
def test_what_became_of_a_run(watched: WatchedRun, state: RunState) -> None:
    assert watched.state(beat_seconds=10, stale_seconds=120) is state
