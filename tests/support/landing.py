"""Landed drops, written as a store's system would write them."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from schemas.landing import DROP_FOLDER_PREFIX, MANIFEST_NAME, RECEIVED_NAMES

Line = Mapping[str, str | None]


def drop_folder(landing: Path, drop_date: dt.date | str) -> Path:
    """The folder of a drop, made where it is not there."""
    folder = landing / f"{DROP_FOLDER_PREFIX}{drop_date}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_bytes(landing: Path, drop_date: dt.date | str, name: str, content: bytes) -> Path:
    """Writes a file of any bytes; gzipped where its name ends so."""
    path = drop_folder(landing, drop_date) / name
    path.write_bytes(gzip.compress(content, mtime=0) if name.lower().endswith(".gz") else content)
    return path


def write_csv(
    landing: Path,
    drop_date: dt.date | str,
    lines: Iterable[Line],
    name: str = "sales.csv",
    columns: Sequence[str] = RECEIVED_NAMES,
) -> Path:
    """Writes lines under a header; gzipped where the name ends in .gz."""
    return write_bytes(landing, drop_date, name, csv_text(lines, columns).encode())


def csv_text(lines: Iterable[Line], columns: Sequence[str] = RECEIVED_NAMES) -> str:
    """Lines as CSV under a header; null is empty, quotes are doubled."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for line in lines:
        writer.writerow(["" if line.get(column) is None else line[column] for column in columns])
    return text.getvalue()


def write_json(
    landing: Path, drop_date: dt.date | str, lines: Iterable[Mapping[str, Any]], name: str = "sales.json"
) -> Path:
    """Writes lines as JSON lines; a null field is left out."""
    texts = [json.dumps({k: v for k, v in line.items() if v is not None}) for line in lines]
    return write_bytes(landing, drop_date, name, "".join(f"{text}\n" for text in texts).encode())


def write_manifest(
    landing: Path,
    drop_date: dt.date | str,
    files: Iterable[Mapping[str, Any]] = (),
    closed: bool | None = None,
) -> Path:
    """Writes a manifest; each file as ``{"name": .., "rows": .., "gross_amount": {"USD": ".."}}``."""
    content: dict[str, Any] = {"files": [dict(file) for file in files]}
    if closed is not None:
        content["closed"] = closed
    path = drop_folder(landing, drop_date) / MANIFEST_NAME
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
