"""Describes the machine and the software versions of a measurement, without names of hosts or people."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

from tools.benchmarks.contenders import ROOT

_PACKAGES = ("duckdb", "polars", "deltalake", "pysail", "pyspark-client", "pyarrow")
_KILOBYTES_PER_GB = 1_000_000_000 / 1024


def describe(cores: int) -> dict[str, str]:
    """Returns the properties of the machine by name.

    Args:
        cores: cores that contenders may use.
    """
    memory = int(_first(r"MemTotal:\s+(\d+)", Path("/proc/meminfo")) or 0)
    return {
        "CPU": _first(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo")) or platform.machine(),
        "cores": f"{cores} used of {os.cpu_count()}",
        "memory": f"{memory / _KILOBYTES_PER_GB:.0f} GB",
        "system": f"{_system()}, Linux {platform.release().split('-')[0]}",
        "Python": platform.python_version(),
        **_versions(),
    }


def _versions() -> dict[str, str]:
    jars = sorted(path.stem for path in (ROOT / "var" / "jars").glob("delta-spark*.jar"))
    return {
        "Java": _java_version(),
        "Spark": _installed_beside("pyspark", Path(os.environ["SPARK_HOME"]).parent),
        "Delta": ", ".join(jars),
        **{name: _version(name) for name in _PACKAGES},
    }


def _java_version() -> str:
    java = Path(os.environ["JAVA_HOME"]) / "bin" / "java"
    output = subprocess.run([java, "-version"], capture_output=True, text=True, check=True).stderr
    match = re.search(r'version "([^"]+)"', output)
    return match.group(1) if match else output.partition("\n")[0]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _installed_beside(package: str, folder: Path) -> str:
    installed = importlib.metadata.distributions(name=package, path=[str(folder)])
    return next((distribution.version for distribution in installed), "?")


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


def _first(pattern: str, path: Path) -> str | None:
    try:
        match = re.search(pattern, path.read_text(encoding="utf-8"))
    except OSError:
        return None
    return match.group(1).strip() if match else None
