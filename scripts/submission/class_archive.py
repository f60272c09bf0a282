"""The archive of parsed and verified classes with which a driver on this host starts."""

from __future__ import annotations

from pathlib import Path

from scripts.submission.request import ROOT, Request

_SMALLEST_BYTES = 100_000_000
# Spark puts these folders on the class path. Java archives no folder that has a file in it: asked to, it ends
# a run that is done with an error of its own, and exit code 1.
_FOLDERS = ("SPARK_CONF_DIR", "HADOOP_CONF_DIR", "YARN_CONF_DIR")


def archive_options(request: Request) -> str:
    """The place's own default Java options, and those that use the archive or leave one behind.

    25,000 classes are parsed and verified at each start, or mapped from an archive that the first local batch
    leaves behind: 27 CPU seconds instead of 37 for a run with nothing to do. Only the class path is archived.
    They stand beside the place's, so that spark.driver.extraJavaOptions stays the user's.
    """
    archive = ROOT / "var" / "java" / "classes.jsa"
    options = request.setting("spark.driver.defaultJavaOptions")
    if _is_of_these_classes(archive):
        options += f' -XX:SharedArchiveFile="{archive}" -Xlog:disable'
    elif request.place == "local" and request.job == "run_batch" and _has_the_usual_class_path(request):
        options += f' -XX:ArchiveClassesAtExit="{archive}" -Xlog:disable'
    return options.strip()


def _has_the_usual_class_path(request: Request) -> bool:
    own = request.environment.get("CYMBAL_SPARK_ARGS", "")
    is_changed = "--driver-class-path" in own or "spark.driver.extraClassPath" in own
    is_changed |= any(request.environment.get(folder) for folder in _FOLDERS)
    return not (is_changed or request.sets or request.brings_packages)


def _is_of_these_classes(archive: Path) -> bool:
    """One of other jars would be passed over in silence, and that of a run that soon ended is small."""
    stamps = [".venv/installed.json", "var/java/stamp.json", "var/jars/stamp"]
    try:
        made = archive.stat()
        newest = max((ROOT / stamp).stat().st_mtime for stamp in stamps)
    except OSError:
        return False
    return made.st_size > _SMALLEST_BYTES and made.st_mtime > newest
