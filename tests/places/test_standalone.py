"""A standalone cluster: the driver on this host and on a worker, with the same exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.landing import write_csv
from tests.support.lines import received_line

DATE = "2026-03-02"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    found = Cluster(tmp_path_factory.mktemp("cluster") / "home")
    # One worker for a driver, one for its executor.
    found.start("--workers", "2")
    yield found
    found.command("stop")


def sound(number: int) -> dict[str, str | None]:
    return received_line(transaction_id=f"T-{number}", sold_at=f"{DATE}T12:00:00Z")


@pytest.mark.parametrize("mode", ["client", "cluster"])
def test_a_batch_is_done_then_unchanged_with_the_driver_anywhere(
    cluster: Cluster, tmp_path: Path, mode: str
) -> None:
    write_csv(tmp_path / "landing", DATE, [sound(1), sound(2)])
    where = ["--landing", str(tmp_path / "landing"), "--lake", str(tmp_path / "lake")]
    result = tmp_path / "result.json"
    code, said = cluster.run("run_batch", *where, "--result", str(result), mode=mode)
    assert code == 0, said
    found = json.loads(result.read_text())
    assert [(row["business_date"], row["published"]) for row in found["dates"]] == [(DATE, 2)]
    assert "run_batch: done in" in said
    code, said = cluster.run("run_batch", *where, mode=mode)
    assert code == 0, said
    assert "run_batch: unchanged in" in said


def test_an_audit_that_stops_a_drop_ends_cluster_mode_with_4(cluster: Cluster, tmp_path: Path) -> None:
    write_csv(tmp_path / "landing", DATE, [sound(1), {**sound(2), "quantity": "many"}])
    where = ["--landing", str(tmp_path / "landing"), "--lake", str(tmp_path / "lake")]
    code, said = cluster.run("run_batch", *where, mode="cluster")
    assert code == 4, said
    assert f"drop {DATE}" in said
