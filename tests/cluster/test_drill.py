"""The drill itself, every fault of it, with the evidence that the project promises."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from drills.faults import NAMES
from tests.cluster.conftest import Cluster, read_json

LOST = {"on the lost executor", "could not fetch lost map outputs"}


def drill(cluster: Cluster, folder: Path, *names: str) -> dict[str, dict[str, Any]]:
    result = folder / "result.json"
    faults = [part for name in names for part in ("--fault", name)]
    code, said = cluster.run(
        "drill", "--reports", str(folder), "--result", str(result), "--stop-seconds", "45", *faults
    )
    assert code == 0, said
    rows: dict[str, dict[str, Any]] = {row["fault"]: row for row in read_json(result)["drill"]}
    assert set(rows) == {"none", *names}
    assert all(row["tables_equal"] and row["problem"] is None for row in rows.values())
    return rows


def again(row: dict[str, Any]) -> dict[str, int]:
    return {chunk: count for chunk, count in row["write_tasks_again"].items() if count}


def test_killed_worker_costs_its_own_tasks_and_map_outputs(cluster: Cluster, tmp_path: Path) -> None:
    row = drill(cluster, tmp_path, "worker_killed_in_write")["worker_killed_in_write"]
    assert row["exit_codes"] == [0]
    # Nothing ran again but what was on the lost worker, and what waited for the map outputs that it held.
    assert set(row["causes"]) <= LOST
    assert row["causes"]["on the lost executor"] >= 1
    assert row["map_tasks_again"] < row["map_tasks"]
    # The chunks that it had nothing of went on.
    assert 1 <= len(again(row)) < len(row["write_tasks"])


def test_every_other_fault(cluster: Cluster, tmp_path: Path) -> None:
    names = [name for name in NAMES if name != "worker_killed_in_write"]
    if os.geteuid() != 0:
        names.remove("disk_full")  # its small disk takes root to mount
    rows = drill(cluster, tmp_path, *names)
    largest = max(rows["none"]["write_tasks"], key=lambda chunk: rows["none"]["write_tasks"][chunk])
    assert again(rows["task_raises"]) == {largest: rows["none"]["write_tasks"][largest]}
    assert rows["chunk_always_fails"]["exit_codes"] == [3, 0]
    assert rows["executor_killed_in_write"]["map_tasks_again"] == 0, "the shuffle service keeps map outputs"
    assert set(rows["worker_killed_in_map"]["causes"]) <= LOST
    assert rows["driver_killed"]["exit_codes"][:-1] == [137] * (len(rows["driver_killed"]["exit_codes"]) - 1)


def test_a_drill_never_touches_sales_of_others(cluster: Cluster, tmp_path: Path) -> None:
    code, said = cluster.run("drill", "--lake", str(tmp_path / "lake"))
    assert code == 2
    assert "drill works on sales of its own" in said
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("fault", ["worker_killed"])
def test_an_unknown_fault_is_told(cluster: Cluster, fault: str) -> None:
    code, said = cluster.run("drill", "--fault", fault)
    assert code == 2
    assert "worker_killed_in_write" in said
