"""The evidence of a drill: what ran again, why, at what cost, and whether the tables are equal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipeline.lake.tables import Lake
from schemas.gold import GoldTable
from schemas.partitions import PartitionSpan
from schemas.tables import CONFLICTS, RECEIVED_SALES, SALES
from tools.drills.events import Attempt, EventLog, Stage

# Why an attempt was repeated, in the drill's words.
LOST, FETCH, FAILED, COPY, UNEXPLAINED = (
    "on the lost executor",
    "could not fetch lost map outputs",
    "failed by itself",
    "second copy of a slow task",
    "unexplained",
)

Digest = Mapping[str, tuple[int, int, int]]


@dataclass
class Repeats:
    """Tasks of a run that ran again.

    Attributes:
        chunks: tasks of the write that ran again, by chunk; 0 if none did.
        partitions: tasks of the write, by chunk.
        map_side: tasks of the publish's map side: those that ran again, and all.
        elsewhere: tasks of other steps that ran again, by step.
        causes: number of repeats, by cause.
        seconds: task seconds of wasted attempts.
        task_seconds: task seconds of all attempts.
    """

    chunks: dict[str, int] = field(default_factory=dict)
    partitions: dict[str, int] = field(default_factory=dict)
    map_side: tuple[int, int] = (0, 0)
    elsewhere: dict[str, int] = field(default_factory=dict)
    causes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    task_seconds: float = 0.0


def repeats_of(log: EventLog, spans: Mapping[str, PartitionSpan]) -> Repeats:
    """Counts what ran again in a run.

    Args:
        log: its event log.
        spans: Spark partitions of the write by chunk, as planned.
    """
    repeats = Repeats(partitions={chunk: span.count for chunk, span in spans.items()})
    size = sum(span.count for span in spans.values())
    publishing = [stage for stage in log.stages.values() if stage.step.startswith("publishing")]
    sized = [stage for stage in publishing if stage.tasks == size and log.feeding(stage)]
    write = max(sized, key=lambda stage: stage.written, default=None)
    map_side = None if write is None else log.feeding(write)
    for stage in log.stages.values():
        repeated = stage.repeated()
        _add_causes(repeats, log, stage, repeated)
        if stage is write:
            repeats.chunks = {c: sum(p in span for p in repeated) for c, span in spans.items()}
        elif stage is map_side:
            repeats.map_side = (len(repeated), stage.tasks)
        elif repeated:
            step = stage.step.split(" ")[0]
            repeats.elsewhere[step] = repeats.elsewhere.get(step, 0) + len(repeated)
    return repeats


def _add_causes(repeats: Repeats, log: EventLog, stage: Stage, repeated: Mapping[int, list[Attempt]]) -> None:
    repeats.task_seconds += sum(attempt.seconds for attempt in stage.attempts)
    for attempts in repeated.values():
        kept = next((a for a in reversed(attempts) if a.reason == "Success"), attempts[-1])
        wasted = [attempt for attempt in attempts if attempt is not kept]
        repeats.seconds += sum(attempt.seconds for attempt in wasted)
        repeats.causes.update(_cause(attempt, log, attempts) for attempt in wasted)


def _cause(attempt: Attempt, log: EventLog, attempts: list[Attempt]) -> str:
    if attempt.executor in log.lost or attempt.reason == "ExecutorLostFailure":
        return LOST
    if attempt.reason == "FetchFailed":
        return FETCH
    if attempt.speculative or any(other.speculative for other in attempts):
        return COPY
    if attempt.reason == "ExceptionFailure":
        return FAILED
    return UNEXPLAINED


def digest(spark: SparkSession, lake: str, gold: Iterable[GoldTable]) -> Digest:
    """Lines of each table and two sums over hashes of whole lines; equal if the tables are equal."""
    tables = Lake(spark, lake)
    compared = (RECEIVED_SALES, SALES, CONFLICTS, *gold)
    return {table.name: _digest(tables.read(table)) for table in compared}


def _digest(rows: DataFrame) -> tuple[int, int, int]:
    line = F.xxhash64(*rows.columns)
    # Sums of two 64-bit hashes ignore the order of lines but notice a line that occurs twice.
    other = F.xxhash64(F.lit("other"), *rows.columns)
    sums = rows.select(
        F.count("*"), F.sum(line.cast("decimal(38,0)")), F.sum(other.cast("decimal(38,0)"))
    ).first()
    assert sums is not None  # an aggregate always returns one row
    return int(sums[0]), int(sums[1] or 0), int(sums[2] or 0)
