"""Sets up a checkout: ``python -m scripts.setup [--dev] [--with SET]...``. Skips the steps that are done.

``--with`` also downloads a set of jars that only some runs need (``configs/jars.toml``), for example s3.

Needs only Python 3.11 or newer. Prints one line and exits with 2 if it cannot supply something.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from scripts.bootstrap import environment, jars, java
from scripts.bootstrap.common import EXIT_CANNOT_SUPPLY, SetupError, one_at_a_time, refuse

USAGE = "usage: setup.py [--dev] [--with SET]..."


def is_ready(*, dev: bool, sets: Sequence[str]) -> bool:
    """Says whether set-up has nothing to do; takes some milliseconds."""
    return environment.is_installed(dev=dev) and java.is_chosen() and all(map(jars.are_fetched, sets))


def set_up(*, dev: bool, sets: Sequence[str]) -> None:
    """Does the steps that are not done. Waits while another set-up runs in this checkout.

    Raises:
        SetupError: set-up cannot supply something that is missing.
        OSError: a file cannot be written.
    """
    with one_at_a_time():
        if not environment.is_installed(dev=dev):
            environment.install(dev=dev)
        if not java.is_chosen():
            java.choose()
        for name in sets:
            if not jars.are_fetched(name):
                jars.fetch(name)


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 0, or 2 if something is missing or cannot be written."""
    dev, sets = False, [jars.BASE]
    rest = iter(arguments)
    for argument in rest:
        set_name = next(rest, None) if argument == "--with" else None
        if argument != "--dev" and set_name is None:
            print(USAGE, file=sys.stderr)
            return EXIT_CANNOT_SUPPLY
        dev |= argument == "--dev"
        sets += [set_name] if set_name is not None else []
    try:
        if not is_ready(dev=dev, sets=sets):
            set_up(dev=dev, sets=sets)
    except SetupError as error:
        return refuse(error)
    except OSError as error:
        return refuse(f"set-up cannot write: {error.strerror}: {error.filename}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
