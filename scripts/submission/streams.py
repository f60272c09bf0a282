"""The streams and the rights of what a run writes, set before this process becomes spark-submit."""

from __future__ import annotations

import fcntl
import os
import stat

# Results, reports and logs hold lines of customers: no other user of the host may read them.
_CLOSED_TO_OTHERS = 0o027


def append_to_files() -> None:
    """Makes every write to stdout and stderr go to the end of the file, if it is one.

    The job opens these files anew (see :func:`names_of`). Each opening has its own position: without this,
    the job and spark-submit would overwrite each other's text.
    """
    for descriptor in (1, 2):
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
                fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_APPEND)
        except OSError:  # a file of append-only rights already does so
            continue


def names_of(pid: int) -> dict[str, str]:
    """Names the streams for the job: spark-submit joins its stderr to stdout, and both are pipes there."""
    return {"CYMBAL_STDOUT": f"/proc/{pid}/fd/1", "CYMBAL_STDERR": f"/proc/{pid}/fd/2"}


def close_to_others() -> None:
    """Takes from other users the right to read what the job writes; a stricter umask of the caller stays."""
    os.umask(os.umask(_CLOSED_TO_OTHERS) | _CLOSED_TO_OTHERS)
