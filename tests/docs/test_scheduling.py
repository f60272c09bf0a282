"""The units and the crontab of docs/how-to/schedule-with-airflow-or-cron.md are of their form."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "how-to" / "schedule-with-airflow-or-cron.md").read_text(encoding="utf-8")
UNITS = dict(re.findall(r"`/etc/systemd/system/(\S+?)`.*?```ini\n(.*?)```", TEXT, flags=re.DOTALL))
CRONTAB = re.findall(r"```cron\n(.*?)```", TEXT, flags=re.DOTALL)[0].splitlines()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    assert len(UNITS) == 4
    for name, text in UNITS.items():
        # systemd looks whether the user and the command are there.
        here = text.replace("User=cymbal", "User=root").replace("/opt/cymbal", str(ROOT))
        (tmp_path / name).write_text(here)
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *map(str, tmp_path.iterdir())],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert not ran.stderr


def test_what_would_come_to_the_same_is_not_tried_again() -> None:
    for unit in ("cymbal-sales.service", "cymbal-maintenance.service"):
        assert "Restart=on-failure\n" in UNITS[unit]
        assert "RestartPreventExitStatus=2 3 4 5\n" in UNITS[unit]


@pytest.mark.parametrize("code", [0, 4])
def test_a_line_of_the_crontab_prints_only_where_the_run_failed(tmp_path: Path, code: int) -> None:
    checkout = tmp_path / "cymbal"
    (checkout / "scripts").mkdir(parents=True)
    job = checkout / "scripts" / "submit.sh"
    job.write_text(f"#!/bin/sh\necho told: $*\nexit {code}\n")
    job.chmod(0o755)
    lines = [line for line in CRONTAB if line[0].isdigit() or line.startswith("*")]
    assert len(lines) == 2
    for line in lines:
        command = line.split(maxsplit=5)[5].replace("/opt/cymbal", str(checkout))
        assert "%" not in command, "cron takes it as the end of a line"
        ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
        requested = command.split("submit.sh ")[1].split(" >>")[0]
        assert ran.stdout == ("" if code == 0 else f"exit code {code}\n" + _log(checkout))
        assert f"told: {requested}" in _log(checkout)


def _log(checkout: Path) -> str:
    return (checkout / "var" / "log" / "nightly.log").read_text()
