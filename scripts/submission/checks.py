"""Checks before a start, of what Spark would answer with a stack trace."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Mapping
from pathlib import Path

from scripts.submission.request import SubmissionError


def check_user() -> None:
    """Checks that this user has a name, as in a container that runs under any number it may not have.

    Raises:
        SubmissionError: it has none. Hadoop's login needs one, and takes it from no variable.
    """
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        raise SubmissionError(
            f"user {os.getuid()} has no name on this host, which Hadoop's login needs: add the user to "
            "/etc/passwd, or run as one that is there"
        ) from None


def check_localhost() -> None:
    """Checks that this host knows its own name: PySpark opens a port on it.

    Raises:
        SubmissionError: it does not, as in a file tree without /etc/hosts.
    """
    try:
        socket.getaddrinfo("localhost", 0, socket.AF_INET)
    except OSError:
        raise SubmissionError(
            "this host does not know the name localhost: add the line 127.0.0.1 localhost to /etc/hosts"
        ) from None


def check_log(variables: Mapping[str, str | None]) -> None:
    """Checks that Spark's log can be written: log4j would print a stack trace, and drop the log.

    Raises:
        SubmissionError: it cannot be written.
    """
    log = Path(str(variables["CYMBAL_LOG_FILE"]))
    is_new = not log.exists()
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.open("ab").close()
        if is_new and log.is_file():
            log.unlink()  # a run with nothing to log leaves no file
    except OSError as error:
        raise SubmissionError(f"CYMBAL_LOG_FILE={log}: {error.strerror or error}") from None
