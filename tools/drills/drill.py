"""The drill: runs the batch healthy, then under each fault. Each run is its own process."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from pipeline.lake.files import FileStore
from pipeline.planning.windows import partition_spans
from schemas.errors import UsageError
from schemas.gold import GoldTable
from schemas.partitions import PartitionSpan
from tools.drills.events import EventLog, read_event_logs
from tools.drills.evidence import LOST, UNEXPLAINED, Digest, Repeats, digest, repeats_of
from tools.drills.faults import NAMES, Aim, Fault, driver_kills, faults
from tools.drills.runs import KILLED, Ran, Runner

_LOG = logging.getLogger(__name__)

_FIRST, _LAST = "2026-11-20", "2026-11-23"
_DATES = ("--from", _FIRST, "--to", _LAST)
_RUNS_AT_MOST = 4


@dataclass
class Row:
    """The outcome of a fault.

    Attributes:
        fault: name of the fault.
        text: what happened.
        codes: exit codes of the same command, run until it ended with 0.
        seconds: wall time of all these runs.
        seconds_lost: their wall time minus that of the healthy run.
        repeats: what ran again in the run under the fault.
        equal: whether all tables equal those of the healthy run, line for line.
        problem: expectation that failed; None if none did.
        skipped: why the fault was not tried; None if it was.
    """

    fault: str
    text: str
    codes: list[int] = field(default_factory=list)
    seconds: float = 0.0
    seconds_lost: float = 0.0
    repeats: Repeats | None = None
    equal: bool = False
    problem: str | None = None
    skipped: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The row for the result file."""
        repeats = self.repeats or Repeats()
        return {
            "fault": self.fault,
            "text": self.text,
            "exit_codes": self.codes,
            "seconds": round(self.seconds, 1),
            "seconds_lost": round(self.seconds_lost, 1),
            "write_tasks": repeats.partitions,
            "write_tasks_again": repeats.chunks,
            "map_tasks": repeats.map_side[1],
            "map_tasks_again": repeats.map_side[0],
            "tasks_again_elsewhere": repeats.elsewhere,
            "causes": dict(repeats.causes),
            "task_seconds": round(repeats.task_seconds, 1),
            "task_seconds_wasted": round(repeats.seconds, 1),
            "tables_equal": self.equal,
            "problem": self.problem,
            "skipped": self.skipped,
        }


@dataclass
class Drill:
    """A drill in a folder of its own.

    Attributes:
        spark: session that copies and compares tables; the runs have their own sessions.
        runner: submits the runs.
        root: folder of landing and lakes, on storage that the workers can reach.
        rows: lines to generate.
        target_rows: lines per Spark partition, as set for the runs.
        stop_seconds: how long a stopped worker stays stopped.
        gold: the gold tables of the lakes.
    """

    spark: SparkSession
    runner: Runner
    root: str
    rows: int
    target_rows: int
    stop_seconds: int
    gold: Sequence[GoldTable]
    _healthy: Digest = field(default_factory=dict)
    _seconds: dict[bool, float] = field(default_factory=dict)
    _files: FileStore = field(init=False)

    def __post_init__(self) -> None:
        """Opens the folder."""
        self._files = FileStore(self.spark, self.root)

    def run(self, requested: Collection[str]) -> list[Row]:
        """Runs the batch healthy, then under each fault.

        Args:
            requested: names of faults; all faults if empty.

        Raises:
            UsageError: the healthy run failed, so there is nothing to compare with.
        """
        _LOG.info(f"generating {self.rows:,} lines")
        generated = self.runner.run(
            "generate_sales", "--landing", self._path("landing"), "--rows", str(self.rows), *_DATES
        )
        _expect(generated)
        rows, aim = self._run_healthy()
        wanted = [name for name in NAMES if not requested or name in requested]
        for fault in faults(aim):
            if fault.name in wanted:
                rows.append(self._run_fault(fault, aim.spans))
        if "driver_killed" in wanted:
            rows.append(self._kill_drivers())
        return rows

    def _run_healthy(self) -> tuple[list[Row], Aim]:
        """Runs the batch healthy, then again from its bronze, where most runs under a fault start."""
        _LOG.info("healthy: run_batch from the landed files")
        ran = self._batch("healthy")
        _expect(ran)
        self._healthy = self._digest("healthy")
        aim = self._aim(ran)
        for part in ("bronze/received_sales", "ledger/drops", "ledger/runs"):
            self._files.copy_folder(f"healthy/{part}", f"ingested/{part}")
        _LOG.info("healthy: run_batch from bronze")
        self._files.copy_folder("ingested", "published")
        again = self._batch("published")
        _expect(again)
        self._seconds = {True: ran.seconds, False: again.seconds}
        row = Row("none", "none: the healthy run", [0], ran.seconds)
        row.repeats = repeats_of(read_event_logs(ran.events), aim.spans)
        row.equal = self._digest("published") == self._healthy
        return [row], aim

    def _aim(self, ran: Ran) -> Aim:
        log = read_event_logs(ran.events)
        ingest, write = log.writing("ingesting"), log.writing("publishing")
        map_side = None if write is None else log.feeding(write)
        if ingest is None or write is None or map_side is None:
            raise UsageError(f"the event log in {ran.events} does not show an ingest and a publish")
        partitions = {chunk["chunk"]: chunk["partitions"] for chunk in ran.result["chunks"]}
        last = max(date["business_date"] for date in ran.result["dates"])
        return Aim(
            ingest_tasks=ingest.tasks,
            map_tasks=map_side.tasks,
            spans=partition_spans(partitions, 1),  # one line per partition: the spans of the run
            last_date=last,
            last_date_spans=partition_spans(self._lines_of(last), self.target_rows),
            stop_seconds=self.stop_seconds,
        )

    def _lines_of(self, date: str) -> dict[str, int]:
        received = self.spark.read.format("delta").load(self._path("healthy/ledger/chunks"))
        rows = received.filter(received.business_date == date).groupBy("chunk").sum("received").collect()
        return {row.chunk: row["sum(received)"] for row in rows}

    def _run_fault(self, fault: Fault, spans: Mapping[str, PartitionSpan]) -> Row:
        row = Row(fault.name, fault.text)
        if fault.needs_workers and self.runner.target == "local":
            row.skipped = "this place has no workers"
            return row
        _LOG.info(f"{fault.name}: {fault.text}")
        if not fault.from_landing:
            self._files.copy_folder("ingested", fault.name)
        ran = self._batch(fault.name, settings=fault.settings)
        log = read_event_logs(ran.events)
        row.repeats = repeats_of(log, spans)
        self._finish(row, fault.name, [ran], self._seconds[fault.from_landing])
        row.problem = row.problem or _problem(fault, row, log)
        return row

    def _kill_drivers(self) -> Row:
        points = driver_kills(self.gold)
        row = Row("driver_killed", f"{NAMES['driver_killed']} ({len(points)} points)")
        scheme = self._files.root.split(":")[0]
        runs, missed = [], []
        for point in points:
            _LOG.info(f"driver_killed: {point}")
            settings = {
                f"spark.delta.logStore.{scheme}.impl": "cymbal.drill.HaltingLogStore",
                "spark.hadoop.cymbal.fault.halt": point,
                "spark.cores.max": "1",  # only the driver matters: one executor starts faster than many
            }
            ran = self._batch(row.fault, settings=settings)
            runs.append(ran)
            if ran.code != KILLED:
                missed.append(f"{point} ended with {ran.code}")
        self._finish(row, row.fault, runs, self._seconds[True])
        row.problem = row.problem or ("; ".join(missed) or None)
        return row

    def _finish(self, row: Row, lake: str, runs: list[Ran], healthy_seconds: float) -> None:
        """Runs the same command again without a fault until it ends with 0, then compares the tables."""
        at_most = len(runs) + _RUNS_AT_MOST
        while runs[-1].code != 0 and len(runs) < at_most:
            _LOG.info(f"{row.fault}: the same command again, after exit code {runs[-1].code}")
            runs.append(self._batch(lake))
        row.codes = [run.code for run in runs]
        row.seconds = sum(run.seconds for run in runs)
        row.seconds_lost = row.seconds - healthy_seconds
        row.equal = self._digest(lake) == self._healthy
        if not row.equal:
            row.problem = "the tables differ from the healthy run's"
        elif row.codes[-1] != 0:
            row.problem = f"the same command still ends with {row.codes[-1]}"

    def _batch(self, lake: str, settings: dict[str, str] | None = None) -> Ran:
        folders = ("--landing", self._path("landing"), "--lake", self._path(lake))
        report = ("--report", str(self.runner.folder.parent / "pages"))
        return self.runner.run("run_batch", *folders, *report, settings=settings)

    def _digest(self, lake: str) -> Digest:
        return digest(self.spark, self._path(lake), self.gold)

    def _path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}"


def _problem(fault: Fault, row: Row, log: EventLog) -> str | None:
    """The expectation of a fault that failed; None if none did."""
    causes: Counter[str] = row.repeats.causes if row.repeats else Counter()
    if row.codes[0] != fault.code:
        return f"ended with {row.codes[0]}, not {fault.code}"
    if not causes and fault.code == 0:
        return "nothing ran again: the fault did not occur"
    if causes[UNEXPLAINED]:
        return f"{causes[UNEXPLAINED]} tasks ran again for no reason"
    if "killed" in fault.name and not (log.lost and causes[LOST]):
        return "no executor was lost"
    return None


def _expect(ran: Ran) -> None:
    if ran.code != 0:
        output = ran.terminal.strip().splitlines()
        last_line = output[-1] if output else "no output"
        raise UsageError(f"a run without fault ended with {ran.code}: {last_line}")


def write_rows(path: Path, rows: list[Row]) -> None:
    """Writes the evidence as JSON."""
    path.write_text(json.dumps([row.as_json() for row in rows], indent=2) + "\n", encoding="utf-8")
