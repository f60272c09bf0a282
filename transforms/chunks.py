"""Chunk of a key, and the Spark partition of a chunk's line."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas.partitions import PartitionSpan
from schemas.ranges import KeyRange
from schemas.states import OTHER_CHUNK
from transforms.fields import WHITESPACE

# Beyond these planes no character folds to one of ASCII, and only variation selectors are marks.
_LAST_FOLDED_CODE_POINT = 0x20000
# No decomposition holds it.
_END = "\x01"


def chunk_of_folded(folded: Column, ranges: Sequence[KeyRange]) -> Column:
    """text: name of the range that a key falls in; ``other`` where it is empty or in none.

    Args:
        folded: text, the chunk key of a line as :func:`folded_key` folds it.
        ranges: in order, without overlap (``schemas.ranges.parse_ranges``).
    """
    chunk = F.lit(OTHER_CHUNK)
    for key_range in ranges:
        chunk = F.when(_is_in_range(folded, key_range), F.lit(key_range.name)).otherwise(chunk)
    return chunk


def folded_key(key: Column) -> Column:
    """text: trimmed, compatibility-decomposed (NFKD), accents off, upper case.

    Spark has no NFKD of its own, so the decomposition of each character comes from Python's Unicode tables
    as literals. Text of ASCII alone, which is nearly all of it, takes none of that.
    """
    text = F.btrim(key, F.lit(WHITESPACE))
    is_ascii = F.octet_length(text) == F.char_length(text)
    return F.upper(F.when(is_ascii, text).otherwise(_without_accents(text)))


def partition_id(chunk: Column, key_hash: Column, spans: Mapping[str, PartitionSpan]) -> Column:
    """int: Spark partition of a line: by its chunk, then by the hash of its key.

    A hot letter, even one hot customer, is spread evenly over its chunk's partitions, and copies of a
    line still meet.

    Args:
        chunk: text; each must be one of ``spans``: a line of any other fails the job, since
            ``repartitionById`` would send it to partition 0 in silence.
        key_hash: bigint.
        spans: partitions by chunk.
    """
    identifier = F.raise_error(F.concat(F.lit("no partition was planned for chunk "), chunk)).cast("int")
    for name, span in spans.items():
        within = F.pmod(key_hash, F.lit(span.count)).cast("int")
        identifier = F.when(chunk == name, F.lit(span.first) + within).otherwise(identifier)
    return identifier


def _is_in_range(folded: Column, key_range: KeyRange) -> Column:
    starts_high_enough = folded >= key_range.low
    starts_low_enough = F.substring(folded, 1, len(key_range.high)) <= key_range.high
    return starts_high_enough & starts_low_enough


def _without_accents(text: Column) -> Column:
    singles, replacements, several = _decompositions()
    characters = F.transform(
        F.sequence(F.lit(1), F.char_length(text)), lambda position: F.substring(text, position, F.lit(1))
    )
    # Two literals for all of them: a thousand, each handed to the JVM by itself, take half a second a query.
    # Not str_to_map: it has Spark compute the title case of every character, two CPU seconds a process.
    letters = F.map_from_arrays(_list_of(several), _list_of(several.values()))
    spelled_out = F.array_join(F.transform(characters, lambda c: F.coalesce(F.element_at(letters, c), c)), "")
    has_several = text.rlike(f"[{''.join(several)}]")
    return F.translate(F.when(has_several, spelled_out).otherwise(text), singles, replacements)


def _list_of(texts: Iterable[str]) -> Column:
    return F.split(F.lit(_END.join(texts)), _END)


@cache
def _decompositions() -> tuple[str, str, dict[str, str]]:
    """Characters that fold to one other, what they fold to, and those that fold to several.

    The first string goes on with the marks that are dropped: ``translate`` drops what has no counterpart.
    """
    single: dict[str, str] = {}
    several: dict[str, str] = {}
    marks: list[str] = []
    for code_point in range(0x80, _LAST_FOLDED_CODE_POINT):
        character = chr(code_point)
        if unicodedata.category(character) == "Mn":
            marks.append(character)
            continue
        folded = "".join(
            c for c in unicodedata.normalize("NFKD", character) if unicodedata.category(c) != "Mn"
        )
        # Digits and blanks of other forms count too: in A-CO, what follows the C decides.
        if folded == character or not any(c.upper() < "\x80" for c in folded):
            continue
        if len(folded) == 1:
            single[character] = folded
        else:
            several[character] = folded
    return "".join([*single, *marks]), "".join(single.values()), several
