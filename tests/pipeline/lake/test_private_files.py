"""Files that only their owner and group can read, such as pages: whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from pipeline.lake.files import FileStore
from tests.support.replaced_files import contents_found


@pytest.mark.parametrize("by_java", [False, True])
def test_a_reader_of_a_page_that_is_written_again_never_finds_half_of_it(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_java: bool
) -> None:
    """By Java: as on HDFS."""
    files = FileStore(spark, str(tmp_path))
    if by_java:
        monkeypatch.setattr(FileStore, "is_on_this_host", False)
    page, contents = tmp_path / "runs" / "one.html", [letter * 400_000 for letter in (b"a", b"b")]
    seen = contents_found(page, lambda content: files.write_private("runs/one.html", content), contents * 20)
    assert seen == set(contents)
    assert stat.S_IMODE(page.stat().st_mode) == 0o640
    assert [path.name for path in page.parent.iterdir()] == ["one.html"]
