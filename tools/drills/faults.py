"""The faults of a drill. A healthy run shows where to aim each fault."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.gold import GoldTable, tables_of
from schemas.partitions import PartitionSpan
from schemas.states import Stage

# $PPID of the shell is the executor; in a standalone cluster its parent is the worker.
_WORKER = "w=$(cut -d' ' -f4 /proc/$PPID/stat)"
KILL_WORKER = f"{_WORKER}; kill -KILL $w $PPID"
KILL_EXECUTOR = "kill -KILL $PPID"
# Fills the disk of an executor's own folder if that disk is small. The space is freed when the executor ends.
FILL_DISK = (
    'd=$(echo "$SPARK_EXECUTOR_DIRS" | cut -d: -f1); '
    'if [ "$(df -Pk "$d" | awk \'NR==2 {print $2}\')" -lt 1048576 ] && [ ! -e "$d/filled" ]; '
    'then dd if=/dev/zero of="$d/filled" bs=64k 2>/dev/null; fi; true'
)
RAISE, HOARD = "raise", "hoard"
_ALWAYS = 100


@dataclass(frozen=True)
class Rule:
    """When to harm an executor, in the form that ``ExecutorFaults`` reads.

    Attributes:
        step: regular expression that must match the whole description of the Spark job.
        tasks: number of tasks of the stage; 0 for any.
        partitions: partitions to harm; all if empty.
        action: ``raise``, ``hoard``, or a shell command.
        attempts: number of attempts of a task to harm.
    """

    step: str
    tasks: int
    partitions: Sequence[int]
    action: str
    attempts: int = 1

    def __str__(self) -> str:
        """The rule as the Spark setting needs it."""
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
        last_date_spans: partitions of a publication of only that date.
        stop_seconds: how long a stopped worker stays stopped.
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
        """A chunk with the most partitions."""
        return max(self.spans, key=lambda chunk: self.spans[chunk].count)


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: value of ``--fault``.
        text: what happens, for the table.
        rules: when to harm executors.
        from_landing: whether the run starts from the landed files instead of an existing bronze.
        needs_workers: whether the place must have workers.
        code: expected exit code of the run; the same command must then end with 0.
    """

    name: str
    text: str
    rules: Sequence[Rule] = field(default_factory=tuple)
    from_landing: bool = False
    needs_workers: bool = True
    code: int = 0

    @property
    def settings(self) -> dict[str, str]:
        """Spark settings that cause the fault."""
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
    """Every fault in executors; ``driver_killed`` is a separate series of runs."""
    write, chunk = aim.write_tasks, aim.largest_chunk
    # In the middle some tasks are done, and the others still need the map outputs of the lost worker.
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
                # Aim only at the write, first of the window and then of the one date: other stages of a step
                # may have as many tasks.
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


def driver_kills(gold: Iterable[GoldTable]) -> tuple[str, ...]:
    """Returns where the driver is killed, in order: each run continues where the run before was killed.

    The first commit of a process to ``ledger/runs`` records its start, the second its end.

    Args:
        gold: the gold tables of the lake.
    """
    built = [table.name for stage in Stage for table in tables_of(stage, gold)]
    kills = [*_around("ledger/runs"), *_around("bronze/received_sales"), *_around("ledger/drops")]
    kills += [*_around("silver/conflicts"), *_around("silver/sales")]
    kills += [*_around("ledger/chunks"), *_around("ledger/dates")]
    for name in built:
        # The run that was killed after its commit did not record the build. The next one does, and is killed
        # at that: after it, or once before it.
        moment = "before" if name == built[-1] else "after"
        kills += [*_around(name), f"{moment}:ledger/builds:1"]
    return (*kills, *_around("ledger/runs", 2))


def _around(table: str, number: int = 1) -> tuple[str, str]:
    """Before and after a commit of the process to a table."""
    return f"before:{table}:{number}", f"after:{table}:{number}"
