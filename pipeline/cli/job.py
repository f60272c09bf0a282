"""The life of a job: options, settings, Spark, ledger, the work itself, result, exit code."""

from __future__ import annotations

import logging
import os
import shlex
import sys
import traceback
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from pipeline import clock
from pipeline.cli.notify import VARIABLE, Notifier
from pipeline.cli.observe import publish_metrics
from pipeline.cli.options import Options, common_options, parse, read_options, report_option, value_or_code
from pipeline.cli.page import write_page
from pipeline.cli.result import begin_result, is_uri, result_of, write_result
from pipeline.cli.version import code_version
from pipeline.lake.catalog import Catalog
from pipeline.lake.causes import explain
from pipeline.lake.conditions import check_rules, failed_rule
from pipeline.lake.declared_gold import resolve_declared
from pipeline.lake.files import FileStore
from pipeline.lake.ledger import Ledger, settings_columns
from pipeline.lake.lock import LakeLock
from pipeline.lake.progress_file import write_progress
from pipeline.lake.session import open_session, overridden_settings
from pipeline.lake.tables import Lake
from pipeline.lake.zones import check_zones
from pipeline.planning.notices import RunLinks
from pipeline.planning.pinned import SettingsRecord, Wishes
from pipeline.planning.recovery import is_lost_to_memory, is_lost_worker
from pipeline.report.progress import Progress
from pipeline.report.streams import drop_unwritten, protect_streams
from pipeline.report.summary import print_error, print_json, print_summary
from pipeline.report.tracker import Tracker
from pipeline.settings import Settings, load_settings
from pipeline.steps.context import Batch, DateRange, Outcome
from pipeline.steps.gold import check_declared
from pipeline.steps.own_contract import contract_in_force
from pipeline.steps.recovery import pin_settings, recover
from pipeline.steps.timetable import Timetable
from schemas.errors import SalesBatchError, UsageError
from schemas.gold import GOLD_TABLES
from schemas.lake import LakeTables
from schemas.landing import contract_with
from schemas.states import DateStatus, ExitCode, RunStatus, Stage

# Suggest a rerun only for exit codes that a rerun can fix.
_WORTH_ANOTHER_RUN = (ExitCode.UNEXPECTED, ExitCode.SOME_DATES_FAILED, ExitCode.TRY_AGAIN)

# Returns the sections of the result that are the job's own.
Body = Callable[[Batch, Options], Mapping[str, Any] | None]
_LOG = logging.getLogger(__name__)

# Delta's own default: files of this age are safe from readers and writers that Delta does not know.
SAFE_HOURS = 168.0


@dataclass(frozen=True)
class Job:
    """One spark-submit entry point.

    Attributes:
        name: name of the job.
        help: what it does, for ``--help``.
        body: its work.
        options: click options of this job alone.
        records_runs: whether its runs are told in ``ledger/runs`` of the lake.
        needs_settled_lake: whether tables of an older version are refused, and what earlier runs left is
            completed, before its work.
        implies_from_now_on: whether changed settings hold for what it ingests, without being asked for.
        master: where its own session runs; None for the place that was asked for.
        can_be_unchanged: whether a run that commits nothing to bronze, silver or gold had nothing to do.
        stages: stages of a night that it goes through, in order.
        is_whole_night: whether it looks at every drop and every date, if no dates are requested.
    """

    name: str
    help: str
    body: Body
    options: Sequence[Callable[[Any], Any]] = ()
    records_runs: bool = True
    needs_settled_lake: bool = True
    implies_from_now_on: bool = False
    master: str | None = None
    can_be_unchanged: bool = True
    stages: Sequence[Stage] = ()
    is_whole_night: bool = False

    def main(self, arguments: Sequence[str] | None = None) -> None:
        """Runs the job with the process's arguments and ends the process with its exit code."""
        protect_streams()
        try:
            code = self.run(sys.argv[1:] if arguments is None else arguments)
        except Exception as error:
            print_error(f"{self.name}: {explain(error)}{_keep_trace(os.environ.get('CYMBAL_LOG_FILE'))}")
            code = ExitCode.UNEXPECTED
        drop_unwritten()
        sys.exit(code)

    def run(self, arguments: Sequence[str]) -> int:
        """Runs the job.

        Returns:
            The exit code.
        """
        read = self._read(arguments)
        return _Run(self, read, list(arguments)).execute() if isinstance(read, Options) else read

    def check(self, arguments: Sequence[str]) -> int | None:
        """Judges options and settings without running anything: for a driver that is to run elsewhere.

        Returns:
            The exit code where there is nothing to run; None where the job can be.
        """
        read = self._read(arguments)
        if not isinstance(read, Options):
            return read
        found = value_or_code(self.name, lambda: settings_of(read))
        return found if isinstance(found, int) else None

    def _read(self, arguments: Sequence[str]) -> Options | int:
        """The options; or the exit code, where that is all."""
        return value_or_code(self.name, lambda: self._parse(arguments))

    def _parse(self, arguments: Sequence[str]) -> Options:
        def keep(**values: Any) -> Options:
            return read_options(values)

        command: Any = keep
        for option in reversed(self.options):
            command = option(command)
        if self.records_runs:
            command = report_option(command)
        return parse(self.name, self.help, common_options(command), arguments, Options)


class _Run:
    """One execution of a job."""

    def __init__(self, job: Job, options: Options, arguments: list[str]) -> None:
        self._job = job
        self._options = options
        self._arguments = arguments
        self._started = clock.now()
        self._run_id = f"{self._started:%Y%m%dT%H%M%S}-{job.name}-{uuid.uuid4().hex[:8]}"
        self._outcome = Outcome()
        self._ledger: Ledger | None = None
        self._event: dict[str, Any] = {}
        self._batch: Batch | None = None
        self._catalog: Catalog | None = None
        self._result_path: str | None = None
        self._lock: LakeLock | None = None
        self._progress = Progress(Tracker(self._run_id, job.name, job.stages, clock.now))
        links = RunLinks(job.name, self._run_id, _command_line(job.name, arguments))
        self._notifier = Notifier(links, is_silent=not job.records_runs or options.dry_run)
        self._timetable: Timetable | None = None
        self._sections: Mapping[str, Any] = {}
        self._contract = ExitStack()

    def execute(self) -> int:
        """Runs the job's body between its first and last event.

        Returns:
            The exit code.
        """
        try:
            with self._contract:
                return self._execute()
        finally:
            self._free_lake()  # after an interrupt, too

    def _execute(self) -> int:
        with self._progress:
            try:
                self._check_result()
                settings = settings_of(self._options)
                self._notifier.events = settings.notify.events
                self._batch = self._open(settings)
                if self._job.needs_settled_lake or self._job.records_runs:
                    check_zones(self._batch.spark, settings.business_day.zones)
                self._begin(self._batch, settings)
                self._sections = self._job.body(self._batch, self._options) or {}
            except Exception as error:
                self._note(error)
            if self._job.records_runs:
                self._settle_partial_failure()
            if self._timetable is not None:
                self._outcome.stages = [times.as_columns() for times in self._timetable.done]
            self._end()
            self._name_tables()
        code, status = self._outcome.exit_code, self._status()
        if code in _WORTH_ANOTHER_RUN and self._job.records_runs:
            self._outcome.run_again = _command_line(self._job.name, self._arguments)
        page = self._write_page()
        result = result_of(self._run_id, self._job.name, status, self._outcome, self._sections, page)
        # First of all outputs: an orchestrator decides by it, whatever becomes of the terminal.
        result["exit_code"] = int(self._write_result(result, code))
        took = clock.now() - self._started
        if self._options.extra.get("json"):
            print_json(result)
        else:
            print_summary(result, self._batch.lake.root if self._batch else None, took)
        publish_metrics(result, took)
        result["notices"] = self._notify(result)
        if result["notices"]:
            self._write_result(result, code)
        return int(result["exit_code"])

    def _notify(self, result: dict[str, Any]) -> list[dict[str, str]]:
        """Sends messages about the run; whatever happens to them, its exit code stays."""
        files = self._batch.lake.files if self._batch is not None else None
        is_whole = self._job.is_whole_night and self._options.dates == DateRange()
        try:
            return self._notifier.end(result, self._outcome.errors, files, is_whole=is_whole)
        except Exception as error:
            print_error(f"{VARIABLE}: no message was sent: {type(error).__name__}")
            return []

    def _check_result(self, spark: SparkSession | None = None) -> None:
        """Begins a result: at a path before Spark starts, at a URI, which only Spark reaches, right after."""
        path = self._options.result
        if path is None or is_uri(path) != (spark is not None):
            return
        begin_result(path, spark)
        self._result_path = path

    def _open(self, settings: Settings) -> Batch:
        _LOG.info("starting Spark")
        spark = open_session(f"cymbal {self._job.name}", self._job.master)
        self._check_result(spark)
        for text in overridden_settings(spark):
            self._warn(f"setting of this place overridden: {text}")
        lake = Lake(spark, settings.storage.lake)
        ledger = Ledger(lake)
        self._timetable = Timetable(
            began=self._started,
            clock=clock.now,
            deadlines=settings.deadlines.by_stage(),
            zone=settings.business_day.timezone,
            history=ledger.stages,
            warnings=self._outcome.warnings,
            stages=self._job.stages,
            on_late=self._notifier.late,
        )
        self._progress.watch(spark, self._timetable)
        return Batch(
            run_id=self._run_id,
            spark=spark,
            settings=settings,
            lake=lake,
            ledger=ledger,
            timetable=self._timetable,
            requested=self._options.dates,
            dry_run=self._options.dry_run,
            republish=bool(self._options.extra.get("republish")),
            reingest=bool(self._options.extra.get("reingest")),
            from_now_on=bool(self._options.extra.get("from_now_on") or self._job.implies_from_now_on),
            accepted=frozenset(self._options.extra.get("accept") or ()),
            outcome=self._outcome,
            track_progress=self._progress.track_progress,
        )

    def _begin(self, batch: Batch, settings: Settings) -> None:
        writes = self._job.records_runs and not batch.dry_run
        self._check_inputs(batch, writes=writes)
        if not self._job.records_runs:
            return
        if writes:
            self._take_lake(batch)
            self._set_contract(batch, batch.ledger)
        if settings.storage.catalog is not None and not batch.dry_run:
            catalog = Catalog(batch.spark, settings.storage.catalog)
            catalog.prepare()
            self._catalog = catalog  # one that refused is not asked again at the end
        record = None
        if self._job.needs_settled_lake and self._job.stages:
            record = pin_settings(batch, Wishes(batch.reingest, batch.republish, batch.from_now_on))
        self._record_begin(batch, settings, record)
        if self._job.needs_settled_lake and not batch.dry_run:
            recover(batch)

    def _check_inputs(self, batch: Batch, *, writes: bool) -> None:
        """Checks config and tables against each other, before the lock is taken."""
        if not writes:
            self._set_contract(batch, batch.ledger)
        else:
            batch.lake.prepare()
            if batch.settings.contract.columns:
                # Another run may still change the settings of the lake: nothing of this read is kept.
                self._set_contract(batch, Ledger(batch.lake))
        if self._job.stages:
            check_rules(batch.spark, batch.settings.own_rules)
        # With the own columns in force: SQL may select them.
        declared = resolve_declared(batch.spark, batch.settings.gold)
        batch.lake.tables = LakeTables((*GOLD_TABLES, *declared))
        if self._job.needs_settled_lake:
            batch.lake.check_schemas(to_write=writes)
            check_declared(batch)

    def _set_contract(self, batch: Batch, ledger: Ledger) -> None:
        """Puts the team's own columns in force for the rest of the run."""
        must_be_declared = bool(self._job.stages)
        try:
            columns = contract_in_force(batch.settings, ledger, must_be_declared=must_be_declared)
        except OSError as error:
            raise UsageError(f"lake {batch.lake.root}: cannot be read: {error}") from None
        self._contract.enter_context(contract_with(columns))

    def _take_lake(self, batch: Batch) -> None:
        """Takes the lock. A run that lost it by silence cannot commit any more."""
        lock = LakeLock(batch.lake.files, self._run_id)
        self._lock = lock
        lock.begin(self._options.wait)
        self._progress.write_to(partial(write_progress, batch.lake.files, lock.number))
        batch.lake.check_before_commit(lock.check)
        if lock.was_taken_over:
            batch.lake.fence(self._run_id)
        if lock.holder_may_live:
            batch.retain_at_least = SAFE_HOURS
        batch.lake.pin_transactions()

    def _record_begin(self, batch: Batch, settings: Settings, record: SettingsRecord | None) -> None:
        self._event = {
            "run_id": self._run_id,
            "job": self._job.name,
            "status": RunStatus.RUNNING.value,
            "arguments": shlex.join(self._arguments),
            "started_at": self._started,
            "config_hash": settings.digest,
            "code_version": code_version(),
            "application_id": batch.spark.sparkContext.applicationId,
            "landing": _landing_uri(batch),
        }
        if not batch.dry_run:
            batch.ledger.record_run(self._event | (settings_columns(record) if record else {}))
            self._ledger = batch.ledger

    def _name_tables(self) -> None:
        """Registers the lake's tables in the catalog, even if the run failed: they can be read."""
        if self._catalog is None or self._batch is None:
            return
        try:
            self._catalog.register(self._batch.lake)
        except SalesBatchError as error:
            self._note(error)

    def _write_page(self) -> str | None:
        """Writes the page of the run, after its end is recorded and the lake is free for the next run."""
        folder = self._options.report
        if folder is None or self._options.dry_run:
            return None
        if self._ledger is None or self._batch is None:
            self._outcome.warnings.append(f"--report {folder}: no page, since the run was not recorded")
            return None
        return write_page(self._batch, folder)

    def _end(self) -> None:
        if self._ledger is not None:
            self._record_end(self._ledger)
        self._progress.end_file(int(self._outcome.exit_code))
        self._free_lake()

    def _free_lake(self) -> None:
        if self._lock is not None:
            with suppress(OSError):  # a silent lock is taken over
                self._lock.end()
            self._lock = None

    def _warn(self, text: str) -> None:
        """Records a warning for the summary and logs it at once, while the user can still act."""
        self._outcome.warnings.append(text)
        _LOG.warning(text)

    def _record_end(self, ledger: Ledger) -> None:
        event = self._event | {
            "status": self._status().value,
            "ended_at": clock.now(),
            "exit_code": int(self._outcome.exit_code),
            "error": "; ".join(self._outcome.errors)[:4000] or None,
        }
        try:
            ledger.record_stages(self._run_id, self._outcome.stages)
            ledger.record_run(event)
        except Exception as error:
            self._note(error)

    def _settle_partial_failure(self) -> None:
        """Counts a run that published no date at all as failed, not as partly failed."""
        statuses = [published.status for published in self._outcome.dates.values()]
        if ExitCode.SOME_DATES_FAILED in self._outcome.codes and DateStatus.DONE not in statuses:
            self._outcome.codes.add(ExitCode.UNEXPECTED)

    def _status(self) -> RunStatus:
        if self._outcome.exit_code is not ExitCode.DONE:
            return RunStatus.FAILED
        if self._job.can_be_unchanged and not self._outcome.did_anything and not self._options.dry_run:
            return RunStatus.UNCHANGED
        return RunStatus.DONE

    def _note(self, error: Exception) -> None:
        if self._batch is not None and not isinstance(error, SalesBatchError):
            error = failed_rule(str(error), self._batch.settings.own_rules) or error
        if isinstance(error, SalesBatchError):
            self._outcome.fail(error.exit_code, str(error))
            return
        if is_lost_worker(str(error)) and not is_lost_to_memory(str(error)):
            self._outcome.fail(ExitCode.TRY_AGAIN, f"workers were lost: {explain(error)}; run again")
            return
        log = os.environ.get("CYMBAL_LOG_FILE")
        where = _keep_trace(log)
        self._outcome.fail(ExitCode.UNEXPECTED, f"{explain(error)}{where}")

    def _write_result(self, result: dict[str, Any], code: ExitCode) -> int:
        if self._result_path is None:
            return code
        try:
            write_result(self._result_path, result, self._batch.spark if self._batch else None)
        except (OSError, SalesBatchError) as error:
            print_error(f"--result {self._result_path}: {getattr(error, 'strerror', None) or error}")
            return code or ExitCode.USAGE
        return code


def settings_of(options: Options) -> Settings:
    """The settings that a command line asks for.

    Raises:
        UsageError: a file, key or value is not valid.
    """
    storage = {"landing": options.landing, "lake": options.lake}
    return load_settings(options.config, options.assignments, storage)


def _landing_uri(batch: Batch) -> str | None:
    """Full URI of the landing; None if it cannot be reached. A job that reads it reports that itself."""
    try:
        return FileStore(batch.spark, batch.settings.storage.landing).root
    except UsageError:
        return None


def _command_line(job: str, arguments: Sequence[str]) -> str:
    target = os.environ.get("CYMBAL_PLACE", "local")
    return shlex.join(["scripts/submit.sh", "--place", target, job, *arguments])


def _keep_trace(log: str | None) -> str:
    trace = traceback.format_exc()
    if log is None:
        return ""
    try:
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(trace)
    except OSError:
        return ""
    return f" (details in {log})"
