"""Folders for temporary files of a driver on this host.

Java unpacks native libraries (Snappy, Zstd) into its temporary folder and loads them from there. Hardened
hosts mount /tmp noexec: then another folder must take the libraries. Spark's own temporary files stay where
they were, because they are large and that folder may be the only one with room.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from scripts.bootstrap.native import runs_native_code
from scripts.submission.request import Request, SubmissionError

# Java's default on Linux. It does not read TMPDIR.
_DEFAULT = Path("/tmp")
_OPTION = "-Djava.io.tmpdir="


def temporary_folder(request: Request, options: list[str]) -> tuple[list[str], dict[str, str]]:
    """Chooses the folder that Java unpacks native libraries into.

    Args:
        request: the job, and where it runs.
        options: Java options of the caller, who may have chosen a folder.

    Returns:
        The options with the folder, if it is not the usual one, and the setting that keeps Spark's own files
        in the usual one.

    Raises:
        SubmissionError: native code can be loaded from no folder, or SPARK_LOCAL_DIRS cannot be written to.
    """
    _check_local_dirs(request.environment)
    given = [option.removeprefix(_OPTION) for option in options if option.startswith(_OPTION)]
    usual = Path(given[-1]) if given else _DEFAULT
    tried = []
    for folder in [usual, *_others(request)]:
        if _can_load_from(folder):
            return (options, {}) if folder == usual else ([*options, f"{_OPTION}{folder}"], _local_dir(usual))
        tried.append(str(folder))
    raise SubmissionError(
        f"Java cannot load native libraries from any of {', '.join(tried)}: they are mounted noexec or "
        "cannot be written to; set CYMBAL_VAR to a folder on another file system"
    )


def _local_dir(usual: Path) -> dict[str, str]:
    """Returns the setting of Spark's own folder. Its default is Java's temporary folder."""
    return {"spark.local.dir": str(usual)} if _is_writable(usual) else {}


def _others(request: Request) -> Iterator[Path]:
    yield request.var / "tmp"
    if "TMPDIR" in request.environment:
        yield Path(request.environment["TMPDIR"])
    yield Path("/var/tmp")


def _can_load_from(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix="cymbal-") as probe:
            probe.write(b"\0")
            probe.flush()
            return runs_native_code(Path(probe.name))
    except OSError:
        return False


def _is_writable(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _check_local_dirs(environment: Mapping[str, str]) -> None:
    """Checks that Spark can use a folder of SPARK_LOCAL_DIRS: without any, it ends without a word."""
    folders = [Path(folder) for folder in environment.get("SPARK_LOCAL_DIRS", "").split(",") if folder]
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if _is_writable(folder):
            return
    if folders:
        raise SubmissionError(
            f"SPARK_LOCAL_DIRS={environment['SPARK_LOCAL_DIRS']}: none of its folders can be written to"
        )
