"""Errors that a user can act on, each with the exit code that it ends a run with."""

from __future__ import annotations

from schemas.states import ExitCode


class SalesBatchError(Exception):
    """An error whose text is one clear line for the user: what, where, the valid form."""

    exit_code: ExitCode = ExitCode.UNEXPECTED


class UsageError(SalesBatchError):
    """The command or the config is wrong."""

    exit_code = ExitCode.USAGE


class AuditError(SalesBatchError):
    """What was delivered, or what came out of it, does not pass an audit."""

    exit_code = ExitCode.AUDIT


class NotReadyError(SalesBatchError):
    """The input is not there yet."""

    exit_code = ExitCode.NOT_READY


class TryAgainError(SalesBatchError):
    """Another run was first, or workers were lost: the same command may succeed later."""

    exit_code = ExitCode.TRY_AGAIN
