"""A local run over little data uses Java's first compiler alone; anything else keeps both."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.submission import compiler
from scripts.submission.compiler import compiler_options
from scripts.submission.request import Request, read_request

C1 = "-XX:TieredStopAtLevel=1"


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A landing of 60 bytes and a lake of 39; 100 bytes are small."""
    monkeypatch.setattr(compiler, "SMALL_BYTES", 100)
    monkeypatch.chdir(tmp_path)
    for name, size in (("in/drop_date=2026-01-05/a.csv", 60), ("out/silver/sales/b.parquet", 39)):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"x" * size)


def request(*arguments: str, job: str = "run_batch", place: str = "local") -> Request:
    return read_request(["--place", place, "--master", "local[2,4]", job, *arguments])


def test_small_data_takes_the_first_compiler_alone(tmp_path: Path) -> None:
    assert C1 in compiler_options(request("--landing", "in", "--lake", "out"))
    assert C1 in compiler_options(request(f"--landing={tmp_path.as_uri()}/in", "--lake=nowhere"))
    assert C1 in compiler_options(request("--landing", "in", "--lake", "out", job="verify_sales"))


def test_more_bytes_in_both_together_keep_both_compilers(tmp_path: Path) -> None:
    (tmp_path / "out" / "silver" / "more.parquet").write_bytes(b"xx")
    assert compiler_options(request("--landing", "in", "--lake", "out")) == ""
    assert C1 in compiler_options(request("--landing", "in", "--lake", "nowhere"))


def test_the_config_names_the_folders(tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("storage: {landing: in, lake: out}")
    (tmp_path / "in" / "big.csv").write_bytes(b"x" * 100)
    assert compiler_options(request("--config", str(config))) == ""
    assert C1 in compiler_options(request("--config", str(config), "--landing", "nowhere"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--landing", "s3a://bucket/in", "--lake", "out"],
        ["--landing", "in", "--lake", "hdfs://name/out"],
        ["--landing", "in", "--set", "storage.lake=out"],
        ["--landing", "in", "--set=storage.lake=out"],
        ["--landing", "in", "--lake", "out", "--config", "missing.yaml"],
        ["--landing", "in", "--lake", "out", "--config", "in/drop_date=2026-01-05/a.csv"],
    ],
)
def test_what_is_not_known_keeps_both_compilers(arguments: list[str]) -> None:
    assert compiler_options(request(*arguments)) == ""


def test_other_places_and_jobs_that_make_lines_keep_both_compilers() -> None:
    for one in (request("--landing", "in", "--lake", "out", place="standalone"),):
        assert compiler_options(one) == ""
    for job in ("generate_sales", "drill"):
        assert compiler_options(request("--landing", "in", "--lake", "out", job=job)) == ""
