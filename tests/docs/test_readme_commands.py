"""Every command of the README's shell blocks, run: its jobs in this process, its two scripts elsewhere.

``scripts/test.sh`` runs this test, and ``tests/scripts`` runs ``scripts/submit.sh``.
"""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from pyspark.sql import SparkSession

from tests.support.landing import csv_text, write_bytes
from tests.support.lines import received_line

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
_BLOCKS = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [line.split("#")[0].strip() for block in _BLOCKS for line in block.splitlines() if line.strip()]
JOBS = [command for command in COMMANDS if command.startswith("scripts/submit.sh ")]
DATE = "2026-03-02"


def test_what_is_no_job_is_one_of_the_two_commands() -> None:
    assert [command for command in COMMANDS if command not in JOBS] == [
        "scripts/submit.sh",
        "scripts/test.sh",
    ]
    assert len(JOBS) == 5


@pytest.fixture(scope="module")
def folder(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the README's config, and a drop in the form that it describes."""
    folder = tmp_path_factory.mktemp("readme")
    (config,) = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    read = yaml.safe_load(config)
    names = read["columns"]
    line = received_line(sold_at=f"{DATE}T12:00:00Z", currency="EUR")
    received = {names.get(name, name): value for name, value in line.items()}
    write_bytes(folder / "landing", DATE, "sales.csv", csv_text([received], list(received)).encode())
    text = config.replace("/data/landing", str(folder / "landing")).replace(
        "/data/lake", str(folder / "lake")
    )
    (folder / "mine.yaml").write_text(text)
    return folder


@pytest.mark.parametrize("command", JOBS)
def test_a_job_of_the_readme_ends_well(
    folder: Path, monkeypatch: pytest.MonkeyPatch, interpreted: None, command: str
) -> None:
    monkeypatch.chdir(folder)
    # Java keeps the working folder in which it started.
    command = command.replace("--rows 20000", "--rows 2000").replace("var/", f"{folder}/var/")
    _, job, *arguments = shlex.split(command)
    assert import_module(f"jobs.{job}").JOB.run(arguments) == 0
    if "--result" in arguments:
        assert (folder / "result.json").exists()
