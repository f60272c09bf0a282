"""What came out, as Markdown: the projections, the check against real runs, and what was assumed."""

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
    """A row for each number of lines and of workers."""
    table = markdown_table(
        "lines", "workers", "windows", "wall time", "core hours", "price", "cores busy", "bound by",
        words=("bound by",),
    )  # fmt: skip
    for one in projections:
        bound, share = one.bound
        table.add_row(
            f"{one.lines:,}",
            f"{one.cluster.workers:,}",
            f"{one.windows:,}",
            duration(one.seconds),
            f"{one.core_hours:,.1f}",
            f"{one.core_hours * price_per_core_hour:,.2f}",
            f"{one.busy:.0%}",
            f"{bound} {share:.0%}",
        )
    return rendered(table)


def parts_table(projections: Sequence[Projection]) -> str:
    """What the wall time of some projections is spent on."""
    names = (DRIVER, COMMIT, LAUNCH, SHUFFLE, LONGEST, CORES, JVM)
    table = markdown_table("lines", "workers", *names)
    for one in projections:
        times = [duration(one.parts[name]) for name in names]
        table.add_row(f"{one.lines:,}", f"{one.cluster.workers:,}", *times)
    return rendered(table)


def check_table(
    run: Recorded, others: Sequence[Recorded], real_cores: int | None, jvm_seconds: float = 0.0
) -> str:
    """What a run says of other runs over the same lines, beside what they took.

    Of a run that was cut off, the steps that it came to the end of are compared. The last columns are
    the time in which tasks run by their CPU time alone: what is left where others want the same cores.
    """
    table = markdown_table(
        "workers", "cores", "steps", "predicted s", "measured s", "error",
        "of it driver", "measured", "tasks by CPU", "measured", "error",
    )  # fmt: skip
    for other in (_known_cut(run, one) for one in others):
        steps = [step for step in run.steps if step in other.steps]
        cluster = cluster_of(other, real_cores)
        wall = _compared(run.of_steps(steps), cluster, jvm_seconds)
        # By its CPU time a task has a core for itself.
        cpu = _compared(run.on_cpu_clock().of_steps(steps), cluster_of(other, None))
        found, found_cpu = other.of_steps(steps), other.on_cpu_clock().of_steps(steps)
        tasks = cpu.seconds - cpu.driver_seconds
        found_tasks = found_cpu.seconds - found_cpu.driver_seconds
        table.add_row(
            f"{cluster.workers}",
            f"{cluster.running}",
            f"{len(steps)} of {len(run.steps)}",
            f"{wall.seconds:.1f}",
            f"{found.seconds:.1f}",
            f"{wall.seconds / found.seconds - 1:+.0%}",
            f"{wall.driver_seconds:.1f}",
            f"{found.driver_seconds:.1f}",
            f"{tasks:.1f}",
            f"{found_tasks:.1f}",
            f"{tasks / found_tasks - 1:+.0%}",
        )
    return rendered(table)


def _known_cut(run: Recorded, other: Recorded) -> Recorded:
    """The other run, known as cut where it ended at an earlier step: a driver that is told to end says so."""
    return replace(other, is_whole=other.is_whole and other.phases[-1].step == run.phases[-1].step)


def _compared(run: Recorded, cluster: Cluster, jvm_seconds: float = 0.0) -> Projection:
    return Model(run, replace(AS_RECORDED, jvm_seconds=jvm_seconds)).project(run.lines, cluster)


def cluster_of(run: Recorded, real_cores: int | None) -> Cluster:
    """The workers that a run had, as its log tells."""
    cores = max(run.executors.values(), default=1)
    return Cluster(max(1, len(run.executors)), cores, real_cores)


def assumptions_text(assumed: Assumptions, run: Recorded, price_per_core_hour: float, clock: str) -> str:
    """What the figures rest on, one line each."""
    network = f"{assumed.network / 1e9:g} GB/s" if assumed.network else "free"
    tasks = sum(len(stage.tasks) for stage in run.stages)
    facts = [
        f"recorded: {run.lines:,} lines in {run.seconds:.1f} s, "
        f"{run.driver_seconds:.1f} s of them in the driver alone; {len(run.stages)} stages, {tasks:,} tasks",
        f"a task takes its {clock} time",
        "the driver's time between tasks is serial; start-up and ingest once, the rest once for each window",
        f"a window is {assumed.lines_per_window:,} lines or a date, of {assumed.dates:,}; "
        "windows run one after the other",
        f"stages that read lines get more tasks for more lines, of {assumed.rows_per_task:,} rows"
        if assumed.rows_per_task
        else "stages that read lines get more tasks for more lines, as long as those measured",
        "longest task: slots are idle until the last task of a stage ends; where a window has fewer tasks "
        "than there are slots, more lines a window use more of them",
        "the first task of a stage on a slot costs what it cost more than the others, once a slot",
        f"compilers: each worker's JVM takes {assumed.jvm_seconds:g} CPU seconds beside its tasks, once, on "
        "cores that tasks leave idle; for the rest of it tasks wait",
        f"shuffle: all bytes written, (N-1)/N of them received over {network} a worker, no task meanwhile",
        f"driver: {assumed.launch_seconds * 1000:g} ms for each task handed out",
        f"commit: as measured, and {assumed.file_seconds * 1000:g} ms for each further file, "
        f"{assumed.log_seconds * 1e6:g} us for each file of the windows before",
        f"price: {price_per_core_hour:g} for an hour of a core, busy or not; storage is as fast as measured, "
        "however many workers there are",
    ]
    return "".join(f"- {fact}\n" for fact in facts)


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:,.1f} h"


def markdown_table(*names: str, words: Sequence[str] = ()) -> Table:
    """An empty table of these columns, of figures but for those that hold words."""
    table = Table(box=box.MARKDOWN)
    for name in names:
        table.add_column(name, justify="left" if name in words else "right", no_wrap=True)
    return table


def rendered(table: Table) -> str:
    """The table's Markdown."""
    text = io.StringIO()
    Console(file=text, width=_WIDTH).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().strip().splitlines()) + "\n"
