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
from transforms.fields import FIRST_VISIBLE, WHITESPACE

# Beyond these planes no character folds to one of ASCII, and only variation selectors are marks.
_LAST_FOLDED_CODE_POINT = 0x20000
# No decomposition holds it.
_END = "\x01"


def chunk_of_folded(folded: Column, ranges: Sequence[KeyRange]) -> Column:
    """text: name of the range that a key falls in; ``other`` where it is empty or in none.

    Args:
        folded: text, the chunk key of a line as :func:`folded_start` folds it.
        ranges: in order, without overlap (``schemas.ranges.parse_ranges``).
    """
    chunk = F.lit(OTHER_CHUNK)
    for key_range in ranges:
        chunk = F.when(_is_in_range(folded, key_range), F.lit(key_range.name)).otherwise(chunk)
    return chunk


def letters_needed(ranges: Sequence[KeyRange]) -> int:
    """How many characters of a folded key decide which range it is in: those of the longest bound."""
    return max(len(bound) for key_range in ranges for bound in (key_range.low, key_range.high))


def folded_start(key: Column, letters: int) -> Column:
    """text: how a key begins once trimmed, compatibility-decomposed (NFKD), without accents, in upper case.

    Spark has no NFKD of its own, so the decomposition of each character comes from Python's Unicode tables
    as literals. A key that begins with visible ASCII, as nearly every one does, takes none of that. Nothing
    here is a higher-order function: Spark has no generated code for those, and leaves its own for the whole
    stage (1.3 microseconds a line instead of 0.05, measured).

    Args:
        key: text.
        letters: characters that will be looked at, as :func:`letters_needed` tells; some more may come back.
            Blanks behind a shorter key count as nothing: they sort before every letter, as its end does.
    """
    start = F.substring(key, 1, letters)
    begins_plainly = (start >= FIRST_VISIBLE) & (F.octet_length(start) == F.char_length(start))
    return F.upper(F.when(begins_plainly, start).otherwise(_decomposed_start(key, letters)))


def _decomposed_start(key: Column, letters: int) -> Column:
    singles, replacements, several = _decompositions()
    text = F.translate(F.ltrim(key, F.lit(WHITESPACE)), singles, replacements)
    # Two literals for all of them: a thousand, each handed to the JVM by itself, take half a second a query.
    # Not str_to_map: it has Spark compute the title case of every character, two CPU seconds a process.
    spelled_out = F.map_from_arrays(_list_of(several), _list_of(several.values()))
    characters = [F.substring(text, position, 1) for position in range(1, letters + 1)]
    return F.concat(*[F.coalesce(F.element_at(spelled_out, c), c) for c in characters])


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
