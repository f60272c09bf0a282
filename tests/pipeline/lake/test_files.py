"""What a folder of this host holds: listed by Python as Hadoop lists it, whatever its names are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from pipeline.lake.files import FileStatus, FileStore

ODD_NAMES = (
    "plain.csv",
    "ünï çödé.csv",
    "with space.csv",
    "100%41.csv",
    "a+b.csv",
    "10:30.csv",
    "[x]{y}.csv",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Odd names, a folder in a folder, an empty one, links to a file and a folder, links to nothing."""
    root = tmp_path / "drop_date=2026-11-27"
    (root / "archive" / "old").mkdir(parents=True)
    (root / "empty").mkdir()
    for number, name in enumerate(ODD_NAMES):
        (root / name).write_bytes(b"x" * number)
        os.utime(root / name, ns=(0, 1_764_000_000_123_999_999 + number))
    (root / "archive" / "old" / "deep.csv").write_bytes(b"deep")
    (root / "link.csv").symlink_to(root / "with space.csv")
    (root / "linked").symlink_to(root / "archive")
    (root / "gone.csv").symlink_to(root / "nothing.csv")
    (root / "circle.csv").symlink_to(root / "circle.csv")
    (root / "below-a-file.csv").symlink_to(root / "plain.csv" / "x.csv")
    (root / "too-long.csv").symlink_to("x" * 300)
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    return tmp_path


def listed(files: FileStore) -> dict[str, list[FileStatus] | list[str]]:
    def in_order(statuses: list[FileStatus]) -> list[FileStatus]:
        return sorted(statuses, key=lambda status: status.path)

    drop = "drop_date=2026-11-27"
    return {
        "folders": sorted(files.folders()),
        "entries of the root": [s for s in in_order(files.entries()) if not s.is_folder],
        "entries": [s for s in in_order(files.entries(drop)) if not s.is_folder],
        "folders in it": [s.path for s in in_order(files.entries(drop)) if s.is_folder],
        "files at any depth": in_order(list(files.files())),
    }


def test_python_lists_a_folder_of_this_host_as_hadoop_does(
    spark: SparkSession, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = listed(FileStore(spark, str(folder)))
    monkeypatch.setattr(FileStore, "is_on_this_host", False)
    by_hadoop = listed(FileStore(spark, str(folder)))
    assert here == by_hadoop
    names = {status.name for status in here["entries"] if isinstance(status, FileStatus)}
    assert names == {*ODD_NAMES, "link.csv"}


def test_a_folder_that_is_not_there_is_told_by_its_name(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        FileStore(spark, str(tmp_path)).entries("nowhere")
