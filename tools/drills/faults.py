"""The faults of a drill, each aimed by what a healthy run showed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from schemas.partitions import PartitionSpan

# $PPID of the shell is the executor; in a standalone cluster its parent is the worker.
_WORKER = "w=$(cut -d' ' -f4 /proc/$PPID/stat)"
KILL_WORKER = f"{_WORKER}; kill -KILL $w $PPID"
KILL_EXECUTOR = "kill -KILL $PPID"
# Fills the disk of an executor's own folder, where that is a small one; it is free when the executor ends.
FILL_DISK = (
    'd=$(echo "$SPARK_EXECUTOR_DIRS" | cut -d: -f1); '
    'if [ "$(df -Pk "$d" | awk \'NR==2 {print $2}\')" -lt 1048576 ] && [ ! -e "$d/filled" ]; '
    'then dd if=/dev/zero of="$d/filled" bs=64k 2>/dev/null; fi; true'
)
RAISE, HOARD = "raise", "hoard"
_ALWAYS = 100


@dataclass(frozen=True)
class Rule:
    """When an executor is done harm, as ``ExecutorFaults`` reads it.

    Attributes:
        step: regular expression of the whole description of the Spark job.
        tasks: tasks of the stage; 0 for any.
        partitions: partitions that it meets; none for all.
        action: ``raise``, ``hoard``, or a command of the shell.
        attempts: attempts of a task that it meets.
    """

    step: str
    tasks: int
    partitions: Sequence[int]
    action: str
    attempts: int = 1

    def __str__(self) -> str:
        """The rule as the setting has it."""
        partitions = ",".join(map(str, self.partitions))
        return f"{self.step}|{self.tasks}|{partitions}|{self.attempts}|{self.action}"


@dataclass(frozen=True)
class Aim:
    """What a healthy run showed of its stages.

    Attributes:
        ingest_tasks: tasks of the ingest's write.
        map_tasks: tasks of the publish's map side.
        spans: partitions of the publish's write, by chunk.
        last_date: last business date of the window.
        last_date_spans: partitions of a publication of that date alone.
        stop_seconds: how long a stopped worker stays so.
    """

    ingest_tasks: int
    map_tasks: int
    spans: Mapping[str, PartitionSpan]
    last_date: str
    last_date_spans: Mapping[str, PartitionSpan]
    stop_seconds: int

    @property
    def write_tasks(self) -> int:
        """Tasks of the publish's write."""
        return sum(span.count for span in self.spans.values())

    def of_chunk(self, chunk: str) -> list[int]:
        """Partitions of a chunk."""
        span = self.spans[chunk]
        return list(range(span.first, span.first + span.count))

    @property
    def largest_chunk(self) -> str:
        """A chunk of as many partitions as any."""
        return max(self.spans, key=lambda chunk: self.spans[chunk].count)


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: for ``--fault``.
        text: what happens, for the table.
        rules: when harm is done.
        from_landing: whether the run starts from the landed files, not from a bronze that is there.
        needs_workers: whether it takes a place with workers.
        code: exit code that the run is to end with; the same command then ends with 0.
    """

    name: str
    text: str
    rules: Sequence[Rule] = field(default_factory=tuple)
    from_landing: bool = False
    needs_workers: bool = True
    code: int = 0

    @property
    def settings(self) -> dict[str, str]:
        """Spark settings that bring it about."""
        return {"spark.cymbal.fault.rules": ";;".join(map(str, self.rules))}


NAMES = {
    "worker_killed_in_ingest": "worker and executor killed in the ingest",
    "worker_killed_in_map": "worker and executor killed on the map side",
    "worker_killed_in_write": "worker and executor killed in the write",
    "executor_killed_in_write": "executor killed in the write",
    "worker_stopped": "worker and executor stopped (SIGSTOP)",
    "out_of_memory": "an executor out of memory",
    "chunk_too_large": "a chunk too large for memory, each time",
    "task_raises": "tasks of one chunk raise twice",
    "chunk_always_fails": "a chunk of one date always fails",
    "disk_full": "local disk of one worker full",
    "driver_killed": "driver killed at every commit",
}


def faults(aim: Aim) -> list[Fault]:
    """Every fault that executors bring about; ``driver_killed`` is a series of its own."""
    write, chunk = aim.write_tasks, aim.largest_chunk
    # In the middle: some tasks are done, and those to come still need the map outputs of the lost worker.
    middle, partitions = write // 2, aim.of_chunk(chunk)
    publishing = "publishing .*"
    stop = f"{_WORKER}; kill -STOP $w $PPID; sleep {aim.stop_seconds}; kill -CONT $w $PPID"
    alone = aim.last_date_spans[chunk]
    of_date = range(alone.first, alone.first + alone.count)
    alone_tasks = sum(span.count for span in aim.last_date_spans.values())
    return [
        _fault(
            "worker_killed_in_ingest",
            [Rule("ingesting .*", aim.ingest_tasks, [aim.ingest_tasks - 1], KILL_WORKER)],
            from_landing=True,
        ),
        _fault("worker_killed_in_map", [Rule(publishing, aim.map_tasks, [aim.map_tasks - 1], KILL_WORKER)]),
        _fault("worker_killed_in_write", [Rule(publishing, write, [middle], KILL_WORKER)]),
        _fault("executor_killed_in_write", [Rule(publishing, write, [middle], KILL_EXECUTOR)]),
        _fault("worker_stopped", [Rule(publishing, write, [middle], stop)]),
        _fault("out_of_memory", [Rule(publishing, write, partitions[:1], HOARD)]),
        _fault("chunk_too_large", [Rule(publishing, write, partitions[:1], HOARD, _ALWAYS)]),
        _fault("task_raises", [Rule(publishing, write, partitions, RAISE, 2)], needs_workers=False),
        _fault(
            "chunk_always_fails",
            [
                # Aimed at the write alone, of the window and then of the one date: other stages of a step may
                # have as many tasks.
                Rule(r"publishing \S+ to .*", write, partitions, RAISE, _ALWAYS),
                Rule(f"publishing {aim.last_date} in .*", alone_tasks, list(of_date), RAISE, _ALWAYS),
            ],
            needs_workers=False,
            code=3,
        ),
        _fault("disk_full", [Rule(publishing, aim.map_tasks, [], FILL_DISK, _ALWAYS)]),
    ]


def _fault(
    name: str, rules: Sequence[Rule], *, from_landing: bool = False, needs_workers: bool = True, code: int = 0
) -> Fault:
    return Fault(name, NAMES[name], tuple(rules), from_landing, needs_workers, code)


# Where a driver is killed, one after the other: each run goes on where the one before it was cut off. The
# first commit of a process to ledger/runs tells its start; the second its end.
DRIVER_KILLS: tuple[str, ...] = (
    "before:ledger/runs:1",
    "after:ledger/runs:1",
    "before:bronze/received_sales:1",
    "after:bronze/received_sales:1",
    "before:ledger/drops:1",
    "after:ledger/drops:1",
    "before:silver/conflicts:1",
    "after:silver/conflicts:1",
    "before:silver/sales:1",
    "after:silver/sales:1",
    "before:ledger/chunks:1",
    "after:ledger/chunks:1",
    "before:ledger/dates:1",
    "after:ledger/dates:1",
    "before:gold/daily_sales:1",
    "after:gold/daily_sales:1",
    "after:ledger/builds:1",
    "before:gold/invoices:1",
    "after:gold/invoices:1",
    "before:ledger/builds:1",
    "before:ledger/runs:2",
    "after:ledger/runs:2",
)
