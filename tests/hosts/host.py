"""Hosts of many kinds, each a real environment of this machine, in which ten lines are published."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from schemas.tables import SALES
from tests.support.landing import write_csv
from tests.support.lines import received_line

ROOT = Path(__file__).resolve().parents[2]
DATE = "2026-03-02"
LINES = 10


@dataclass(frozen=True)
class Host:
    """An environment.

    Attributes:
        variables: the environment of the command, beside PATH and the number of cores.
        mounts: commands of a shell, run as root in a mount namespace of its own before the command; with
            ``$CHECKOUT``, ``$WORK``, and the folders of the set-up in ``$PARTS``. Empty: no namespace.
        prefix: words before the command.
        redirect: redirections of the command, or a pipe behind it.
        command: words that start a submission.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    mounts: str = ""
    prefix: str = ""
    redirect: str = ""
    command: str = '"$CHECKOUT/scripts/submit.sh"'


@dataclass(frozen=True)
class Ended:
    """What a command came to."""

    code: int
    stdout: str
    stderr: str
    result: dict[str, Any]

    @property
    def told(self) -> str:
        """All that it printed."""
        return self.stdout + self.stderr


def land(work: Path) -> Path:
    """Lands a drop of ten lines and returns the landing."""
    lines = [received_line(transaction_id=f"T{n}", sold_at=f"{DATE}T15:00:00Z") for n in range(LINES)]
    write_csv(work / "landing", DATE, lines)
    return work / "landing"


def _parts() -> set[str]:
    """The folders that a set-up consists of, wherever links lead to them."""
    linked = [ROOT / ".venv", ROOT / "var" / "java", ROOT / "var" / "jars"]
    return {sys.base_prefix, str(ROOT), *(str(path.resolve()) for path in linked)}


def can_mount() -> bool:
    """Whether this user may make a mount namespace."""
    tried = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    return os.geteuid() == 0 and tried.returncode == 0


def run(host: Host, work: Path, *arguments: str) -> Ended:
    """Runs a job on a host, with landing, lake and result in a work folder."""
    result = work / "result.json"
    job = arguments or ("run_batch",)
    own = ["--landing", f"{work}/landing", "--lake", f"{work}/lake", "--result", str(result)]
    script = work / "host.sh"
    script.write_text(
        f"set -e\nCHECKOUT={shlex.quote(str(ROOT))} WORK={shlex.quote(str(work))}\n"
        f"PARTS={shlex.quote(' '.join(_parts()))}\n{host.mounts}\n"
        f"cd /\nset +e\nset -o pipefail\n"
        f"{host.prefix} {host.command} {shlex.join([*job, *own])} {host.redirect}\n"
    )
    namespace = ["unshare", "-m"] if host.mounts else []
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "CYMBAL_CORES": "2", **host.variables}
    ended = subprocess.run(
        [*namespace, "bash", str(script)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
        check=False,
    )
    told = [text.decode(errors="replace") for text in (ended.stdout, ended.stderr)]
    return Ended(ended.returncode, *told, json.loads(result.read_text()) if result.exists() else {})


def published(work: Path) -> int:
    """Returns how many lines silver/sales holds."""
    table: Any = DeltaTable(str(work / "lake" / SALES.name)).to_pyarrow_table()
    return int(table.num_rows)
