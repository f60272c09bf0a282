"""A run whose driver is elsewhere: submitted, waited for, and answered with the exit code of its result.

A cluster turns every exit code into 0 or 1; the result file has the true one.
"""

from __future__ import annotations

import importlib
import json
import re
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.cli.observe import publish_metrics
from pipeline.report.summary import print_error, print_summary
from scripts.bootstrap.common import inform
from scripts.submission.bundle import bundle
from scripts.submission.line import Line, line_in_cluster_mode
from scripts.submission.request import ROOT, Request, SubmissionError
from scripts.submission.storage import copy_out, remove

_UNEXPECTED = 1
_POLL_SECONDS = 2.0
_APPLICATION = re.compile(r"\b(application_\d+_\d+|driver-\d{14}-\d{4})\b")
_NOT_ELSEWHERE = ("drill",)


@dataclass(frozen=True)
class _Plan:
    """What is run, and where its result is put and wanted; and where one of an earlier run may be."""

    line: Line
    result: str
    copy_to: Path | None
    earlier: str | None


def run_on_cluster(request: Request) -> int:
    """Runs a job in cluster mode to its end.

    Returns:
        The job's exit code; 1 where there is no result.

    Raises:
        SubmissionError: it cannot be submitted as asked.
    """
    code = _check(request)
    if code is not None:
        return code
    plan = _plan(request)
    if request.only_print:
        print(plan.line.in_words())
        return 0
    if plan.earlier is not None:  # a driver that never starts must not leave it to be taken for its own
        remove(request, plan.earlier)
    started = time.monotonic()
    code = _run(request, plan)
    result = _read(request, plan)
    if result is None:
        ended = f"the driver left no result (spark-submit ended with {code})"
        print_error(f"{request.job}: {ended}; {_log(request, plan)}")
        return code if code > 1 else _UNEXPECTED
    took = timedelta(seconds=time.monotonic() - started)
    print_summary(result, None, took)
    publish_metrics(result, took)
    return int(result["exit_code"])


def _check(request: Request) -> int | None:
    """Judges the job's arguments here, where an error costs nothing."""
    if request.job in _NOT_ELSEWHERE:
        raise SubmissionError(f"{request.job} starts runs of its own: it goes in client mode only")
    job: Any = importlib.import_module(f"jobs.{request.job}").JOB
    code = job.check(request.arguments)
    return None if code is None else int(code)


def _plan(request: Request) -> _Plan:
    arguments, wanted = _without(request.arguments, "--result")
    earlier = wanted
    copy_to = None
    if wanted is None or ("://" not in wanted and request.place != "standalone"):
        copy_to = Path(wanted).absolute() if wanted else None
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{request.job}-{request.environment['CYMBAL_PID']}.json"
        wanted = f"{_staging(request)}/results/{name}"
    elif "://" not in wanted:
        wanted = str(Path(wanted).absolute())
    arguments, config = _without(arguments, "--config")
    beside = Path(config).absolute() if config else None
    if beside is not None:
        arguments += ["--config", str(beside) if request.place == "standalone" else beside.name]
    made = bundle(request.jars()) if request.place == "yarn" else None
    line = line_in_cluster_mode(request, [*arguments, "--result", wanted], made, beside)
    return _Plan(line, wanted, copy_to, earlier)


def _staging(request: Request) -> str:
    staging = request.environment.get("CYMBAL_STAGING", "").rstrip("/")
    if request.place == "standalone":
        return staging or str(ROOT / "var")
    if "://" not in staging:
        raise SubmissionError(
            "cluster mode needs CYMBAL_STAGING, a folder that this host and the driver's both reach, "
            "as hdfs:///user/sales/staging or s3a://BUCKET/staging"
        )
    return staging


def _without(arguments: Sequence[str], option: str) -> tuple[list[str], str | None]:
    """The arguments without an option, and its last value."""
    kept, value, rest = [], None, iter(arguments)
    for argument in rest:
        if argument == option:
            value = next(rest, None)
        elif argument.startswith(f"{option}="):
            value = argument.partition("=")[2]
        else:
            kept.append(argument)
    return kept, value


def _run(request: Request, plan: _Plan) -> int:
    """Runs spark-submit, and says which application it became once it tells."""
    log = Path(str(plan.line.variables["CYMBAL_LOG_FILE"]))
    log.parent.mkdir(parents=True, exist_ok=True)
    inform(f"submits {request.job} to {request.place} ({request.master})")
    process = subprocess.Popen(
        plan.line.arguments,
        env=plan.line.environment(request.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    ended = threading.Event()
    threading.Thread(target=_tell_application, args=(log, ended), daemon=True).start()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # an orchestrator's, taken as Ctrl-C
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()
        inform(f"no longer waited for; the driver goes on: {_log(request, plan)}")
        return process.wait()
    finally:
        signal.signal(signal.SIGTERM, before)
        ended.set()


def _tell_application(log: Path, ended: threading.Event) -> None:
    while not ended.wait(_POLL_SECONDS):
        found = _application(log)
        if found:
            inform(f"runs as {found}")
            return


def _application(log: Path) -> str | None:
    try:
        found = _APPLICATION.search(log.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    return found.group(1) if found else None


def _log(request: Request, plan: _Plan) -> str:
    """Where to look further."""
    log = str(plan.line.variables["CYMBAL_LOG_FILE"])
    application = _application(Path(log))
    if application and request.place == "yarn":
        return f"see: yarn logs -applicationId {application}, and {log}"
    return f"see {application or 'the driver'} at the cluster, and {log}"


def _read(request: Request, plan: _Plan) -> dict[str, Any] | None:
    content = copy_out(request, plan.result)
    if content is None:
        return None
    if plan.copy_to is not None:
        try:
            plan.copy_to.parent.mkdir(parents=True, exist_ok=True)
            plan.copy_to.write_bytes(content)
        except OSError as error:
            print_error(f"--result {plan.copy_to}: {error.strerror}")
    try:
        result = json.loads(content)
    except ValueError:
        return None
    return result if isinstance(result, dict) else None
