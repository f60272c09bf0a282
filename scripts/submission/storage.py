"""Reads or removes one file through Hadoop's clients, without a Spark session."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from xml.sax.saxutils import escape

from scripts.submission.request import Request, SubmissionError, path_here, read_properties

_SECONDS = 120
_PREFIX = "spark.hadoop."


def copy_out(request: Request, uri: str) -> bytes | None:
    """Reads a small file by path or URI.

    Returns:
        Its content; None if it does not exist or cannot be reached.
    """
    path = path_here(uri)
    if path is not None:
        try:
            return path.read_bytes()
        except OSError:
            return None
    finished = _run_shell(request, "-cat", uri)
    return finished.stdout if finished.returncode == 0 else None


def remove(request: Request, uri: str) -> None:
    """Removes a file by path or URI. A missing file is no error.

    Raises:
        SubmissionError: the file cannot be removed.
    """
    path = path_here(uri)
    if path is not None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise SubmissionError(f"{uri}: cannot be removed: {error.strerror or error}") from None
        return
    finished = _run_shell(request, "-rm", "-f", "-skipTrash", uri)
    if finished.returncode:
        errors = finished.stderr.decode(errors="replace").strip().splitlines()
        raise SubmissionError(
            f"{uri}: cannot be removed: {errors[-1] if errors else 'the storage gives no reason'}"
        )


def _run_shell(request: Request, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Runs a command of Hadoop's file system shell."""
    # Hadoop's settings may hold secrets: keep them in a file that only this user can read, until the end.
    with tempfile.TemporaryDirectory(prefix="cymbal-") as folder:
        settings = Path(folder) / "core-site.xml"
        settings.touch(mode=0o600)
        settings.write_text(_as_xml(_hadoop_settings(request)), encoding="utf-8")
        jars = os.pathsep.join(map(str, request.jars()))
        shell = f"{request.environment['SPARK_HOME']}/bin/spark-class"
        command = [shell, "org.apache.hadoop.fs.FsShell", "-conf", str(settings), *arguments]
        environment = {**request.environment, "SPARK_DIST_CLASSPATH": jars}
        try:
            return subprocess.run(
                command, env=environment, capture_output=True, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            reason = f"the storage gave no answer in {_SECONDS} s"
            return subprocess.CompletedProcess(command, 124, b"", reason.encode())


def _hadoop_settings(request: Request) -> dict[str, str]:
    """Returns Hadoop's settings: CYMBAL_SPARK_ARGS overrides the place, and the place the user's defaults."""
    settings = request.defaults() | read_properties(request.settings_file)
    words = shlex.split(request.environment.get("CYMBAL_SPARK_ARGS", ""))
    settings |= {
        name: value for word in words for name, _, value in [word.removeprefix("--conf=").partition("=")]
    }
    return {name.removeprefix(_PREFIX): value for name, value in settings.items() if name.startswith(_PREFIX)}


def _as_xml(settings: dict[str, str]) -> str:
    properties = "".join(
        f"<property><name>{escape(name)}</name><value>{escape(value)}</value></property>"
        for name, value in settings.items()
    )
    return f"<configuration>{properties}</configuration>"
