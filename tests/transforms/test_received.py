"""Judging received lines: every reason, the typed values, and no line lost whatever it holds."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from chispa import assert_df_equality
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from pipeline.lake.frames import local_frame
from schemas.landing import RECEIVED_COLUMNS, RECEIVED_NAMES
from schemas.tables import RECEIVED_SALES
from tests.support.lines import DROP_DATE, received_frame, received_line
from tests.support.tables import dicts
from transforms.received import ValidationConfig, validate_received

TERMS = ValidationConfig(scales={"USD": 2, "JPY": 0, "KWD": 3})
LINE = received_line
REPLACEMENT = "\ufffd"


def amounts(
    gross: str, discount: str | None, currency: str = "USD", **extra: str | None
) -> dict[str, str | None]:
    return LINE(gross_amount=gross, discount_amount=discount, currency=currency, **extra)


def returned(quantity: str, gross: str, discount: str | None = None) -> dict[str, str | None]:
    return LINE(line_type="RETURN", quantity=quantity, gross_amount=gross, discount_amount=discount)


REASONS: list[tuple[dict[str, Any], list[str]]] = [
    (LINE(), []),
    # --- missing, whatever kind of nothing, and never beside a rule on what is not there
    *[(LINE(**{c.name: None}), [f"missing_{c.name}"]) for c in RECEIVED_COLUMNS if c.required],
    *[(LINE(**{c.name: " \u00a0\t"}), [f"missing_{c.name}"]) for c in RECEIVED_COLUMNS if c.required],
    *[(LINE(**{c.name: None}), []) for c in RECEIVED_COLUMNS if not c.required],
    # --- a line end is white space like any other, and no decimal
    *[(LINE(gross_amount=f"1.00{end}", quantity=f"1.000{end}", discount_amount=end), []) for end in "\n\r"],
    # --- bad
    (LINE(line_number="1.0"), ["bad_line_number"]),
    (LINE(line_number="-1"), ["bad_line_number"]),
    (LINE(line_number="2147483648"), ["bad_line_number"]),
    (LINE(sold_at="2026-11-27T09:30:00"), ["bad_sold_at"]),
    (LINE(sold_at="2026-02-30T09:30:00Z"), ["bad_sold_at"]),
    (LINE(quantity="1e3"), ["bad_quantity"]),
    (LINE(quantity="two"), ["bad_quantity"]),
    (LINE(quantity="1.2345x"), ["bad_quantity"]),
    (LINE(gross_amount="$10"), ["bad_gross_amount"]),
    (LINE(gross_amount="10.0000x"), ["bad_gross_amount"]),
    (LINE(gross_amount="1000000000000000"), ["bad_gross_amount"]),
    (LINE(discount_amount="n/a"), ["bad_discount_amount"]),
    (LINE(line_type="sale"), ["bad_line_type"]),
    (LINE(line_type="REFUND"), ["bad_line_type"]),
    (LINE(currency="usd"), ["bad_currency"]),
    (LINE(currency="US"), ["bad_currency"]),
    (LINE(currency="\uff35\uff33\uff24"), ["bad_currency"]),
    (LINE(currency="EUR"), ["currency_not_allowed"]),
    (LINE(currency="XXX"), ["currency_not_allowed"]),
    # --- more decimals than the currency has; zeros too, since nobody knows what they were
    (amounts("10.005", None), ["excess_scale_gross_amount"]),
    (amounts("10.000", None), ["excess_scale_gross_amount"]),
    (amounts("10.00", "0.001"), ["excess_scale_discount_amount"]),
    (amounts("10", None, "JPY"), []),
    (amounts("10.0", None, "JPY"), ["excess_scale_gross_amount"]),
    (amounts("10", "1.5", "JPY"), ["excess_scale_discount_amount"]),
    (amounts("10.005", "0.005", "KWD"), []),
    (amounts("10.0050", None, "KWD"), ["excess_scale_gross_amount"]),
    (LINE(quantity="0.001"), []),
    (LINE(quantity="1.0000"), ["excess_scale_quantity"]),
    # --- zero, signs
    (LINE(quantity="0"), ["zero_quantity"]),
    (LINE(quantity="-0.000"), ["zero_quantity"]),
    (amounts("0", None), []),
    (amounts("0.00", "0.00"), []),
    (LINE(quantity="-1"), ["sign_mismatch"]),
    (amounts("-10.00", None), ["sign_mismatch"]),
    (amounts("-10.00", "-1.00"), ["sign_mismatch"]),
    (amounts("10.00", "-1.00"), ["sign_mismatch"]),
    (returned("-1", "-10.00", "-1.00"), []),
    (returned("-1", "0.00", "0"), []),
    (returned("-1", "-10.00"), []),
    (returned("1", "-10.00"), ["sign_mismatch"]),
    (returned("-1", "10.00"), ["sign_mismatch"]),
    (returned("-1", "-10.00", "1.00"), ["sign_mismatch"]),
    # --- discount
    (amounts("10.00", "10.00"), []),
    (amounts("10.00", "10.01"), ["discount_exceeds_gross"]),
    (returned("-1", "-10.00", "-10.00"), []),
    (returned("-1", "-10.00", "-10.01"), ["discount_exceeds_gross"]),
    (amounts("0.00", "0.01"), ["discount_exceeds_gross"]),
    # --- the sale is after the drop, on the store's clock
    (LINE(sold_at="2026-11-27T23:59:59-05:00"), []),
    (LINE(sold_at="2026-11-28T00:00:00-05:00"), ["future_sale"]),
    (LINE(sold_at="2026-11-28T04:59:00Z"), []),
    # --- not text
    (LINE(product_name=f"Caf{REPLACEMENT}"), ["malformed_line"]),
    (LINE(store_id=REPLACEMENT), ["malformed_line"]),
    # --- malformed alone, whatever the fields that were found say
    ({**LINE(line_number=None, quantity="x"), "malformed_text": "a,b"}, ["malformed_line"]),
    ({**LINE(), "malformed_text": ""}, ["malformed_line"]),
    # --- several, sorted
    (
        LINE(store_id=None, line_number="x", quantity="0", gross_amount="-1.005", currency="EUR"),
        ["bad_line_number", "currency_not_allowed", "missing_store_id", "sign_mismatch", "zero_quantity"],
    ),
    (
        LINE(line_type="RETURN", sold_at="2027-01-01T00:00:00Z", quantity="0.0001", gross_amount="1.001",
             discount_amount="-2.00"),
        ["discount_exceeds_gross", "excess_scale_gross_amount", "excess_scale_quantity", "future_sale",
         "sign_mismatch", "zero_quantity"],
    ),
    (dict.fromkeys(RECEIVED_NAMES), sorted(f"missing_{c.name}" for c in RECEIVED_COLUMNS if c.required)),
]  # fmt: skip
UNTIDY = LINE(
    store_id=" 1042 ",
    line_number="007",
    sold_at="2026-11-20T23:59:00-05:00",
    customer_id="\u00a0",
    product_name=' Caf\u00e9, "large" ',
    category=None,
    quantity="+2.50",
    gross_amount="0010.10",
    discount_amount="",
)
REJECTED: list[dict[str, Any]] = [
    LINE(quantity=" 1e3 ", product_name='a "b", c\n', customer_id=None),
    {**LINE(), "malformed_text": 'x,"unclosed\n'},
    LINE(gross_amount="10.005"),
]
NOISE = [
    LINE(**{name: (bytes(range(256)) * 3)[start : start + 40].decode("utf-8", errors="replace")})
    for name in RECEIVED_NAMES
    for start in (0, 65, 128, 200)
]


@pytest.fixture(scope="module")
def hand_made(spark: SparkSession) -> DataFrame:
    """The lines above, judged in one job: the rules are long, and Spark works on them anew for each frame."""
    groups: dict[str, list[dict[str, Any]]] = {
        "reasons": [line for line, _ in REASONS],
        "untidy": [UNTIDY],
        "rejected": REJECTED,
        "noise": NOISE,
    }
    lines = [line for group, lines in groups.items() for line in numbered(lines, group)]
    return validate_received(received_frame(spark, lines), TERMS).localCheckpoint()


def numbered(lines: list[dict[str, Any]], group: str) -> list[dict[str, Any]]:
    """Lines that can be told apart, and put in order, by their source file."""
    return [{**line, "source_file": f"{group}-{n:05d}"} for n, line in enumerate(lines)]


def rows_of(judged: DataFrame, group: str) -> list[dict[str, Any]]:
    """Judged lines of a group, in the order in which they were made."""
    rows = dicts(judged.filter(judged["source_file"].startswith(f"{group}-")))
    return sorted(rows, key=lambda row: row["source_file"])


def judged(
    spark: SparkSession, lines: list[dict[str, Any]], terms: ValidationConfig = TERMS
) -> list[dict[str, Any]]:
    """Judged lines in the order given."""
    return rows_of(validate_received(received_frame(spark, numbered(lines, "line")), terms), "line")


def test_a_currency_is_allowed_to_its_last_sale_date(spark: SparkSession) -> None:
    times = {
        "HRK": ["2026-11-20T23:30:00-05:00", "2026-11-21T00:30:00-05:00"],
        "USD": ["2026-11-21T09:00:00Z"],
    }
    lines = [LINE(sold_at=at, currency=code) for code, moments in times.items() for at in moments]
    lines.append(LINE(sold_at="never", currency="HRK"))
    terms = ValidationConfig(scales={"USD": 2, "HRK": 2}, valid_until={"HRK": dt.date(2026, 11, 20)})
    found = [row["reject_reasons"] for row in judged(spark, lines, terms)]
    assert found == [[], ["currency_not_allowed"], [], ["bad_sold_at"]]


def test_each_reason_alone_and_several_together_sorted(hand_made: DataFrame) -> None:
    found = rows_of(hand_made, "reasons")
    for (line, reasons), row in zip(REASONS, found, strict=True):
        assert row["reject_reasons"] == reasons, line
        assert row["validation_status"] == ("rejected" if reasons else "accepted"), line
        assert (row["raw"] is None) == (not reasons), line
        assert (row["key_hash"] is None) == bool(reasons), line
        assert (row["payload_hash"] is None) == bool(reasons), line
        assert (row["business_date"] is None) == bool(reasons), line
        assert (row["is_adjustment"] is None) == bool(reasons), line


def test_an_accepted_line_is_trimmed_typed_and_dated(spark: SparkSession, hand_made: DataFrame) -> None:
    frame = hand_made.filter("source_file like 'untidy%'").drop("key_hash", "payload_hash")
    expected = {
        "drop_date": DROP_DATE,
        "source_file": "untidy-00000",
        "validation_status": "accepted",
        "reject_reasons": [],
        "raw": None,
        "sale_date": dt.date(2026, 11, 20),
        "business_date": dt.date(2026, 11, 20),
        "is_adjustment": False,
        "store_id": "1042",
        "transaction_id": "T-1",
        "line_number": 7,
        "sold_at": dt.datetime(2026, 11, 21, 4, 59, tzinfo=dt.UTC),
        "customer_id": None,
        "product_id": "P-1",
        "product_name": 'Caf\u00e9, "large"',
        "category": None,
        "line_type": "SALE",
        "quantity": Decimal("2.5"),
        "gross_amount": Decimal("10.1"),
        "discount_amount": Decimal("0"),
        "currency": "USD",
        "payment_method": "card",
        "channel": "store",
    }
    schema = StructType([field for field in RECEIVED_SALES.schema if field.name in expected])
    wanted = local_frame(spark, schema, [expected])
    assert_df_equality(frame, wanted, ignore_nullable=True, ignore_column_order=False)


def test_judged_lines_have_the_columns_of_bronze(hand_made: DataFrame) -> None:
    assert [(f.name, f.dataType) for f in hand_made.schema] == [
        (f.name, f.dataType) for f in RECEIVED_SALES.schema
    ]


def test_a_line_is_dated_by_its_own_stores_clock_and_by_how_late_it_is(spark: SparkSession) -> None:
    terms = ValidationConfig(
        scales={"USD": 2},
        store_time_zones={"2001": "America/Los_Angeles"},
        day_starts_at=dt.time(4, 0),
        late_days=7,
        history_before=dt.date(2026, 11, 1),
    )
    cases = [
        (LINE(sold_at="2026-11-27T02:00:00-05:00"), (26, 26, False)),
        (LINE(sold_at="2026-11-27T06:59:00-05:00", store_id="2001"), (26, 26, False)),
        (LINE(sold_at="2026-11-27T07:01:00-05:00", store_id=" 2001 "), (27, 27, False)),
        # Seven days late restates its date, eight days late does not.
        (LINE(sold_at="2026-11-20T12:00:00-05:00"), (20, 20, False)),
        (LINE(sold_at="2026-11-19T12:00:00-05:00"), (19, 27, True)),
        # The small hours of the 20th are the evening of the 19th: eight days late as well.
        (LINE(sold_at="2026-11-20T03:59:00-05:00"), (19, 27, True)),
        (LINE(sold_at="2026-11-01T12:00:00-05:00"), (1, 27, True)),
        (LINE(sold_at="2026-11-01T03:00:00-05:00"), (31, 31, False)),
    ]
    found = judged(spark, [line for line, _ in cases], terms)
    assert [(r["sale_date"].day, r["business_date"].day, r["is_adjustment"]) for r in found] == [
        wanted for _, wanted in cases
    ]


def test_a_rejected_line_keeps_what_was_received(hand_made: DataFrame) -> None:
    found = rows_of(hand_made, "rejected")
    assert json.loads(found[0]["raw"]) == {k: v for k, v in REJECTED[0].items() if v is not None}
    assert json.loads(found[1]["raw"]) == {"line": 'x,"unclosed\n'}
    assert found[1]["gross_amount"] is None
    assert found[1]["discount_amount"] is None
    # Never a rounded amount, not even of a rejected line.
    assert found[2]["gross_amount"] is None
    assert found[2]["discount_amount"] == Decimal("1.000")


# Anything at all, with much that is almost right.
_ODD_TEXTS = [
    "",
    " ",
    "0",
    "-1",
    "1e9",
    "9" * 40,
    "-.5",
    "SALE",
    "RETURN",
    "USD",
    "JPY",
    "NaN",
    "\x00",
    "null",
]
_TEXT = st.one_of(
    st.none(),
    st.sampled_from(_ODD_TEXTS),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
    st.datetimes(min_value=dt.datetime(1, 1, 2)).map(lambda moment: f"{moment.isoformat()}Z"),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)
_ANY_LINE = st.fixed_dictionaries(
    {**dict.fromkeys(RECEIVED_NAMES, _TEXT), "malformed_text": st.one_of(st.none(), st.none(), _TEXT)}
)
_ALMOST_SOUND_LINE = st.dictionaries(st.sampled_from(RECEIVED_NAMES), _TEXT, max_size=2).map(
    lambda d: LINE(**d)
)


# One example, all lines in one job, and no shrinking: what is asserted names the line.
@settings(max_examples=1, phases=[Phase.generate])
@given(
    texts=st.lists(_TEXT, min_size=30, max_size=40, unique=True),
    odd=st.lists(st.one_of(_ANY_LINE, _ALMOST_SOUND_LINE), min_size=50, max_size=80),
)
def test_any_text_ends_as_accepted_or_rejected(
    spark: SparkSession, texts: list[str | None], odd: list[dict[str, Any]]
) -> None:
    lines = [*odd, *(LINE(**{name: text}) for name in RECEIVED_NAMES for text in (*texts, *_ODD_TEXTS))]
    for line, row in zip(lines, judged(spark, lines), strict=True):
        if row["validation_status"] == "rejected":
            assert row["reject_reasons"] == sorted(set(row["reject_reasons"])) != [], line
            assert row["raw"] is not None, line
        else:
            assert row["reject_reasons"] == [], line
            _assert_sound(row)


def _assert_sound(row: dict[str, Any]) -> None:
    """What the contract says of an accepted line, in plain Python."""
    for column in RECEIVED_COLUMNS:
        assert not column.required or row[column.name] not in (None, ""), row
    sign = 1 if row["line_type"] == "SALE" else -1
    assert row["quantity"] * sign > 0, row
    assert row["gross_amount"] * sign >= 0, row
    assert 0 <= row["discount_amount"] * sign <= row["gross_amount"] * sign, row
    assert row["gross_amount"] == round(row["gross_amount"], TERMS.scales[row["currency"]]), row
    assert row["sale_date"] <= row["drop_date"], row
    assert row["business_date"] == (row["drop_date"] if row["is_adjustment"] else row["sale_date"]), row


def test_any_bytes_read_as_text_end_as_accepted_or_rejected(hand_made: DataFrame) -> None:
    found = rows_of(hand_made, "noise")
    assert len(found) == len(NOISE)
    assert {row["validation_status"] for row in found} == {"rejected", "accepted"}
    # A field that could not be decoded is never taken for a name.
    assert not [
        r for r in found if r["validation_status"] == "accepted" and REPLACEMENT in str(list(r.values()))
    ]
