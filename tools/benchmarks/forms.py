"""Measures the ingest of one day in each form of delivery: ``tools/benchmarks/forms.sh --help``."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shlex
import shutil
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from rich.console import Console
from rich.markdown import Markdown

from jobs.ingest_sales import JOB as INGEST_SALES
from pipeline.lake.session import open_session
from tools.benchmarks.contenders import ROOT
from tools.benchmarks.measure import tree_cpu_seconds
from tools.synthetic.forms import CURRENCY, DATE, FORMS, PROFILES, day_of_sales


@dataclass(frozen=True)
class Round:
    """An ingest of one form.

    Attributes:
        cpu_seconds: user and system time of Spark, Python and their workers.
        wall_seconds: from its start to its end.
    """

    cpu_seconds: float
    wall_seconds: float


def main(arguments: Sequence[str]) -> int:
    """Measures all rounds, and writes ``results.md``."""
    parser = argparse.ArgumentParser(
        prog="tools/benchmarks/forms.sh",
        description="Measures the ingest of one day in each form of delivery, warm, in one process.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--lines", type=int, default=300_000, help="lines of the day")
    parser.add_argument("--rounds", type=int, default=3, help="rounds that count; one before them warms up")
    parser.add_argument("--cores", type=int, default=2, help="cores for the tasks")
    parser.add_argument("--memory", default="2g", help="heap, in Spark's notation")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "var" / "bench" / "forms", help="folder for output"
    )
    requested = parser.parse_args(arguments)
    out: Path = requested.out.resolve()
    sizes = _write_inputs(out, requested.lines)
    _open(out, requested.cores, requested.memory)
    console = Console()
    rounds: dict[str, list[Round]] = {name: [] for name in FORMS}
    for number in range(requested.rounds + 1):
        for name, measured in rounds.items():
            taken = _ingest(out, name, requested.lines)
            if number:
                measured.append(taken)
            console.print(f"round {number}, {name}: CPU {taken.cpu_seconds:.1f} s", highlight=False)
    text = table(rounds, sizes, requested.lines)
    (out / "results.md").write_text(text, encoding="utf-8")
    console.print(Markdown(text))
    return 0


def table(rounds: Mapping[str, Sequence[Round]], sizes: Mapping[str, int], lines: int) -> str:
    """Markdown: medians by form. Lines a second are of the wall time.

    Args:
        rounds: rounds by form.
        sizes: bytes by form.
        lines: lines of each form.
    """
    cpu = {name: statistics.median(taken.cpu_seconds for taken in those) for name, those in rounds.items()}
    contract = next(iter(cpu.values()))
    rows = [
        f"| {name} | {sizes[name] / 1e6:.0f} | {cpu[name]:.1f} | {cpu[name] / contract:.2f} "
        f"| {lines / statistics.median(taken.wall_seconds for taken in those):,.0f} |"
        for name, those in rounds.items()
    ]
    head = f"| {lines:,} lines as | MB | CPU s | of contract CSV | lines a second |"
    return "\n".join([head, "|---|---:|---:|---:|---:|", *rows, ""])


def _write_inputs(out: Path, lines: int) -> dict[str, int]:
    """Writes the day in each form. Returns the bytes of each."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.yaml").write_text(yaml.safe_dump({"deliveries": PROFILES, "currencies": [CURRENCY]}))
    rows = day_of_sales(lines)
    sizes = {}
    for number, (name, form) in enumerate(FORMS.items()):
        landing = out / "landings" / str(number)
        shutil.rmtree(landing, ignore_errors=True)
        folder = landing / f"drop_date={DATE}"
        folder.mkdir(parents=True)
        form.write(folder, rows)
        sizes[name] = sum(path.stat().st_size for path in folder.iterdir())
    return sizes


def _open(out: Path, cores: int, memory: str) -> None:
    """Opens the session that every ingest takes up, as ``scripts/submit.sh`` does on the local place."""
    settings = {
        "spark.driver.memory": memory,
        "spark.local.dir": str(out / "local"),
        "spark.sql.warehouse.dir": str(out / "warehouse"),
    }
    jars = ",".join(sorted(str(path) for path in (ROOT / "var" / "jars").glob("*.jar")))
    conf = [part for pair in settings.items() for part in ("--conf", "=".join(pair))]
    place = str(ROOT / "configs" / "places" / "local.conf")
    os.environ["PYSPARK_SUBMIT_ARGS"] = shlex.join(
        ["--master", f"local[{cores},4]", "--jars", jars, "--properties-file", place, *conf, "pyspark-shell"]
    )
    os.environ |= {
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "CYMBAL_LOG_FILE": str(out / "spark.log"),
        "LOG4J_CONFIGURATION_FILE": str(ROOT / "configs" / "log4j2.properties"),
    }
    open_session("forms of delivery")


def _ingest(out: Path, name: str, lines: int) -> Round:
    """Ingests a form into a new lake; exits this process if a line is missing."""
    lake, result = out / "lake", out / "result.json"
    shutil.rmtree(lake, ignore_errors=True)
    result.unlink(missing_ok=True)
    landing = out / "landings" / str(list(FORMS).index(name))
    before, started = tree_cpu_seconds(os.getpid()), time.monotonic()
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        INGEST_SALES.run(
            [
                *("--landing", str(landing), "--lake", str(lake)),
                *("--config", str(out / "config.yaml"), "--result", str(result)),
            ]
        )
    taken = Round(tree_cpu_seconds(os.getpid()) - before, time.monotonic() - started)
    drops = json.loads(result.read_text(encoding="utf-8"))["drops"]
    if sum(drop["accepted"] for drop in drops) != lines:
        sys.exit(f"{name}: not all lines were accepted:\n{said.getvalue()}")
    return taken


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
