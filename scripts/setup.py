"""Sets a checkout up: ``python -m scripts.setup [--dev]``; nothing is done twice.

Needs Python 3.11 or newer and nothing else. Exit code 2, with one line, where a piece cannot be supplied.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from scripts.bootstrap import environment, jars, java
from scripts.bootstrap.common import EXIT_CANNOT_SUPPLY, SetupError, one_at_a_time

USAGE = "usage: setup.py [--dev]"


def is_ready(*, dev: bool) -> bool:
    """Says whether set-up has nothing to do; takes some milliseconds."""
    return environment.is_installed(dev=dev) and java.is_chosen() and jars.are_fetched()


def set_up(*, dev: bool) -> None:
    """Does each step that is not done; one set-up at a time.

    Raises:
        SetupError: a piece is missing that it cannot supply.
        OSError: a file cannot be written.
    """
    with one_at_a_time():
        if not environment.is_installed(dev=dev):
            environment.install(dev=dev)
        if not java.is_chosen():
            java.choose()
        if not jars.are_fetched():
            jars.fetch()


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 0, or 2 where something is missing."""
    if [argument for argument in arguments if argument != "--dev"]:
        print(USAGE, file=sys.stderr)
        return EXIT_CANNOT_SUPPLY
    dev = "--dev" in arguments
    try:
        if not is_ready(dev=dev):
            set_up(dev=dev)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CANNOT_SUPPLY
    except OSError as error:
        print(f"error: set-up cannot write: {error.strerror}: {error.filename}", file=sys.stderr)
        return EXIT_CANNOT_SUPPLY
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
