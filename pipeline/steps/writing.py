"""Writes the chunks of a window to ``silver/sales``, and records how the tasks of each chunk went."""

from __future__ import annotations

import logging
from dataclasses import replace

from pipeline.lake.causes import cause_of, is_environment_error
from pipeline.lake.tasks import TaskWatch
from pipeline.planning.attempts import chunk_attempts
from pipeline.planning.recovery import (
    ChunkTasks,
    first_cause,
    given_up,
    is_lost_to_memory,
    is_lost_worker,
    tasks_by_chunk,
    with_doubled,
)
from pipeline.steps.context import Batch, ChunkedWrite
from pipeline.steps.publish_commit import PublishCommit
from pipeline.steps.publish_window import PublishWindow
from schemas.errors import ChunkError, SalesBatchError, TryAgainError
from schemas.tables import SALES
from transforms.publication import ChunkPlan

_LOG = logging.getLogger(__name__)


def write_sales(batch: Batch, window: PublishWindow, publication: PublishCommit) -> int:
    """Writes the sales of a window in one commit.

    If chunks run out of memory, it tries once more, with twice as many partitions for these chunks.

    Args:
        batch: the run.
        window: its lines and its plan.
        publication: becomes the metadata of the commit.

    Returns:
        The version of ``silver/sales`` that the commit made.

    Raises:
        ChunkError: a chunk failed because of its data or its size.
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
    _LOG.info(step)
    # A group of its own, so that the watch counts the tasks of this write only.
    group = f"{batch.run_id} {publication.sequence} {step}"
    watch = TaskWatch(batch.spark, group, step, plan.spans)
    try:
        with batch.track_progress(ChunkedWrite(watch, plan.spans, window.chunk_lines)):
            return batch.lake.replace(
                SALES,
                window.sales(plan),
                publication.dates,
                publication.to_commit_metadata(),
            )
    except SalesBatchError:
        raise
    except Exception as error:
        raise _name_chunks(watch, plan, error) from error
    finally:
        _note_tasks(batch, watch, plan)


def _note_tasks(batch: Batch, watch: TaskWatch, plan: ChunkPlan) -> None:
    attempts = watch.attempts()
    for chunk, tasks in tasks_by_chunk(attempts, plan.spans).items():
        batch.outcome.chunks.setdefault(chunk, ChunkTasks()).add(tasks)
    batch.outcome.attempts += chunk_attempts(attempts, plan.spans)
    batch.outcome.spans = dict(plan.spans)


def _name_chunks(watch: TaskWatch, plan: ChunkPlan, error: Exception) -> Exception:
    """An error that names the chunks that failed; the given error if no chunk is to blame."""
    if is_environment_error(error):
        return error
    failed = given_up(watch.attempts(), plan.spans)
    if not failed:
        return TryAgainError(f"workers were lost: {cause_of(error)}") if is_lost_worker(str(error)) else error
    names = ", ".join(sorted(failed))
    causes = sorted({first_cause(cause) for cause in failed.values()})
    message = f"chunk {names} failed: {'; '.join(causes)}"
    if any(is_lost_to_memory(cause) for cause in failed.values()):
        return ChunkError(message, sorted(failed), is_lost_to_memory=True)
    if all(is_lost_worker(cause) for cause in failed.values()):
        return TryAgainError(f"{message}: workers were lost; run again")
    return ChunkError(message, sorted(failed))
