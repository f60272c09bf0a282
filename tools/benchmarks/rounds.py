"""Each round runs every contender once, measures it and proves its tables."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from deltalake.exceptions import DeltaError

from tools.benchmarks.contenders import CONTENDERS, Task, environment
from tools.benchmarks.inputs import Input
from tools.benchmarks.measure import Limits, Measurement, measure
from tools.benchmarks.prove import Figures, figures, first_difference, read_truth
from tools.benchmarks.report import EQUAL, Run

_GB = 1e9


@dataclass(frozen=True)
class Settings:
    """What to measure.

    Attributes:
        lines: sizes of the input.
        repeat: rounds on each size.
        contenders: names, in the order of a round.
        cores: cores that a contender may use.
        memory_gb: memory that a contender may use, in GB.
        hours: time limit of a run.
        out: folder of inputs, tables, logs and results.
    """

    lines: Sequence[int]
    repeat: int
    contenders: Sequence[str]
    cores: int
    memory_gb: float
    hours: float
    out: Path

    @property
    def runs(self) -> int:
        """Number of runs."""
        return len(self.lines) * self.repeat * len(self.contenders)


@dataclass
class Rounds:
    """All rounds on one input.

    Attributes:
        settings: what to measure.
        landed: the input.
        tell: called with the name of what runs, its seconds and its bytes of memory.
    """

    settings: Settings
    landed: Input
    tell: Callable[[str, float, int], None]
    _reference: Figures | None = field(default=None, init=False)

    def run(self) -> Iterator[Run]:
        """Runs every contender once per round. A contender that exceeded a limit is not run again."""
        truth = read_truth(self.landed.truth)
        lost: dict[str, str] = {}
        for number in range(1, self.settings.repeat + 1):
            for name in self.settings.contenders:
                if name in lost:
                    yield Run(self.landed.lines, number, name, lost[name], None)
                    continue
                run = self._run(name, number, truth)
                if run.outcome.startswith(("out of", "not run")):
                    lost[name] = run.outcome
                yield run

    def _run(self, name: str, number: int, truth: Figures) -> Run:
        absent = CONTENDERS[name].absent()
        if absent is not None:
            return Run(self.landed.lines, number, name, f"not run: {absent} is not installed", None)
        settings = self.settings
        lake = settings.out / "lakes" / name
        shutil.rmtree(lake, ignore_errors=True)
        lake.mkdir(parents=True)
        log = settings.out / "logs" / f"{self.landed.lines}-{number}-{name}.log"
        task = Task(self.landed.landing, lake, settings.cores, settings.memory_gb)
        # Flush what the previous contender wrote, so that it does not slow down this one.
        os.sync()
        taken = measure(
            CONTENDERS[name].command(task),
            Limits(settings.memory_gb * _GB, settings.hours * 3600),
            log=log,
            folder=lake.parent,
            environment=environment(task),
            tell=lambda seconds, memory: self.tell(name, seconds, memory),
        )
        outcome = self._prove(taken, lake, log, truth)
        shutil.rmtree(lake, ignore_errors=True)
        return Run(self.landed.lines, number, name, outcome, taken)

    def _prove(self, taken: Measurement, lake: Path, log: Path, truth: Figures) -> str:
        if taken.exceeded == "memory":
            return f"out of memory at {self.settings.memory_gb:g} GB"
        if taken.exceeded == "time":
            return f"out of time at {self.settings.hours:g} h"
        if taken.exit_code != 0:
            return f"failed with {taken.exit_code}: {last_line(log)}"
        self.tell("proof", 0.0, 0)
        try:
            actual = figures(lake)
        except (duckdb.Error, DeltaError) as error:
            return f"differs: its tables cannot be read: {str(error).splitlines()[0]}"
        difference = first_difference(truth, actual)
        if difference is None and self._reference is not None:
            difference = first_difference(self._reference, actual)
        if difference is not None:
            return f"differs: {difference}"
        # The truth does not cover every column. So later runs are also compared with the first correct one.
        self._reference = self._reference or actual
        return EQUAL


def last_line(log: Path) -> str:
    """The last line of a log that is not blank."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    return next((line[:200] for line in reversed(lines) if line), "no output")
