"""Computes the chunk of a key, and the Spark partition of a line in its chunk."""

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

# From this code point on, no character folds to ASCII, and only variation selectors are marks.
_LAST_FOLDED_CODE_POINT = 0x20000
# A separator that no decomposition contains.
_SEPARATOR = "\x01"


def chunk_of_folded(folded: Column, ranges: Sequence[KeyRange]) -> Column:
    """text: name of the range that contains a key; ``other`` if the key is empty or in no range.

    Args:
        folded: text, result of :func:`folded_start` for the chunk key of a line.
        ranges: ranges in order and without overlap (``schemas.ranges.parse_ranges``).
    """
    chunk = F.lit(OTHER_CHUNK)
    for key_range in ranges:
        chunk = F.when(_is_in_range(folded, key_range), F.lit(key_range.name)).otherwise(chunk)
    return chunk


def letters_needed(ranges: Sequence[KeyRange]) -> int:
    """Returns how many characters of a folded key decide its range: the length of the longest bound."""
    return max(len(bound) for key_range in ranges for bound in (key_range.low, key_range.high))


def folded_start(key: Column, letters: int) -> Column:
    """text: the first letters of a key: trimmed, compatibility-decomposed (NFKD), no accents, upper case.

    Spark has no NFKD function, so literals from Python's Unicode tables hold the decomposition of each
    character. A key that begins with visible ASCII, as nearly every key does, skips the decomposition.

    No expression here is a higher-order function. Spark generates no code for those, and then generates none
    for the whole stage (1.3 microseconds per line instead of 0.05, measured).

    Args:
        key: text.
        letters: number of characters to return, from :func:`letters_needed`; the result may be longer.
            Blanks after a shorter key change nothing, because they sort before every letter, as its end does.
    """
    start = F.substring(key, 1, letters)
    is_ascii = (start >= FIRST_VISIBLE) & (F.octet_length(start) == F.char_length(start))
    return F.upper(F.when(is_ascii, start).otherwise(_decomposed_start(key, letters)))


def _decomposed_start(key: Column, letters: int) -> Column:
    singles, replacements, several = _decompositions()
    text = F.translate(F.ltrim(key, F.lit(WHITESPACE)), singles, replacements)
    # Use two literals for all characters: a thousand literals would cost half a second per query. Avoid
    # str_to_map: with it, Spark computes the title case of every character, two CPU seconds per process.
    expansions = F.map_from_arrays(_list_of(several), _list_of(several.values()))
    characters = [F.substring(text, position, 1) for position in range(1, letters + 1)]
    return F.concat(*[F.coalesce(F.element_at(expansions, c), c) for c in characters])


def partition_id(chunk: Column, key_hash: Column, spans: Mapping[str, PartitionSpan]) -> Column:
    """int: Spark partition of a line, by its chunk and then by the hash of its key.

    The hash spreads a hot letter, or even one hot customer, evenly over the chunk's partitions. Copies of a
    line still get the same partition.

    Args:
        chunk: text, one of ``spans``. A line of any other chunk fails the job, because ``repartitionById``
            would silently send it to partition 0.
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
    return F.split(F.lit(_SEPARATOR.join(texts)), _SEPARATOR)


@cache
def _decompositions() -> tuple[str, str, dict[str, str]]:
    """Returns the arguments of ``translate``, and the expansions of the other characters.

    Returns:
        The characters that fold to one character, followed by the marks to drop; their replacements, in the
        same order (``translate`` drops a character without a replacement); and the replacement of each
        character that folds to several characters.
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
        # Keep digits and blanks too, not only letters: in A-CO, the character after the C decides.
        if folded == character or not any(c.upper() < "\x80" for c in folded):
            continue
        if len(folded) == 1:
            single[character] = folded
        else:
            several[character] = folded
    return "".join([*single, *marks]), "".join(single.values()), several
