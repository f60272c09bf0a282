"""One file of a storage that only Hadoop's clients reach, read or removed without a Spark session."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.sax.saxutils import escape

from scripts.submission.request import Request, SubmissionError, read_properties

_SECONDS = 120
_PREFIX = "spark.hadoop."


def copy_out(request: Request, uri: str) -> bytes | None:
    """Reads a small file by path or URI.

    Returns:
        Its content; None where it is not there or cannot be reached.
    """
    path = _path_here(uri)
    if path is not None:
        try:
            return path.read_bytes()
        except OSError:
            return None
    finished = _run_shell(request, "-cat", uri)
    return finished.stdout if finished.returncode == 0 else None


def remove(request: Request, uri: str) -> None:
    """Removes a file by path or URI; one that is not there is none.

    Raises:
        SubmissionError: it cannot be removed.
    """
    path = _path_here(uri)
    if path is not None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise SubmissionError(f"{uri}: cannot be removed: {error.strerror or error}") from None
        return
    finished = _run_shell(request, "-rm", "-f", "-skipTrash", uri)
    if finished.returncode:
        said = finished.stderr.decode(errors="replace").strip().splitlines()
        raise SubmissionError(
            f"{uri}: cannot be removed: {said[-1] if said else 'the storage does not say why'}"
        )


def _path_here(uri: str) -> Path | None:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if "://" in uri else Path(uri)


def _run_shell(request: Request, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Runs a command of Hadoop's file system shell."""
    # Hadoop's settings may hold keys: in a file that only this user can read, and for this command alone.
    with tempfile.TemporaryDirectory(prefix="cymbal-") as folder:
        settings = Path(folder) / "core-site.xml"
        settings.touch(mode=0o600)
        settings.write_text(_as_xml(_hadoop_settings(request)), encoding="utf-8")
        jars = os.pathsep.join(map(str, request.jars()))
        return subprocess.run(
            [
                f"{request.environment['SPARK_HOME']}/bin/spark-class",
                *("org.apache.hadoop.fs.FsShell", "-conf", str(settings), *arguments),
            ],
            env={**request.environment, "SPARK_DIST_CLASSPATH": jars},
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )


def _hadoop_settings(request: Request) -> dict[str, str]:
    """Those of the place, of the user's defaults and of CYMBAL_SPARK_ARGS, the later ones first."""
    files = [request.settings_file]
    if "SPARK_CONF_DIR" in request.environment:
        files.insert(0, Path(request.environment["SPARK_CONF_DIR"]) / "spark-defaults.conf")
    found: dict[str, str] = {}
    for file in files:
        found |= read_properties(file) if file.exists() else {}
    words = shlex.split(request.environment.get("CYMBAL_SPARK_ARGS", ""))
    found |= {
        name: value for word in words for name, _, value in [word.removeprefix("--conf=").partition("=")]
    }
    return {name.removeprefix(_PREFIX): value for name, value in found.items() if name.startswith(_PREFIX)}


def _as_xml(settings: dict[str, str]) -> str:
    properties = "".join(
        f"<property><name>{escape(name)}</name><value>{escape(value)}</value></property>"
        for name, value in settings.items()
    )
    return f"<configuration>{properties}</configuration>"
