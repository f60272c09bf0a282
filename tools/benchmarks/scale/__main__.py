"""Replays a run's event log on other clusters: ``python -m tools.benchmarks.scale EVENT_LOG --help``."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pipeline.settings import load_settings
from tools.benchmarks.contenders import ROOT
from tools.benchmarks.scale.model import Assumptions, Cluster, Model, Projection
from tools.benchmarks.scale.recorded import Recorded, read_event_log
from tools.benchmarks.scale.report import assumptions_text, check_table, parts_table, projections_table

_WORKERS = (1, 3, 10, 30, 100, 300, 1_000)
_LINES = (1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000)


def main(arguments: Sequence[str]) -> int:
    """Prints and writes the report; returns 2 if a log cannot be read."""
    requested = _parser().parse_args(arguments)
    try:
        run = read_event_log(requested.event_log)
        others = [read_event_log(path) for path in requested.check]
    except (OSError, ValueError) as error:
        Console(stderr=True).print(f"error: {error}", highlight=False, soft_wrap=True)
        return 2
    timed = run.on_cpu_clock() if requested.clock == "cpu" else run
    projections = _projections(timed, requested)
    text = _report(run, others, projections, requested)
    Console().print(text, highlight=False, markup=False, soft_wrap=True)
    requested.out.mkdir(parents=True, exist_ok=True)
    (requested.out / "scale.md").write_text(text, encoding="utf-8")
    if importlib.util.find_spec("matplotlib") is not None:
        from tools.benchmarks.scale.curve import draw  # only the benchmark's own venv has matplotlib

        draw(projections, requested.price_per_core_hour, requested.out / "scale.svg")
    return 0


def _projections(run: Recorded, requested: argparse.Namespace) -> list[Projection]:
    model = Model(run, _assumptions(requested))
    clusters = [Cluster(workers, requested.cores_per_worker) for workers in requested.workers]
    return [model.project(lines, cluster) for lines in requested.lines for cluster in clusters]


def _report(
    run: Recorded,
    others: Sequence[Recorded],
    projections: Sequence[Projection],
    requested: argparse.Namespace,
) -> str:
    largest = [p for p in projections if p.cluster.workers == max(requested.workers)]
    parts = [
        "# Time and price by workers and lines\n",
        projections_table(projections, requested.price_per_core_hour),
        f"Where the time goes with {max(requested.workers):,} workers:\n",
        parts_table(largest),
        "Assumptions:\n",
        assumptions_text(_assumptions(requested), run, requested.price_per_core_hour, requested.clock),
    ]
    if others:
        parts += [
            "Checked against real runs:\n",
            check_table(run, others, requested.real_cores, requested.jvm_seconds),
        ]
    return "\n".join(parts)


def _assumptions(requested: argparse.Namespace) -> Assumptions:
    return Assumptions(
        rows_per_task=requested.rows_per_task,
        lines_per_window=requested.lines_per_window,
        dates=requested.dates,
        network=requested.network_gb_per_second * 1e9,
        launch_seconds=requested.launch_ms / 1e3,
        file_seconds=requested.commit_ms_per_file / 1e3,
        log_seconds=requested.log_us_per_file / 1e6,
        jvm_seconds=requested.jvm_seconds,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.benchmarks.scale",
        description="Replays the event log of a run on other clusters and prints time and price.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    config = load_settings(None, (), {})
    defaults = Assumptions()
    add = parser.add_argument
    add("event_log", type=Path, help="event log of a run_batch: one file, not compressed")
    add("--lines", type=int, nargs="+", default=_LINES, help="numbers of lines")
    add("--workers", type=int, nargs="+", default=_WORKERS, help="numbers of workers")
    add("--cores-per-worker", type=int, default=4, help="tasks that a worker runs at once")
    add("--price-per-core-hour", type=float, default=0.05, help="price of a core, busy or idle")
    add("--dates", type=int, default=defaults.dates, help="business dates that the lines are spread over")
    add("--rows-per-task", type=int, default=config.chunks.target_rows_per_partition,
        help="rows per task in stages that read lines; 0: as measured")  # fmt: skip
    add("--lines-per-window", type=int, default=config.publish.max_lines_per_window,
        help="lines published in one commit")  # fmt: skip
    add("--network-gb-per-second", type=float, default=defaults.network / 1e9,
        help="network rate into a worker; 0: transfers take no time")  # fmt: skip
    add("--launch-ms", type=float, default=defaults.launch_seconds * 1e3,
        help="driver time per task")  # fmt: skip
    add("--commit-ms-per-file", type=float, default=defaults.file_seconds * 1e3,
        help="driver time per file that a commit adds")  # fmt: skip
    add("--log-us-per-file", type=float, default=defaults.log_seconds * 1e6,
        help="driver time per commit and file of earlier windows")  # fmt: skip
    add("--jvm-seconds", type=float, default=defaults.jvm_seconds,
        help="CPU of a worker's JVM outside its tasks, once; not in event logs")  # fmt: skip
    add("--clock", choices=("wall", "cpu"), default="wall",
        help="time of a task: wall, or cpu if other processes used the same cores")  # fmt: skip
    add("--check", type=Path, nargs="+", default=[], help="event logs of the same job on other workers")
    add("--real-cores", type=int, help="cores that the workers of --check shared")
    add("--out", type=Path, default=ROOT / "var" / "scale", help="folder for scale.md and scale.svg")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
