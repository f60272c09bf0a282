"""A night on YARN over HDFS, the driver here or on the cluster: the same tables and exit codes."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.cluster.nights import LENIENT, Nights
from tests.places.hadoop import SETTINGS, Hadoop
from tests.places.submission import Place, ended, wait_for
from tests.support.landing import write_csv
from tests.support.lines import received_line


@dataclass
class Shop:
    """A landing and a lake of one test in HDFS."""

    hadoop: Hadoop
    name: str
    folder: Path

    @property
    def uri(self) -> str:
        return f"hdfs:///{self.name}"

    @property
    def place(self) -> Place:
        """The driver runs here."""
        return Place(["--place", "yarn"], self.folder, SETTINGS, self.hadoop.variables)

    @property
    def cluster(self) -> Place:
        """The driver runs in a container."""
        staging = {"CYMBAL_STAGING": "hdfs:///staging"}
        options = ["--place", "yarn", "--deploy-mode", "cluster"]
        return Place(options, self.folder, SETTINGS, {**self.hadoop.variables, **staging})

    @property
    def command(self) -> list[str]:
        return ["run_batch", "--landing", f"{self.uri}/landing", "--lake", f"{self.uri}/lake", *LENIENT]

    def content(self) -> dict[str, list[str]]:
        """What readers see."""
        copy = self.folder / f"copy-{time.monotonic_ns()}"
        self.hadoop.shell("-get", f"{self.uri}/lake", str(copy))
        return Nights(self.folder, copy).content()

    def land(self, landing: Path) -> None:
        self.hadoop.shell("-mkdir", "-p", self.uri)
        self.hadoop.shell("-put", str(landing), f"{self.uri}/landing")

    def land_rejects(self) -> None:
        """A drop of which half is rejected: more than an audit lets through."""
        lines = [received_line(transaction_id=str(n), quantity="0" if n % 2 else "1") for n in range(10)]
        write_csv(self.folder / "landing", "2026-03-02", lines)
        self.land(self.folder / "landing")


@pytest.fixture
def shop(hadoop: Hadoop, tmp_path: Path) -> Shop:
    return Shop(hadoop, tmp_path.name, tmp_path)


def executors() -> list[psutil.Process]:
    """Executors that run on this machine's YARN, oldest first."""
    found = [
        process
        for process in psutil.process_iter(["cmdline", "create_time"])
        if any("YarnCoarseGrainedExecutorBackend" in word for word in process.info["cmdline"] or ())
        and process.info["cmdline"][0].endswith("java")
    ]
    return sorted(found, key=lambda process: float(process.info["create_time"]))


def test_a_night_with_a_killed_executor_and_the_same_again(
    shop: Shop, landed: Nights, clean_content: dict[str, list[str]]
) -> None:
    shop.land(landed.landing)
    running = shop.place.start(*shop.command)
    wait_for(running, "planning")
    killed = executors()[0]
    killed.kill()
    code, said = ended(running)
    assert code == 0, said
    assert "Lost executor" in shop.place.logs()
    assert shop.content() == clean_content
    # The same on HDFS alone, with all of Spark in one process here.
    here = Place([], shop.folder, {}, shop.hadoop.variables)
    assert "drops unchanged: 2" in here.done(*shop.command)


def test_an_audit_that_fails_ends_with_4(shop: Shop) -> None:
    shop.land_rejects()
    code, said = shop.place.run(*shop.command)
    assert code == 4, said
    assert "drop 2026-03-02 is blocked" in said


def test_the_driver_on_the_cluster(shop: Shop, landed: Nights, clean_content: dict[str, list[str]]) -> None:
    shop.land(landed.landing)
    result = shop.folder / "result.json"
    said = shop.cluster.done(*shop.command, "--result", str(result))
    assert "runs as application_" in said
    assert "business dates: 2 done" in said
    assert json.loads(result.read_text())["exit_code"] == 0
    assert shop.content() == clean_content


def test_exit_codes_of_a_driver_on_the_cluster(shop: Shop) -> None:
    """YARN itself tells 0 or 1 only."""
    shop.land_rejects()
    code, said = shop.cluster.run(*shop.command)
    assert code == 4, said
    assert "drop 2026-03-02 is blocked" in said
    code, said = shop.cluster.run(*shop.command, "--date", "2026-03-09")
    assert code == 5, said
    # The lock of a run that is at work.
    shop.hadoop.shell("-touchz", f"{shop.uri}/lake/ledger/_running/lock.000000000999")
    code, said = shop.cluster.run(*shop.command)
    assert code == 75, said
    assert "is at work in this lake" in said
