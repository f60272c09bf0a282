"""The progress of real runs: failures and retries are told, the file ends with the run, nothing breaks it."""

from __future__ import annotations

import re
from typing import NoReturn

import pytest
from pyspark import TaskContext
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

import pipeline.report.progress
from jobs.run_batch import JOB as RUN_BATCH
from pipeline.lake.files import FileStore
from pipeline.lake.tasks import StatusStore
from pipeline.planning.progress import EventKind, Phase, RunProgress, read_json
from pipeline.steps.publish_window import PublishWindow
from tests.jobs.shop import Shop, line
from transforms.publication import ChunkPlan

DATE = "2026-03-02"


def land(shop: Shop) -> None:
    names = ("Apple", "Honey", "Zebra")
    shop.land(DATE, *[line(name, f"{DATE}T15:00:00Z", product_name=name) for name in names])


def file_of(shop: Shop) -> RunProgress:
    path = max((shop.lake / "ledger" / "_running").glob("progress.*"))
    progress = read_json(path.read_bytes())
    assert progress is not None
    return progress


def fails_once(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Makes the first attempt of a task fail that holds a line of this product."""
    real = PublishWindow.sales

    @F.udf("string")
    def failing(product: str, channel: str) -> str:
        if product == name and TaskContext.get().attemptNumber() == 0:
            raise ValueError(f"cannot read '{product}' of Ada")
        return channel

    def sales(window: PublishWindow, plan: ChunkPlan) -> DataFrame:
        return real(window, plan).withColumn("channel", failing("product_name", "channel"))

    monkeypatch.setattr(PublishWindow, "sales", sales)


def test_a_failed_attempt_and_its_retry_are_told_and_kept(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(shop)
    fails_once(monkeypatch, "Honey")
    ran = shop.done()
    told = [text.partition(" s  ")[2] for text in ran.stderr.splitlines() if "H-N: attempt" in text]
    assert re.fullmatch(r"H-N: attempt 1 of partition 1 failed on \S+: .+", told[0])
    assert re.fullmatch(r"H-N: attempt 2 of partition 1 (runs|succeeded) on \S+", told[1])
    assert "succeeded" in told[-1]
    progress = file_of(shop)
    assert (progress.run_id, progress.job) == (ran.result["run_id"], "run_batch")
    assert (progress.ended, progress.exit_code, progress.finished) == (True, 0, tuple(Phase))
    assert [
        (c.name, c.tasks, c.done, c.running, c.retried, c.failed, c.lines, c.share) for c in progress.chunks
    ] == [
        ("A-G", 1, 1, 0, 0, 0, 1, 1.0),
        ("H-N", 1, 1, 0, 1, 1, 1, 1.0),
        ("V-Z", 1, 1, 0, 0, 0, 1, 1.0),
    ]
    assert next(event.kind for event in progress.events if event.of == "H-N") is EventKind.FAILED
    content = progress.to_json().decode()
    for kept_out in ("Ada", "Honey", str(shop.lake), str(shop.landing)):
        assert kept_out not in content


def test_a_run_that_cannot_see_its_tasks_goes_on_and_says_so_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blind(store: StatusStore) -> NoReturn:
        raise RuntimeError("the status store is gone")

    monkeypatch.setattr(StatusStore, "workers", blind)
    monkeypatch.setattr(pipeline.report.progress, "_BLIND_SECONDS", 0.0)
    monkeypatch.setattr(pipeline.report.progress, "_LOOK_SECONDS", 0.05)
    land(shop)
    ran = shop.done()
    said = "the progress of the tasks cannot be read, the run goes on: the status store is gone"
    assert ran.stderr.count(said) == 1
    assert file_of(shop).exit_code == 0


def test_a_run_that_cannot_write_its_progress_goes_on_and_says_so_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(files: FileStore, name: str, content: bytes) -> NoReturn:
        raise OSError("No space left on device")

    monkeypatch.setattr(FileStore, "replace", full)
    monkeypatch.setattr(pipeline.report.progress, "_FILE_SECONDS", 0.05)
    land(shop)
    ran = shop.done()
    assert ran.stderr.count("the progress file cannot be written, the run goes on: No space left") == 1


def test_an_interrupted_run_marks_its_file(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(window: PublishWindow, plan: ChunkPlan) -> NoReturn:
        raise KeyboardInterrupt

    land(shop)
    with monkeypatch.context() as patched:
        patched.setattr(PublishWindow, "sales", interrupted)
        with pytest.raises(KeyboardInterrupt):
            RUN_BATCH.run(["--landing", str(shop.landing), "--lake", str(shop.lake)])
    progress = file_of(shop)
    assert (progress.ended, progress.exit_code, progress.finished) == (
        True,
        None,
        (Phase.INGEST, Phase.AUDIT),
    )
    assert shop.done().result["dates"]  # and the lake is free


def test_what_holds_no_lock_writes_no_file(shop: Shop) -> None:
    land(shop)
    assert shop.run("--dry-run").code == 0
    assert not shop.lake.exists()
