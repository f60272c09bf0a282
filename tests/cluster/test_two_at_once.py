"""Two runs at once, and readers beside them: one works, the other says so, nobody sees half of anything."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from tests.cluster.nights import Nights
from tests.support.cluster import Cluster

HALF = {"spark.cores.max": "2"}


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    found = Nights(tmp_path, tmp_path / "lake")
    for night in range(2):
        found.deliver(night)
    return found


@pytest.fixture(scope="session")
def clean_content(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Tables of the two nights, by one run that nothing disturbs."""
    folder = tmp_path_factory.mktemp("clean")
    clean = Nights(folder, folder / "lake")
    for night in range(2):
        clean.deliver(night)
    code, said = cluster.run("run_batch", *clean.arguments, place="local")
    assert code == 0, said
    return clean.content()


def at_once(cluster: Cluster, *commands: list[str]) -> list[tuple[int, str]]:
    processes = [cluster.submit(command[0], *command[1:], **HALF) for command in commands]
    found = []
    for process in processes:
        said, _ = process.communicate(timeout=600)
        found.append((process.returncode, said))
    return found


@pytest.mark.workers
def test_two_runs_of_the_same_dates(
    cluster: Cluster, nights: Nights, clean_content: dict[str, list[str]]
) -> None:
    command = ["run_batch", *nights.arguments]
    ended = at_once(cluster, command, command)
    codes = sorted(code for code, _ in ended)
    assert codes in ([0, 0], [0, 75]), ended
    assert all("is at work in this lake" in said for code, said in ended if code == 75)
    # Nothing is left to do after them.
    code, said = cluster.run("run_batch", *nights.arguments, place="local")
    assert code == 0, said
    assert nights.content() == clean_content


@pytest.mark.workers
def test_two_runs_of_different_dates(
    cluster: Cluster, nights: Nights, clean_content: dict[str, list[str]]
) -> None:
    code, said = cluster.run("ingest_sales", *nights.arguments, place="local")
    assert code == 0, said
    first, second = (["publish_sales", *nights.arguments, "--date", f"2026-03-0{day}"] for day in (2, 3))
    for (code, said), command in zip(at_once(cluster, first, second), (first, second), strict=True):
        assert code in (0, 75), said
        if code == 75:
            assert "is at work in this lake" in said
            assert cluster.run(command[0], *command[1:], place="local")[0] == 0
    code, said = cluster.run("run_batch", *nights.arguments, place="local")
    assert code == 0, said
    assert nights.content() == clean_content


@pytest.mark.drivers
def test_a_run_waits_for_another_where_it_is_told_to(here: Cluster, nights: Nights) -> None:
    slow = here.submit("run_batch", *nights.arguments, place="local")
    assert slow.stdout is not None
    for text in slow.stdout:
        if "publishing" in text:
            break
    code, said = here.run("run_batch", *nights.arguments, "--wait", "240", place="local")
    assert code == 0, said
    assert "waiting for the lake" in said
    slow.communicate(timeout=300)
    assert slow.returncode == 0


@pytest.mark.drivers
def test_one_that_planned_before_the_other_published_and_writes_after_it(
    here: Cluster, nights: Nights
) -> None:
    slow = here.submit("run_batch", *nights.arguments, place="local")
    assert slow.stdout is not None
    for text in slow.stdout:
        if "publishing" in text:
            os.killpg(slow.pid, signal.SIGSTOP)
            break
    nights.deliver(2)
    code, said = here.run("run_batch", *nights.arguments, place="local")
    assert code == 75, said
    assert "is at work in this lake" in said
    # As two minutes later: the run that sleeps is then taken for dead.
    for lock in (nights.lake / "ledger" / "_running").glob("lock.*"):
        os.utime(lock, (0, 0))
    code, said = here.run("run_batch", *nights.arguments, place="local")
    assert code == 0, said
    content = nights.content()
    os.killpg(slow.pid, signal.SIGCONT)
    said, _ = slow.communicate(timeout=300)
    assert slow.returncode == 75, said
    assert "took this lake" in said or "another run" in said
    assert nights.content() == content
    clean = Nights(nights.folder, nights.folder / "clean")
    code, said = here.run("run_batch", *clean.arguments, place="local")
    assert code == 0, said
    assert content == clean.content()


@pytest.mark.drivers
def test_readers_see_the_old_or_the_new(here: Cluster, nights: Nights) -> None:
    code, said = here.run("run_batch", *nights.arguments, place="local")
    assert code == 0, said
    published = [nights.sales_of(1)]
    seen = [*published]
    polls, ended = 0, threading.Event()

    def poll() -> None:
        nonlocal polls
        while not ended.wait(0.05):
            polls += 1
            now = nights.sales_of(1)
            if now != seen[-1]:
                seen.append(now)

    reader = threading.Thread(target=poll)
    reader.start()
    try:
        for night in (
            2,
            3,
        ):  # each brings a late line, a copy and a conflict of the night before; 3 changes 2
            nights.deliver(night)
            code, said = here.run("run_batch", *nights.arguments, place="local")
            assert code == 0, said
            published.append(nights.sales_of(1))
    finally:
        ended.set()
        reader.join()
    assert polls > 100
    # The late line comes with the second night and goes with the third, which delivers the second again
    # without it; between these three states there is no other.
    assert seen == published
    assert len(seen[1] - seen[0]) == 1
    assert seen[2] == seen[0]
