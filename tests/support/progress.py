"""A run at one moment, made by hand: chunk A-G is done, H-N had a failure, other waits."""

from __future__ import annotations

import datetime as dt

from pipeline.planning.progress import EventKind, Phase, RunProgress, TaskEvent, TaskProgress

BEGAN = dt.datetime(2026, 3, 3, 3, 0, tzinfo=dt.UTC)
CAUSE = "java.io.IOException: [CAST_INVALID_INPUT] The value 'Ada Lovelace' of customer 4711123 is no number"


def moment(seconds: int) -> dt.datetime:
    return BEGAN + dt.timedelta(seconds=seconds)


def failed_and_retried(of: str = "H-N") -> tuple[TaskEvent, TaskEvent]:
    failed = TaskEvent(kind=EventKind.FAILED, of=of, partition=4, attempt=1, host="10.0.0.3", cause=CAUSE)
    return failed, failed.model_copy(update={"kind": EventKind.RETRIED, "attempt": 2, "cause": None})


PROGRESS = RunProgress(
    run_id="20260303T030000-run_batch-1a2b3c4d",
    job="run_batch",
    started_at=BEGAN,
    at=moment(725),
    phases=tuple(Phase),
    finished=(Phase.INGEST, Phase.AUDIT),
    phase=Phase.PUBLISH,
    step="publishing 2026-03-01 to 2026-03-02 in 8 partitions",
    first_date=dt.date(2026, 3, 1),
    last_date=dt.date(2026, 3, 2),
    workers=4,
    deadline=moment(1320),
    expected_end=moment(900),
    zone="America/New_York",
    chunks=(
        TaskProgress(
            name="A-G",
            tasks=4,
            done=4,
            running=0,
            failed=0,
            lines=4_012_345,
            lines_per_second=80_246.9,
            share=1.0,
            end=moment(650),
        ),
        TaskProgress(
            name="H-N",
            tasks=3,
            done=1,
            running=2,
            retried=1,
            failed=1,
            lines=1_000_000,
            lines_per_second=40_000.0,
            share=0.5,
            end=moment(900),
        ),
        TaskProgress(name="other", tasks=1, done=0, running=0, failed=0, lines=0, share=0.0),
    ),
    events=failed_and_retried(),
)
