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
from scripts.bootstrap.common import EXIT_CANNOT_SUPPLY, ROOT, SetupError, one_at_a_time, refuse, say
from scripts.bootstrap.native import runs_native_code

USAGE = "usage: setup.py [--dev] [--report] [--with SET]..."


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


def _try_to_install_report() -> None:
    try:
        with one_at_a_time():
            if not environment.has_report():
                environment.install_report()
    except SetupError as error:
        say(f"the HTML page of the run is left out: {error}")
    except OSError as error:
        say(f"the HTML page of the run is left out: {error.strerror}: {error.filename}")


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
        refuse_noexec()
        if not is_ready(dev=dev, sets=sets):
            set_up(dev=dev, sets=sets)
    except SetupError as error:
        return refuse(error)
    except OSError as error:
        return refuse(
            f"this checkout cannot be set up: {error.strerror}: {error.filename}: let one who may write to "
            f"{ROOT} run the same command once"
        )
    if report and not environment.has_report():
        _try_to_install_report()
    return 0


def refuse_noexec() -> None:
    """Checks that the packages' native code can be loaded from the checkout's file system.

    Raises:
        SetupError: it is mounted noexec.
    """
    if not runs_native_code(environment.RUN_LOCK):
        raise SetupError(f"{ROOT} is on a file system mounted noexec: move the checkout to one that is not")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
