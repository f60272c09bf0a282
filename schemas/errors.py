"""Errors that a user can act on, each with the exit code that it ends a run with."""

from __future__ import annotations

from collections.abc import Sequence

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


class ChunkError(SalesBatchError):
    """Chunks of a publication failed for good.

    Attributes:
        chunks: their names.
        is_lost_to_memory: whether a task of theirs had too little memory.
    """

    exit_code = ExitCode.SOME_DATES_FAILED

    def __init__(self, text: str, chunks: Sequence[str], *, is_lost_to_memory: bool = False) -> None:
        """Takes the line for the user and the names of the chunks."""
        super().__init__(text)
        self.chunks = tuple(chunks)
        self.is_lost_to_memory = is_lost_to_memory


class TryAgainError(SalesBatchError):
    """Another run was first, or workers were lost: the same command may succeed later."""

    exit_code = ExitCode.TRY_AGAIN
