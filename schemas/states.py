"""The words that tables, ledger and results use for states, once."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class ValidationStatus(StrEnum):
    """What became of a received line."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


class DropStatus(StrEnum):
    """What became of a landed drop in an ingest."""

    INGESTED = "ingested"
    UNCHANGED = "unchanged"
    BLOCKED = "blocked"
    FAILED = "failed"


class DateStatus(StrEnum):
    """What became of a business date in a publication."""

    DONE = "done"
    FAILED = "failed"
    BLOCKED = "blocked"


class CheckState(StrEnum):
    """What a check of a place came to."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class DateProgressState(StrEnum):
    """How far a business date is, as ``status`` tells it."""

    MISSING = "missing"
    LANDED = "landed"
    BLOCKED = "blocked"
    FAILED = "failed"
    STALE = "stale"
    DONE = "done"
    BILLED = "billed"


class Stage(StrEnum):
    """The stages of a night, in their order, each by the name of its job."""

    INGEST = "ingest_sales"
    PUBLISH = "publish_sales"
    DAILY_SALES = "build_daily_sales"
    INVOICES = "bill_customers"


class RunStatus(StrEnum):
    """State of a run, as ``ledger/runs`` tells it."""

    RUNNING = "running"
    DONE = "done"
    UNCHANGED = "unchanged"
    FAILED = "failed"


class ConflictOutcome(StrEnum):
    """Why a line that was received is in ``silver/conflicts``."""

    CONFLICT = "conflict"
    LATE_DUPLICATE = "late_duplicate"
    LATE_CONFLICT = "late_conflict"


class ExitCode(IntEnum):
    """Exit codes of every command; 75 is EX_TEMPFAIL of sysexits.h: the same command may succeed later."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    SOME_DATES_FAILED = 3
    AUDIT = 4
    NOT_READY = 5
    TRY_AGAIN = 75


# Where several apply, the first of these is the run's exit code.
EXIT_CODE_PRECEDENCE: tuple[ExitCode, ...] = (
    ExitCode.USAGE,
    ExitCode.NOT_READY,
    ExitCode.TRY_AGAIN,
    ExitCode.UNEXPECTED,
    ExitCode.AUDIT,
    ExitCode.SOME_DATES_FAILED,
)

OTHER_CHUNK = "other"
