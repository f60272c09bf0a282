"""A night on S3: one run at a time, nothing lost, no key shown, and wrong keys told at once."""

from __future__ import annotations

import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.lake.lock import STALE_SECONDS
from tests.cluster.nights import LENIENT, Nights
from tests.places.s3 import BUCKET, S3Server
from tests.places.submission import Place, ended, wait_for, watching_command_lines
from tests.support.cluster import kill

AT_WORK = re.compile(
    r"error: run_batch: run 2\d{7}T\d{6}-run_batch-\w{8} is at work in this lake \(last heartbeat \d+ s ago\)"
)


@dataclass
class Shop:
    """A landing and a lake of one test in the bucket."""

    server: S3Server
    name: str
    place: Place

    @property
    def uri(self) -> str:
        return f"s3a://{BUCKET}/{self.name}"

    @property
    def nights(self) -> Nights:
        """What is in the bucket, seen as files."""
        folder = self.server.bucket / self.name
        return Nights(folder, folder / "lake")

    @property
    def command(self) -> list[str]:
        return ["run_batch", "--landing", f"{self.uri}/landing", "--lake", f"{self.uri}/lake", *LENIENT]

    def age_lock(self) -> None:
        """Lets the time pass that a lock needs to go stale: the server dates objects as their files are."""
        past = time.time() - STALE_SECONDS - 5
        for lock in (self.nights.lake / "ledger" / "_running").glob("lock.*"):
            os.utime(lock, (past, past))


@pytest.fixture
def shop(s3: S3Server, landed: Nights, tmp_path: Path) -> Shop:
    """The two nights, landed in the bucket."""
    s3.upload(landed.landing, f"{tmp_path.name}/landing")
    return Shop(s3, tmp_path.name, Place(["--with", "s3"], tmp_path, s3.settings, s3.keys))


def at_once(shop: Shop, *commands: list[str]) -> list[tuple[int, str]]:
    running = [shop.place.start(*command) for command in commands]
    return [ended(process) for process in running]


def test_doctor_finds_all_in_order(shop: Shop) -> None:
    _, *storage, _, _ = shop.command
    said = shop.place.done("doctor", *storage)
    assert "one run at a time: a file is created once" in said


def test_two_runs_of_the_same_dates(shop: Shop, clean_content: dict[str, list[str]]) -> None:
    with watching_command_lines(shop.server.secret) as shown:
        (code, said), (other_code, other_said) = at_once(shop, shop.command, shop.command)
        assert sorted((code, other_code)) in ([0, 0], [0, 75]), said + other_said
        for ended_with, text in ((code, said), (other_code, other_said)):
            assert ended_with == 0 or AT_WORK.search(text), text
        # The loser again finds nothing left to do.
        again = shop.place.done(*shop.command)
    assert "drops unchanged: 2" in again
    assert shop.nights.content() == clean_content
    assert shown == []
    assert shop.server.secret not in said + other_said + again + shop.place.logs()


def test_two_runs_of_different_dates(shop: Shop, clean_content: dict[str, list[str]]) -> None:
    commands = [[*shop.command, "--date", f"2026-03-0{day}"] for day in (2, 3)]
    for (code, said), command in zip(at_once(shop, *commands), commands, strict=True):
        assert code in (0, 75), said
        if code == 75:
            assert AT_WORK.search(said), said
            shop.place.done(*command)
    assert shop.nights.content() == clean_content


def test_runs_that_are_silent_or_killed(shop: Shop, clean_content: dict[str, list[str]]) -> None:
    silent = shop.place.start(*shop.command)
    wait_for(silent, "planning")
    os.killpg(silent.pid, signal.SIGSTOP)
    try:
        # It keeps others out until its lock is stale; so does one that was killed.
        code, said = shop.place.run(*shop.command)
        assert code == 75, said
        assert AT_WORK.search(said), said
        shop.age_lock()
        killed = shop.place.start(*shop.command)
        wait_for(killed, "publishing")
        kill(killed)
        shop.age_lock()
        shop.place.done(*shop.command)
        content = shop.nights.content()
    finally:
        os.killpg(silent.pid, signal.SIGCONT)
    # Awake again, it commits no more.
    code, said = ended(silent)
    assert code == 75, said
    assert "took this lake, because this run sent no heartbeat for more than 120 s" in said
    assert shop.nights.content() == content == clean_content


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_a_wrong_key_is_told_at_once(shop: Shop, name: str) -> None:
    place = shop.place.with_variables(**{name: "another-key-0123456789"})
    before = time.monotonic()
    code, said = place.run(*shop.command)
    assert code == 2, said
    assert time.monotonic() - before < 60  # the client tries a server that is away again for minutes
    errors = [line for line in said.splitlines() if line.startswith("error:")]
    assert len(errors) == 1, said
    assert f"lake {shop.uri}/lake: cannot be written to: " in errors[0]
    assert not (shop.nights.lake).exists()
