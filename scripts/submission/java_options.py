"""Java options that the caller's environment holds. They reach the driver as arguments.

Java prints a notice for each of these variables that it reads, and the last one overrides every argument.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.bootstrap.common import inform, write_whole
from scripts.submission.request import Request, SubmissionError
from scripts.submission.secrets import is_harmless_property

VARIABLES = ("JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS")
# Spark refuses them among Java options: it has settings of its own for them.
_OF_SPARK = ("-Xmx", "-Dspark.")


def caller_options(request: Request) -> list[str]:
    """Returns the options of all variables, a later one winning, without those that Spark refuses.

    Options that may hold a secret go into a file that only this user can read; an argument names it.

    Raises:
        SubmissionError: the quotes of a variable do not match, or the file cannot be written.
    """
    options = [option for option in _all_options(request.environment) if not option.startswith(_OF_SPARK)]
    secret = [option for option in options if not _is_harmless(option)]
    if not secret:
        return options
    file = request.var / "java" / "options"
    try:
        write_whole(file, "".join(f"{_quoted(option)}\n" for option in secret), mode=0o600)
    except OSError as error:
        raise SubmissionError(f"cannot write {file}: {error.strerror or error}") from None
    return [*(option for option in options if option not in secret), f"@{file}"]


def secret_properties(environment: Mapping[str, str]) -> list[str]:
    """Returns the names of the properties among the caller's options that may hold a secret."""
    options = _all_options(environment)
    return [option[2:].partition("=")[0] for option in options if not _is_harmless(option)]


def check_options(environment: Mapping[str, str], options: Sequence[str]) -> None:
    """Starts Java with the caller's options, if there are any: those of an older Java keep it from starting.

    Raises:
        SubmissionError: it does not start. The message holds Java's reason.
    """
    for option in _all_options(environment):
        if option.startswith(_OF_SPARK):
            inform(
                f"Java option {option.partition('=')[0]} is left out: Spark has settings of its own for it"
            )
    if not options:
        return
    java = str(Path(environment["JAVA_HOME"]) / "bin" / "java")
    clean = {name: value for name, value in environment.items() if name not in VARIABLES}
    command = [java, *options, "-version"]
    started = subprocess.run(
        command, env=clean, capture_output=True, text=True, errors="replace", check=False
    )
    if started.returncode:
        names = ", ".join(name for name in VARIABLES if environment.get(name))
        reason = next(iter((started.stderr or started.stdout).strip().splitlines()), "it gives no reason")
        raise SubmissionError(f"{names}: Java does not start with these options: {reason}")


def _all_options(environment: Mapping[str, str]) -> list[str]:
    return [option for name in VARIABLES for option in _split(name, environment.get(name, ""))]


def _split(name: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        raise SubmissionError(f"{name}: its quotes do not match") from None


def _is_harmless(option: str) -> bool:
    return not option.startswith("-D") or is_harmless_property(option[2:].partition("=")[0])


def _quoted(option: str) -> str:
    """Quotes an option as Java reads it in a file of arguments."""
    escaped = option.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
