"""The contenders: how each is started, and what it does not do."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.benchmarks.contenders.shared import CURRENCY_SCALES

ROOT = Path(__file__).resolve().parents[3]

# The value that configs/places/local.conf sets for ours.
_SPARK_MEMORY = "3g"
_DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}


@dataclass(frozen=True)
class Task:
    """The work of a contender and its limits.

    Attributes:
        landing: folder of the drops.
        lake: folder for its tables.
        cores: cores that it may use.
        memory_gb: memory that it may use, in GB.
    """

    landing: Path
    lake: Path
    cores: int
    memory_gb: float


@dataclass(frozen=True)
class Contender:
    """One way of doing the work.

    Attributes:
        title: name in reports.
        command: returns program and arguments for a task.
        needs: Python packages that must be installed.
        limits: what it does not do or does differently, for the report.
    """

    title: str
    command: Callable[[Task], list[str]]
    needs: tuple[str, ...]
    limits: str

    def absent(self) -> str | None:
        """The first needed package that is not installed; None if all are installed."""
        return next((name for name in self.needs if importlib.util.find_spec(name) is None), None)


def environment(task: Task) -> Mapping[str, str]:
    """The environment of a contender: that of this process, plus its limits on cores."""
    cores = str(task.cores)
    python = str(ROOT / ".venv" / "bin" / "python")
    spark = {"PYSPARK_PYTHON": python, "PYSPARK_DRIVER_PYTHON": python, "SPARK_LOCAL_IP": "127.0.0.1"}
    threads = {"CYMBAL_CORES": cores, "POLARS_MAX_THREADS": cores}
    return {**os.environ, **spark, **threads, "PYTHONPATH": str(ROOT)}


def _ours(task: Task) -> list[str]:
    currencies = f"currencies=[{', '.join(CURRENCY_SCALES)}]"
    return [
        str(ROOT / "scripts" / "submit.sh"), "run_batch",
        "--landing", str(task.landing), "--lake", str(task.lake), "--set", currencies,
        # No other contender composes letters and accents: with it, the tables would not be equal.
        "--set", "text.normalize=none",
    ]  # fmt: skip


def _tutorial(task: Task) -> list[str]:
    jars = ",".join(sorted(map(str, (ROOT / "var" / "jars").glob("*.jar"))))
    settings = [part for name, value in _DELTA.items() for part in ("--conf", f"{name}={value}")]
    return [
        str(Path(os.environ["SPARK_HOME"]) / "bin" / "spark-submit"),
        "--master", f"local[{task.cores}]", "--driver-memory", _SPARK_MEMORY, "--jars", jars, *settings,
        str(Path(__file__).parent / "tutorial_spark.py"), str(task.landing), str(task.lake),
    ]  # fmt: skip


def _module(name: str, task: Task, *extra: str) -> list[str]:
    return [sys.executable, "-m", f"{__name__}.{name}", str(task.landing), str(task.lake), *extra]


CONTENDERS: dict[str, Contender] = {
    "ours": Contender(
        "run_batch (ours)", _ours, (), "audits, reconciles, keeps a ledger, retries and resumes by chunk"
    ),
    "tutorial": Contender(
        "PySpark, tutorial style", _tutorial, (), "no audit, reconciliation, ledger or resume"
    ),
    "duckdb": Contender(
        "DuckDB + deltalake",
        lambda task: _module("duckdb_job", task, str(task.memory_gb)),
        ("duckdb", "deltalake"),
        "one machine; no audit, reconciliation, ledger or resume; bronze in two commits",
    ),
    "polars": Contender(
        "Polars + deltalake",
        lambda task: _module("polars_job", task),
        ("polars", "deltalake"),
        "one machine; no audit, reconciliation, ledger or resume; its CSV reader silently fills up "
        "lines with too few fields, so expressions split them; no sha256, so Python computes invoice ids",
    ),
    "sail": Contender(
        "Sail, our transforms",
        lambda task: _module("sail_job", task, str(task.cores), str(task.memory_gb)),
        ("pysail", "pyspark", "grpc", "pyarrow"),
        'its CSV reader fails with "incorrect number of fields" at the first malformed line and has no '
        "_metadata.file_name, so PyArrow reads the files; repartitionById fails with "
        '"direct shuffle partition ID expression", so lines are not placed by chunk; the jobs need the JVM, '
        "so no ledger, audit or resume",
    ),
}
