"""Measures nights: ``tools/benchmarks/nights.sh --help``."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import shutil
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown

from tools.benchmarks.contenders import ROOT
from tools.benchmarks.machine import describe
from tools.benchmarks.measure import Limits, Measurement, measure
from tools.benchmarks.nights.events import Work, work_of

_SUBMIT = str(ROOT / "scripts" / "submit.sh")
_SETTINGS = ("--set", "currencies=[USD, JPY, KWD]", "--set", "audit.max_conflict_share=1")
_MOST_CPU_GROWTH = 1.15
_MOST_OF_MEDIAN = 1.5
_MOST_MEMORY_GROWTH = 1.25


@dataclass(frozen=True)
class Night:
    """A run and what it took."""

    taken: Measurement
    work: Work
    result: Mapping[str, Any]

    @property
    def lines(self) -> int:
        """Lines that it read."""
        return sum(drop["lines"] for drop in self.result["drops"])


@dataclass(frozen=True)
class Bench:
    """The folder and the limits of the runs.

    Attributes:
        out: folder for all output.
        cores: cores that a run may use.
        memory: heap of a run, in Spark's notation.
    """

    out: Path
    cores: int
    memory: str

    def run(self, name: str, job: str, *arguments: str) -> Night:
        """Runs a job; exits this process if the job fails."""
        events, result = self.out / "events" / name, self.out / "results" / f"{name}.json"
        shutil.rmtree(events, ignore_errors=True)
        for folder in (events, result.parent, self.out / "logs"):
            folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "spark.driver.memory": self.memory,
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": events.as_uri(),
            "spark.eventLog.compress": "false",
            "spark.eventLog.rolling.enabled": "false",
        }
        environment = {
            **os.environ,
            "CYMBAL_CORES": str(self.cores),
            "CYMBAL_SPARK_ARGS": " ".join(f"--conf {key}={value}" for key, value in settings.items()),
        }
        log = self.out / "logs" / f"{name}.log"
        command = [_SUBMIT, job, *arguments, "--result", str(result)]
        limits = Limits(memory_bytes=16e9, seconds=4 * 3600)
        taken = measure(command, limits, log=log, folder=ROOT, environment=environment)
        if taken.exit_code != 0:
            sys.exit(f"{name} ended with {taken.exit_code}: see {log}")
        Console().print(f"{name}: {taken.wall_seconds:.1f} s, CPU {taken.cpu_seconds:.1f} s")
        return Night(taken, work_of(events), json.loads(result.read_text(encoding="utf-8")))

    def generate(self, landing: str, rows: int, first: str, last: str, *extra: str) -> Path:
        """Generates drops with so many lines, or reuses those of an earlier call."""
        folder = self.out / landing
        if not (folder / "truth.json").exists():
            folders = ("--landing", str(folder / "landing"), "--overwrite")
            dates = ("--from", first, "--to", last, "--last-drop-date", last)
            shape = ("--formats", "[csv]", *_SETTINGS[:2], *extra)
            self.run(f"generate-{landing}", "generate_sales", *folders, *dates, "--rows", str(rows), *shape)
        return folder / "landing"


def history(bench: Bench, days: int, lines_a_day: int, rounds: int) -> str:
    """Measures one night into a lake of years and into one of some days, in alternating rounds.

    The small lake holds the days before the night in its week, of which a table by week reads all.
    """
    first, last, day = "2024-01-01", _day(days - 1), _day(days)
    few = days % 7 or 1  # the first day of history is a Monday
    early = _day(days - few)
    years = bench.generate("years", days * lines_a_day, first, last)
    night = bench.generate("night", 20 * lines_a_day, day, day, "--late-share", "0", "--very-late-share", "0")
    small = bench.generate("small", few * lines_a_day, early, last)
    full, empty = bench.out / "lake-of-years", bench.out / "lake-of-days"
    for lake, landing, dates in ((full, years, (first, last)), (empty, small, (early, last))):
        if not (lake / "billing" / "documents").exists():
            folders = ("--landing", str(landing), "--lake", str(lake), *_SETTINGS)
            bench.run(f"fill-{lake.name}", "backfill_sales", *folders, "--from", dates[0], "--to", dates[1])
            first_bill = ("--set", f"billing.issue_from={dates[0]}")
            bench.run(f"issue-{lake.name}", "issue_invoices", *folders, *first_bill)
            bench.run(f"maintain-{lake.name}", "maintain_tables", *folders)
    measured: dict[str, list[Night]] = {full.name: [], empty.name: []}
    for number in range(rounds):
        for lake in (full, empty):
            copy = bench.out / "copy"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(lake, copy)
            folders = ("--landing", str(night), "--lake", str(copy), *_SETTINGS)
            run = f"{lake.name}-{number}"
            measured[lake.name].append(bench.run(run, "run_batch", *folders, "--date", day))
    rows = [_row(name, nights) for name, nights in measured.items()]
    cpu, files = (
        statistics.median(value(night) for night in measured[full.name])
        / statistics.median(value(night) for night in measured[empty.name])
        for value in (_cpu, lambda night: night.work.files_read)
    )
    return "\n".join(
        [
            f"One night of {measured[full.name][0].lines:,} lines, into lakes of {days:,} days and of {few}:",
            "",
            "| lake | wall s | CPU s | files read | MB read | jobs of the issue | its tasks | rows it reads "
            "| MB |",
            "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
            *rows,
            "",
            f"Ratio of the medians: CPU {cpu:.2f}, files {files:.2f} (at most {_MOST_CPU_GROWTH}: "
            f"{'held' if max(cpu, files) <= _MOST_CPU_GROWTH else 'NOT held'}).",
        ]
    )


def spike(bench: Bench, lines: int, target_rows: int, rounds: int) -> str:
    """Measures a normal day and a spike of ten times the lines, also with one partition per chunk."""
    shape = ("--letter-skew", "0.6", "--hot-customer-share", "0.3", "--hot-product-share", "0.3")
    landings = {
        "normal day": bench.generate("normal", lines, "2026-11-02", "2026-11-02"),
        "spike": bench.generate("spike", 10 * lines, "2026-11-27", "2026-11-27", *shape),
    }
    targets = {"normal day": target_rows, "spike": target_rows, "spike, one partition a chunk": 10**9}
    measured: dict[str, list[Night]] = {name: [] for name in targets}
    for number in range(rounds):
        for name, target in targets.items():
            lake = bench.out / "copy"
            shutil.rmtree(lake, ignore_errors=True)
            folders = ("--landing", str(landings[name.split(",")[0]]), "--lake", str(lake), *_SETTINGS)
            chunks = ("--set", f"chunks.target_rows_per_partition={target}")
            run = f"{name.replace(' ', '-').replace(',', '')}-{number}"
            measured[name].append(bench.run(run, "run_batch", *folders, *chunks))
    normal, hot = measured["normal day"], measured["spike"]
    per_line = statistics.median(map(_per_line, hot)) / statistics.median(map(_per_line, normal))
    memory = statistics.median(map(_memory, hot)) / statistics.median(map(_memory, normal))
    largest = max(night.work.largest_to_median for night in hot)
    rows = [
        f"| {name} | {nights[0].lines:,} | {_median(nights, lambda n: n.taken.wall_seconds):.0f} "
        f"| {_median(nights, _cpu):.0f} | {_median(nights, _per_line):.1f} "
        f"| {_median(nights, _memory) / 1e9:.2f} | {nights[0].work.task_memory_bytes / 1e6:.0f} "
        f"| {len(nights[0].work.task_lines)} | {max(nights[0].work.task_lines):,} "
        f"| {nights[0].work.largest_to_median:.2f} |"
        for name, nights in measured.items()
    ]
    return "\n".join(
        [
            "60 % of the spike's lines are under one letter, 30 % of one product, 30 % under one customer; "
            f"heap {bench.memory}, {target_rows:,} lines per partition:",
            "",
            "| day | lines | wall s | CPU s | CPU s per million lines | peak GB | largest task MB | tasks "
            "| lines of the largest task | largest / median |",
            "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
            *rows,
            "",
            f"Spike / normal day: CPU per line {per_line:.2f} (at most {_MOST_CPU_GROWTH}), peak memory "
            f"{memory:.2f} (at most {_MOST_MEMORY_GROWTH}); largest / median task {largest:.2f} (at most "
            f"{_MOST_OF_MEDIAN}).",
        ]
    )


def _cpu(night: Night) -> float:
    return night.taken.cpu_seconds


def _memory(night: Night) -> float:
    return night.taken.peak_memory_bytes


def _per_line(night: Night) -> float:
    return night.taken.cpu_seconds / night.lines * 1e6


def _median(nights: Sequence[Night], value: Any) -> float:
    return float(statistics.median(map(value, nights)))


def _row(name: str, nights: Sequence[Night]) -> str:
    issue = nights[0].work.issue
    return (
        f"| {name} | {_median(nights, lambda n: n.taken.wall_seconds):.1f} | {_median(nights, _cpu):.1f} "
        f"| {nights[0].work.files_read:,} | {_median(nights, lambda n: n.taken.read_bytes) / 1e6:,.0f} "
        f"| {issue.jobs} | {issue.tasks} | {issue.rows_read:,} | {issue.bytes_read / 1e6:,.2f} |"
    )


def _day(number: int) -> str:
    return (dt.date(2024, 1, 1) + dt.timedelta(days=number)).isoformat()


def main(arguments: Sequence[str]) -> None:
    """Runs the requested measurements and writes the results as Markdown."""
    parser = argparse.ArgumentParser(
        prog="tools/benchmarks/nights.sh",
        description="Measures a night after years of history, and a holiday's spike against a normal day.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("what", nargs="*", choices=["history", "spike"], help="both by default")
    parser.add_argument("--days", type=int, default=1000, help="days of history")
    parser.add_argument(
        "--lines-a-day", type=int, default=2000, help="lines per day of history; the night has 20 times that"
    )
    parser.add_argument(
        "--lines", type=int, default=400_000, help="lines of a normal day; the spike has ten times that"
    )
    parser.add_argument("--target-rows", type=int, default=50_000, help="lines per partition")
    parser.add_argument("--repeat", type=int, default=3, help="rounds")
    parser.add_argument("--cores", type=int, default=2, help="cores that a run may use")
    parser.add_argument("--memory", default="2g", help="heap of a run")
    parser.add_argument("--out", type=Path, default=ROOT / "var" / "nights", help="folder for all output")
    requested = parser.parse_args(arguments)
    bench = Bench(requested.out.resolve(), requested.cores, requested.memory)
    parts = []
    if "history" in requested.what or not requested.what:
        parts.append(history(bench, requested.days, requested.lines_a_day, requested.repeat))
    if "spike" in requested.what or not requested.what:
        parts.append(spike(bench, requested.lines, requested.target_rows, requested.repeat))
    machine = describe(requested.cores)
    parts.append(
        "; ".join(f"{name} {machine[name]}" for name in ("CPU", "cores", "memory", "system", "Java", "Spark"))
    )
    text = "\n\n".join(parts) + "\n"
    (bench.out / f"{'-'.join(requested.what) or 'all'}.md").write_text(text, encoding="utf-8")
    Console().print(Markdown(text))


if __name__ == "__main__":
    main(sys.argv[1:])
