"""The driver killed thirty times over, at random moments; the same command again each time."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import pytest

from schemas.tables import LEDGER_RUNS, SALES
from tests.cluster.nights import Nights
from tests.support.cluster import Cluster, kill

pytestmark = pytest.mark.drivers

KILLS = 30
# The loop is about the driver and its commits: tasks run in its own process, which starts sooner.
PLACE = "local"


def test_thirty_kills_cost_nothing(here: Cluster, tmp_path: Path) -> None:
    draw = random.Random(30)  # any seed; when a kill comes also depends on the machine
    nights = Nights(tmp_path, tmp_path / "lake")
    # How long a night takes decides when it is killed: the second one, since the first may set things up.
    for night in range(2):
        nights.deliver(night)
        started = time.monotonic()
        code, said = here.run("run_batch", *nights.arguments, place=PLACE)
        assert code == 0, said
    whole = time.monotonic() - started
    kills, begun = 0, 2
    while kills < KILLS:
        night += 1
        nights.deliver(night)
        while True:
            finished, said = run_or_kill(here, nights, draw.uniform(0.1, 0.9) * whole)
            begun += "listing drops" in said
            if finished is not None:
                assert finished == 0, said
                break
            kills += 1
            if kills == KILLS:
                break
    code, said = here.run("run_batch", *nights.arguments, place=PLACE)
    assert code == 0, said

    clean = Nights(tmp_path, tmp_path / "clean")
    code, said = here.run("run_batch", *clean.arguments, place=PLACE)
    assert code == 0, said
    assert nights.content() == clean.content()
    keys = [
        (row["store_id"], row["transaction_id"], row["line_number"], row["sale_date"])
        for row in nights.rows(SALES)
    ]
    assert len(keys) == len(set(keys)) > 25 * night
    told = {row["run_id"] for row in nights.rows(LEDGER_RUNS) if row["status"] == "running"}
    ended = {row["run_id"] for row in nights.rows(LEDGER_RUNS) if row["status"] != "running"}
    assert len(told) >= begun + 1
    assert ended < told
    code, said = here.run("verify_sales", *nights.arguments, place=PLACE)
    assert code == 0, said
    leaves_no_orphan(here, nights)


def run_or_kill(here: Cluster, nights: Nights, seconds: float) -> tuple[int | None, str]:
    """Runs the command; None where it was killed, after so many seconds. And what it said."""
    process = here.submit("run_batch", *nights.arguments, place=PLACE)
    try:
        said, _ = process.communicate(timeout=seconds)
        return process.returncode, said
    except subprocess.TimeoutExpired:
        kill(process)
        said, _ = process.communicate()
        return None, said


def leaves_no_orphan(here: Cluster, nights: Nights) -> None:
    content = nights.content()
    orphans = nights.unreferred_files()
    assert orphans != []
    code, said = here.run("maintain_tables", *nights.arguments, "--retain-hours", "0", place=PLACE)
    assert code == 0, said
    # What it merged itself stays until the next time, for readers of the version before.
    assert [path for path in orphans if path.exists()] == []
    assert nights.content() == content
