"""How chunks went, from attempts made by hand."""

from __future__ import annotations

import pytest

from pipeline.planning.recovery import (
    ChunkTasks,
    TaskAttempt,
    first_cause,
    given_up,
    is_lost_to_memory,
    is_lost_worker,
    tasks_by_chunk,
    with_doubled,
)
from schemas.partitions import PartitionSpan

SPANS = {"A-G": PartitionSpan(0, 2), "H-N": PartitionSpan(2, 1)}
LOST = "ExecutorLostFailure (executor 3 exited caused by one of the running tasks) Reason: worker lost"
MEMORY = "ExecutorLostFailure (executor 1 exited ...) Reason: Command exited with code 52"


def attempt(partition: int, state: str = "SUCCESS", cause: str | None = None, host: str = "a") -> TaskAttempt:
    return TaskAttempt(partition, host, state, 1.5, cause)


def test_attempts_are_told_by_the_chunk_of_their_partition() -> None:
    found = tasks_by_chunk(
        [
            attempt(0),
            attempt(1, "FAILED", "java.io.IOException: disk\n\tat some.Trace", "b"),
            attempt(1, "FAILED", "java.io.IOException: disk\n\tat another.Trace", "b"),
            attempt(1, "RUNNING"),
            attempt(2, host="c"),
            attempt(2, host="d"),  # the second copy of a slow task
            attempt(7),  # of no chunk
        ],
        SPANS,
    )
    assert found == {
        "A-G": ChunkTasks(2, 4, 2, ["b: java.io.IOException: disk"], 6.0, {"a", "b"}),
        "H-N": ChunkTasks(1, 2, 0, [], 3.0, {"c", "d"}),
    }
    assert found["A-G"].as_columns() == {
        "partitions": 2,
        "tasks": 4,
        "failed_attempts": 2,
        "failures": ["b: java.io.IOException: disk"],
        "task_seconds": 6.0,
        "hosts": ["a", "b"],
    }


def test_tasks_of_two_publications_add_up() -> None:
    both = ChunkTasks(1, 2, 1, ["a: x"], 1.0, {"a"})
    both.add(ChunkTasks(2, 2, 1, ["a: x", "b: y"], 0.5, {"b"}))
    assert both == ChunkTasks(3, 4, 2, ["a: x", "b: y"], 1.5, {"a", "b"})


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [
        ([attempt(0), attempt(1), attempt(2)], {}),
        # Failed, and worked in the end: not given up.
        ([attempt(0, "FAILED", "x"), attempt(0)], {}),
        # The one that failed most often is what ended the job; the other was on its way.
        ([attempt(0, "FAILED", "x"), attempt(2, "FAILED", "y"), attempt(2, "FAILED", "z")], {"H-N": "z"}),
        # An attempt that could not fetch is repeated without limit: it ends no job.
        (
            [*[attempt(0, "FAILED", "FetchFailed(...)")] * 3, attempt(2, "FAILED", "y")],
            {"H-N": "y"},
        ),
        ([attempt(0, "FAILED", "FetchFailed(...)")], {}),
        ([attempt(0, "KILLED", "another attempt succeeded")], {}),
        ([attempt(1, "FAILED", "x"), attempt(2, "FAILED", None)], {"A-G": "x", "H-N": "no cause given"}),
    ],
)
def test_the_chunk_that_spark_gave_up(attempts: list[TaskAttempt], expected: dict[str, str]) -> None:
    assert given_up(attempts, SPANS) == expected


@pytest.mark.parametrize(
    ("cause", "memory", "worker"),
    [
        ("java.lang.OutOfMemoryError: Java heap space", True, False),
        (MEMORY, True, True),
        ("ExecutorLostFailure (...) Reason: Command exited with code 137", True, True),
        ("Container killed by YARN for exceeding physical memory limits. 5.1 GB of 5 GB used", True, False),
        ("The executor with id 4 exited with exit code 137(SIGKILL, possible container OOM)", True, False),
        (LOST, False, True),
        ("ExecutorLostFailure (...) Reason: Executor heartbeat timed out after 62000 ms", False, True),
        ("ExecutorLostFailure (...) Reason: Command exited with code 1370", False, True),
        ("FetchFailed(null, shuffleId=3, ...)", False, True),
        ("java.lang.ArithmeticException: a value of 137 cannot be cast", False, False),
    ],
)
def test_what_a_failure_is_of(cause: str, memory: bool, worker: bool) -> None:
    assert (is_lost_to_memory(cause), is_lost_worker(cause)) == (memory, worker)


def test_doubling_moves_the_chunks_behind() -> None:
    spans = {"A-G": PartitionSpan(0, 2), "H-N": PartitionSpan(2, 1), "V-Z": PartitionSpan(3, 2)}
    assert with_doubled(spans, ["H-N"]) == {
        "A-G": PartitionSpan(0, 2),
        "H-N": PartitionSpan(2, 2),
        "V-Z": PartitionSpan(4, 2),
    }
    assert with_doubled(spans, []) == spans


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "no cause given"),
        ("one line", "one line"),
        ("java.Outer: x\n\tat a.b\nCaused by: java.Inner: y\n\tat c.d", "java.Inner: y"),
        ("a" * 900, "a" * 300),
    ],
)
def test_the_first_cause_is_one_line(text: str, expected: str) -> None:
    assert first_cause(text) == expected
