"""Options that some jobs have, each once."""

from __future__ import annotations

import click

REPUBLISH = click.option(
    "--republish", is_flag=True, help="Publish again what is unchanged: new key ranges, or a new chunk key."
)
REINGEST = click.option(
    "--reingest", is_flag=True, help="Ingest again what is unchanged: new rules, time zone or lateness."
)
FROM_NOW_ON = click.option(
    "--from-now-on",
    is_flag=True,
    help="Let changed settings, or another landing, hold for later deliveries only.",
)
