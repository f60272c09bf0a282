"""The file formats that a drop may hold: one module each, and one entry of FORMATS."""

from __future__ import annotations

from pipeline.landing.formats.base import Format
from pipeline.landing.formats.csv_text import CsvText
from pipeline.landing.formats.json_lines import JsonLines

FORMATS: tuple[Format, ...] = (CsvText(), JsonLines())

# Endings of the files that an ingest reads; every other file keeps its drop from being read.
ENDINGS: tuple[str, ...] = tuple(ending for file_format in FORMATS for ending in file_format.endings)


def format_of(name: str) -> Format:
    """The format of a file whose name has one of ENDINGS."""
    return next(file_format for file_format in FORMATS if name.endswith(file_format.endings))
