"""The commands of docs/tutorial.md end with 0 and print what the tutorial shows."""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import shlex
import subprocess
from pathlib import Path

from pyspark.sql import SparkSession

TUTORIAL = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
BLOCKS = re.findall(r"```(bash|text)\n(.*?)```", TUTORIAL.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_tutorial_runs_as_written(spark: SparkSession, interpreted: None, tmp_path: Path) -> None:
    printed = ""
    for kind, text in BLOCKS:
        if kind == "bash":
            # Relative paths start at the JVM's folder, which no test can change.
            printed = _run(text.replace("var/tutorial", f"{tmp_path}/var/tutorial"))
            continue
        for line in text.splitlines():
            assert _words(line) in _words(printed)


def _run(block: str) -> str:
    """Runs a block: jobs on the session of the tests, everything else in bash; returns what jobs print."""
    jobs = [line for line in block.splitlines() if line.startswith("scripts/submit.sh")]
    shell = "\n".join(line for line in block.splitlines() if line not in jobs)
    subprocess.run(["bash", "-c", shell], check=True, timeout=60)
    printed = io.StringIO()
    for line in jobs:
        name, *arguments = shlex.split(line)[1:]
        with contextlib.redirect_stdout(printed):
            assert importlib.import_module(f"jobs.{name}").JOB.run(arguments) == 0, line
    return printed.getvalue()


def _words(text: str) -> str:
    return " ".join(text.split())
