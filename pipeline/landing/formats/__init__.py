"""The formats that a drop may hold: one module each, and one entry of FORMATS."""

from __future__ import annotations

from pipeline.landing.formats.base import Form
from pipeline.landing.formats.csv_text import CsvText
from pipeline.landing.formats.fixed_width import FixedWidth
from pipeline.landing.formats.json_lines import JsonLines
from pipeline.landing.formats.parquet_file import ParquetFile
from pipeline.profiles import FormatName

FORMATS: dict[FormatName, type[Form]] = {
    "csv": CsvText,
    "jsonl": JsonLines,
    "parquet": ParquetFile,
    "fixed_width": FixedWidth,
}
