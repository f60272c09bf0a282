"""The file formats that a drop may hold: one module each, and one entry of FORMATS."""

from __future__ import annotations

from pipeline.landing.formats.base import Format
from pipeline.landing.formats.csv_text import CsvText
from pipeline.landing.formats.json_lines import JsonLines

FORMATS: tuple[Format, ...] = (CsvText(), JsonLines())

# Endings of the files that an ingest reads; every other file keeps its drop from being read.
ENDINGS: tuple[str, ...] = tuple(ending for one in FORMATS for ending in one.endings)


def format_of(name: str) -> Format | None:
    """The format of a file, by the ending of its name; None if no format reads it."""
    return next((one for one in FORMATS if name.endswith(one.endings)), None)
