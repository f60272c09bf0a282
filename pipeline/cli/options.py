"""The options of every job, parsed and checked before Spark starts."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click

from pipeline.planning.billing import split_number
from pipeline.report.summary import print_error
from pipeline.steps.context import DateRange
from schemas.addresses import REASON, secret_argument
from schemas.errors import SalesBatchError, UsageError
from schemas.states import ExitCode

Function = TypeVar("Function", bound=Callable[..., Any])
Value = TypeVar("Value")


class DateParameter(click.ParamType[dt.date]):
    """A date of the form YYYY-MM-DD."""

    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.date:
        """Reads the date, or refuses it with the valid form."""
        if isinstance(value, dt.date):
            return value
        try:
            if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
                return dt.date.fromisoformat(value)
        except ValueError:
            pass
        raise click.BadParameter(f"{value!r} is not a date of the form YYYY-MM-DD, as 2026-11-27", ctx, param)


class DocumentNumber(click.ParamType[tuple[str, int]]):
    """A document number: series and running number."""

    name = "NUMBER"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Reads the number, or refuses it with the valid form."""
        found = value if isinstance(value, tuple) else split_number(value)
        if found is None:
            raise click.BadParameter(f"{value!r} is not a document number, as 2026-17", ctx, param)
        return found


@dataclass(frozen=True)
class Options:
    """The parsed command line.

    Attributes:
        dates: ``--from`` and ``--to``, or ``--date``.
        landing: ``--landing``.
        lake: ``--lake``.
        config: ``--config``.
        assignments: every ``--set``.
        result: ``--result``.
        dry_run: ``--dry-run``.
        wait: seconds to wait for another run in the same lake.
        report: ``--report``; only of jobs whose runs are recorded.
        extra: options that only this job has, by name.
    """

    dates: DateRange = field(default_factory=DateRange)
    landing: str | None = None
    lake: str | None = None
    config: str | None = None
    assignments: Sequence[str] = ()
    result: str | None = None
    dry_run: bool = False
    wait: float = 0.0
    report: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def refuse_dates(self, reason: str) -> None:
        """Refuses dates for a job that has no use for them.

        Args:
            reason: what the job works on, as a sentence without its stop.

        Raises:
            UsageError: the command line names dates.
        """
        if self.dates != DateRange():
            raise UsageError(f"{reason}: it takes no dates")


# Name a lake, and the config that may name it.
LAKE_OPTIONS = (
    click.option("--lake", help="Folder or URI of the tables."),
    click.option("--config", help="YAML file that overrides configs/cymbal.yaml."),
    click.option(
        "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="A config value; repeatable."
    ),
)


def parse(name: str, text: str, command: Function, arguments: Sequence[str], kind: type[Value]) -> Value:
    """Parses arguments.

    Args:
        name: name of the job.
        text: what it does, for ``--help``.
        command: function with click's options; returns the options as one value.
        arguments: the arguments.
        kind: type of that value.

    Raises:
        ClickException: an argument is not valid.
        Exit: ``--help`` printed itself.
        UsageError: an address among them holds a password.
    """
    option = secret_argument(arguments)
    if option is not None:
        raise UsageError(f"{option}: {REASON}")
    read = click.command(name=name, help=text)(command).main(list(arguments), standalone_mode=False)
    if not isinstance(read, kind):
        raise click.exceptions.Exit(0)
    return read


def var_folder(name: str) -> str:
    """Returns a folder of what runs write besides the lake: below ``CYMBAL_VAR``, which submit.sh sets."""
    return str(Path(os.environ.get("CYMBAL_VAR") or "var") / name)


def value_or_code(name: str, action: Callable[[], Value]) -> Value | int:
    """Returns the value of an action, or the exit code of an error, which it prints."""
    try:
        return action()
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        print_error(f"{name}: {error.format_message()}")
        return ExitCode.USAGE
    except SalesBatchError as error:
        print_error(f"{name}: {error}")
        return error.exit_code


def common_options(function: Function) -> Function:
    """Adds the options that every job has."""
    for option in reversed(
        [
            click.option("--from", "first", type=DateParameter(), help="First date."),
            click.option("--to", "last", type=DateParameter(), help="Last date."),
            click.option(
                "--date", "date", type=DateParameter(), help="A single date; short for --from and --to."
            ),
            click.option("--landing", help="Folder or URI of the landed drops."),
            *LAKE_OPTIONS,
            click.option("--result", help="JSON file, or a URI, to write the result to."),
            click.option("--dry-run", is_flag=True, help="Print what would be done; write nothing."),
            click.option(
                "--wait",
                type=click.FloatRange(min=0),
                default=0.0,
                metavar="SECONDS",
                help="How long to wait for another run in the same lake.",
            ),
        ]
    ):
        function = option(function)
    return function


def report_option(function: Function) -> Function:
    """Adds the option of every job whose runs the ledger records."""
    return click.option("--report", help="Folder or URI for an HTML page of the run.")(function)


def read_options(values: dict[str, Any]) -> Options:
    """Builds the options from the values that click parsed.

    Raises:
        UsageError: the dates contradict each other.
    """
    first, last, date = values.pop("first"), values.pop("last"), values.pop("date")
    if date is not None and (first is not None or last is not None):
        raise UsageError("--date replaces --from and --to: do not combine them")
    if date is not None:
        first = last = date
    if first is not None and last is not None and first > last:
        raise UsageError(f"--from {first} is after --to {last}")
    return Options(
        dates=DateRange(first, last),
        landing=values.pop("landing"),
        lake=values.pop("lake"),
        config=values.pop("config"),
        assignments=tuple(values.pop("assignments")),
        result=values.pop("result"),
        dry_run=values.pop("dry_run"),
        wait=values.pop("wait"),
        report=values.pop("report", None),
        extra=values,
    )
