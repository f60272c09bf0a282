"""Drills recovery: runs the batch on generated sales under faults, and records what happened."""

from __future__ import annotations

import os
from pathlib import Path

import click

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.report.drill import print_drill
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


def run(batch: Batch, options: Options) -> None:
    """Runs the batch without and with faults. Each run is submitted to the same place as this job."""
    if options.landing or options.lake:
        raise UsageError("drill works on sales of its own: give --scratch, not --landing or --lake")
    rows = options.extra["rows"]
    if batch.dry_run:
        batch.outcome.planned += [f"{name}: {text}" for name, text in NAMES.items()]
        return
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
    runner = Runner(os.environ.get("CYMBAL_PLACE", "local"), reports / "runs", _SETTINGS, arguments, jars)
    drill = Drill(batch.spark, runner, root, rows, target, options.extra["stop_seconds"], batch.tell)
    evidence = drill.run(options.extra["fault"])
    batch.outcome.drill = [row.as_json() for row in evidence]
    write_rows(reports / "drill.json", evidence)
    print_drill(batch.outcome.drill)
    for row in evidence:
        if row.problem:
            batch.outcome.fail(ExitCode.AUDIT, f"{row.fault}: {row.problem}")


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
        click.option("--reports", default="var/drill", help="Local folder for event logs and evidence."),
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
