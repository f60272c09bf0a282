"""Errors that a user can act on, each with the exit code of the run that it ends."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.states import ExitCode


class SalesBatchError(Exception):
    """An error with a one-line message for the user: what is wrong, where, and the valid form."""

    exit_code: ExitCode = ExitCode.UNEXPECTED


class UsageError(SalesBatchError):
    """The command or the config is wrong."""

    exit_code = ExitCode.USAGE


class OlderLakeError(UsageError):
    """The lake must be brought up to date first, by migrate_tables."""


class AuditError(SalesBatchError):
    """A delivery or its published result fails an audit."""

    exit_code = ExitCode.AUDIT


class NotReadyError(SalesBatchError):
    """The input does not exist yet."""

    exit_code = ExitCode.NOT_READY


class ChunkError(SalesBatchError):
    """Chunks of a publication failed after all retries.

    Attributes:
        chunks: names of the failed chunks.
        is_lost_to_memory: whether one of their tasks ran out of memory.
    """

    exit_code = ExitCode.SOME_DATES_FAILED

    def __init__(self, text: str, chunks: Sequence[str], *, is_lost_to_memory: bool = False) -> None:
        """Takes the message for the user and the names of the chunks."""
        super().__init__(text)
        self.chunks = tuple(chunks)
        self.is_lost_to_memory = is_lost_to_memory


class TryAgainError(SalesBatchError):
    """Another run came first, or workers were lost: the same command may succeed later."""

    exit_code = ExitCode.TRY_AGAIN
