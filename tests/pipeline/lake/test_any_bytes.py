"""Whatever bytes a landed file holds, each of its lines ends accepted or rejected, and none twice."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from pipeline.landing.config import LandingConfig
from pipeline.landing.landing import Landing
from pipeline.landing.unpack import kind_of
from tests.support.landing import csv_text, write_bytes
from tests.support.lines import DROP_DATE, received_line
from transforms.received import ValidationConfig, validate_received

HEADER = csv_text([]).encode()
SOUND = {
    "csv": csv_text([received_line()]).encode().removeprefix(HEADER),
    "json": json.dumps(received_line()).encode() + b"\n",
}
# What a reader may stumble over: ends of lines, quotes, escapes, bytes that are not UTF-8, other formats.
_NASTY = (
    *(
        b"\x00",
        b"\r",
        b"\n",
        b"\r\n",
        b"\n\n",
        b",",
        b",,",
        b'"',
        b'""',
        b"'",
        b"\\",
        b"\\n",
        b"#",
        b" ",
        b"\t",
    ),
    *(
        b"\xff",
        b"\xc3",
        b"\xef\xbb\xbf",
        b"\xc2\xa0",
        b"\xc2\x85",
        b"\xe2\x80\xa8",
        b"\x0b",
        b"\x0c",
        b"\x1a",
    ),
    *(b"{", b"}", b"[", b"]", b":", b"{}", b'{"store_id":', b"null", b"1e999", b"a"),
)


def _bodies(sound: bytes) -> st.SearchStrategy[bytes]:
    parts = st.one_of(st.sampled_from((*_NASTY, sound, sound[: len(sound) // 2])), st.binary(max_size=8))
    return st.one_of(st.lists(parts, max_size=6), st.lists(parts, min_size=12, max_size=40)).map(b"".join)


_INVISIBLE = "".join(chr(c) for c in range(0x10000) if unicodedata.category(chr(c)) == "Cf")
_CSV_FILES = st.lists(_bodies(SOUND["csv"]), min_size=14, max_size=18, unique=True)
_JSON_FILES = st.lists(_bodies(SOUND["json"]), min_size=10, max_size=12, unique=True)


# No shrinking: each try is a Spark job, and what is asserted names the file and its bytes.
@settings(max_examples=5, phases=[Phase.generate])
@given(tables=_CSV_FILES, objects=_JSON_FILES)
def test_every_line_of_any_bytes_ends_accepted_or_rejected(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, tables: list[bytes], objects: list[bytes]
) -> None:
    files = {f"{n}.csv" if n % 3 else f"{n}.csv.gz": HEADER + body for n, body in enumerate(tables)}
    files |= {
        f"{n}.json": body for n, body in enumerate(objects) if _holds_a_line(body) and kind_of(body) is None
    }
    files |= {"sound.csv": HEADER + SOUND["csv"], "sound.json": SOUND["json"]}
    landing = tmp_path_factory.mktemp("landing")
    for name, content in files.items():
        write_bytes(landing, DROP_DATE, name, content)
    found = judged_lines(spark, landing)
    wanted = {name: count_lines(name, content) for name, content in files.items()}
    counted = {name: sum(found.get(name, (0, 0))) for name in files}
    assert {
        files[name]: (counted[name], wanted[name]) for name in files if counted[name] != wanted[name]
    } == {}
    assert found["sound.csv"] == found["sound.json"] == (1, 0)


def judged_lines(spark: SparkSession, root: Path) -> dict[str, tuple[int, int]]:
    """Lines accepted and rejected, by file; a rejected line, and no other, has what was received."""
    landing = Landing(spark, str(root), LandingConfig(is_normalized=True))
    lines = landing.lines({drop: landing.headers(drop) for drop in landing.drops(None, None)})
    judged = validate_received(lines, ValidationConfig(scales={"USD": 2}))
    status, raw = F.col("validation_status"), F.col("raw")
    rows = judged.groupBy("source_file").agg(
        F.count_if((status == "accepted") & raw.isNull()).alias("accepted"),
        F.count_if((status == "rejected") & raw.isNotNull()).alias("rejected"),
    )
    return {row.source_file: (row.accepted, row.rejected) for row in rows.collect()}


def count_lines(name: str, content: bytes) -> int:
    """Lines that are not blank, without the header of a CSV."""
    if name.endswith(".json"):
        return sum(_is_json_line(line) for line in lines_of(content))
    # Here nothing but spaces and control characters is blank as well, and a row whose fields are all empty.
    return sum(
        1 for line in lines_of(content)[1:] if line.strip(bytes(range(33))) and not _is_empty_row(line)
    )


def _is_empty_row(line: bytes) -> bool:
    return all(_is_empty(field) for field in line.decode("utf-8", "replace").split(","))


def _is_empty(field: str) -> bool:
    text = field.strip(_INVISIBLE)
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        text = text[1:-1].strip(_INVISIBLE)
    return text.strip("".join(map(chr, range(33))) + "\u00a0") == ""


def _holds_a_line(content: bytes) -> bool:
    """Whether there is more than blanks and control characters; without it a file is no delivery."""
    return content.removeprefix(b"\xef\xbb\xbf").strip(bytes(range(33))) != b""


def lines_of(content: bytes) -> list[bytes]:
    return content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")


def _is_json_line(line: bytes) -> bool:
    return line.removeprefix(b"\xef\xbb\xbf").strip(b" \t") != b""
