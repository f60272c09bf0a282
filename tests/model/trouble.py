"""What happens to a run from outside: it is killed at a commit, or suspended while another takes over."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from pipeline.lake.tables import Lake


class Killed(BaseException):
    """As a killed driver: nothing of the run goes on after it, not even its error handling."""


@contextlib.contextmanager
def at_commit(
    which: int | str, *, before: Callable[[], None] | None = None, after: Callable[[], None] | None = None
) -> Iterator[None]:
    """Calls a function right before, or right after, the n-th commit of a run, or its first to a table."""
    real, reached = Lake._guarded, []

    def guarded(lake: Lake, action: Any, table: Any) -> Any:
        reached.append(table.name)
        is_it = which in (len(reached), table.name) and reached.count(which) in (0, 1)
        if is_it and before is not None:
            before()
        result = real(lake, action, table)
        if is_it and after is not None:
            after()
        return result

    with mock.patch.object(Lake, "_guarded", guarded):
        yield


def kill() -> None:
    raise Killed
