"""Writing the chunks of a window: watched while it runs, and what became of each chunk noted."""

from __future__ import annotations

from dataclasses import replace

from pipeline.lake.causes import cause_of, is_environment_error
from pipeline.lake.tasks import TaskWatch
from pipeline.planning.recovery import (
    ChunkTasks,
    first_cause,
    given_up,
    is_lost_to_memory,
    is_lost_worker,
    tasks_by_chunk,
    with_doubled,
)
from pipeline.steps.context import Batch
from pipeline.steps.publish_commit import PublishCommit
from pipeline.steps.publish_window import PublishWindow
from schemas.errors import ChunkError, SalesBatchError, TryAgainError
from schemas.tables import SALES
from transforms.publication import ChunkPlan


def write_sales(batch: Batch, window: PublishWindow, publication: PublishCommit) -> int:
    """Writes the sales of a window; chunks lost to memory are tried once more, in twice as many partitions.

    Args:
        batch: the run.
        window: lines and plan.
        publication: what the commit says of itself.

    Returns:
        Version of ``silver/sales``.

    Raises:
        ChunkError: a chunk failed for good, for its data or its size.
        TryAgainError: workers were lost, or another run wrote to the same dates.
    """
    try:
        return _write(batch, window, publication, window.plan)
    except ChunkError as error:
        if not error.is_lost_to_memory:
            raise
        batch.outcome.warnings.append(f"{error}: tried once more in twice as many partitions")
        doubled = replace(window.plan, spans=with_doubled(window.plan.spans, error.chunks))
    return _write(batch, window, publication, doubled)


def _write(batch: Batch, window: PublishWindow, publication: PublishCommit, plan: ChunkPlan) -> int:
    step = f"publishing {window.span} in {plan.partitions} partitions"
    batch.tell(step)
    # Of this write alone: what failed before it, or comes after, is not counted as its own.
    group = f"{batch.run_id} {publication.sequence} {step}"
    watch = TaskWatch(batch.spark, group, step, plan.partitions)
    try:
        with batch.track_progress(lambda: tasks_by_chunk(watch.attempts(), plan.spans)):
            return batch.lake.replace(
                SALES,
                window.sales(plan),
                publication.dates,
                publication.to_commit_metadata(),
            )
    except SalesBatchError:
        raise
    except Exception as error:
        raise _explained(watch, plan, error) from error
    finally:
        _note_tasks(batch, watch, plan)


def _note_tasks(batch: Batch, watch: TaskWatch, plan: ChunkPlan) -> None:
    for chunk, tasks in tasks_by_chunk(watch.attempts(), plan.spans).items():
        batch.outcome.chunks.setdefault(chunk, ChunkTasks()).add(tasks)
    batch.outcome.spans = dict(plan.spans)


def _explained(watch: TaskWatch, plan: ChunkPlan, error: Exception) -> Exception:
    """The error that names the chunks Spark gave up; the error itself where no chunk is to blame."""
    if is_environment_error(error):
        return error
    lost = given_up(watch.attempts(), plan.spans)
    if not lost:
        return TryAgainError(f"workers were lost: {cause_of(error)}") if is_lost_worker(str(error)) else error
    names = ", ".join(sorted(lost))
    causes = sorted({first_cause(cause) for cause in lost.values()})
    text = f"chunk {names} failed: {'; '.join(causes)}"
    if any(is_lost_to_memory(cause) for cause in lost.values()):
        return ChunkError(text, sorted(lost), is_lost_to_memory=True)
    if all(is_lost_worker(cause) for cause in lost.values()):
        return TryAgainError(f"{text}: workers were lost; run again")
    return ChunkError(text, sorted(lost))
