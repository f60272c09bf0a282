"""Doctor: checks a place before a run, and says how to fix each problem."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyspark
from py4j.protocol import Py4JError

from pipeline import clock
from pipeline.lake.catalog import Catalog
from pipeline.lake.causes import cause_of
from pipeline.lake.session import REQUIRED, overridden_settings, wrong_settings
from pipeline.lake.zones import check_zones, differing_zones, zone_data_version
from pipeline.steps.context import Batch
from pipeline.steps.host_checks import (
    CheckResult,
    check_authentication,
    check_environment,
    check_native_libraries,
    check_user_settings,
    check_var,
)
from schemas.errors import SalesBatchError
from schemas.states import CheckState, ExitCode

_LOG = logging.getLogger(__name__)

# Spark 4 needs at least this version.
_OLDEST_JAVA = 17
_GB = 1e9
_WARN_BELOW_GB, _PROBLEM_BELOW_GB = 10.0, 1.0
_MAX_CLOCK_SECONDS = 60.0


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        check: name of the check.
        state: ok, warning or problem.
        observed: what the check found.
        advice: what to do; empty if nothing.
    """

    check: str
    state: CheckState
    observed: str
    advice: str = ""

    def as_json(self) -> dict[str, str]:
        """The finding in the result."""
        return {"check": self.check, "state": self.state.value, "said": self.observed, "advice": self.advice}


def examine(batch: Batch) -> list[Finding]:
    """Runs all checks, one after the other. A problem fails the run with code 2."""
    findings = []
    for check, run_check in _CHECKS.items():
        _LOG.info(f"checking {check}")
        try:
            finding = Finding(check, *run_check(batch))
        except (OSError, Py4JError, SalesBatchError) as error:
            finding = Finding(check, CheckState.PROBLEM, cause_of(error), _ADVICE.get(check, ""))
        if finding.state is CheckState.PROBLEM:
            advice = f": {finding.advice}" if finding.advice else ""
            batch.outcome.fail(ExitCode.USAGE, f"{check}: {finding.observed}{advice}")
        findings.append(finding)
    return findings


def _ok(observed: str) -> CheckResult:
    return CheckState.OK, observed, ""


def _java(batch: Batch) -> CheckResult:
    version = str(_jvm(batch).java.lang.System.getProperty("java.version"))
    if int(version.split(".", maxsplit=1)[0]) >= _OLDEST_JAVA:
        return _ok(version)
    return CheckState.PROBLEM, version, f"Spark 4 needs Java {_OLDEST_JAVA} or newer: set JAVA_HOME"


def _spark(batch: Batch) -> CheckResult:
    jars, wheel = batch.spark.version, pyspark.__version__
    if jars == wheel:
        return _ok(jars)
    return CheckState.PROBLEM, f"jars {jars}, Python {wheel}", "use the SPARK_HOME of the installed pyspark"


def _delta(batch: Batch) -> CheckResult:
    log = _jvm(batch).java.lang.Class.forName("org.apache.spark.sql.delta.DeltaLog", True, _loader(batch))
    jar = str(log.getProtectionDomain().getCodeSource().getLocation().getPath()).rsplit("/", 1)[-1]
    made_for = re.match(r"delta-spark_(\d+\.\d+)_", jar)
    if made_for is None or batch.spark.version.startswith(f"{made_for.group(1)}."):
        return _ok(jar)
    return CheckState.PROBLEM, jar, f"take the jar that is made for Spark {batch.spark.version}"


def _settings(batch: Batch) -> CheckResult:
    """Settings that results depend on. The job overrides wrong ones; if it cannot, that is a problem."""
    wrong, overridden = wrong_settings(batch.spark), overridden_settings(batch.spark)
    advice = "take it out of the place's settings: results depend on it"
    if wrong:
        return CheckState.PROBLEM, wrong[0], advice
    if overridden:
        return CheckState.WARNING, f"overridden: {'; '.join(overridden)}", advice
    return _ok(f"the {len(REQUIRED)} settings that results depend on are right")


def _retries(batch: Batch) -> CheckResult:
    master = str(batch.spark.sparkContext.master)
    if re.fullmatch(r"local(\[[^,\]]+\])?", master):
        return CheckState.PROBLEM, f"{master} never retries a task", "use --place local, or local[N,4]"
    return _ok(master)


def _python(batch: Batch) -> CheckResult:
    """The Python of the executors. It is run as a command, so the check needs no Python worker."""
    context = batch.spark.sparkContext
    executable = str(context.pythonExec)
    try:
        output = context._jsc.parallelize([""], 1).pipe(f"{executable} --version").collect()
    except Py4JError:
        return CheckState.WARNING, f"no {executable} on the executors", "only drill and your own UDFs need it"
    return _ok(f"{executable}: {output[0] if len(output) else 'prints no version'}")


def _time_zone(batch: Batch) -> CheckResult:
    """Python computes the deadlines and Java dates the sales: both must have the same rules for each zone."""
    zones, now = batch.settings.business_day.zones, clock.now()
    check_zones(batch.spark, zones)
    moments = [now.replace(year=now.year + 1, month=month, day=1) for month in range(1, 13)]
    differing = differing_zones(batch.spark, zones, moments)
    if differing:
        return (
            CheckState.PROBLEM,
            f"Java and Python have different rules for {', '.join(differing)}",
            "update the time zone data of both",
        )
    known = f"{zones[0]}, Java's data {zone_data_version(batch.spark)}"
    return _ok(known if len(zones) == 1 else f"{known}; {len(set(zones[1:])):,} zones of stores")


def _landing(batch: Batch) -> CheckResult:
    landing = batch.open_landing()
    dates = landing.dates()
    near = landing.strays()
    if near:
        return (
            CheckState.WARNING,
            f"{', '.join(near)} in {landing.root}: not a drop, ignored",
            "rename it to drop_date=YYYY-MM-DD, or move it elsewhere",
        )
    if not dates:
        return (
            CheckState.WARNING,
            f"{landing.root} holds no drop yet",
            "land drop_date=YYYY-MM-DD folders in it",
        )
    return _ok(f"{landing.root}: {len(dates):,} drops, {dates[0]} to {dates[-1]}")


def _lake(batch: Batch) -> CheckResult:
    files = batch.lake.files
    files.make_folder()
    files.check_writable()
    return _ok(f"{files.root} can be written to")


def _catalog(batch: Batch) -> CheckResult:
    schema = batch.settings.storage.catalog
    if schema is None:
        return _ok("none: tables by path")
    Catalog(batch.spark, schema).prepare()
    return _ok(f"{schema} can be reached")


def _clock(batch: Batch) -> CheckResult:
    """Compares two clocks: the storage's dates the heartbeats of runs, this machine's the deadlines."""
    files, name = batch.lake.files, "_doctor"
    before = clock.now().timestamp()
    modified = files.write(name, b"").modified_ms / 1000
    after = clock.now().timestamp()
    files.delete(name)
    difference = max(before - modified, modified - after, 0.0)
    observed = f"{difference:.0f} s from the storage's clock"
    if difference <= _MAX_CLOCK_SECONDS:
        return _ok(observed)
    return CheckState.PROBLEM, observed, "synchronize the clocks (NTP)"


def _disk(batch: Batch) -> CheckResult:
    folders = [Path(batch.spark.conf.get("spark.local.dir", "/tmp") or "/tmp")]
    root = urlsplit(batch.lake.root)
    if root.scheme == "file":
        folders.append(Path(unquote(root.path)))
    free = {folder: shutil.disk_usage(folder).free / _GB for folder in folders if folder.exists()}
    folder, least = min(free.items(), key=lambda item: item[1])
    observed = f"{least:,.0f} GB free in {folder}"
    if least >= _WARN_BELOW_GB:
        return _ok(observed)
    state = CheckState.WARNING if least >= _PROBLEM_BELOW_GB else CheckState.PROBLEM
    advice = "free some, or set spark.local.dir: a shuffle needs twice the size of a night's lines"
    return state, observed, advice


def _log_store(batch: Batch) -> CheckResult:
    """The lake's lock is a file that must be created only once: the store must refuse to create it again."""
    files = batch.lake.files
    scheme = urlsplit(files.root).scheme
    name = "_doctor_condition"
    files.delete(name)
    created = [files.create(name, b"") for _ in range(2)]
    files.delete(name)
    if created == [True, False]:
        own = batch.spark.conf.get(f"spark.delta.logStore.{scheme}.impl", f"Delta's own for {scheme}")
        return _ok(f"{own}; one run at a time: a file is created once")
    return (
        CheckState.PROBLEM,
        "the store overwrites an existing file",
        "two runs at once would lose commits: use a store that can refuse to (on S3: If-None-Match)",
    )


def _jvm(batch: Batch) -> Any:
    return batch.spark._jvm


def _loader(batch: Batch) -> Any:
    return _jvm(batch).java.lang.Thread.currentThread().getContextClassLoader()


_CHECKS: dict[str, Callable[[Batch], CheckResult]] = {
    "environment": check_environment,
    "files of runs": check_var,
    "Java": _java,
    "native libraries": check_native_libraries,
    "Spark": _spark,
    "Delta": _delta,
    "settings": _settings,
    "settings of the user": check_user_settings,
    "retries": _retries,
    "authentication": check_authentication,
    "Python of executors": _python,
    "time zone": _time_zone,
    "landing": _landing,
    "lake": _lake,
    "catalog": _catalog,
    "clock": _clock,
    "disk": _disk,
    "log store": _log_store,
}
_ADVICE = {
    "Delta": "scripts/submit.sh brings the jars; elsewhere give them with --jars",
    "catalog": "set spark.sql.catalog.NAME or spark.sql.catalogImplementation, so that Spark can reach it",
    "clock": "the storage's clock is read from a file in the lake",
    "landing": "give --landing, or storage.landing in the config",
    "log store": "a lake on S3 needs conditional writes: fs.s3a.create.conditional.enabled must be true",
    "lake": "give --lake, or storage.lake in the config, where this user may write",
}
