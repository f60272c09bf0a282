"""The drill itself, every fault of it, with the evidence that the project promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import Cluster, read_json
from tests.support.extended import EXTENDED_CONFIG
from tools.drills.faults import NAMES

Row = dict[str, Any]
DRIVER = "driver_killed"
ON_WORKERS = [name for name in NAMES if name != DRIVER]
# A busy machine may start second copies of slow tasks beside what was lost.
LOST = {"on the lost executor", "could not fetch lost map outputs", "second copy of a slow task"}


@pytest.fixture(scope="session")
def rows(
    cluster: Cluster, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Row]:
    """Evidence by fault, of a drill on workers with the faults of the tests that were asked for."""
    requested = [item.callspec.params["fault"] for item in request.session.items if hasattr(item, "callspec")]
    names = {
        name for name in ON_WORKERS if name in requested and (cluster.has_small_disk or name != "disk_full")
    }
    return drill(cluster, tmp_path_factory.mktemp("drill") / "standalone", "standalone", names)


def drill(cluster: Cluster, folder: Path, place: str, names: set[str]) -> dict[str, Row]:
    folder.mkdir()
    result = folder / "result.json"
    faults = [part for name in names for part in ("--fault", name)]
    reports = ["--reports", str(folder), "--result", str(result), "--stop-seconds", "45"]
    reports += ["--config", str(EXTENDED_CONFIG)]
    code, said = cluster.run("drill", *reports, *faults, place=place)
    (folder / "said.txt").write_text(said)
    assert result.exists(), said
    found: dict[str, Row] = {row["fault"]: row for row in read_json(result)["drill"]}
    assert (code, set(found)) == (0, {"none", *names}), said
    return found


def again(row: Row) -> dict[str, int]:
    """Tasks of the write that ran again, by chunk."""
    return {chunk: count for chunk, count in row["write_tasks_again"].items() if count}


def check_lost(row: Row, _: Row) -> None:
    """Nothing ran again but what was on the lost worker, and what waited for the map outputs that it held."""
    assert row["exit_codes"] == [0]
    assert set(row["causes"]) <= LOST
    assert row["causes"]["on the lost executor"] >= 1
    assert row["map_tasks_again"] < row["map_tasks"]
    assert len(again(row)) < len(row["write_tasks"])  # chunks that it had nothing of went on


def check_executor(row: Row, _: Row) -> None:
    assert set(row["causes"]) == {"on the lost executor"}
    assert row["map_tasks_again"] == 0, "the shuffle service keeps map outputs"


def check_chunk(row: Row, healthy: Row) -> None:
    """All partitions of the one chunk ran again, and nothing else."""
    largest = max(healthy["write_tasks"], key=lambda chunk: healthy["write_tasks"][chunk])
    assert again(row) == {largest: healthy["write_tasks"][largest]}
    assert row["causes"] == {"failed by itself": 2 * healthy["write_tasks"][largest]}


def check_given_up(row: Row, _: Row) -> None:
    assert row["exit_codes"] == [3, 0]


def check_resumed(row: Row, _: Row) -> None:
    killed = row["exit_codes"][:-1]
    assert killed == [137] * len(killed)
    assert len(killed) == 28  # 3 of them around the team's own table


def check_repeated(row: Row, _: Row) -> None:
    assert row["exit_codes"] == [0]
    assert row["task_seconds_wasted"] > 0


CHECKS = {
    "worker_killed_in_ingest": check_lost,
    "worker_killed_in_map": check_lost,
    "worker_killed_in_write": check_lost,
    "executor_killed_in_write": check_executor,
    "worker_stopped": check_repeated,
    "out_of_memory": check_repeated,
    "chunk_too_large": check_repeated,
    "task_raises": check_chunk,
    "chunk_always_fails": check_given_up,
    "disk_full": check_repeated,
    DRIVER: check_resumed,
}


@pytest.mark.workers
@pytest.mark.parametrize("fault", ON_WORKERS)
def test_fault(rows: dict[str, Row], fault: str) -> None:
    if fault not in rows:
        pytest.skip("no small disk could be mounted here")
    check(fault, rows)


@pytest.mark.drivers
def test_driver_killed_at_every_commit(here: Cluster, tmp_path: Path) -> None:
    """Where tasks run in its own process: 28 more applications of four executors would take far longer."""
    check(DRIVER, drill(here, tmp_path / "local", "local", {DRIVER}))


def check(fault: str, rows: dict[str, Row]) -> None:
    row = rows[fault]
    assert row["tables_equal"]
    assert row["problem"] is None
    CHECKS[fault](row, rows["none"])


@pytest.mark.drivers
def test_a_drill_never_touches_sales_of_others(here: Cluster, tmp_path: Path) -> None:
    code, said = here.run("drill", "--lake", str(tmp_path / "lake"), place="local")
    assert code == 2
    assert "drill works on sales of its own" in said
    assert not (tmp_path / "lake").exists()
