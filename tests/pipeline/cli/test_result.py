"""The result of a run is its own: that of an earlier run is gone once the run begins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pipeline.cli.job
from jobs.run_batch import JOB as RUN_BATCH
from pipeline.lake.tables import Lake
from tests.jobs.shop import Shop, line

OLD = json.dumps({"status": "done", "exit_code": 0})


def killed(*_: object) -> None:
    raise KeyboardInterrupt  # what no run catches, as a signal that none can


@pytest.mark.parametrize("is_uri", [False, True])
def test_a_run_that_is_killed_leaves_no_result_of_an_earlier_one(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, is_uri: bool
) -> None:
    result = shop.folder / "old" / "result.json"
    result.parent.mkdir()
    result.write_text(OLD)
    shop.land("2026-03-02", line())
    with monkeypatch.context() as patched:
        patched.setattr(Lake, "prepare", killed)
        with pytest.raises(KeyboardInterrupt):
            shop.run("--result", result.as_uri() if is_uri else str(result))
    assert list(result.parent.iterdir()) == []


def test_a_command_that_is_not_valid_touches_no_result(tmp_path: Path, shop: Shop) -> None:
    result = tmp_path / "old.json"
    result.write_text(OLD)
    assert shop.run("--result", str(result), "--lakee", "x").code == 2
    assert result.read_text() == OLD


def test_a_result_that_cannot_be_removed_ends_the_run_before_any_work(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = shop.folder / "old.json"
    result.write_text(OLD)

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == result:
            raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "unlink", refuse)
    ran = shop.run("--result", str(result))
    assert ran.code == 2
    assert f"--result {result}: Operation not permitted" in ran.error
    assert not shop.lake.exists()


def test_the_result_is_written_before_anything_is_printed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = shop.folder / "first.json"
    shop.land("2026-03-02", line())
    found: list[int] = []
    monkeypatch.setattr(
        pipeline.cli.job,
        "print_summary",
        lambda *_: found.append(json.loads(result.read_text())["exit_code"]),
    )
    assert shop.run("--result", str(result), "--dry-run").code == 0
    assert found == [0]


def test_an_error_that_nobody_expects_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(pipeline.cli.job, "value_or_code", fail)
    monkeypatch.delenv("CYMBAL_LOG_FILE", raising=False)
    monkeypatch.setattr(pipeline.cli.job, "protect_streams", lambda: None)
    with pytest.raises(SystemExit) as ended:
        RUN_BATCH.main([])
    assert ended.value.code == 1
    assert capsys.readouterr().err == "error: run_batch: division by zero\n"
