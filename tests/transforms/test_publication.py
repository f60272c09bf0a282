"""Publication: copies, conflicts, late resends, prices; the same whatever the chunks and partitions."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from chispa import assert_df_equality
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from schemas.tables import CONFLICTS, SALES
from tests.support.lines import accepted_line as line
from tests.support.lines import bronze_frame
from tests.support.publication import Published, publish_lines
from tests.support.tables import dicts, values
from transforms.control_totals import count_conflicts, count_published, count_received
from transforms.copies import find_suspect_hashes
from transforms.publication import with_prices

DAY = dt.date(2026, 11, 27)
BEFORE, AFTER = dt.date(2026, 11, 26), dt.date(2026, 11, 28)


def on(transaction: str, **extra: Any) -> dict[str, Any]:
    """A line of DAY under a transaction of its own."""
    return line(transaction_id=transaction, sale_date=DAY, **extra)


@pytest.fixture(scope="module")
def published(spark: SparkSession) -> Published:
    """One publication of the lines above the tests, each test's under transactions of its own.

    One line a partition: copies that are not brought together would be far apart.
    """
    lines = [*COPIES, *ORDERED, *EQUAL, *PAYLOADS, *CROSSING, *COUNTED]
    made = publish_lines(bronze_frame(spark, lines), target_rows=1)
    assert made.plan.partitions == len(lines)
    # Kept in few partitions, since each test looks at them again.
    return replace(
        made,
        sales=made.sales.coalesce(2).localCheckpoint(),
        conflicts=made.conflicts.coalesce(2).localCheckpoint(),
    )


def of(lines: list[dict[str, Any]], frame: DataFrame) -> DataFrame:
    """The rows of a test's own lines."""
    return frame.filter(F.col("transaction_id").isin({line["transaction_id"] for line in lines}))


COPIES = [
    on("alone"),
    *[on("three", drop_date=date) for date in (AFTER, DAY, DAY)],
    # The same numbers elsewhere: another store, another line, another day.
    on("numbers"),
    on("numbers", store_id="1043"),
    on("numbers", line_number=2),
    line(transaction_id="numbers", sale_date=BEFORE),
    # Not a copy either, though put together the texts are alike.
    on("x1", store_id="1"),
    on("1", store_id="1x"),
]


def test_copies_are_published_once_and_what_differs_in_the_key_is_no_copy(published: Published) -> None:
    columns = ("transaction_id", "store_id", "line_number", "sale_date", "duplicates", "drop_date")
    assert values(of(COPIES, published.sales), *columns) == sorted(
        [
            ("alone", "1042", 1, DAY, 0, DAY),
            ("three", "1042", 1, DAY, 2, DAY),
            ("numbers", "1042", 1, DAY, 0, DAY),
            ("numbers", "1043", 1, DAY, 0, DAY),
            ("numbers", "1042", 2, DAY, 0, DAY),
            ("numbers", "1042", 1, BEFORE, 0, DAY),
            ("x1", "1", 1, DAY, 0, DAY),
            ("1", "1x", 1, DAY, 0, DAY),
        ],
        key=str,
    )
    assert values(of(COPIES, published.conflicts)) == []


ORDERED = [
    # The later drop has the earlier file name.
    on("by drop", drop_date=AFTER, source_file="a.csv", channel="late"),
    on("by drop", drop_date=DAY, source_file="z.csv", channel="early"),
    on("by file", source_file="b.csv", channel="second"),
    on("by file", source_file="a.csv", channel="first"),
    on("by file", source_file="a.csv.gz", channel="third"),
    *[on("by hash", channel=f"c{n}") for n in range(6)],
]


def test_the_earliest_drop_then_the_first_file_then_the_lowest_hash_stays(published: Published) -> None:
    copies = published.chunked.filter("transaction_id = 'by hash'").select("payload_hash", "channel")
    lowest = min(values(copies))[1]
    assert values(of(ORDERED, published.sales), "transaction_id", "channel", "duplicates") == [
        ("by drop", "early", 0),
        ("by file", "first", 0),
        ("by hash", lowest, 0),
    ]
    lost = values(of(ORDERED, published.conflicts), "transaction_id", "channel", "outcome", "kept_drop_date")
    assert lost == sorted(
        [
            ("by drop", "late", "conflict", DAY),
            ("by file", "second", "conflict", DAY),
            ("by file", "third", "conflict", DAY),
            *[("by hash", f"c{n}", "conflict", DAY) for n in range(6) if f"c{n}" != lowest],
        ],
        key=str,
    )


EQUAL = [
    on("T", drop_date=DAY, channel="first"),
    on("T", drop_date=AFTER, channel="first"),
    on("T", drop_date=AFTER, channel="other"),
    on("T", drop_date=AFTER, channel="other"),
    # Equal to the first again, after one that is not.
    on("T", drop_date=AFTER, source_file="z.csv", channel="first"),
]


def test_equal_copies_of_the_loser_are_all_conflicts_and_of_the_winner_all_duplicates(
    published: Published,
) -> None:
    assert values(of(EQUAL, published.sales), "channel", "duplicates", "drop_date") == [("first", 2, DAY)]
    assert values(of(EQUAL, published.conflicts), "channel", "drop_date") == [
        ("other", AFTER),
        ("other", AFTER),
    ]


CHANGES: dict[str, Any] = {
    "sold_at": dt.datetime(2026, 11, 27, 14, 31, tzinfo=dt.UTC),
    "customer_id": "C-8",
    "product_id": "P-2",
    "product_name": "Apricot",
    "category": "Veg",
    "line_type": "RETURN",
    "quantity": Decimal("2.001"),
    "gross_amount": Decimal("10.001"),
    "discount_amount": Decimal("1.01"),
    "currency": "KWD",
    "payment_method": "cash",
    "channel": "web",
}
PAYLOADS = [
    *[on(name) for name in CHANGES],
    *[on(name, source_file="z.csv", **{name: value}) for name, value in CHANGES.items()],
    # A null is a value of its own: it is not the empty next column moved up.
    on("null", customer_id=None),
    on("null", source_file="z.csv"),
    on("moved", product_name="X", category=None),
    on("moved", source_file="z.csv", product_name=None, category="X"),
    on("moved too", payment_method="X", channel=None),
    on("moved too", source_file="z.csv", payment_method=None, channel="X"),
]


def test_each_received_column_is_part_of_the_payload(published: Published) -> None:
    wanted = sorted([*CHANGES, "null", "moved", "moved too"])
    assert [name for (name,) in values(of(PAYLOADS, published.conflicts), "transaction_id")] == wanted
    assert values(of(PAYLOADS, published.sales), "transaction_id", "duplicates", "source_file") == [
        (name, 0, "sales.csv") for name in wanted
    ]


CROSSING = [
    on("A then Z", product_name="Apple", source_file="1.csv"),
    on("A then Z", product_name="Zucchini", source_file="2.csv"),
    on("Z then A", product_name="Apple", source_file="2.csv"),
    on("Z then A", product_name="Zucchini", source_file="1.csv"),
    on("none then H", product_name=None, source_file="1.csv"),
    on("none then H", product_name="Honey", source_file="2.csv"),
    # Copies of the loser, and of the winner, in every chunk.
    *[on("many", product_name=name, source_file=f"{n}.csv")
      for n, name in enumerate(["Onion", "Apple", "Onion", "Zucchini", "Honey", "7up", "Onion"])],
    on("bystander", product_name="Apple"),
]  # fmt: skip


def test_copies_in_other_chunks_meet_where_the_first_one_is(published: Published) -> None:
    assert values(of(CROSSING, published.sales), "transaction_id", "product_name", "chunk", "duplicates") == [
        ("A then Z", "Apple", "A-G", 0),
        ("Z then A", "Zucchini", "V-Z", 0),
        ("bystander", "Apple", "A-G", 0),
        ("many", "Onion", "O-U", 2),
        ("none then H", None, "other", 0),
    ]
    # A conflict is told under its own chunk: there it was received.
    assert values(of(CROSSING, published.conflicts), "transaction_id", "product_name", "chunk") == [
        ("A then Z", "Zucchini", "V-Z"),
        ("Z then A", "Apple", "A-G"),
        ("many", "7up", "other"),
        ("many", "Apple", "A-G"),
        ("many", "Honey", "H-N"),
        ("many", "Zucchini", "V-Z"),
        ("none then H", "Honey", "H-N"),
    ]


def test_late_resends_are_not_published_again(spark: SparkSession) -> None:
    sold, dropped = dt.date(2026, 11, 10), DAY

    def late(transaction: str, **extra: Any) -> dict[str, Any]:
        return line(
            transaction_id=transaction, sale_date=sold, drop_date=dropped, is_adjustment=True, **extra
        )

    def first(transaction: str, drop: dt.date = sold, **extra: Any) -> dict[str, Any]:
        return line(transaction_id=transaction, sale_date=sold, drop_date=drop, **extra)

    before = [
        first("equal"),
        first("changed"),
        # Two were delivered: the first of them was published, so it is what counts.
        first("second of two", channel="web"),
        first("second of two", drop=dt.date(2026, 11, 11)),
        # Itself an adjustment of an earlier drop.
        line(
            transaction_id="twice late", sale_date=sold, drop_date=dt.date(2026, 11, 20), is_adjustment=True
        ),
        # Another day's sale with the same numbers is another line.
        line(transaction_id="other day", sale_date=dt.date(2026, 11, 9), drop_date=dt.date(2026, 11, 9)),
        # A later drop cannot be what an earlier one sends again.
        line(transaction_id="later drop", sale_date=sold, drop_date=AFTER, is_adjustment=True),
    ]
    late_lines = [
        late("equal"),
        late("equal"),
        late("changed", channel="web"),
        late("changed"),
        late("second of two"),
        late("twice late"),
        late("other day"),
        late("later drop"),
        late("new"),
        late("new", source_file="z.csv"),
        late("new", source_file="z.csv", channel="web"),
    ]
    of_the_day = [on("equal"), on("on time")]
    bronze = bronze_frame(spark, late_lines + of_the_day)
    earlier = bronze_frame(spark, before + late_lines)
    published = publish_lines(bronze, earlier=earlier)
    assert values(published.sales, "transaction_id", "sale_date", "business_date", "duplicates") == [
        ("equal", DAY, DAY, 0),
        ("later drop", sold, DAY, 0),
        ("new", sold, DAY, 1),
        ("on time", DAY, DAY, 0),
        ("other day", sold, DAY, 0),
    ]
    assert values(published.conflicts, "transaction_id", "channel", "outcome", "kept_drop_date") == [
        ("changed", "store", "late_duplicate", sold),
        ("changed", "web", "late_conflict", sold),
        ("equal", "store", "late_duplicate", sold),
        ("equal", "store", "late_duplicate", sold),
        ("new", "web", "conflict", DAY),
        ("second of two", "store", "late_conflict", sold),
        ("twice late", "store", "late_duplicate", dt.date(2026, 11, 20)),
    ]
    assert set(values(published.conflicts, "is_adjustment", "business_date", "sale_date")) == {
        (True, DAY, sold)
    }


def test_prices_are_exact_and_keep_their_sign(spark: SparkSession) -> None:
    most = Decimal("999999999999999.999")
    lines = [
        on("a", gross_amount=Decimal("10.00"), discount_amount=Decimal("0.01")),
        on("b", gross_amount=Decimal("-10.00"), discount_amount=Decimal("-0.01"), quantity=Decimal(-1)),
        on("c", gross_amount=most, discount_amount=Decimal("0.001")),
        on("d", gross_amount=-most, discount_amount=-most),
        on("e", gross_amount=Decimal(0), discount_amount=Decimal(0)),
    ]
    found = dict(values(with_prices(bronze_frame(spark, lines)), "transaction_id", "net_amount"))
    assert found == {
        "a": Decimal("9.990"),
        "b": Decimal("-9.990"),
        "c": Decimal("999999999999999.998"),
        "d": Decimal(0),
        "e": Decimal(0),
    }


def test_nothing_comes_of_nothing_and_the_columns_are_those_of_the_tables(published: Published) -> None:
    for frame, table in ((published.sales, SALES), (published.conflicts, CONFLICTS)):
        assert [(f.name, f.dataType) for f in frame.schema] == [(f.name, f.dataType) for f in table.schema]
    nothing = of([], published.chunked)
    assert values(find_suspect_hashes(nothing)) == []
    assert values(count_received(nothing)) == []


COUNTED = [
    on("a", gross_amount=Decimal("5.00"), discount_amount=Decimal(0)),
    on("a", gross_amount=Decimal("5.00"), discount_amount=Decimal(0), source_file="z"),
    on("a", gross_amount=Decimal("7.00"), discount_amount=Decimal(0), source_file="zz"),
    on("b", gross_amount=Decimal("-2.50"), discount_amount=Decimal(0)),
    *[on("b", gross_amount=Decimal("-2.50"), discount_amount=Decimal(0), source_file="z") for _ in range(3)],
    # Another currency, another chunk: rows of their own.
    on("c", currency="JPY", gross_amount=Decimal("500"), discount_amount=Decimal(0)),
    on("d", product_name="Zucchini", gross_amount=Decimal("1.00"), discount_amount=Decimal(0)),
]


def test_counts_and_control_totals(published: Published) -> None:
    assert values(count_received(of(COUNTED, published.chunked))) == [
        (DAY, "A-G", "JPY", 1, Decimal(500), Decimal(500)),
        (DAY, "A-G", "USD", 7, Decimal(7), Decimal(27)),
        (DAY, "V-Z", "USD", 1, Decimal(1), Decimal(1)),
    ]
    assert values(count_published(of(COUNTED, published.sales))) == [
        (DAY, "A-G", "JPY", 1, Decimal(500), Decimal(500), 0, Decimal(0), Decimal(0)),
        (DAY, "A-G", "USD", 2, Decimal("2.5"), Decimal("7.5"), 4, Decimal("-2.5"), Decimal("12.5")),
        (DAY, "V-Z", "USD", 1, Decimal(1), Decimal(1), 0, Decimal(0), Decimal(0)),
    ]
    assert values(count_conflicts(of(COUNTED, published.conflicts))) == [
        (DAY, "A-G", "USD", "conflict", 1, Decimal(7), Decimal(7))
    ]


_LINE = st.builds(
    lambda transaction, number, name, drop, file, sale, cents: line(
        transaction_id=transaction,
        line_number=number,
        product_name=name,
        drop_date=DAY + dt.timedelta(days=drop),
        source_file=file,
        sale_date=DAY + dt.timedelta(days=sale),
        gross_amount=Decimal(cents),
    ),
    st.sampled_from("TUVW"),
    st.integers(1, 3),
    st.sampled_from(["Apple", "apple", "\u00c9clair", "Honey", "Onion", "Zucchini", "7up", None]),
    st.integers(0, 2),
    st.sampled_from(["a.csv", "b.csv"]),
    st.integers(-1, 0),
    st.sampled_from([5, 5, 5, 7]),
)


# One example of many lines, and no shrinking: each try is two publications. The simplest example, all lines
# alike, shows nothing.
@settings(max_examples=1, phases=[Phase.generate])
@given(st.lists(_LINE, min_size=100, max_size=150).filter(lambda lines: any(a != lines[0] for a in lines)))
def test_chunked_equals_unchunked_equals_plain_python(
    spark: SparkSession, lines: list[dict[str, Any]]
) -> None:
    bronze = bronze_frame(spark, lines)
    chunked = publish_lines(bronze, target_rows=3)
    whole = publish_lines(bronze, ranges=("A-Z",))
    assert chunked.plan.partitions >= 20
    assert whole.plan.partitions <= 2
    sales = chunked.sales.localCheckpoint()
    assert_df_equality(
        sales.coalesce(1).drop("chunk"),
        whole.sales.coalesce(1).drop("chunk"),
        ignore_row_order=True,
        ignore_nullable=True,
    )
    conflicts = dicts(chunked.conflicts)
    columns = [name for name in CONFLICTS.columns if name != "chunk"]
    assert sorted([tuple(row[name] for name in columns) for row in conflicts], key=str) == sorted(
        values(whole.conflicts, *columns), key=str
    )
    _assert_as_in_plain_python(bronze.collect(), dicts(sales), conflicts)


def _assert_as_in_plain_python(
    bronze: list[Any], sales: list[dict[str, Any]], conflicts: list[dict[str, Any]]
) -> None:
    """The design's words on duplicates and conflicts, over the lines one by one."""
    by_key: dict[tuple[Any, ...], list[Any]] = {}
    for row in bronze:
        by_key.setdefault((row.store_id, row.transaction_id, row.line_number, row.sale_date), []).append(row)
    expected_sales, expected_conflicts = [], []
    for key, copies in by_key.items():
        kept = min(copies, key=lambda row: (row.drop_date, row.source_file, row.payload_hash))
        same = [
            row
            for row in copies
            if (row.product_name, row.gross_amount) == (kept.product_name, kept.gross_amount)
        ]
        expected_sales.append(
            (*key, kept.product_name, kept.gross_amount, kept.drop_date, kept.source_file, len(same) - 1)
        )
        expected_conflicts += [
            (*key, row.product_name, row.gross_amount, row.drop_date, row.source_file)
            for row in copies
            if (row.product_name, row.gross_amount) != (kept.product_name, kept.gross_amount)
        ]
    names = ("store_id", "transaction_id", "line_number", "sale_date",
             "product_name", "gross_amount", "drop_date", "source_file")  # fmt: skip
    found_sales = [tuple(row[name] for name in (*names, "duplicates")) for row in sales]
    assert sorted(found_sales, key=str) == sorted(expected_sales, key=str)
    assert sorted([tuple(row[name] for name in names) for row in conflicts], key=str) == sorted(
        expected_conflicts, key=str
    )
