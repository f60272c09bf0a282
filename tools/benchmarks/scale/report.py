"""The results as Markdown: the projections, the check against real runs, and the assumptions."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

from rich import box
from rich.console import Console
from rich.table import Table

from tools.benchmarks.scale.model import (
    AS_RECORDED,
    COMMIT,
    CORES,
    DRIVER,
    JVM,
    LAUNCH,
    LONGEST,
    SHUFFLE,
    Assumptions,
    Cluster,
    Model,
    Projection,
)
from tools.benchmarks.scale.recorded import Recorded

_WIDTH = 250


def projections_table(projections: Sequence[Projection], price_per_core_hour: float) -> str:
    """One row per number of lines and of workers."""
    table = markdown_table(
        "lines", "workers", "windows", "wall time", "core hours", "price", "cores busy", "bound by",
        words=("bound by",),
    )  # fmt: skip
    for p in projections:
        bound, share = p.bound
        table.add_row(
            f"{p.lines:,}",
            f"{p.cluster.workers:,}",
            f"{p.windows:,}",
            duration(p.seconds),
            f"{p.core_hours:,.1f}",
            f"{p.core_hours * price_per_core_hour:,.2f}",
            f"{p.busy:.0%}",
            f"{bound} {share:.0%}",
        )
    return rendered(table)


def parts_table(projections: Sequence[Projection]) -> str:
    """The parts of the wall time of each projection."""
    names = (DRIVER, COMMIT, LAUNCH, SHUFFLE, LONGEST, CORES, JVM)
    table = markdown_table("lines", "workers", *names)
    for p in projections:
        times = [duration(p.parts[name]) for name in names]
        table.add_row(f"{p.lines:,}", f"{p.cluster.workers:,}", *times)
    return rendered(table)


def check_table(
    run: Recorded, others: Sequence[Recorded], real_cores: int | None, jvm_seconds: float = 0.0
) -> str:
    """Compares a run's projections with other real runs over the same lines.

    A run that was cut off is compared by its completed steps only. The last columns compare the CPU time of
    tasks: it does not depend on other processes that use the same cores.
    """
    table = markdown_table(
        "workers", "cores", "steps", "predicted s", "measured s", "error",
        "of it driver", "measured", "tasks by CPU", "measured", "error",
    )  # fmt: skip
    for other in (_with_cut(run, other) for other in others):
        steps = [step for step in run.steps if step in other.steps]
        cluster = cluster_of(other, real_cores)
        wall = _compared(run.of_steps(steps), cluster, jvm_seconds)
        # On the CPU clock every task has its own core.
        cpu = _compared(run.on_cpu_clock().of_steps(steps), cluster_of(other, None))
        measured, measured_cpu = other.of_steps(steps), other.on_cpu_clock().of_steps(steps)
        tasks = cpu.seconds - cpu.driver_seconds
        measured_tasks = measured_cpu.seconds - measured_cpu.driver_seconds
        table.add_row(
            f"{cluster.workers}",
            f"{cluster.running}",
            f"{len(steps)} of {len(run.steps)}",
            f"{wall.seconds:.1f}",
            f"{measured.seconds:.1f}",
            f"{wall.seconds / measured.seconds - 1:+.0%}",
            f"{wall.driver_seconds:.1f}",
            f"{measured.driver_seconds:.1f}",
            f"{tasks:.1f}",
            f"{measured_tasks:.1f}",
            f"{tasks / measured_tasks - 1:+.0%}",
        )
    return rendered(table)


def _with_cut(run: Recorded, other: Recorded) -> Recorded:
    """Marks the other run as cut off if it ended at an earlier step: a stopped driver logs an end, too."""
    return replace(other, is_whole=other.is_whole and other.phases[-1].step == run.phases[-1].step)


def _compared(run: Recorded, cluster: Cluster, jvm_seconds: float = 0.0) -> Projection:
    return Model(run, replace(AS_RECORDED, jvm_seconds=jvm_seconds)).project(run.lines, cluster)


def cluster_of(run: Recorded, real_cores: int | None) -> Cluster:
    """The cluster of a run, from its log."""
    cores = max(run.executors.values(), default=1)
    return Cluster(max(1, len(run.executors)), cores, real_cores)


def assumptions_text(assumed: Assumptions, run: Recorded, price_per_core_hour: float, clock: str) -> str:
    """The assumptions behind the figures, one line each."""
    network = f"{assumed.network / 1e9:g} GB/s" if assumed.network else "free"
    tasks = sum(len(stage.tasks) for stage in run.stages)
    facts = [
        f"recorded: {run.lines:,} lines in {run.seconds:.1f} s, including {run.driver_seconds:.1f} s "
        f"without a task; {len(run.stages)} stages, {tasks:,} tasks",
        f"a task takes its {clock} time",
        "driver: its time between tasks is serial; start-up and ingest run once, other steps once per window",
        f"a window holds {assumed.lines_per_window:,} lines, at least one of {assumed.dates:,} dates; "
        "windows run one after the other",
        f"stages that read lines get more tasks for more lines, of {assumed.rows_per_task:,} rows"
        if assumed.rows_per_task
        else "stages that read lines get more tasks for more lines, as long as the measured ones",
        "longest task: slots are idle until the last task of a stage ends; if a window has fewer tasks than "
        "slots, more lines per window use more slots",
        "the first task of a stage on a slot takes longer, as measured, once per slot",
        f"compilers: each worker's JVM takes {assumed.jvm_seconds:g} CPU seconds outside its tasks, once, on "
        "cores that tasks leave idle; tasks wait for the rest",
        f"shuffle: workers receive (N-1)/N of all bytes written, over {network} each; no task runs meanwhile",
        f"driver: {assumed.launch_seconds * 1000:g} ms per task launched",
        f"commit: as measured, plus {assumed.file_seconds * 1000:g} ms per additional file and "
        f"{assumed.log_seconds * 1e6:g} us per file of earlier windows",
        f"price: {price_per_core_hour:g} per core hour, busy or idle; storage is as fast as measured for any "
        "number of workers",
    ]
    return "".join(f"- {fact}\n" for fact in facts)


def duration(seconds: float) -> str:
    """Formats a duration as seconds, minutes or hours."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:,.1f} h"


def markdown_table(*names: str, words: Sequence[str] = ()) -> Table:
    """An empty Markdown table; columns hold numbers, except those in ``words``."""
    table = Table(box=box.MARKDOWN)
    for name in names:
        table.add_column(name, justify="left" if name in words else "right", no_wrap=True)
    return table


def rendered(table: Table) -> str:
    """The table's Markdown."""
    text = io.StringIO()
    Console(file=text, width=_WIDTH).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().strip().splitlines()) + "\n"
