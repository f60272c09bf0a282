"""Doctor: looks a place over before a run, and says what to do about what is wrong."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import pyspark
from py4j.protocol import Py4JError

from pipeline.lake.catalog import Catalog
from pipeline.lake.causes import cause_of
from pipeline.lake.ledger import now
from pipeline.lake.session import REQUIRED, overridden_settings, wrong_settings
from pipeline.steps.context import Batch
from schemas.errors import SalesBatchError
from schemas.states import CheckState, ExitCode

# What Spark 4 runs on.
_OLDEST_JAVA = 17
_GB = 1e9
_LITTLE_GB, _TOO_LITTLE_GB = 10.0, 1.0
_MOST_CLOCK_SECONDS = 60.0


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        check: what was looked at.
        state: whether that is as it must be.
        said: what it is.
        advice: what to do; empty where nothing is.
    """

    check: str
    state: CheckState
    said: str
    advice: str = ""

    def as_json(self) -> dict[str, str]:
        """The finding in the result."""
        return {"check": self.check, "state": self.state.value, "said": self.said, "advice": self.advice}


Judged = tuple[CheckState, str, str]


def examine(batch: Batch) -> list[Finding]:
    """Checks everything, one after the other; what is a problem fails the run with code 2."""
    found = []
    for check, look in _CHECKS.items():
        batch.tell(f"checking {check}")
        try:
            finding = Finding(check, *look(batch))
        except (OSError, Py4JError, SalesBatchError) as error:
            finding = Finding(check, CheckState.PROBLEM, cause_of(error), _ADVICE.get(check, ""))
        if finding.state is CheckState.PROBLEM:
            advice = f": {finding.advice}" if finding.advice else ""
            batch.outcome.fail(ExitCode.USAGE, f"{check}: {finding.said}{advice}")
        found.append(finding)
    return found


def _ok(said: str) -> Judged:
    return CheckState.OK, said, ""


def _java(batch: Batch) -> Judged:
    version = str(_jvm(batch).java.lang.System.getProperty("java.version"))
    if int(version.split(".", maxsplit=1)[0]) >= _OLDEST_JAVA:
        return _ok(version)
    return CheckState.PROBLEM, version, f"Spark 4 needs Java {_OLDEST_JAVA} or newer: set JAVA_HOME"


def _spark(batch: Batch) -> Judged:
    jars, wheel = batch.spark.version, pyspark.__version__
    if jars == wheel:
        return _ok(jars)
    return CheckState.PROBLEM, f"jars {jars}, Python {wheel}", "use the SPARK_HOME of the installed pyspark"


def _delta(batch: Batch) -> Judged:
    log = _jvm(batch).java.lang.Class.forName("org.apache.spark.sql.delta.DeltaLog", True, _loader(batch))
    jar = str(log.getProtectionDomain().getCodeSource().getLocation().getPath()).rsplit("/", 1)[-1]
    made_for = re.match(r"delta-spark_(\d+\.\d+)_", jar)
    if made_for is None or batch.spark.version.startswith(f"{made_for.group(1)}."):
        return _ok(jar)
    return CheckState.PROBLEM, jar, f"take the jar that is made for Spark {batch.spark.version}"


def _settings(batch: Batch) -> Judged:
    """What a config of the place must not change: the job overrides it, and what it cannot is a problem."""
    wrong, overridden = wrong_settings(batch.spark), overridden_settings(batch.spark)
    advice = "take it out of the place's settings: results rest on it"
    if wrong:
        return CheckState.PROBLEM, wrong[0], advice
    if overridden:
        return CheckState.WARNING, f"overridden: {'; '.join(overridden)}", advice
    return _ok(f"the {len(REQUIRED)} that results rest on are as they must be")


def _retries(batch: Batch) -> Judged:
    master = str(batch.spark.sparkContext.master)
    if re.fullmatch(r"local(\[[^,\]]+\])?", master):
        return CheckState.PROBLEM, f"{master} never retries a task", "use --place local, or local[N,4]"
    return _ok(master)


def _python(batch: Batch) -> Judged:
    """Python of the executors, asked of the system there: no Python worker is needed for it."""
    context = batch.spark.sparkContext
    executable = str(context.pythonExec)
    try:
        said = context._jsc.parallelize([""], 1).pipe(f"{executable} --version").collect()
    except Py4JError:
        return CheckState.WARNING, f"no {executable} on the executors", "only drill and your own UDFs need it"
    return _ok(f"{executable}: {said[0] if len(said) else 'says nothing'}")


def _time_zone(batch: Batch) -> Judged:
    """Python dates the deadlines, Java the sales: they must know the same rules of the zone."""
    zone, jvm = batch.settings.business_day.timezone, _jvm(batch)
    rules = jvm.java.time.ZoneId.of(zone).getRules()
    year = now().year
    for month in range(1, 13):
        moment = now().replace(year=year + 1, month=month, day=1)
        java = rules.getOffset(jvm.java.time.Instant.ofEpochSecond(int(moment.timestamp()))).getTotalSeconds()
        offset = moment.astimezone(ZoneInfo(zone)).utcoffset()
        if offset is None or offset.total_seconds() != java:
            return (
                CheckState.PROBLEM,
                f"Java and Python differ on {zone}",
                "bring both time zone data up to date",
            )
    return _ok(zone)


def _landing(batch: Batch) -> Judged:
    landing = batch.open_landing()
    dates = landing.dates()
    near = landing.near_drops()
    if near:
        return (
            CheckState.WARNING,
            f"{', '.join(near)} in {landing.root}: no drop, and left out",
            "name it drop_date=YYYY-MM-DD, or move it elsewhere",
        )
    if not dates:
        return (
            CheckState.WARNING,
            f"{landing.root} holds no drop yet",
            "land drop_date=YYYY-MM-DD folders in it",
        )
    return _ok(f"{landing.root}: {len(dates):,} drops, {dates[0]} to {dates[-1]}")


def _lake(batch: Batch) -> Judged:
    files = batch.lake.files
    files.make_folder()
    files.check_writable()
    return _ok(f"{files.root} can be written to")


def _catalog(batch: Batch) -> Judged:
    schema = batch.settings.storage.catalog
    if schema is None:
        return _ok("none: tables by path")
    Catalog(batch.spark, schema).prepare()
    return _ok(f"{schema} can be reached")


def _clock(batch: Batch) -> Judged:
    """Signs of life of runs are dated by the storage's clock; deadlines by this machine's."""
    files, name = batch.lake.files, "_doctor"
    before = now().timestamp()
    modified = files.write(name, b"").modified_ms / 1000
    after = now().timestamp()
    files.delete(name)
    apart = max(before - modified, modified - after, 0.0)
    if apart <= _MOST_CLOCK_SECONDS:
        return _ok(f"{apart:.0f} s apart from the storage's")
    return CheckState.PROBLEM, f"{apart:.0f} s apart from the storage's", "synchronize the clocks (NTP)"


def _disk(batch: Batch) -> Judged:
    folders = [Path(batch.spark.conf.get("spark.local.dir", "/tmp") or "/tmp")]
    root = urlsplit(batch.lake.root)
    if root.scheme == "file":
        folders.append(Path(unquote(root.path)))
    free = {folder: shutil.disk_usage(folder).free / _GB for folder in folders if folder.exists()}
    folder, least = min(free.items(), key=lambda item: item[1])
    said = f"{least:,.0f} GB free in {folder}"
    if least >= _LITTLE_GB:
        return _ok(said)
    state = CheckState.WARNING if least >= _TOO_LITTLE_GB else CheckState.PROBLEM
    return state, said, "free some, or set spark.local.dir: a shuffle needs twice the size of a night's lines"


def _log_store(batch: Batch) -> Judged:
    """A lake is locked by a file that is created only where there is none: the store must keep to that."""
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
        "the store creates a file over one that is there",
        "two runs at once would lose commits: use a store that does not (on S3: If-None-Match)",
    )


def _jvm(batch: Batch) -> Any:
    return batch.spark._jvm


def _loader(batch: Batch) -> Any:
    return _jvm(batch).java.lang.Thread.currentThread().getContextClassLoader()


_CHECKS: dict[str, Callable[[Batch], Judged]] = {
    "Java": _java,
    "Spark": _spark,
    "Delta": _delta,
    "settings": _settings,
    "retries": _retries,
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
    "catalog": "set what Spark reaches it with: spark.sql.catalog.NAME, or spark.sql.catalogImplementation",
    "clock": "it is read from a file in the lake",
    "landing": "give --landing, or storage.landing in the config",
    "log store": "a lake on S3 needs conditional writes: fs.s3a.create.conditional.enabled must be true",
    "lake": "give --lake, or storage.lake in the config, where this user may write",
}
