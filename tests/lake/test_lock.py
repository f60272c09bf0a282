"""The lock of a lake on S3: of runs that ask at once, one has it; a dead one loses it, and cannot go on."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator

import pytest
from lake.presence import STALE_SECONDS

import lake.lock
from lake.files import FileStatus
from lake.lock import Lock
from schemas.errors import TryAgainError, UsageError

NAME = "ledger/_running/lock"


class Store:
    """What Lock uses of a FileStore, in memory: writes keep their conditions, and the clock is the test's."""

    root = "s3a://bucket/lake"

    def __init__(self) -> None:
        self.clock_ms = 0
        self.keeps_conditions = True
        self.loses_answers = False
        self._turn = threading.Lock()
        self._files: dict[str, tuple[bytes, FileStatus]] = {}

    def status(self, name: str) -> FileStatus | None:
        found = self._files.get(name)
        return found[1] if found else None

    def read(self, path: str, limit: int) -> bytes:
        return self._files[path.removeprefix(f"{self.root}/")][0][:limit]

    def write(self, name: str, content: bytes) -> FileStatus:
        version = hashlib.md5(content).hexdigest()  # as S3 has it: the same content is the same version
        status = FileStatus(f"{self.root}/{name}", len(content), version, self.clock_ms)
        self._files[name] = (content, status)
        return status

    def write_if_unchanged(self, name: str, content: bytes, version: str | None) -> bool:
        with self._turn:
            found = self.status(name)
            if self.keeps_conditions and (found.version if found else None) != version:
                return False
            self.write(name, content)
        if self.loses_answers:
            raise OSError("connection reset")
        return True

    def delete(self, name: str) -> None:
        self._files.pop(name, None)

    def names(self) -> set[str]:
        return set(self._files)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(lake.lock, "BEAT_SECONDS", 0.01)  # many beats in a short test
    yield Store()


def lock_of(store: Store, run_id: str) -> Lock:
    return Lock(store, run_id)  # type: ignore[arg-type]


def held(store: Store, run_id: str) -> Lock:
    lock = lock_of(store, run_id)
    lock.begin()
    return lock


def dead(store: Store, run_id: str) -> Lock:
    """A lock whose holder writes it no more and does not know it."""
    lock = held(store, run_id)
    lock._ended.set()
    lock._thread.join()
    return lock


def test_a_second_run_is_kept_out_and_told_by_whom(store: Store) -> None:
    first = held(store, "first")
    with pytest.raises(TryAgainError, match=r"run first is at work in this lake \(last heard of 0 s ago\)"):
        lock_of(store, "second").begin()
    first.check()
    first.end()
    assert store.names() == {NAME}
    held(store, "second").end()


def test_of_many_that_ask_at_once_one_has_it(store: Store) -> None:
    for _ in range(20):
        got, refused = [], []
        start = threading.Barrier(4)

        def ask(run_id: str, start: threading.Barrier, got: list[Lock], refused: list[str]) -> None:
            start.wait()
            try:
                got.append(held(store, run_id))
            except TryAgainError:
                refused.append(run_id)

        threads = [threading.Thread(target=ask, args=(f"run{n}", start, got, refused)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) == 1
        assert len(refused) == 3
        got[0].end()


def test_a_holder_that_is_heard_of_keeps_it(store: Store) -> None:
    first = held(store, "first")
    version = store.status(NAME)
    store.clock_ms += int(STALE_SECONDS * 1000) + 1
    threading.Event().wait(0.2)
    assert store.status(NAME) != version
    with pytest.raises(TryAgainError):
        lock_of(store, "second").begin()
    first.end()


def test_a_dead_holder_loses_it_and_may_not_commit(store: Store) -> None:
    first = dead(store, "first")
    store.clock_ms += int(STALE_SECONDS * 1000) - 1000
    with pytest.raises(TryAgainError, match="last heard of 119 s ago"):
        lock_of(store, "second").begin()
    store.clock_ms += 1000
    second = held(store, "second")
    with pytest.raises(TryAgainError, match="run second took this lake"):
        first.check()
    # Nor does it take away what is another's by now, when it wakes or when it ends.
    first._write(first._version)
    first.end()
    second.check()
    second.end()


def test_a_holder_that_wakes_at_the_last_moment_keeps_it(store: Store) -> None:
    first = dead(store, "first")
    store.clock_ms += int(STALE_SECONDS * 1000)
    seen = store.status(NAME)
    assert seen is not None
    first._write(first._version)
    assert not store.write_if_unchanged(NAME, b"second 1", seen.version)
    first.check()


def test_an_answer_that_was_lost_loses_no_lock(store: Store) -> None:
    first = held(store, "first")
    store.loses_answers = True
    threading.Event().wait(0.1)
    store.loses_answers = False
    threading.Event().wait(0.1)
    first.check()
    first.end()
    held(store, "second").end()


def test_a_store_that_keeps_no_conditions_is_refused(store: Store) -> None:
    store.keeps_conditions = False
    with pytest.raises(UsageError, match=r"lake s3a://bucket/lake: its store writes over .*If-None-Match"):
        lock_of(store, "first").begin()
