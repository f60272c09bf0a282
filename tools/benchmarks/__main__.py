"""Compares this batch with other implementations of its work: ``tools/benchmarks/run.sh --help``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tools.benchmarks.chart import draw
from tools.benchmarks.contenders import CONTENDERS, ROOT
from tools.benchmarks.inputs import Input
from tools.benchmarks.machine import describe
from tools.benchmarks.report import Run, as_json, markdown, summarize
from tools.benchmarks.rounds import Rounds, Settings

_GB = 1e9


def main(arguments: Sequence[str]) -> int:
    """Runs all rounds and writes the results after each size; returns 1 if a run is not equal."""
    settings = _settings(arguments)
    # Exit on SIGTERM, so that the running contender is stopped too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # Child processes inherit the affinity: a contender sees only the cores that it may use.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: settings.cores])
    for folder in ("inputs", "lakes", "logs"):
        (settings.out / folder).mkdir(parents=True, exist_ok=True)
    runs: list[Run] = []
    with _progress() as progress:
        bar = progress.add_task("", total=settings.runs)
        for lines in settings.lines:
            landed = Input(lines, settings.out / "inputs" / str(lines))
            progress.update(bar, description=f"{lines:,} lines: generating")
            landed.make(settings.out / "logs" / f"{lines}-generate.log")
            landed.warm()

            def tell(name: str, seconds: float, memory: int, size: str = f"{lines:,} lines") -> None:
                shown = f"{size}: {name} {seconds:.0f} s, {memory / _GB:.1f} GB"
                progress.update(bar, description=shown)

            for run in Rounds(settings, landed, tell).run():
                runs.append(run)
                progress.console.print(_run_line(run), highlight=False, soft_wrap=True)
                progress.advance(bar)
            _write(runs, settings)
    Console().print(Markdown((settings.out / "results.md").read_text(encoding="utf-8")))
    return int(any(summary.outcome != "equal" for summary in summarize(runs)))


def _settings(arguments: Sequence[str]) -> Settings:
    parser = argparse.ArgumentParser(
        prog="tools/benchmarks/run.sh",
        description="Compares this batch with other implementations of its work.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    sizes = [1_000_000, 10_000_000, 50_000_000]
    parser.add_argument("--lines", type=int, nargs="+", default=sizes, help="lines of the generated inputs")
    parser.add_argument("--repeat", type=int, default=3, help="rounds per input")
    parser.add_argument("--contenders", type=_names, default=list(CONTENDERS), help="comma-separated names")
    parser.add_argument("--cores", type=int, default=2, help="cores per contender")
    parser.add_argument("--memory-gb", type=float, default=6.0, help="memory per contender")
    parser.add_argument("--hours", type=float, default=3.0, help="time limit of a run")
    parser.add_argument("--out", type=Path, default=ROOT / "var" / "bench", help="folder for all output")
    requested = vars(parser.parse_args(arguments))
    return Settings(**{**requested, "out": requested["out"].resolve()})


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in CONTENDERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(CONTENDERS)}")
    return names


def _write(runs: Sequence[Run], settings: Settings) -> None:
    machine = describe(settings.cores)
    requested = {name: value for name, value in asdict(settings).items() if name != "out"}
    (settings.out / "results.json").write_text(as_json(runs, machine, requested), encoding="utf-8")
    (settings.out / "results.md").write_text(markdown(runs, machine), encoding="utf-8")
    draw(summarize(runs), machine, settings.out / "chart.svg")


def _run_line(run: Run) -> str:
    if run.measurement is None:
        return f"{run.lines:,} lines, round {run.round}, {run.contender}: {run.outcome}"
    taken = run.measurement
    return (
        f"{run.lines:,} lines, round {run.round}, {run.contender}: {taken.wall_seconds:.1f} s, "
        f"CPU {taken.cpu_seconds:.1f} s, {taken.peak_memory_bytes / _GB:.2f} GB, {run.outcome}"
    )


def _progress() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
