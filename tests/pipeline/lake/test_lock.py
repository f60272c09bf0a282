"""The lock of a lake: of runs that ask at once, one has it; a dead one loses it, and cannot go on."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pyspark.sql import SparkSession

import pipeline.lake.lock
from pipeline.lake.files import FileStatus, FileStore, _create_local
from pipeline.lake.lock import FOLDER, STALE_SECONDS, LakeLock
from schemas.errors import TryAgainError, UsageError

ROOT = Path(__file__).resolve().parents[3]
STALE_MS = int(STALE_SECONDS * 1000)


def name_of(number: int) -> str:
    return f"{FOLDER}/lock.{number:012d}"


class Store:
    """What LakeLock uses of a FileStore, in memory, as an object store has it; the clock is the test's."""

    root = "s3a://bucket/lake"

    def __init__(self) -> None:
        self.clock_ms = 0
        self.creates_over = False
        self.refuses = False
        self.before_create: Callable[[], None] = lambda: None
        self._turn = threading.Lock()
        self._files: dict[str, tuple[bytes, FileStatus]] = {}

    def exists(self, name: str = "") -> bool:
        self._check()
        return any(held == name or held.startswith(f"{name}/") for held in list(self._files))

    def files(self, folder: str = "") -> Iterator[FileStatus]:
        yield from [status for name, (_, status) in list(self._files.items()) if name.startswith(folder)]

    def read(self, path: str, limit: int) -> bytes:
        found = self._files.get(path.removeprefix(f"{self.root}/"))
        if found is None:
            raise OSError("no such file")
        return found[0][:limit]

    def write(self, name: str, content: bytes) -> FileStatus:
        self._check()
        status = FileStatus(f"{self.root}/{name}", len(content), str(hash(content)), self.clock_ms)
        self._files[name] = (content, status)
        return status

    def create(self, name: str, content: bytes) -> bool:
        before, self.before_create = self.before_create, lambda: None
        before()
        with self._turn:
            if name in self._files and not self.creates_over:
                return False
            self.write(name, content)
        return True

    def delete(self, name: str) -> None:
        self._files.pop(name, None)

    def names(self) -> set[str]:
        return set(self._files)

    def said(self, number: int) -> dict[str, Any]:
        return dict(json.loads(self._files[name_of(number)][0]))

    def _check(self) -> None:
        if self.refuses:
            raise OSError("access denied")


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline.lake.lock, "BEAT_SECONDS", 0.01)  # many beats in a short test
    monkeypatch.setattr(pipeline.lake.lock, "_POLL_SECONDS", 0.01)


@pytest.fixture
def store() -> Store:
    return Store()


def lock_of(store: Any, run_id: str) -> LakeLock:
    return LakeLock(store, run_id)


def held(store: Any, run_id: str) -> LakeLock:
    lock = lock_of(store, run_id)
    lock.begin()
    return lock


def silent(store: Any, run_id: str) -> LakeLock:
    """A lock whose holder writes it no more and does not know it."""
    lock = held(store, run_id)
    lock._ended.set()
    lock._thread.join()
    return lock


def leave(store: Store, number: int, **process: Any) -> None:
    """The file of a run that another process left."""
    store.write(name_of(number), json.dumps({"run_id": "left", "beats": 1, **process}).encode())


def ended_process() -> dict[str, Any]:
    """A process of this machine that is gone."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = psutil.Process(child.pid).create_time()
    child.communicate()
    return {"machine": pipeline.lake.lock._machine(), "pid": child.pid, "started": started}


# --- one at a time


def test_a_second_run_is_kept_out_and_told_by_whom(store: Store) -> None:
    first = held(store, "first")
    with pytest.raises(TryAgainError, match=r"run first is at work in this lake \(last heartbeat 0 s ago\)"):
        lock_of(store, "second").begin()
    first.check()
    first.end()
    assert store.names() == {name_of(1)}
    assert store.said(1) == {"free": "first"}
    second = held(store, "second")
    assert not second.was_taken_over
    assert not second.holder_may_live
    second.check()
    second.end()


def test_the_run_that_was_kept_out_leaves_nothing_and_frees_nothing(store: Store) -> None:
    first = held(store, "first")
    other = lock_of(store, "second")
    with pytest.raises(TryAgainError):
        other.begin()
    other.end()
    first.check()
    assert store.names() == {name_of(1)}
    assert store.said(1)["run_id"] == "first"
    first.end()


def test_numbers_go_on_and_older_ones_are_cleared(store: Store) -> None:
    store.write(f"{FOLDER}/readme.txt", b"not a lock")
    store.write(f"{FOLDER}/lock.7", b"nor this")
    store.write(f"{FOLDER}/.{name_of(9).rpartition('/')[2]}.abc", b"nor this, of a run that is creating it")
    others = store.names()
    for number in range(1, 12):
        lock = held(store, f"run{number}")
        assert store.names() - others == {name_of(number)}
        lock.check()
        lock.end()
    # Several are there, as after a run that was killed before it cleared: the highest is the lock.
    store.write(name_of(3), b'{"run_id": "old"}')
    lock = held(store, "next")
    assert store.names() - others == {name_of(12)}
    lock.end()


def test_of_many_that_ask_at_once_one_has_it(store: Store) -> None:
    for _ in range(20):
        got, kept_out = ask_at_once([lock_of(store, f"run{n}") for n in range(4)])
        assert (len(got), len(kept_out)) == (1, 3)
        got[0].check()
        got[0].end()


def ask_at_once(locks: list[LakeLock]) -> tuple[list[LakeLock], list[TryAgainError]]:
    got: list[LakeLock] = []
    kept_out: list[TryAgainError] = []
    start = threading.Barrier(len(locks))

    def ask(lock: LakeLock) -> None:
        start.wait()
        try:
            lock.begin()
            got.append(lock)
        except TryAgainError as error:
            kept_out.append(error)

    threads = [threading.Thread(target=ask, args=(lock,)) for lock in locks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got, kept_out


def test_of_many_that_take_over_a_dead_holder_at_once_one_has_it(store: Store) -> None:
    gone = ended_process()
    for _ in range(20):
        highest = max((int(name[-12:]) for name in store.names()), default=0)
        leave(store, highest + 1, **gone)
        got, kept_out = ask_at_once([lock_of(store, f"run{n}") for n in range(4)])
        assert (len(got), len(kept_out)) == (1, 3)
        assert got[0].was_taken_over
        got[0].end()


def test_who_comes_second_at_the_last_moment_is_kept_out(store: Store) -> None:
    leave(store, 4, **ended_process())
    late, winner = lock_of(store, "late"), lock_of(store, "winner")
    store.before_create = winner.begin  # between the look of the late one and its own try
    with pytest.raises(TryAgainError, match="run winner is at work"):
        late.begin()
    assert not late.was_taken_over
    assert not late.holder_may_live
    assert winner.was_taken_over
    winner.check()
    winner.end()


def test_a_run_that_slept_while_others_came_and_went_may_not_commit(store: Store) -> None:
    late, last = lock_of(store, "late"), lock_of(store, "last")

    def meanwhile() -> None:
        held(store, "passing").end()
        last.begin()

    store.before_create = meanwhile
    # The number that it wanted is cleared by now, and so free to be created.
    with pytest.raises(TryAgainError, match="run last"):
        late.begin()
        late.check()
    late.end()
    last.check()
    assert store.said(2)["run_id"] == "last"
    last.end()


# --- a holder that is heard of, and one that is not


def test_a_holder_that_is_heard_of_keeps_it(store: Store) -> None:
    first = held(store, "first")
    store.clock_ms += STALE_MS + 1
    beats = store.said(1)["beats"]
    time.sleep(0.2)
    assert store.said(1)["beats"] > beats
    with pytest.raises(TryAgainError, match="last heartbeat 0 s ago"):
        lock_of(store, "second").begin()
    first.check()
    first.end()


def test_a_store_that_fails_for_a_while_costs_no_lock(store: Store) -> None:
    first = held(store, "first")
    store.refuses = True
    time.sleep(0.1)
    store.refuses = False
    store.clock_ms += STALE_MS
    time.sleep(0.1)
    with pytest.raises(TryAgainError):
        lock_of(store, "second").begin()
    first.check()
    first.end()


def test_a_silent_holder_loses_it_and_may_not_commit(store: Store) -> None:
    first = silent(store, "first")
    store.clock_ms += STALE_MS - 1000
    with pytest.raises(TryAgainError, match="last heartbeat 119 s ago"):
        lock_of(store, "second").begin()
    first.check()
    store.clock_ms += 1000
    second = held(store, "second")
    assert (second.was_taken_over, second.holder_may_live) == (True, True)
    with pytest.raises(TryAgainError, match="run second took this lake"):
        first.check()
    second.check()
    # Nor does it take away what is another's by now, when it wakes, writes its own file, or ends.
    store.write(name_of(1), first._heartbeat())
    with pytest.raises(TryAgainError, match="run second took this lake"):
        first.check()
    first.end()
    second.check()
    with pytest.raises(TryAgainError, match="run second is at work"):
        lock_of(store, "third").begin()
    second.end()
    # And its file, which it wrote again, is no lock.
    third = held(store, "third")
    assert store.names() == {name_of(3)}
    third.end()


def test_a_holder_that_wakes_at_the_last_moment_loses_it_all_the_same(store: Store) -> None:
    first = silent(store, "first")
    store.clock_ms += STALE_MS
    store.before_create = lambda: store.write(name_of(1), first._heartbeat()) and None
    second = held(store, "second")
    with pytest.raises(TryAgainError, match="run second took this lake"):
        first.check()
    second.check()
    second.end()


def test_after_its_successor_has_ended_a_woken_holder_may_not_commit_either(store: Store) -> None:
    first = silent(store, "first")
    store.clock_ms += STALE_MS
    held(store, "second").end()
    with pytest.raises(TryAgainError, match="took this lake"):
        first.check()


def test_a_holder_whose_process_is_gone_loses_it_at_once(store: Store) -> None:
    gone = ended_process()
    leave(store, 1, **gone)
    lock = held(store, "next")
    assert (lock.was_taken_over, lock.holder_may_live) == (True, False)
    lock.end()
    # Its number may be another's by now: the time when that one started tells.
    mine = psutil.Process()
    leave(store, 3, machine=gone["machine"], pid=mine.pid, started=mine.create_time() - 60)
    lock = held(store, "again")
    assert (lock.was_taken_over, lock.holder_may_live) == (True, False)
    lock.end()
    leave(store, 5, machine=gone["machine"], pid=mine.pid, started=mine.create_time())
    with pytest.raises(TryAgainError, match="run left is at work"):
        lock_of(store, "kept out").begin()


@pytest.mark.parametrize(
    "process",
    [
        {"machine": "elsewhere"},
        {"machine": ""},
        {"machine": None},
        {"pid": None},
        {"pid": "none"},
        {"pid": os.getpid(), "started": None},
    ],
    ids=["elsewhere", "no name", "no machine", "no process", "a name", "no start"],
)
def test_a_holder_of_whose_process_nothing_is_known_keeps_it_until_it_is_silent(
    store: Store, process: dict[str, Any]
) -> None:
    leave(store, 1, **{**ended_process(), **process})
    store.clock_ms += STALE_MS - 1
    with pytest.raises(TryAgainError, match=r"run left is at work in this lake \(last heartbeat 120 s ago\)"):
        lock_of(store, "second").begin()
    store.clock_ms += 1
    second = held(store, "second")
    assert (second.was_taken_over, second.holder_may_live) == (True, True)
    second.end()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"run_id": ""}'], ids=repr)
def test_a_lock_that_cannot_be_read_is_held_until_it_is_silent(store: Store, content: bytes) -> None:
    store.write(name_of(1), content)  # as while its holder writes it
    store.clock_ms += STALE_MS - 1
    with pytest.raises(TryAgainError, match="another run is at work"):
        lock_of(store, "second").begin()
    store.clock_ms += 1
    held(store, "second").end()


def test_a_lock_that_the_store_does_not_hand_out_is_held(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, limit: int) -> bytes:
        raise OSError("slow down")

    store.write(name_of(1), b'{"free": "first"}')
    monkeypatch.setattr(store, "read", refuse)
    with pytest.raises(TryAgainError, match="another run is at work"):
        lock_of(store, "second").begin()
    monkeypatch.undo()


def test_a_clock_of_the_store_that_goes_back_takes_no_lock_away(store: Store) -> None:
    store.clock_ms = 10 * STALE_MS
    first = silent(store, "first")
    store.clock_ms = 0
    with pytest.raises(TryAgainError, match="last heartbeat 0 s ago"):
        lock_of(store, "second").begin()
    first.check()


# --- waiting, ending, stores that will not do


class Waits(logging.Handler):
    """What runs log while they wait."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []
        self.at_second: Callable[[], None] = lambda: None

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
        if len(self.messages) == 2:
            self.at_second()


@pytest.fixture
def waits() -> Iterator[Waits]:
    logger, handler = logging.getLogger("pipeline.lake.lock"), Waits()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_a_run_that_waits_gets_it_when_the_other_ends(store: Store, waits: Waits) -> None:
    first, second = held(store, "first"), lock_of(store, "second")
    waits.at_second = first.end
    second.begin(wait_seconds=30)
    second.check()
    assert len(waits.messages) == 2
    assert waits.messages[0].startswith("waiting for the lake: run first is at work in this lake")
    assert not second.was_taken_over
    second.end()


def test_a_run_waits_no_longer_than_it_was_told(store: Store, waits: Waits) -> None:
    first = held(store, "first")
    with pytest.raises(TryAgainError, match="run first is at work"):
        lock_of(store, "second").begin(wait_seconds=0.1)
    assert waits.messages
    waits.messages.clear()
    with pytest.raises(TryAgainError):
        lock_of(store, "third").begin()
    assert waits.messages == []
    first.end()


def test_the_end_of_a_run_frees_only_its_own(store: Store) -> None:
    never = lock_of(store, "never")
    never.end()
    assert store.names() == set()
    lock = held(store, "first")
    lock.end()
    lock.end()
    assert store.said(1) == {"free": "first"}
    second = held(store, "second")
    lock.end()
    assert store.said(2)["run_id"] == "second"
    assert store.names() == {name_of(2)}
    second.end()
    # Once ended, it is written no more.
    time.sleep(0.1)
    assert store.said(2) == {"free": "second"}


def test_a_store_that_creates_over_what_is_there_is_refused(store: Store) -> None:
    store.creates_over = True
    with pytest.raises(UsageError, match=r"lake s3a://bucket/lake: its store overwrites .*If-None-Match"):
        lock_of(store, "first").begin()


def test_a_store_that_refuses_is_told(store: Store) -> None:
    store.refuses = True
    with pytest.raises(UsageError, match="lake s3a://bucket/lake: cannot be locked: access denied"):
        lock_of(store, "first").begin()


# --- on a real folder


class LocalStore(Store):
    """As a FileStore on a local folder, without a JVM: for another process."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.folder = root

    def exists(self, name: str = "") -> bool:
        return (self.folder / name).exists()

    def files(self, folder: str = "") -> Iterator[FileStatus]:
        for path in list((self.folder / folder).iterdir()):
            yield FileStatus(f"file:{path}", 0, "", path.stat().st_mtime_ns // 1_000_000)

    def read(self, path: str, limit: int) -> bytes:
        return Path(path.removeprefix("file:")).read_bytes()[:limit]

    def write(self, name: str, content: bytes) -> FileStatus:
        path = self.folder / name
        path.write_bytes(content)
        return FileStatus(f"file:{path}", len(content), "", path.stat().st_mtime_ns // 1_000_000)

    def create(self, name: str, content: bytes) -> bool:
        return _create_local(self.folder / name, content)

    def delete(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)


HOLDER = """
import pathlib, sys, time
from pipeline.lake.lock import LakeLock
from tests.pipeline.lake.test_lock import LocalStore
LakeLock(LocalStore(pathlib.Path(sys.argv[1])), "other").begin()
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder(spark: SparkSession, tmp_path: Path) -> FileStore:
    return FileStore(spark, str(tmp_path))


def lock_files(root: Path) -> list[str]:
    return sorted(path.name for path in (root / FOLDER).iterdir())


def test_on_a_folder_one_of_many_has_it(folder: FileStore, tmp_path: Path) -> None:
    for number in range(1, 6):
        got, kept_out = ask_at_once([lock_of(folder, f"run{n}") for n in range(6)])
        assert (len(got), len(kept_out)) == (1, 5)
        got[0].check()
        assert lock_files(tmp_path) == [f"lock.{number:012d}"]
        got[0].end()
        assert "free" in json.loads((tmp_path / name_of(number)).read_bytes())


def test_on_a_folder_a_file_is_created_once_and_whole(folder: FileStore, tmp_path: Path) -> None:
    made: list[bytes] = []
    contents = [str(n).encode() * 20_000 for n in range(8)]
    for attempt in range(10):
        made.clear()
        start = threading.Barrier(len(contents))

        def create(content: bytes, start: threading.Barrier = start, attempt: int = attempt) -> None:
            start.wait()
            if folder.create(f"new/{attempt}/file", content):
                made.append(content)

        threads = [threading.Thread(target=create, args=(content,)) for content in contents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 1
        assert (tmp_path / f"new/{attempt}/file").read_bytes() == made[0]
        assert [path.name for path in (tmp_path / f"new/{attempt}").iterdir()] == ["file"]


def test_on_a_folder_without_hard_links_a_file_is_created_once(
    folder: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*paths: Any) -> None:
        raise OSError("operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    assert folder.create("a/file", b"first")
    assert not folder.create("a/file", b"second")
    assert (tmp_path / "a/file").read_bytes() == b"first"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["file"]


def test_a_killed_process_loses_it_at_once(folder: FileStore, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"held\n"
            with pytest.raises(TryAgainError, match="run other is at work"):
                lock_of(folder, "second").begin()
        finally:
            other.kill()
            other.wait()
    second = lock_of(folder, "second")
    second.begin()
    assert (second.was_taken_over, second.holder_may_live) == (True, False)
    second.check()
    assert lock_files(tmp_path) == ["lock.000000000002"]
    second.end()


def test_on_a_folder_silence_is_told_by_the_time_of_the_file(folder: FileStore, tmp_path: Path) -> None:
    first = silent(folder, "first")
    path = tmp_path / name_of(1)
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "machine": "elsewhere"}))
    now = time.time()
    os.utime(path, (now - STALE_SECONDS + 15, now - STALE_SECONDS + 15))
    with pytest.raises(TryAgainError, match="run first is at work"):
        lock_of(folder, "second").begin()
    first.check()
    os.utime(path, (now - STALE_SECONDS - 1, now - STALE_SECONDS - 1))
    second = held(folder, "second")
    assert (second.was_taken_over, second.holder_may_live) == (True, True)
    with pytest.raises(TryAgainError, match="run second took this lake"):
        first.check()
    # What the store's clock was asked with is gone.
    assert lock_files(tmp_path) == ["lock.000000000002"]
    second.end()
