"""Checks of the driver's host: what it takes from its environment, where it writes, and what it can load."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError

from pipeline.steps.context import Batch
from schemas.states import CheckState

_PLACES = Path(__file__).resolve().parents[2] / "configs" / "places"

# State, observation and advice.
CheckResult = tuple[CheckState, str, str]


def check_environment(_: Batch) -> CheckResult:
    """Names the variables that scripts/submit.sh kept from the run, since they belong to other programs."""
    left_out = os.environ.get("CYMBAL_LEFT_OUT", "").split()
    return CheckState.OK, f"left out: {', '.join(left_out)}" if left_out else "nothing left out", ""


def check_var(_: Batch) -> CheckResult:
    """Names the folder of what runs write besides the lake."""
    folder = Path(os.environ.get("CYMBAL_VAR") or "var").absolute()
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return CheckState.OK, str(folder), ""
    return CheckState.PROBLEM, f"{folder} cannot be written to", "set CYMBAL_VAR to a folder of this user"


def check_native_libraries(batch: Batch) -> CheckResult:
    """Loads the native code of Parquet's compression, which the first write would otherwise fail on."""
    jvm: Any = batch.spark._jvm
    folder = str(jvm.java.lang.System.getProperty("java.io.tmpdir"))
    libraries = {
        "Snappy": jvm.org.xerial.snappy.Snappy.getNativeLibraryVersion,
        "Zstd": jvm.com.github.luben.zstd.util.Native.load,
    }
    for name, load in libraries.items():
        try:
            load()
        except Py4JError:
            advice = (
                "is it mounted noexec? Give Java another folder: JAVA_TOOL_OPTIONS=-Djava.io.tmpdir=FOLDER"
            )
            return CheckState.PROBLEM, f"Java cannot load {name} from {folder}", advice
    return CheckState.OK, f"{' and '.join(libraries)}, from {folder}", ""


def check_user_settings(batch: Batch) -> CheckResult:
    """Names the settings that are not the place's, each with the reason in the place's file."""
    place = os.environ.get("CYMBAL_PLACE", "local")
    current = dict(batch.spark.sparkContext.getConf().getAll())
    settings = read_place(_PLACES / f"{place}.conf")
    differing = [
        f"{name} is {current[name]}, not {value}{f' ({reason})' if reason else ''}"
        for name, (value, reason) in settings.items()
        if name in current and not current[name].startswith(value)
    ]
    further = sorted((_user_names() - set(settings)) & set(current))
    texts = [*differing, *([f"further: {', '.join(further)}"] if further else [])]
    return CheckState.OK, "; ".join(texts) or f"as in configs/places/{place}.conf", ""


def check_authentication(batch: Batch) -> CheckResult:
    """Says whom Spark's ports answer."""
    return authentication_of(dict(batch.spark.sparkContext.getConf().getAll()))


def authentication_of(settings: Mapping[str, str]) -> CheckResult:
    """Judges whom the ports of a run answer, by its settings."""
    if settings.get("spark.authenticate") == "true":
        is_encrypted = settings.get("spark.network.crypto.enabled") == "true"
        return CheckState.OK, f"by a secret, {'' if is_encrypted else 'not '}encrypted", ""
    if not settings["spark.master"].startswith("local"):
        return (
            CheckState.WARNING,
            "Spark's ports answer everyone who reaches them, and run what they are given",
            "give master and workers spark.authenticate.secret, and runs CYMBAL_CLUSTER_SECRET",
        )
    host = settings.get("spark.driver.host", "localhost")
    if host == "localhost" or host.startswith("127."):
        return CheckState.OK, f"none: no other host reaches {host}", ""
    return (
        CheckState.WARNING,
        f"other hosts can reach Spark's ports at {host}",
        "set SPARK_LOCAL_IP=127.0.0.1",
    )


def read_place(file: Path) -> dict[str, tuple[str, str]]:
    """Reads a place's file: value and reason by setting. The reason is the comment above it."""
    settings: dict[str, tuple[str, str]] = {}
    reason: list[str] = []
    is_settled = False  # whether a setting stands below the comment
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            reason = [] if is_settled else reason
            reason.append(line.removeprefix("#").strip())
            is_settled = False
        elif line.strip():
            name, _, value = line.partition(" ")
            settings[name] = (value.strip(), " ".join(reason))
            is_settled = True
        else:
            reason = []
    return settings


def _user_names() -> set[str]:
    """Names of the settings of spark-defaults.conf and CYMBAL_SPARK_ARGS. Their values may be secrets."""
    names = {word.partition("=")[0] for word in os.environ.get("CYMBAL_SPARK_ARGS", "").split()}
    folder = os.environ.get("SPARK_CONF_DIR")
    if folder:
        file = Path(folder) / "spark-defaults.conf"
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        names |= {line.replace("=", " ").split()[0] for line in lines if line.strip()}
    return {name for name in names if name.startswith("spark.")}
