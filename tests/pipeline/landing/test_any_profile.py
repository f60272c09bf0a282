"""Any bytes under any profile end as accepted, rejected, or a refused drop: no line is lost or read twice."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from pipeline.landing.config import LandingConfig
from pipeline.landing.landing import Landing
from pipeline.landing.records import Recipe, records
from pipeline.profiles import DeliveryProfile
from schemas.errors import SalesBatchError
from schemas.landing import RECEIVED_NAMES
from tests.support.landing import drop_folder
from tests.support.lines import DROP_DATE
from transforms.received import ValidationConfig, validate_received

_PARTS = (
    b";",
    b",",
    b'"',
    b'""',
    b"'",
    b"\\",
    b"\n",
    b"\r\n",
    b"\r",
    b"\x00",
    b"\xff",
    b"\xe9",
    b"1,5",
    b"S",
    b" ",
)
_LINE = b"1;T-1;1;01.10.2026 02:30:00;C;P;N;C;S;1,5;1.234,50;0;EUR;card;store"
_BYTES = st.lists(
    st.one_of(st.sampled_from((*_PARTS, _LINE, _LINE + b"\n")), st.binary(max_size=6)), max_size=30
)
_PROFILES = st.fixed_dictionaries(
    {"header": st.just(list(RECEIVED_NAMES)), "delimiter": st.sampled_from([";", ",", "tab", "|"])},
    optional={
        "quote": st.sampled_from(['"', "'", "none"]),
        "escape": st.sampled_from(["doubled", "backslash"]),
        "encoding": st.sampled_from(["utf-8", "windows-1252", "cp850", "utf-16", "shift_jis"]),
        "skip_first": st.integers(0, 2),
        "decimal": st.just(","),
        "timestamp": st.just("dd.MM.yyyy HH:mm:ssXXX"),
        "sign": st.just("by_line_type"),
        "values": st.just({"line_type": {"S": "SALE"}}),
        "nulls": st.just(["", "N"]),
    },
)
_FIXED = st.fixed_dictionaries(
    {
        "format": st.just("fixed_width"),
        "positions": st.just({name: [4 * n + 1, 4 * n + 4] for n, name in enumerate(RECEIVED_NAMES)}),
    },
    optional={
        "encoding": st.sampled_from(["utf-8", "windows-1252", "utf-16"]),
        "skip_first": st.integers(0, 2),
        "decimal": st.just(","),
        "record_type": st.just({"position": 1, "data": "1", "skip": ["H"]}),
    },
)


# No shrinking: each try is a Spark job, and what is asserted names the file and its bytes.
@settings(max_examples=3, phases=[Phase.generate])
@given(cases=st.lists(st.tuples(st.one_of(_PROFILES, _FIXED), _BYTES.map(b"".join)), min_size=6, max_size=6))
def test_every_line_under_any_profile_ends_accepted_or_rejected(
    spark: SparkSession,
    interpreted: None,
    tmp_path_factory: pytest.TempPathFactory,
    cases: list[tuple[dict[str, Any], bytes]],
) -> None:
    root = tmp_path_factory.mktemp("landing")
    profiles = [DeliveryProfile(files=f"{n}.txt", **keys) for n, (keys, _) in enumerate(cases)]
    for number, (_, content) in enumerate(cases):
        (drop_folder(root, DROP_DATE) / f"{number}.txt").write_bytes(content)
    landing = Landing(spark, str(root), LandingConfig(profiles=tuple(profiles)))
    (drop,) = landing.drops(None, None)
    headers = {}
    for file in drop.files:
        try:
            headers[file.name] = landing._header(drop, file).columns
        except SalesBatchError:
            continue  # refused by name
    kept = {name: columns for name, columns in headers.items() if columns}
    judged = validate_received(landing.lines({drop: kept}), ValidationConfig(scales={"EUR": 2}))
    counts = judged.groupBy("source_file").agg(
        F.count("*").alias("lines"), F.count_if(F.col("validation_status") == "accepted").alias("accepted")
    )
    found = {row.source_file: row.lines for row in counts.collect()}
    for number, (keys, content) in enumerate(cases):
        if f"{number}.txt" in kept:
            assert found.get(f"{number}.txt", 0) == _lines(profiles[number], content), (keys, content)


def _lines(profile: DeliveryProfile, content: bytes) -> int:
    """Lines that are not blank, by Python's own decoder."""
    recipe = Recipe(profile.encoding, profile.skip_first, has_header=False)
    if profile.format == "fixed_width":
        types = profile.record_type
        return sum(types is None or line[0] != "H" for line in records(io.BytesIO(content), recipe))
    blank = "".join(map(chr, range(33))) + "\u00a0"
    return sum(not _is_empty(line, profile, blank) for line in records(io.BytesIO(content), recipe))


def _is_empty(line: str, profile: DeliveryProfile, blank: str) -> bool:
    return all(_bare(field, profile).strip(blank) == "" for field in line.split(profile.delimiter))


def _bare(field: str, profile: DeliveryProfile) -> str:
    quote = profile.quote
    is_quoted = quote and len(field) > 1 and field.startswith(quote) and field.endswith(quote)
    return field[1:-1] if is_quoted else field
