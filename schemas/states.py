"""The names of states in tables, ledger and results."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class ValidationStatus(StrEnum):
    """Result of the validation of a received line."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


class DropStatus(StrEnum):
    """Outcome of the ingest of a landed drop."""

    INGESTED = "ingested"
    UNCHANGED = "unchanged"
    BLOCKED = "blocked"
    FAILED = "failed"


class DropReason(StrEnum):
    """Why a delivery is not in bronze, where a later run decides by it."""

    REJECTED_LINES = "rejected_lines"
    CONTROL_TOTALS = "control_totals"
    SMALL_DELIVERY = "small_delivery"
    LOST_LINES = "lost_lines"


class DateStatus(StrEnum):
    """Outcome of the publication of a business date."""

    DONE = "done"
    FAILED = "failed"
    BLOCKED = "blocked"


class CheckState(StrEnum):
    """Result of one check of the environment."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class DateProgressState(StrEnum):
    """Progress of a business date, as ``status`` shows it."""

    MISSING = "missing"
    LANDED = "landed"
    BLOCKED = "blocked"
    FAILED = "failed"
    STALE = "stale"
    DONE = "done"
    BILLED = "billed"


class Stage(StrEnum):
    """The stages of a nightly run, in order; each has the name of its job."""

    INGEST = "ingest_sales"
    PUBLISH = "publish_sales"
    DAILY_SALES = "build_daily_sales"
    INVOICES = "bill_customers"
    DOCUMENTS = "issue_invoices"


# The stages that make a date's tables what its deliveries give. The last stage hands out documents.
PUBLISHING_STAGES: tuple[Stage, ...] = (Stage.INGEST, Stage.PUBLISH, Stage.DAILY_SALES, Stage.INVOICES)


class DocumentKind(StrEnum):
    """Kind of a billing document. A note states a difference and refers to the invoice."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"
    DEBIT_NOTE = "debit_note"
    CORRECTION = "correction"


class NoticeKind(StrEnum):
    """What a message about a run is about."""

    FAILED = "failed"
    HELD_BACK = "held_back"
    LATE = "late"
    RECOVERED = "recovered"


class RunStatus(StrEnum):
    """State of a run in ``ledger/runs``."""

    RUNNING = "running"
    DONE = "done"
    UNCHANGED = "unchanged"
    FAILED = "failed"


class ConflictOutcome(StrEnum):
    """Why a received line is in ``silver/conflicts``."""

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


# If several exit codes apply, the run ends with the first of them in this list.
EXIT_CODE_PRECEDENCE: tuple[ExitCode, ...] = (
    ExitCode.USAGE,
    ExitCode.NOT_READY,
    ExitCode.TRY_AGAIN,
    ExitCode.UNEXPECTED,
    ExitCode.AUDIT,
    ExitCode.SOME_DATES_FAILED,
)

OTHER_CHUNK = "other"
