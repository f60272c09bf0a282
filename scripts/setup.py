"""Sets up a checkout: ``python -m scripts.setup [--dev] [--report] [--with SET]...``. Skips what is done.

``--report`` also installs what the HTML pages of runs need. If it cannot be installed, one line says so and
set-up goes on: a run is worth more than its page.
``--with`` also downloads a set of jars that only some runs need (``configs/jars.toml``), for example s3.

Needs only Python 3.11 or newer. Prints one line and exits with 2 if it cannot supply something.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from scripts.bootstrap import environment, jars, java
from scripts.bootstrap.common import EXIT_CANNOT_SUPPLY, SetupError, one_at_a_time, refuse, say

USAGE = "usage: setup.py [--dev] [--report] [--with SET]..."


def is_ready(*, dev: bool, report: bool, sets: Sequence[str]) -> bool:
    """Says whether set-up has nothing to do; takes some milliseconds."""
    if report and not environment.has_report():
        return False
    return environment.is_installed(dev=dev) and java.is_chosen() and all(map(jars.are_fetched, sets))


def set_up(*, dev: bool, report: bool, sets: Sequence[str]) -> None:
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
        if report and not environment.has_report():
            _try_to_install_report()


def _try_to_install_report() -> None:
    try:
        environment.install_report()
    except SetupError as error:
        say(f"the HTML page of the run is left out: {error}")


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 0, or 2 if something is missing or cannot be written."""
    dev, report, sets = False, False, [jars.BASE]
    rest = iter(arguments)
    for argument in rest:
        set_name = next(rest, None) if argument == "--with" else None
        if argument not in ("--dev", "--report") and set_name is None:
            print(USAGE, file=sys.stderr)
            return EXIT_CANNOT_SUPPLY
        dev |= argument == "--dev"
        report |= argument == "--report"
        sets += [set_name] if set_name is not None else []
    try:
        if not is_ready(dev=dev, report=report, sets=sets):
            set_up(dev=dev, report=report, sets=sets)
    except SetupError as error:
        return refuse(error)
    except OSError as error:
        return refuse(f"set-up cannot write: {error.strerror}: {error.filename}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
