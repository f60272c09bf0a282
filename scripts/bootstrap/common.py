"""Shared by the set-up steps: paths, messages, errors, files, processes and the lock."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from scripts.bootstrap import structured

ROOT = Path(__file__).resolve().parents[2]
VAR = ROOT / "var"
# Only in an archive of scripts/package.sh: wheels, jars and lock files, so that set-up downloads nothing.
VENDOR = ROOT / "vendor"

EXIT_CANNOT_SUPPLY = 2


class SetupError(Exception):
    """Set-up cannot supply something that is missing. The user sees the message as one line."""


def say(line: str) -> None:
    """Prints one line about a step of set-up."""
    inform(f"set-up: {line}")


def inform(line: str) -> None:
    """Prints one line to stderr, in the format of the jobs. stdout is for the job's own output."""
    if structured.is_structured():
        _print(lambda: structured.tell(sys.stderr, structured.INFO, line))
    else:
        _print(lambda: print(line, file=sys.stderr, flush=True))


def refuse(reason: object) -> int:
    """Prints one line that says why nothing was done.

    Returns:
        The exit code for something missing or invalid: 2.
    """
    if structured.is_structured():
        _print(lambda: structured.tell(sys.stderr, structured.ERROR, str(reason)))
    else:
        _print(lambda: print(f"error: {reason}", file=sys.stderr, flush=True))
    return EXIT_CANNOT_SUPPLY


def _print(write: Callable[[], None]) -> None:
    """Drops what a stream does not take: a full disk under a log must not fail a set-up."""
    with contextlib.suppress(OSError, ValueError):
        write()


def sha256_of(path: Path) -> str:
    """Returns the sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_or_empty(path: Path) -> str:
    """Returns a text file's content, or an empty string if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def write_whole(path: Path, content: str, *, mode: int = 0o644) -> None:
    """Writes a text file atomically: readers see all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=mode & 0o700)  # it may hold a secret: no other user may read it at any moment
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
    """Runs a command and captures stdout and stderr together.

    Returns:
        The finished process. If the command cannot start or takes longer than ``seconds``, the return code
        is not 0 and the output is the reason.
    """
    arguments = [str(part) for part in command]
    environment = dict(os.environ if env is None else env)
    environment.pop("PYTHONPATH", None)  # pip's builds must not import the checkout's packages
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
        return subprocess.CompletedProcess(arguments, 124, f"timed out after {seconds:.0f} s")
    except OSError as error:
        return subprocess.CompletedProcess(arguments, 127, str(error))


def last_line(output: str, *, with_word: str = "") -> str:
    """Returns the last line that is not blank, or the last one with ``with_word`` if there is any."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    matching = [line for line in lines if with_word.lower() in line.lower()]
    return (matching or lines or ["no output"])[-1]
