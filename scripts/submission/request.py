"""The request that scripts/submit.sh passes on."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[2]
CLUSTER, CLIENT = "cluster", "client"


class SubmissionError(Exception):
    """A job cannot be submitted as requested. The user sees the message as one line; the exit code is 2."""


@dataclass(frozen=True)
class Request:
    """A job, and where it runs.

    Attributes:
        target: name of a file in configs/places, without its suffix.
        master: Spark's master URL.
        deploy_mode: where the driver runs: ``client`` (here) or ``cluster`` (on a host of the cluster).
        job: name of a file in jobs, without its suffix.
        arguments: the job's arguments.
        sets: sets of jars to load in addition to Delta's (configs/jars.toml).
        only_print: whether to print the command instead of running it.
        environment: environment variables of the caller.
    """

    target: str
    master: str
    deploy_mode: str
    job: str
    arguments: tuple[str, ...]
    sets: tuple[str, ...]
    only_print: bool
    environment: Mapping[str, str]

    @property
    def is_on_cluster(self) -> bool:
        """Whether the driver runs on a host of the cluster."""
        return self.deploy_mode == CLUSTER

    @property
    def var(self) -> Path:
        """The folder of what a run writes besides the lake; scripts/environment.sh chooses it."""
        return Path(self.environment.get("CYMBAL_VAR") or ROOT / "var")

    @property
    def settings_file(self) -> Path:
        """The place's file of Spark settings."""
        return ROOT / "configs" / "places" / f"{self.target}.conf"

    @property
    def brings_packages(self) -> bool:
        """Whether an option or a setting of the caller makes Spark download packages."""
        if re.search(r"--packages\b|spark[.]jars[.]packages", self.environment.get("CYMBAL_SPARK_ARGS", "")):
            return True
        return bool(self.defaults().get("spark.jars.packages"))

    def defaults(self) -> dict[str, str]:
        """Returns the settings of the user's own spark-defaults.conf; empty without one."""
        if "SPARK_CONF_DIR" not in self.environment:
            return {}
        file = Path(self.environment["SPARK_CONF_DIR"]) / "spark-defaults.conf"
        return read_properties(file) if file.is_file() else {}

    def setting(self, name: str) -> str:
        """Returns a setting of the place; empty if it has none."""
        return read_properties(self.settings_file).get(name, "")

    def jars(self) -> list[Path]:
        """Returns the jars of the run: Delta's, and those of its sets."""
        folder = ROOT / "var" / "jars"
        return [path for part in (".", *self.sets) for path in sorted((folder / part).glob("*.jar"))]


def without_option(arguments: Sequence[str], option: str) -> tuple[list[str], str | None]:
    """Returns the arguments without an option, and the last value of that option."""
    kept, value, rest = [], None, iter(arguments)
    for argument in rest:
        if argument == option:
            value = next(rest, None)
        elif argument.startswith(f"{option}="):
            value = argument.partition("=")[2]
        else:
            kept.append(argument)
    return kept, value


def path_here(uri: str) -> Path | None:
    """Returns the path that a path or URI names on this host; None if it names none."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if "://" in uri else Path(uri)


def read_properties(file: Path) -> dict[str, str]:
    """Reads a file of Spark settings: one name and value per line."""
    properties = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        # As Java reads them: white space, = or : stands between name and value.
        match = re.match(r"\s*([^\s=:#!][^\s=:]*)\s*[=:\s]\s*(.*)", f"{line} ")
        if match:
            properties[match[1]] = match[2].strip()
    return properties


def read_request(arguments: Sequence[str]) -> Request:
    """Reads the arguments from scripts/submit.sh, which has already checked names and values."""
    parser = argparse.ArgumentParser(prog="scripts.submission", allow_abbrev=False)
    parser.add_argument("--place", dest="target", required=True)
    parser.add_argument("--master", required=True)
    parser.add_argument("--deploy-mode", choices=[CLIENT, CLUSTER], default=CLIENT)
    parser.add_argument("--with", dest="sets", action="append", default=[])
    parser.add_argument("--print", dest="only_print", action="store_true")
    parser.add_argument("job")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    given = parser.parse_args(arguments)
    return Request(
        target=given.target,
        master=given.master,
        deploy_mode=given.deploy_mode,
        job=given.job,
        arguments=tuple(given.arguments),
        sets=tuple(given.sets),
        only_print=given.only_print,
        environment=dict(os.environ),
    )
