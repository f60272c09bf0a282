"""watch_run: draws a run from its file, tells an end from a kill from silence, and writes nothing."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.sql import SparkSession

import pipeline.cli.watch
from jobs.watch_run import JOB as WATCH_RUN
from pipeline.lake.files import FileStore
from pipeline.lake.lock import FOLDER, LakeLock, _this_process
from pipeline.lake.progress_file import path_of, read_progress, write_progress
from pipeline.lake.watcher import LakeWatcher
from pipeline.planning.progress import RunProgress, ended
from tests.jobs.shop import line
from tests.support.landing import write_csv
from tests.support.progress import PROGRESS
from tests.support.replaced_files import contents_found

ROOT = Path(__file__).resolve().parents[2]
RUN = PROGRESS.run_id


@dataclass
class Watched:
    """A lake that some run holds, made by hand."""

    folder: Path

    def hold(self, number: int = 1, **process: Any) -> None:
        run_id = RUN if number == 1 else "another"
        self._put(f"lock.{number:012d}", json.dumps({"run_id": run_id, "beats": 1, **process}).encode())

    def free(self, number: int = 1) -> None:
        self._put(f"lock.{number:012d}", json.dumps({"free": RUN}).encode())

    def put(self, progress: RunProgress, number: int = 1) -> None:
        self._put(f"progress.{number:012d}", progress.to_json())

    def put_half(self) -> None:
        self._put("progress.000000000001", PROGRESS.to_json()[:400])

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}

    def watch(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = int(WATCH_RUN.run(["--lake", str(self.folder), *arguments]))
        return code, out.getvalue(), err.getvalue()

    def _put(self, name: str, content: bytes) -> None:
        path = self.folder / FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{name}.new")
        part.write_bytes(content)
        part.replace(path)


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setattr(pipeline.cli.watch, "_LOOK_SECONDS", 0.02)
    return Watched(tmp_path / "lake")


def soon(act: Callable[[], None], seconds: float = 0.3) -> None:
    threading.Timer(seconds, act).start()


def test_once_shows_the_board_and_writes_nothing(lake: Watched) -> None:
    lake.hold(**_this_process())
    lake.put(PROGRESS)
    before = lake.files()
    code, out, err = lake.watch("--once")
    assert code == 0
    assert "▶ publish" in out
    assert [row.split()[:5] for row in out.splitlines()[-3:]] == [
        ["A-G", "4/4", "0", "0", "0"],
        ["H-N", "1/3", "2", "1", "1"],
        ["other", "0/1", "0", "0", "0"],
    ]
    assert "H-N: attempt 1 of partition 4 failed on 10.0.0.3: java.io.IOException: " in err
    assert "H-N: attempt 2 of partition 4 runs on 10.0.0.3" in err
    assert "Lovelace" not in out + err
    assert lake.files() == before


def test_a_picture_of_the_board_is_saved(lake: Watched, tmp_path: Path) -> None:
    lake.hold(**_this_process())
    lake.put(PROGRESS)
    picture = tmp_path / "board.svg"
    assert lake.watch("--once", "--svg", str(picture))[0] == 0
    text = picture.read_text()
    assert text.startswith("<svg")
    assert all(chunk.name in text for chunk in PROGRESS.chunks)
    assert "url(http" not in text.replace('"', "").replace("'", "")  # it needs no network
    code, _, err = lake.watch("--once", "--svg", str(tmp_path))
    assert (code, "Is a directory" in err) == (2, True)


@pytest.mark.parametrize("exit_code", [0, 4])
def test_the_exit_code_is_the_runs(lake: Watched, exit_code: int) -> None:
    lake.hold(**_this_process())
    lake.put(PROGRESS)
    soon(lambda: lake.put(ended(PROGRESS, PROGRESS.at, exit_code)))
    code, out, _ = lake.watch()
    assert code == exit_code
    assert f"ended with exit code {exit_code}" in out


def test_no_run_is_told_with_the_last_one(lake: Watched) -> None:
    code, _, err = lake.watch()
    assert (code, f"no run is at work in file:{lake.folder}\n" in err) == (5, True)
    lake.free()
    lake.put(ended(PROGRESS, PROGRESS.at, 3))
    code, _, err = lake.watch()
    assert code == 5
    assert f"the last one, {RUN}, ended with exit code 3 at 2026-03-03 03:12:05 UTC" in err
    lake.put(PROGRESS)  # its store took no more
    code, _, err = lake.watch()
    assert code == 5
    assert f"the last one, {RUN}, wrote its progress for the last time, and no end, at 2026-03-03" in err


def test_a_run_that_begins_is_waited_for(lake: Watched) -> None:
    soon(lambda: lake.hold(**_this_process()))
    assert lake.watch("--wait", "20", "--once")[0] == 0


def test_a_killed_run_is_told_at_once_by_its_process(lake: Watched) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        import psutil

        started = psutil.Process(process.pid).create_time()
        lake.hold(machine=_this_process()["machine"], pid=process.pid, started=started)
        lake.put(PROGRESS)
        soon(process.kill)
        code, out, err = lake.watch()
    assert code == 75
    assert f"run {RUN} was killed: its process has ended. Its last heartbeat is " in err
    assert "A-G" in out  # how far it was


def test_a_silent_run_of_another_machine_counts_as_dead(
    lake: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline.cli.watch, "STALE_SECONDS", 0.3)
    lake.hold(machine="another", pid=1, started=0)
    lake.put(PROGRESS)
    began = time.monotonic()
    code, _, err = lake.watch()
    assert code == 75
    assert f"run {RUN} is silent, it counts as dead" in err
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize("exit_code", [0, 4])
def test_the_exit_code_is_that_of_the_run_that_was_watched_first(lake: Watched, exit_code: int) -> None:
    """Another run waits for the lake, and takes it before the watcher looks again."""
    other = PROGRESS.model_copy(update={"run_id": "another"})

    def outrun() -> None:
        lake.put(ended(PROGRESS, PROGRESS.at, exit_code))
        lake.hold(2, **_this_process())
        lake.put(other, 2)

    lake.hold(**_this_process())
    lake.put(PROGRESS)
    soon(outrun)
    code, out, _ = lake.watch()
    assert code == exit_code
    assert RUN in out
    assert "another" not in out


def test_a_run_that_lost_the_lake_is_not_called_interrupted(lake: Watched) -> None:
    lake.hold(**_this_process())
    lake.put(PROGRESS)
    soon(lambda: lake.hold(2, **_this_process()))
    code, _, err = lake.watch()
    assert code == 75
    assert f"run {RUN} holds the lake no more, and its end is not known here: report_runs --run {RUN}" in err


def test_after_a_run_that_has_ended_the_next_one_is_waited_for(lake: Watched) -> None:
    lake.hold(**_this_process())
    lake.put(ended(PROGRESS, PROGRESS.at, 3))

    def begin() -> None:
        lake.put(PROGRESS.model_copy(update={"run_id": "next"}), 2)
        lake.hold(2, **_this_process())

    soon(begin)
    code, out, _ = lake.watch("--wait", "20", "--once")
    assert code == 0
    assert "run next" in out


def test_ctrl_c_ends_the_watch_with_the_board_and_no_trace(
    lake: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.hold(**_this_process())
    lake.put(PROGRESS)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    # A clock of the watch alone: other threads sleep too, and py4j's would end and free no Java object more.
    clock = SimpleNamespace(sleep=interrupt, monotonic=time.monotonic)
    monkeypatch.setattr(pipeline.cli.watch, "time", clock)
    code, out, err = lake.watch()
    assert code == 130
    assert "▶ publish" in out
    assert "Traceback" not in err


def test_half_a_file_is_no_end_and_no_error(lake: Watched) -> None:
    lake.hold(**_this_process())
    lake.put_half()
    assert lake.watch("--once") == (0, "", "")
    soon(lambda: lake.put(ended(PROGRESS, PROGRESS.at, 0)))
    assert lake.watch()[0] == 0


def test_a_store_that_fails_is_told_once_and_asked_again(
    lake: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.hold(**_this_process())
    lake.put(PROGRESS)
    real, looks = LakeWatcher.look, []

    def failing(watcher: LakeWatcher) -> Any:
        looks.append(1)
        if 1 < len(looks) < 5:
            raise OSError("503 Slow Down")
        return real(watcher)

    monkeypatch.setattr(LakeWatcher, "look", failing)
    soon(lambda: lake.put(ended(PROGRESS, PROGRESS.at, 0)), 0.5)
    code, _, err = lake.watch()
    assert code == 0
    assert err.count("the lake cannot be read, trying again: 503 Slow Down") == 1


def test_an_error_of_the_stores_own_while_it_lists_is_told_and_asked_again(
    lake: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.hold(**_this_process())
    lake.put(PROGRESS)
    real, looks = FileStore.files, []

    def failing(files: FileStore, folder: str = "") -> Any:
        looks.append(1)
        if len(looks) == 2:
            files._system.listStatus(files._below("gone"))  # Java's own error
        return real(files, folder)

    monkeypatch.setattr(FileStore, "files", failing)
    soon(lambda: lake.put(ended(PROGRESS, PROGRESS.at, 0)), 0.5)
    code, _, err = lake.watch()
    assert code == 0
    assert "the lake cannot be read, trying again: " in err
    assert "/gone does not exist" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--date", "2026-03-02"], "No such option"),
        (["--set", "late.days=x"], "late.days"),
        (["--lake", "nowhere://host/lake"], 'No FileSystem for scheme "nowhere"'),
    ],
)
def test_what_it_cannot_take_into_account_is_refused(lake: Watched, arguments: list[str], said: str) -> None:
    code, _, err = lake.watch(*arguments)
    assert code == 2
    assert said in err
    assert len(err.splitlines()) == 1


def test_the_file_goes_with_its_lock(spark: SparkSession, tmp_path: Path) -> None:
    files = FileStore(spark, str(tmp_path))
    first = LakeLock(files, "first")
    first.begin()
    write_progress(files, first.number, PROGRESS.to_json())
    first.end()
    second = LakeLock(files, "second")
    second.begin()
    # Someone may watch the first one, and has a second to learn how it ended.
    assert (tmp_path / path_of(first.number)).exists()
    second.end()
    third = LakeLock(files, "third")
    third.begin()
    third.end()
    assert not (tmp_path / path_of(first.number)).exists()
    # A run that lost the lock writes its own file only: the new holder's is not touched.
    write_progress(files, first.number, PROGRESS.to_json())
    assert read_progress(files, second.number) is None


@pytest.mark.parametrize("by_java", [False, True])
def test_a_reader_of_a_replaced_file_never_finds_half_of_it(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_java: bool
) -> None:
    """By Java: as on HDFS, through Hadoop's rename."""
    files = FileStore(None, str(tmp_path))
    if by_java:
        monkeypatch.setattr(FileStore, "is_on_this_host", False)
    contents = [letter * 200_000 for letter in (b"a", b"b")]
    files.replace("one", contents[0])
    seen = contents_found(tmp_path / "one", lambda content: files.replace("one", content), contents * 30)
    assert seen == set(contents)
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".crc")] == ["one"]


@pytest.mark.command
def test_a_real_run_is_watched_and_its_kill_is_told(lake: Watched, tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    for day in range(2, 8):
        date = f"2026-03-{day:02d}"
        write_csv(landing, date, [line(f"{n}", f"{date}T15:00:00Z") for n in range(300)], "sales.csv")
    own = ("CYMBAL_", "SPARK_", "PYSPARK_", "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    command = [str(ROOT / "scripts" / "submit.sh"), "run_batch", "--landing", str(landing)]
    process = subprocess.Popen(
        [*command, "--lake", str(lake.folder)],
        env={**environment, "CYMBAL_CORES": "1", "CYMBAL_LOG_FILE": str(tmp_path / "spark.log")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        files = FileStore(None, str(lake.folder))
        progress = _first_phase(files)
        assert progress.job == "run_batch"
        code, out, _ = lake.watch("--once")
        assert (code, progress.run_id in out) == (0, True)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=60)
    code, out, err = lake.watch()
    assert code == 75
    assert f"run {progress.run_id} was killed" in err
    assert progress.run_id in out


def _first_phase(files: FileStore) -> RunProgress:
    give_up_at = time.monotonic() + 400
    while time.monotonic() < give_up_at:
        progress = read_progress(files, 1)
        if progress is not None and progress.phase is not None:
            return progress
        time.sleep(0.2)
    raise AssertionError("the run never got to work")
