"""Drills recovery: the batch under faults on a scratch copy of generated sales, and the evidence."""

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
# Small files and partitions, so that each step has more tasks than there are workers.
_SETTINGS = {"spark.sql.files.maxPartitionBytes": "400k", "spark.plugins": "cymbal.drill.ExecutorFaults"}


def run(batch: Batch, options: Options) -> None:
    """Runs the batch healthy and under faults, each run submitted to the same place as this job."""
    if options.landing or options.lake:
        raise UsageError("drill works on sales of its own: --scratch says where, not --landing or --lake")
    rows = options.extra["rows"]
    if batch.dry_run:
        batch.outcome.planned += [f"{name}: {text}" for name, text in NAMES.items()]
        return
    here = Path(options.extra["reports"]).resolve() / batch.run_id
    scratch = f"{options.extra['scratch'] or here}".rstrip("/")
    root = scratch if options.extra["scratch"] is None else f"{scratch}/{batch.run_id}"
    jars = [*sorted((_ROOT / "var" / "jars").glob("*.jar")), build_jar(batch.spark, here)]
    target = max(1, rows // 8)
    assignments = [
        "currencies=[USD, JPY, KWD]",
        "audit.max_conflict_share=1",
        f"chunks.target_rows_per_partition={target}",
    ]
    arguments = [part for assignment in assignments for part in ("--set", assignment)]
    runner = Runner(os.environ.get("CYMBAL_PLACE", "local"), here / "runs", _SETTINGS, arguments, jars)
    drill = Drill(batch.spark, runner, root, rows, target, options.extra["stop_seconds"], batch.tell)
    found = drill.run(options.extra["fault"])
    batch.outcome.drill = [row.as_json() for row in found]
    write_rows(here / "drill.json", found)
    print_drill(batch.outcome.drill)
    for row in found:
        if row.problem:
            batch.outcome.fail(ExitCode.AUDIT, f"{row.fault}: {row.problem}")


JOB = Job(
    "drill",
    "Runs the batch on generated sales, healthy and under faults, and shows what ran again.",
    run,
    [
        click.option("--rows", type=click.IntRange(min=1000), default=20000, help="Lines to generate."),
        click.option(
            "--fault", multiple=True, type=click.Choice(list(NAMES)), help="One of them; repeatable."
        ),
        click.option(
            "--scratch", help="Folder or URI that driver and workers share; var/drill unless given."
        ),
        click.option("--reports", default="var/drill", help="Local folder of event logs and the evidence."),
        click.option(
            "--stop-seconds", type=click.IntRange(min=1), default=90, help="How long a worker hangs."
        ),
    ],
    records_runs=False,
    needs_settled_lake=False,
    can_be_unchanged=False,
    master="local[1]",
)

if __name__ == "__main__":
    JOB.main()
