"""Finds the form of a file from its first megabyte: charset, format, delimiter, lines before the header."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import charset_normalizer
import clevercsv
import pyarrow.parquet as pq

from pipeline.landing.unpack import compression_of, kind_of, open_parts

FIRST_BYTES = 1 << 20
_LAST_BYTES = 1 << 16
_LINES_FOR_THE_DIALECT = 60
_DELIMITERS = tuple(",;|\t~^")
_CAPITALS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass
class Found:
    """What a file seems to be.

    Attributes:
        format: csv, jsonl, parquet or fixed_width.
        keys: keys of the profile, with values.
        evidence: why, by key.
        names: column names; empty for a file without them.
        rows: values of the first rows; of a file that is not whole, the last one too.
        is_whole: whether all of the file was read.
        trailer: values of the line that seems to be a trailer.
    """

    format: str
    keys: dict[str, object] = field(default_factory=dict)
    evidence: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    is_whole: bool = True
    trailer: list[str] = field(default_factory=list)

    def say(self, key: str, value: object, because: str) -> None:
        """Notes a key with its evidence."""
        self.keys[key] = value
        self.evidence[key] = because


def sniff(path: Path, positions: Mapping[str, Sequence[int]]) -> Found:
    """Finds the form of a file.

    Args:
        path: the file.
        positions: first and last character of each column, by contract column, of a file of fixed width whose
            layout is known; else empty.

    Raises:
        OSError, ValueError: it cannot be read, or is no table.
    """
    with path.open("rb") as raw:
        start = raw.read(4)
        raw.seek(0)
        if start == b"PAR1":
            return _parquet(path)
        parts = open_parts(raw, path.name)  # keeps a zip open
        content = next(parts).read(FIRST_BYTES)
    kind = kind_of(content)
    if kind not in (None, "UTF-16 text"):
        raise ValueError(f"{path.name}: its bytes are {kind}; its name does not say so")
    found = Found("csv", is_whole=len(content) < FIRST_BYTES)
    whole = content if found.is_whole else content[: content.rfind(b"\n") + 1] or content
    lines = _lines(_decoded(found, whole))
    if not found.is_whole and not compression_of(path.name):
        lines += _last_line(path, str(found.keys.get("encoding", "utf-8")))
    if compression_of(path.name):
        found.evidence["files"] = f"{compression_of(path.name)} is unpacked by itself"
    if _is_json(lines):
        return _json(found, lines)
    if positions:
        _fixed(found, lines, sorted((first - 1, last - 1) for first, last in positions.values()))
    else:
        _delimited(found, lines)
    return found


def _last_line(path: Path, encoding: str) -> list[str]:
    """The last line of a file, which may be a trailer; none of a charset of several bytes."""
    with path.open("rb") as raw:
        raw.seek(-_LAST_BYTES, io.SEEK_END)
        tail = raw.read()
    return [] if b"\x00" in tail else _lines(tail.decode(encoding, "replace"))[-1:]


def _decoded(found: Found, whole: bytes) -> str:
    for mark, encoding in _BOMS:
        if whole.startswith(mark):
            if encoding != "utf-8":
                found.say("encoding", encoding, "a byte order mark")
            return whole.decode(encoding, "replace").removeprefix("\ufeff")
    try:
        return whole.decode("utf-8")
    except UnicodeDecodeError as error:
        best = charset_normalizer.from_bytes(whole, cp_isolation=_CANDIDATES).best()
        encoding = best.encoding if best is not None else "windows-1252"
        if "\u00a4" in whole.decode(encoding, "replace"):  # the sign that the euro sign replaced
            encoding = "iso8859_15"
        name = {"cp1252": "windows-1252", "latin_1": "iso-8859-1"}.get(encoding, encoding)
        byte = whole[error.start]
        found.say(
            "encoding", name, f"byte {byte:#04x} is no UTF-8; {_around(whole, error.start, encoding)!r}"
        )
        return whole.decode(encoding, "replace")


_CANDIDATES = [
    "cp1252",
    "iso8859_15",
    "cp1250",
    "cp1251",
    "cp1253",
    "cp1254",
    "cp850",
    "utf_16",
    "gb18030",
    "shift_jis",
]


def _around(content: bytes, position: int, encoding: str) -> str:
    return content[max(0, position - 8) : position + 8].decode(encoding, "replace").strip()


def _lines(text: str) -> list[str]:
    return [line for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line.strip()]


def _is_json(lines: Sequence[str]) -> bool:
    return bool(lines) and lines[0].lstrip().startswith("{")


def _json(found: Found, lines: Sequence[str]) -> Found:
    found.format = "jsonl"
    objects = [json.loads(line) for line in lines[:1000]]
    keys = dict.fromkeys(key for content in objects for key in content)
    found.names = list(keys)
    found.rows = [["" if o.get(k) is None else str(o[k]) for k in keys] for o in objects]
    found.evidence["format"] = "each line is one object"
    return found


def _parquet(path: Path) -> Found:
    found = Found("parquet")
    found.evidence["format"] = "the bytes PAR1"
    table = next(pq.ParquetFile(path).iter_batches(1000))
    found.names = list(table.schema.names)
    found.rows = [["" if v is None else str(v) for v in row.values()] for row in table.to_pylist()]
    floats = [f.name for f in table.schema if str(f.type) in ("float", "double")]
    if floats:
        found.say(
            "allow_float_amounts",
            True,
            f"{', '.join(floats)} are binary floating point: rounded, with a warning",
        )
    return found


def _delimited(found: Found, lines: list[str]) -> None:
    if lines and lines[0].lower().startswith("sep="):
        found.say("skip_first", 1, f"the first line is {lines[0]!r}")
        lines.pop(0)
    dialect = clevercsv.Detector().detect("\n".join(lines[:_LINES_FOR_THE_DIALECT]))
    if dialect is None or dialect.delimiter not in _DELIMITERS:
        _fixed(found, lines, _places(lines))
        return
    rows = list(clevercsv.reader(io.StringIO("\n".join(lines)), dialect))
    width, count = Counter(len(row) for row in rows).most_common(1)[0]
    rows = _from_header(found, rows, width)
    if dialect.delimiter != ",":
        name = "tab" if dialect.delimiter == "\t" else dialect.delimiter
        found.say("delimiter", name, f"{count} of {len(rows)} lines have {width} fields")
    if dialect.escapechar == "\\":
        found.say("escape", "backslash", "a backslash stands before quotes")
    found.rows = rows


def _from_header(found: Found, rows: list[list[str]], width: int) -> list[list[str]]:
    """The rows from the first one that is as wide as most; a title before it is skipped."""
    first = next((at for at, row in enumerate(rows) if len(row) == width), 0)
    are_titles = all(sum(bool(cell.strip()) for cell in row) <= 1 for row in rows[:first])
    if first == 0 or not are_titles:
        return rows
    skipped = first + int(str(found.keys.get("skip_first", 0)))
    found.say("skip_first", skipped, f"{skipped} lines stand before the first one of {width} fields")
    return rows[first:]


def _fixed(found: Found, lines: Sequence[str], places: Sequence[tuple[int, int]]) -> None:
    """Cuts the lines at places: first and last character of each column, from 0."""
    found.format = "fixed_width"
    found.evidence["format"] = f"no delimiter; {len({len(line) for line in lines})} lengths of line"
    found.names = [f"{first + 1}-{last + 1}" for first, last in places]
    found.rows = [[line[first : last + 1].strip() for first, last in places] for line in lines]


def _places(lines: Sequence[str]) -> list[tuple[int, int]]:
    width = max(map(len, lines))
    padded = [line.ljust(width) for line in lines]
    starts = [at for at in range(width) if _starts(padded, at)]
    return list(zip(starts, [*(start - 1 for start in starts[1:]), width - 1], strict=True))


def _starts(lines: Sequence[str], at: int) -> bool:
    """Whether a column seems to start at a character: after blanks, digits or codes in each line."""
    here = {line[at] for line in lines}
    if at == 0 or here == {" "}:
        return at == 0
    before = {line[at - 1] for line in lines}
    if before == {" "}:
        return True
    ends_digits = all(c.isdigit() for c in before) and not any(c.isdigit() for c in here)
    ends_codes = 1 < len(before) <= 4 and before <= _CAPITALS and all(c.isdigit() for c in here)
    return ends_digits or ends_codes
