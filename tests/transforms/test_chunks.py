"""Chunk of a key, against a plain Python reference; partition of a line."""

from __future__ import annotations

import datetime as dt
import string
import unicodedata
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pyspark.errors import PySparkException
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from pipeline.planning.windows import partition_spans
from schemas.partitions import PartitionSpan
from schemas.ranges import parse_ranges
from tests.support.lines import accepted_line, bronze_frame, texts_frame
from tests.support.tables import values
from transforms.chunks import chunk_of_folded, folded_start, letters_needed, partition_id
from transforms.publication import with_chunk, with_chunks

FOUR = ("A-G", "H-N", "O-U", "V-Z")
WITH_SEVERAL_LETTERS = ("A-CO", "CP-G", "H-N", "O-U", "V-ZE", "ZG-ZZ")
WHITE_SPACE = " \t\r\n\f\v\u00a0"


def expected_chunk(key: str | None, ranges: tuple[str, ...]) -> str:
    """The design's words in plain Python: trimmed, NFKD, accents off, upper case, inclusive prefixes."""
    if key is None:
        return "other"
    decomposed = unicodedata.normalize("NFKD", key.strip(WHITE_SPACE))
    folded = "".join(c for c in decomposed if unicodedata.category(c) != "Mn").upper()
    if not folded or folded[0] not in string.ascii_uppercase:
        return "other"
    for text in ranges:
        low, high = text.split("-")
        if low <= folded and (folded <= high or folded.startswith(high)):
            return text
    return "other"


@pytest.fixture(scope="module")
def folded(spark: SparkSession) -> Column:
    """The folded key, made once: its tables of characters are thousands of literals."""
    return folded_start(F.col("key"), letters_needed(parse_ranges(WITH_SEVERAL_LETTERS)))


def chunks(
    spark: SparkSession, folded: Column, keys: Sequence[str | None], *range_sets: tuple[str, ...]
) -> list[tuple[str, ...]]:
    """Chunk of each key in each set of ranges, the key folded in a column of its own as a publish does it."""
    frame = texts_frame(spark, "key", rows=[(key,) for key in keys]).select("n", folded.alias("folded"))
    columns = [
        chunk_of_folded(F.col("folded"), parse_ranges(ranges)).alias(f"c{n}")
        for n, ranges in enumerate(range_sets)
    ]
    return [tuple(row)[1:] for row in sorted(frame.select("n", *columns).collect())]


def test_chunk_of_hand_made_keys(spark: SparkSession, folded: Column) -> None:
    expected: dict[str | None, tuple[str, str]] = {
        "Apple": ("A-G", "A-CO"),
        "A": ("A-G", "A-CO"),
        "apple": ("A-G", "A-CO"),
        " \t\u00a0Grape \n": ("A-G", "CP-G"),
        "gz": ("A-G", "CP-G"),
        "Gzz\uffff": ("A-G", "CP-G"),
        "H": ("H-N", "H-N"),
        "N\u00f1": ("H-N", "H-N"),
        "zebra": ("V-Z", "V-ZE"),
        "ZZTop": ("V-Z", "ZG-ZZ"),
        # Between two ranges of several letters: in none of them.
        "zfa": ("V-Z", "other"),
        "C": ("A-G", "A-CO"),
        "Coz": ("A-G", "A-CO"),
        "CO": ("A-G", "A-CO"),
        "Cp": ("A-G", "CP-G"),
        "c\u00d3rn": ("A-G", "A-CO"),
        "C p": ("A-G", "A-CO"),
        # What follows a letter folds as well: a superscript to a digit, a no-break space to a space.
        "C\u00b3": ("A-G", "A-CO"),
        "C\u00a0p": ("A-G", "A-CO"),
        "C\u2474": ("A-G", "A-CO"),
        "C\u4f60": ("A-G", "CP-G"),
        # Accents, before the letter's case is known and after; composed and combining.
        "\u00c9clair": ("A-G", "CP-G"),
        "e\u0301clair": ("A-G", "CP-G"),
        "\u0301Apple": ("A-G", "A-CO"),
        "\u00f1ame": ("H-N", "H-N"),
        "\u017bubr\u00f3wka": ("V-Z", "ZG-ZZ"),
        "\u1ec6": ("A-G", "CP-G"),
        # Compatibility forms: ligatures, full width, circled, mathematical, Kelvin, digraph, parenthesized.
        "\ufb01sh": ("A-G", "CP-G"),
        "\uff21pple": ("A-G", "A-CO"),
        "\uff5aebra": ("V-Z", "V-ZE"),
        "\u24b6": ("A-G", "A-CO"),
        "\U0001d400": ("A-G", "A-CO"),
        "\u212a": ("H-N", "H-N"),
        "\u01c4": ("A-G", "CP-G"),
        "\u2122": ("O-U", "O-U"),
        # Letters that NFKD leaves alone, but for their upper case.
        "\u00df": ("O-U", "O-U"),
        "\u0131": ("H-N", "H-N"),
        "\u017f": ("O-U", "O-U"),
        "\u00d8l": ("other", "other"),
        "\u0141": ("other", "other"),
        "\u00c6": ("other", "other"),
        # No letter first.
        "7up": ("other", "other"),
        "\u2460": ("other", "other"),
        "\u249c": ("other", "other"),
        "-Apple": ("other", "other"),
        "'n": ("other", "other"),
        "_": ("other", "other"),
        "[": ("other", "other"),
        "@": ("other", "other"),
        "\u4f60\u597d": ("other", "other"),
        "\u042f\u0431\u043b\u043e\u043a\u043e": ("other", "other"),
        # Cyrillic and Greek capitals that look like A.
        "\u0410": ("other", "other"),
        "\u0391": ("other", "other"),
        "\U0001f34e Apple": ("other", "other"),
        "\u2003Apple": ("other", "other"),
        "": ("other", "other"),
        "   ": ("other", "other"),
        "\u0301": ("other", "other"),
        None: ("other", "other"),
    }
    found = chunks(spark, folded, list(expected), FOUR, WITH_SEVERAL_LETTERS)
    assert dict(zip(expected, found, strict=True)) == expected


def test_every_character_that_has_an_upper_case_or_a_decomposition(
    spark: SparkSession, folded: Column
) -> None:
    keys: list[str | None] = [
        chr(point)
        for point in range(0x110000)
        if not 0xD800 <= point < 0xE000
        and (point < 0x250 or unicodedata.decomposition(chr(point)) or chr(point).upper() != chr(point))
    ]
    found = [chunk for (chunk,) in chunks(spark, folded, keys, FOUR)]
    differing = {
        f"U+{ord(key or ''):04X}": (chunk, expected_chunk(key, FOUR))
        for key, chunk in zip(keys, found, strict=True)
        if chunk != expected_chunk(key, FOUR)
    }
    assert not differing


# Text that is often near a border: letters with and without accents, marks, white space, then anything.
_NEAR = st.text(
    alphabet=st.one_of(
        st.sampled_from(
            "ACGHNOPUVZacghnopuvz0 -\u00a0\u00b3\u2474\t\u0301\u0327\u00e9\ufb03\uff27\u01c6\u00df\u1e9e"
        ),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=6,
)


# One example, all keys in one job, and no shrinking: what is asserted names the keys that differ.
@settings(max_examples=1, phases=[Phase.explicit, Phase.generate])
@given(st.lists(_NEAR, min_size=350, max_size=450, unique=True))
def test_chunk_of_any_text_is_that_of_the_reference(
    spark: SparkSession, folded: Column, keys: list[str]
) -> None:
    keys += ["\ufb03x", "C\u0327O", "CO\u0301", "\u0344A", "\u1e9a", "\u0149a", "\u013fa", "a\u030a" * 3]
    found = chunks(spark, folded, keys, FOUR, WITH_SEVERAL_LETTERS)
    wanted = [(expected_chunk(key, FOUR), expected_chunk(key, WITH_SEVERAL_LETTERS)) for key in keys]
    assert [(k, f, w) for k, f, w in zip(keys, found, wanted, strict=True) if f != w] == []


def test_ascii_takes_the_short_way_to_the_same_result(spark: SparkSession) -> None:
    frame = texts_frame(spark, "key", rows=[(" caf\u00e9 ",), (" cafe ",), ("CAFE\u0301",)])
    assert {row[0] for row in frame.select(folded_start(F.col("key"), len("CAFE"))).collect()} == {"CAFE"}


# --- partitions


def test_partition_is_in_its_chunks_span_and_every_partition_is_used(spark: SparkSession) -> None:
    spans = {"A-G": PartitionSpan(0, 3), "H-N": PartitionSpan(3, 1), "other": PartitionSpan(4, 5)}
    lines = (
        spark.range(6000)
        .withColumn(
            "chunk",
            F.element_at(F.array(*[F.lit(name) for name in spans]), (F.col("id") % 3 + 1).cast("int")),
        )
        .withColumn("hash", F.xxhash64("id"))
    )
    extremes = spark.createDataFrame(
        [(0, name, value) for name in spans for value in (-(2**63), 2**63 - 1, -1, 0)],
        "id long, chunk string, hash long",
    )
    frame = lines.unionByName(extremes).withColumn("p", partition_id(F.col("chunk"), F.col("hash"), spans))
    found = frame.groupBy("chunk").agg(F.collect_set("p").alias("partitions")).collect()
    assert {row.chunk: sorted(row.partitions) for row in found} == {
        "A-G": [0, 1, 2],
        "H-N": [3],
        "other": [4, 5, 6, 7, 8],
    }


def test_one_hot_customer_of_one_letter_is_spread_evenly_and_alike_each_time(spark: SparkSession) -> None:
    lines = 20_000
    spans = partition_spans({"A-G": lines}, 2_500)
    # All lines of one customer, one store, one day, one product: only the receipt's numbers differ.
    frame = spark.range(lines).withColumn(
        "hash",
        F.xxhash64(
            F.lit("1042"),
            F.concat(F.lit("T-"), (F.col("id") / 20).cast("int")),
            (F.col("id") % 20).cast("int"),
            F.lit("2026-11-27").cast("date"),
        ),
    )
    ids = frame.select("id", partition_id(F.lit("A-G"), F.col("hash"), spans).alias("p"))
    counts = ids.groupBy("p").count()
    first, second = ({row["p"]: row["count"] for row in counts.collect()} for _ in range(2))
    assert first == second
    assert sorted(first) == list(range(8))
    # Binomial: sd is 47 lines; six of them are never seen by chance.
    assert max(abs(count - 2500) for count in first.values()) < 6 * 47


def test_a_line_of_a_chunk_that_was_not_planned_fails_the_job(spark: SparkSession) -> None:
    frame = spark.createDataFrame([("H-N", 1)], "chunk string, hash long")
    ids = frame.select(partition_id(F.col("chunk"), F.col("hash"), {"A-G": PartitionSpan(0, 2)}))
    with pytest.raises(PySparkException, match="no partition was planned for chunk H-N"):
        ids.collect()


def test_dates_may_be_split_in_several_ways(spark: SparkSession) -> None:
    first, second, third = (dt.date(2026, 11, number) for number in (1, 2, 3))
    lines = bronze_frame(
        spark,
        [
            accepted_line(transaction_id=name or "none", product_name=name, category=category, drop_date=date)
            for date in (first, second, third)
            for name, category in (
                ("apple", "Vegetables"),
                ("\u00c9clair", None),
                ("Zucchini", "7"),
                (None, "Cat"),
            )
        ],
    )
    halves = ("product_name", parse_ranges(("A-M", "N-Z")))
    by_category = ("category", parse_ranges(("A-CO", "CP-Z")))

    def chunk_of(splits: dict[Any, Any]) -> dict[dt.date, list[tuple[str, str | None]]]:
        found = with_chunks(lines, splits)
        assert found.columns == [*lines.columns, "chunk"]
        return {
            date: values(found.filter(F.col("business_date") == F.lit(date)), "transaction_id", "chunk")
            for date in (first, second, third)
        }

    names = [("Zucchini", "N-Z"), ("apple", "A-M"), ("none", "other"), ("\u00c9clair", "A-M")]
    categories = [("Zucchini", "other"), ("apple", "CP-Z"), ("none", "A-CO"), ("\u00c9clair", "other")]
    assert chunk_of({halves: [first, third], by_category: [second]}) == {
        first: names,
        second: categories,
        third: names,
    }
    # The same whichever is told first; of a date that is in none, no chunk is known.
    apart = chunk_of({by_category: [second], halves: [first]})
    assert (apart[first], apart[second]) == (names, categories)
    assert {chunk for _, chunk in apart[third]} == {None}
    everywhere = chunk_of({by_category: None})
    assert list(everywhere.values()) == [categories] * 3
    alone = values(with_chunk(lines, *by_category), "business_date", "transaction_id", "chunk")
    assert alone == values(
        with_chunks(lines, {by_category: None}), "business_date", "transaction_id", "chunk"
    )


def test_one_key_may_be_split_by_several_ranges(spark: SparkSession) -> None:
    dates = [dt.date(2026, 11, number) for number in (1, 2)]
    lines = bronze_frame(spark, [accepted_line(product_name="Corn", drop_date=date) for date in dates])
    splits = {("product_name", parse_ranges(ranges)): [date] for ranges, date in
              zip((("A-CO", "CP-Z"), ("A-B", "C-Z")), dates, strict=True)}  # fmt: skip
    assert values(with_chunks(lines, splits), "business_date", "chunk") == [
        (dates[0], "A-CO"),
        (dates[1], "C-Z"),
    ]
    # No date at all, as of a window whose dates are all empty.
    assert {row.chunk for row in with_chunks(lines, {}).collect()} == {None}
