"""The virtual environment ``.venv``, installed from a lock file."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

from scripts.bootstrap.apt import apt_install, can_apt_install
from scripts.bootstrap.common import (
    ROOT,
    VENDOR,
    SetupError,
    last_line,
    read_or_empty,
    run_quietly,
    say,
    sha256_of,
    write_whole,
)

VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed.json"
RUN_LOCK = ROOT / "requirements.lock"
DEV_LOCK = ROOT / "requirements-dev.lock"
# What the HTML pages of runs need. The lock of the development tools holds it too.
REPORT_LOCK = ROOT / "requirements-report.lock"

INSTALL_SECONDS = 1800.0


def is_installed(*, dev: bool) -> bool:
    """Says whether the venv matches the current lock file."""
    lock = DEV_LOCK if dev else RUN_LOCK
    return VENV_PYTHON.exists() and _stamped().get(lock.name) == sha256_of(lock)


def has_report() -> bool:
    """Says whether the venv holds what the HTML pages of runs need."""
    return VENV_PYTHON.exists() and _stamped().get(REPORT_LOCK.name) == sha256_of(REPORT_LOCK)


def install_report() -> None:
    """Installs what the HTML pages of runs need, beside what is there; changes no version of that.

    Raises:
        SetupError: a package cannot be installed. The venv still serves every job.
    """
    say(f"installs the packages of the HTML pages from {REPORT_LOCK.name}")
    pip_install(REPORT_LOCK, what=f"the packages of {REPORT_LOCK.name}")
    write_whole(STAMP, json.dumps({**_stamped(), REPORT_LOCK.name: sha256_of(REPORT_LOCK)}))


def install(*, dev: bool) -> None:
    """Creates the venv, or updates it to the lock file.

    The stamp is deleted first and written last, so that set-up recreates a venv after an interrupted
    installation.

    Raises:
        SetupError: Python has no venv module, or a package cannot be installed.
    """
    lock = DEV_LOCK if dev else RUN_LOCK
    if not (STAMP.exists() and VENV_PYTHON.exists()):
        _make_venv()
    STAMP.unlink(missing_ok=True)
    packages = sum(1 for line in lock.read_text(encoding="utf-8").splitlines() if "==" in line)
    say(f"installs {packages} packages into .venv from {lock.name} (the first time takes minutes)")
    pip_install(lock, what=f"the packages of {lock.name}")
    installed = [RUN_LOCK, REPORT_LOCK, DEV_LOCK] if dev else [RUN_LOCK]
    write_whole(STAMP, json.dumps({path.name: sha256_of(path) for path in installed}))


def pip_install(lock: Path, *arguments: str, what: str) -> None:
    """Installs the packages of a lock file with the venv's pip, from ``vendor`` if it exists, else an index.

    Args:
        lock: the lock file.
        arguments: further arguments for pip.
        what: name of the packages in the error message.

    Raises:
        SetupError: pip failed; the message holds pip's reason.
    """
    command = [
        str(VENV_PYTHON),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ]
    source = ["--require-hashes", *_source(lock), *arguments]
    finished = run_quietly([*command, *_timeout_options(), *source], seconds=INSTALL_SECONDS)
    if finished.returncode != 0:
        reason = last_line(finished.stdout, with_word="error")
        raise SetupError(f"cannot install {what}: {_explain(finished.stdout)} ({reason})")


def _source(lock: Path) -> list[str]:
    vendored = VENDOR / lock.name
    if vendored.exists():  # locks the vendored wheels, some of which were built from source
        return ["--no-index", "--find-links", str(VENDOR / "wheels"), "-r", str(vendored)]
    return ["-r", str(lock)]


def _stamped() -> dict[str, str]:
    try:
        stamp = json.loads(read_or_empty(STAMP) or "{}")
    except ValueError:
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _timeout_options() -> list[str]:
    """Limits the wait for an unreachable index, unless the user has set a timeout."""
    if os.environ.get("PIP_DEFAULT_TIMEOUT") or os.environ.get("PIP_TIMEOUT"):
        return ["--retries", "1"]
    return ["--retries", "1", "--timeout", "20"]


def _explain(output: str) -> str:
    if "do not match the hashes" in output.lower():
        return "a downloaded file is not the one in the lock file"
    unreachable = (
        "connection broken",
        "max retries",
        "failed to establish",
        "name resolution",
        "from versions: none",
    )
    if any(phrase in output.lower() for phrase in unreachable):
        return "no package index can be reached"
    return "pip failed"


def _make_venv() -> None:
    _require_venv_module()
    say(f"makes .venv with Python {'.'.join(map(str, sys.version_info[:3]))}")
    finished = run_quietly([sys.executable, "-m", "venv", "--clear", str(VENV)], seconds=300)
    if finished.returncode != 0 or not VENV_PYTHON.exists():
        raise SetupError(f"cannot make .venv: {last_line(finished.stdout, with_word='error')}")


def _require_venv_module() -> None:
    """Installs the venv module if it is missing: Debian's Python lacks ensurepip, which venv needs."""
    if _has_venv_module():
        return
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if can_apt_install():
        apt_install([package, "python3-venv"])
    if not _has_venv_module():
        raise SetupError(
            f"Python at {sys.executable} has no venv module: install it (Debian: apt-get install {package})"
        )


def _has_venv_module() -> bool:
    importlib.invalidate_caches()
    return all(importlib.util.find_spec(name) is not None for name in ("venv", "ensurepip"))


def site_packages() -> Path:
    """Returns the folder of the venv's packages.

    Raises:
        SetupError: there is none.
    """
    folders = sorted(VENV.glob("lib/python3*/site-packages"))
    if not folders:
        raise SetupError("the .venv holds no packages: remove it and run again")
    return folders[-1]
