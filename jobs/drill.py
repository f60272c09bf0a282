"""Drills recovery: runs the batch on generated sales under faults, and records what happened."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.table import Table as Grid

from pipeline.cli.job import Job
from pipeline.cli.options import Options, var_folder
from pipeline.report.streams import output
from pipeline.steps.context import Batch
from schemas.errors import UsageError
from schemas.states import ExitCode
from tools.drills.drill import Drill, write_rows
from tools.drills.faults import NAMES
from tools.drills.jar import build_jar
from tools.drills.runs import Runner

_ROOT = Path(__file__).resolve().parents[1]
# Small partitions give each step more tasks than there are workers.
_SETTINGS = {"spark.sql.files.maxPartitionBytes": "400k", "spark.plugins": "cymbal.drill.ExecutorFaults"}

_WIDTH = 320


def run(batch: Batch, options: Options) -> dict[str, Any]:
    """Runs the batch without and with faults. Each run is submitted to the same place as this job."""
    if options.landing or options.lake:
        raise UsageError("drill works on sales of its own: give --scratch, not --landing or --lake")
    rows = options.extra["rows"]
    if batch.dry_run:
        batch.outcome.planned += [f"{name}: {text}" for name, text in NAMES.items()]
        return {}
    reports = Path(options.extra["reports"]).resolve() / batch.run_id
    scratch = f"{options.extra['scratch'] or reports}".rstrip("/")
    root = scratch if options.extra["scratch"] is None else f"{scratch}/{batch.run_id}"
    jars = [*sorted((_ROOT / "var" / "jars").glob("*.jar")), build_jar(batch.spark, reports)]
    target = max(1, rows // 8)
    assignments = [
        "currencies=[USD, JPY, KWD]",
        "audit.max_conflict_share=1",
        f"chunks.target_rows_per_partition={target}",
    ]
    arguments = [part for assignment in assignments for part in ("--set", assignment)]
    if options.config:
        arguments += ["--config", str(Path(options.config).resolve())]
    runner = Runner(os.environ.get("CYMBAL_PLACE", "local"), reports / "runs", _SETTINGS, arguments, jars)
    stop_seconds, gold = options.extra["stop_seconds"], batch.lake.tables.gold
    drill = Drill(batch.spark, runner, root, rows, target, stop_seconds, gold)
    evidence = drill.run(options.extra["fault"])
    rows_of_evidence = [row.as_json() for row in evidence]
    write_rows(reports / "drill.json", evidence)
    _print_drill(rows_of_evidence)
    for row in evidence:
        if row.problem:
            batch.outcome.fail(ExitCode.AUDIT, f"{row.fault}: {row.problem}")
    return {"drill": rows_of_evidence}


def _print_drill(rows: Iterable[Mapping[str, Any]]) -> None:
    """Prints one row per fault: what ran again, what did not, the cost, whether the tables are equal."""
    grid = Grid(box=box.MARKDOWN)
    for header in (
        "fault",
        "exit",
        "chunks again",
        "others",
        "map side",
        "why",
        "task s wasted",
        "s lost",
        "tables",
    ):
        grid.add_column(header, no_wrap=True)
    for row in rows:
        grid.add_row(*_cells(row))
    console = output()
    # Print whole lines on narrow terminals too: a truncated table is no evidence.
    console.width = _WIDTH
    console.print(grid, crop=False)


def _cells(row: Mapping[str, Any]) -> list[str]:
    if row["skipped"]:
        return [row["text"], "", "", "", "", f"skipped: {row['skipped']}", "", "", ""]
    repeated = {chunk: count for chunk, count in row["write_tasks_again"].items() if count}
    others = [chunk for chunk in row["write_tasks"] if chunk not in repeated]
    elsewhere = [f"{step} {count}" for step, count in row["tasks_again_elsewhere"].items()]
    return [
        row["text"],
        _codes(row["exit_codes"]),
        ", ".join(f"{c} {n}/{row['write_tasks'][c]}" for c, n in repeated.items()) or "none",
        ", ".join(others) or "none",
        ", ".join([f"{row['map_tasks_again']}/{row['map_tasks']}", *elsewhere])
        if row["map_tasks"]
        else ", ".join(elsewhere),
        ", ".join(f"{count} {cause}" for cause, count in row["causes"].items()),
        f"{row['task_seconds_wasted']:.1f} of {row['task_seconds']:.1f}",
        f"{row['seconds_lost']:.0f}",
        row["problem"] or ("equal" if row["tables_equal"] else "DIFFER"),
    ]


def _codes(codes: list[int]) -> str:
    """Exit codes in order of the runs; consecutive equal codes are counted."""
    groups: list[tuple[int, int]] = []
    for code in codes:
        if groups and groups[-1][0] == code:
            groups[-1] = (code, groups[-1][1] + 1)
        else:
            groups.append((code, 1))
    return ", then ".join(str(code) if count == 1 else f"{count} x {code}" for code, count in groups)


JOB = Job(
    "drill",
    "Runs the batch on generated sales, without and with faults, and shows what was retried.",
    run,
    [
        click.option("--rows", type=click.IntRange(min=1000), default=20000, help="Lines to generate."),
        click.option(
            "--fault",
            multiple=True,
            type=click.Choice(list(NAMES)),
            help="Fault to run; repeatable; default: all.",
        ),
        click.option("--scratch", help="Folder or URI that driver and workers share; default: --reports."),
        click.option(
            "--reports", default=lambda: var_folder("drill"), help="Local folder for event logs and evidence."
        ),
        click.option(
            "--stop-seconds", type=click.IntRange(min=1), default=90, help="Seconds that a worker hangs."
        ),
    ],
    records_runs=False,
    needs_settled_lake=False,
    can_be_unchanged=False,
    master="local[1]",
)

if __name__ == "__main__":
    JOB.main()
