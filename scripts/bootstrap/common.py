"""What the set-up steps share: where things are, how they speak, fail, stamp and take turns."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from scripts.bootstrap import structured

ROOT = Path(__file__).resolve().parents[2]
VAR = ROOT / "var"
# In an archive of scripts/package.sh: wheels/, maven/ and lock files, all that set-up would fetch.
VENDOR = ROOT / "vendor"

EXIT_CANNOT_SUPPLY = 2


class SetupError(Exception):
    """Something is missing that set-up cannot supply; the message is the one line the user sees."""


def say(line: str) -> None:
    """Tells the user in one line what a step of set-up does."""
    inform(f"set-up: {line}")


def inform(line: str) -> None:
    """Tells the user a line, in the form that a job would; stdout stays the job's."""
    if structured.is_structured():
        structured.tell(sys.stderr, structured.INFO, line)
    else:
        print(line, file=sys.stderr, flush=True)


def refuse(reason: object) -> int:
    """Tells the user in one line why nothing was done.

    Returns:
        The exit code of what is not there or not valid: 2.
    """
    if structured.is_structured():
        structured.tell(sys.stderr, structured.ERROR, str(reason))
    else:
        print(f"error: {reason}", file=sys.stderr, flush=True)
    return EXIT_CANNOT_SUPPLY


def sha256_of(path: Path) -> str:
    """Returns the sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_or_empty(path: Path) -> str:
    """Returns a text file's content, or nothing where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def write_whole(path: Path, content: str, *, mode: int = 0o644) -> None:
    """Writes a text file so that it is seen whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(content, encoding="utf-8")
    temporary.chmod(mode)
    temporary.replace(path)


@contextlib.contextmanager
def one_at_a_time(folder: Path = VAR) -> Iterator[None]:
    """Holds the set-up lock of this checkout; a second set-up waits for the first."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waits for another set-up in this checkout")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run_quietly(
    command: Sequence[str | Path], *, seconds: float, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a command, keeping what it says, stdout and stderr together.

    Returns:
        The finished process. One that cannot start, or takes longer than ``seconds``, comes back with
        a non-zero return code and the reason as its output.
    """
    arguments = [str(part) for part in command]
    environment = dict(os.environ) if env is None else env
    environment.pop("PYTHONPATH", None)  # the checkout's own packages are no business of pip's builds
    try:
        return subprocess.run(
            arguments,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=seconds,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(arguments, 124, f"no end after {seconds:.0f} s")
    except OSError as error:
        return subprocess.CompletedProcess(arguments, 127, str(error))


def last_line(output: str, *, with_word: str = "") -> str:
    """Returns the last line of an output that is not blank, one with ``with_word`` where there is any."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if with_word.lower() in line.lower()]
    return (telling or lines or ["it said nothing"])[-1]
