"""Command-line options that several jobs share."""

from __future__ import annotations

import click

from pipeline.cli.options import DateParameter

REPUBLISH = click.option(
    "--republish", is_flag=True, help="Publish unchanged dates again: new key ranges, or a new chunk key."
)
REINGEST = click.option(
    "--reingest", is_flag=True, help="Ingest unchanged drops again: new rules, time zone or lateness."
)
ACCEPT = click.option(
    "--accept",
    type=DateParameter(),
    multiple=True,
    metavar="DROP_DATE",
    help="Accept the delivery of this drop although it is far smaller than usual; repeatable.",
)
NUMBERS_OF = click.option(
    "--numbers-of",
    metavar="RESULT",
    help="Result file of an earlier run: no document number that it names is given again.",
)
FROM_NOW_ON = click.option(
    "--from-now-on",
    is_flag=True,
    help="Apply changed settings, or another landing, to later deliveries only.",
)
