"""What is asked of scripts/submit.sh."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CLUSTER, CLIENT = "cluster", "client"


class SubmissionError(Exception):
    """A job cannot be submitted as asked; the message is the one line the user sees, the exit code 2."""


@dataclass(frozen=True)
class Request:
    """A job, and where it is to run.

    Attributes:
        place: name of a file of configs/places.
        master: Spark's master URL.
        deploy_mode: where the driver runs: ``client``, here, or ``cluster``, on a host of the cluster.
        job: name of a file of jobs.
        arguments: the job's own.
        sets: sets of jars that it needs beside Delta's (configs/jars.toml).
        only_print: whether the line is to be printed instead of run.
        environment: variables of the caller.
    """

    place: str
    master: str
    deploy_mode: str
    job: str
    arguments: tuple[str, ...]
    sets: tuple[str, ...]
    only_print: bool
    environment: Mapping[str, str]

    @property
    def is_on_cluster(self) -> bool:
        """Whether the driver runs elsewhere."""
        return self.deploy_mode == CLUSTER

    @property
    def settings_file(self) -> Path:
        """Spark's settings of the place."""
        return ROOT / "configs" / "places" / f"{self.place}.conf"

    @property
    def brings_packages(self) -> bool:
        """Whether the caller has Spark fetch packages, by an option or a setting of theirs."""
        if re.search(r"--packages\b|spark[.]jars[.]packages", self.environment.get("CYMBAL_SPARK_ARGS", "")):
            return True
        if "SPARK_CONF_DIR" not in self.environment:
            return False
        defaults = Path(self.environment["SPARK_CONF_DIR"]) / "spark-defaults.conf"
        return defaults.is_file() and bool(read_properties(defaults).get("spark.jars.packages"))

    def setting(self, name: str) -> str:
        """A setting of the place; empty where it has none."""
        return read_properties(self.settings_file).get(name, "")

    def jars(self) -> list[Path]:
        """Jars of the run: Delta's, and those of its sets."""
        folder = ROOT / "var" / "jars"
        return [path for part in (".", *self.sets) for path in sorted((folder / part).glob("*.jar"))]


def read_properties(file: Path) -> dict[str, str]:
    """A file of Spark's settings: a name and its value a line."""
    found = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        name, *value = line.split(maxsplit=1)[:2] or [""]
        found[name] = value[0].strip() if value else ""
    return found


def read_request(arguments: Sequence[str]) -> Request:
    """Reads what scripts/submit.sh hands over; it has judged names and values before."""
    parser = argparse.ArgumentParser(prog="scripts.submission", allow_abbrev=False)
    parser.add_argument("--place", required=True)
    parser.add_argument("--master", required=True)
    parser.add_argument("--deploy-mode", choices=[CLIENT, CLUSTER], default=CLIENT)
    parser.add_argument("--with", dest="sets", action="append", default=[])
    parser.add_argument("--print", dest="only_print", action="store_true")
    parser.add_argument("job")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    given = parser.parse_args(arguments)
    return Request(
        place=given.place,
        master=given.master,
        deploy_mode=given.deploy_mode,
        job=given.job,
        arguments=tuple(given.arguments),
        sets=tuple(given.sets),
        only_print=given.only_print,
        environment=dict(os.environ),
    )
