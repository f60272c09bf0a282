"""Submits a job whose driver runs on the cluster, waits for it, and returns the exit code of its result.

A cluster turns every exit code into 0 or 1. The result file holds the true one.
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
from types import FrameType
from typing import Any

from pipeline.cli.notify import send_notices
from pipeline.cli.observe import publish_metrics
from pipeline.report.summary import print_error, print_summary
from pipeline.settings import load_settings
from scripts.bootstrap.common import inform
from scripts.submission.bundle import bundle
from scripts.submission.line import Line, line_in_cluster_mode
from scripts.submission.request import Request, SubmissionError, without_option
from scripts.submission.storage import copy_out, remove

_UNEXPECTED = 1
_POLL_SECONDS = 2.0
_APPLICATION = re.compile(r"\b(application_\d+_\d+|driver-\d{14}-\d{4})\b")
_CLIENT_MODE_ONLY = ("drill", "watch_run")


@dataclass(frozen=True)
class _Plan:
    """A submission.

    Attributes:
        line: the spark-submit command.
        result: path or URI to which the driver writes its result.
        copy_to: path on this host to which the result is copied; None for no copy.
        earlier: the caller's --result, which an earlier run may have written; None if there is none.
    """

    line: Line
    result: str
    copy_to: Path | None
    earlier: str | None


def run_on_cluster(request: Request) -> int:
    """Runs a job in cluster mode to its end.

    Returns:
        The job's exit code. If there is no result: spark-submit's exit code, but at least 1.

    Raises:
        SubmissionError: the job cannot be submitted as requested.
    """
    code = _check(request)
    if code is not None:
        return code
    plan = _plan(request)
    if request.only_print:
        print(plan.line.describe())
        return 0
    if plan.earlier is not None:  # if the driver never starts, an old result must not pass for its own
        remove(request, plan.earlier)
    started = time.monotonic()
    code = _run(request, plan)
    result = _read_result(request, plan)
    if result is None:
        ended = f"the driver left no result (spark-submit ended with {code})"
        where = _where_to_look(request, plan)
        print_error(f"{request.job}: {ended}; {where}")
        send_notices([{"kind": "failed", "title": f"{request.job} failed: {ended}", "text": where}])
        return code if code > 1 else _UNEXPECTED
    took = timedelta(seconds=time.monotonic() - started)
    print_summary(result, None, took)
    publish_metrics(result, took)
    send_notices(result.get("notices", []))
    return int(result["exit_code"])


def _check(request: Request) -> int | None:
    """Checks the job's arguments before the submission; returns the exit code if the job ends here."""
    if request.job in _CLIENT_MODE_ONLY:
        raise SubmissionError(f"{request.job} works only in client mode: leave out --deploy-mode cluster")
    job: Any = importlib.import_module(f"jobs.{request.job}").JOB
    code = job.check(request.arguments)
    return None if code is None else int(code)


def _plan(request: Request) -> _Plan:
    arguments, requested = without_option(request.arguments, "--result")
    result = requested
    copy_to = None
    if result is None or ("://" not in result and request.target != "standalone"):
        copy_to = Path(result).absolute() if result else None
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{request.job}-{request.environment['CYMBAL_PID']}.json"
        result = f"{_staging(request)}/results/{name}"
    elif "://" not in result:
        result = str(Path(result).absolute())
    arguments = _with_report(request, arguments)
    arguments, config = without_option(arguments, "--config")
    config_file = Path(config).absolute() if config else None
    if config_file is not None:
        arguments += ["--config", str(config_file) if request.target == "standalone" else config_file.name]
    archive = bundle(request.jars(), request.var / "bundle") if request.target == "yarn" else None
    files = [] if config_file is None else [config_file, *sql_files(config_file)]
    line = line_in_cluster_mode(request, [*arguments, "--result", result], archive, files)
    return _Plan(line, result, copy_to, requested)


def sql_files(config: Path) -> list[Path]:
    """The SQL files that a config names. The driver finds them beside it, whatever their folder here."""
    tables = load_settings(str(config), [], {}).gold.values()
    files = list(dict.fromkeys(config.parent / table.sql.path for table in tables if table is not None))
    names = [file.name for file in (config, *files)]
    for name in names:
        if names.count(name) > 1:
            raise SubmissionError(
                f"--config {config}: gold names several files {name!r}: on a cluster each needs its own name"
            )
    return files


def _with_report(request: Request, arguments: Sequence[str]) -> list[str]:
    """The arguments with the folder of the HTML page as the driver's host finds it."""
    kept, folder = without_option(arguments, "--report")
    if folder is None:
        return kept
    if "://" not in folder:
        if request.target != "standalone":
            raise SubmissionError(
                f"--report {folder}: in cluster mode it must be a URI that the driver's host reaches"
            )
        folder = str(Path(folder).absolute())
    return [*kept, "--report", folder]


def _staging(request: Request) -> str:
    staging = request.environment.get("CYMBAL_STAGING", "").rstrip("/")
    if request.target == "standalone":
        return staging or str(request.var)
    if "://" not in staging:
        raise SubmissionError(
            "cluster mode needs CYMBAL_STAGING, a folder that this host and the driver's host reach, "
            "for example hdfs:///user/sales/staging or s3a://BUCKET/staging"
        )
    return staging


def _run(request: Request, plan: _Plan) -> int:
    """Runs spark-submit, and reports the application's id once the log names it."""
    log = Path(str(plan.line.variables["CYMBAL_LOG_FILE"]))
    log.parent.mkdir(parents=True, exist_ok=True)
    inform(f"submits {request.job} to {request.target} ({request.master})")
    # An orchestrator stops a run with SIGTERM: treat it like Ctrl-C, also while spark-submit starts.
    running: list[subprocess.Popen[bytes]] = []
    told: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        told.append(number)
        if running:
            raise KeyboardInterrupt

    previous_handler = signal.signal(signal.SIGTERM, stop)
    ended = threading.Event()
    try:
        running.append(_start(request, plan))
        threading.Thread(target=_report_application, args=(log, ended), daemon=True).start()
        return _wait(running[0], told)
    except KeyboardInterrupt:
        if not running:
            raise
        running[0].terminate()
        inform(f"stopped waiting; the driver keeps running: {_where_to_look(request, plan)}")
        return running[0].wait()
    finally:
        signal.signal(signal.SIGTERM, previous_handler)
        ended.set()


def _start(request: Request, plan: _Plan) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        plan.line.arguments,
        env=plan.line.environment(request.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def _wait(process: subprocess.Popen[bytes], told: list[int]) -> int:
    """Waits for spark-submit, unless the signal came while it started."""
    if told:
        raise KeyboardInterrupt
    return process.wait()


def _report_application(log: Path, ended: threading.Event) -> None:
    while not ended.wait(_POLL_SECONDS):
        application = _application(log)
        if application:
            inform(f"runs as {application}")
            return


def _application(log: Path) -> str | None:
    try:
        match = _APPLICATION.search(log.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    return match.group(1) if match else None


def _where_to_look(request: Request, plan: _Plan) -> str:
    log = str(plan.line.variables["CYMBAL_LOG_FILE"])
    application = _application(Path(log))
    if application and request.target == "yarn":
        return f"see: yarn logs -applicationId {application}, and {log}"
    return f"see {application or 'the driver'} at the cluster, and {log}"


def _read_result(request: Request, plan: _Plan) -> dict[str, Any] | None:
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
