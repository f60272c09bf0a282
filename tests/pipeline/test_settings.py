"""Settings: what is refused, in which words, and what comes of what is accepted."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.settings import ExpectedStore, Settings, load_settings
from schemas.errors import UsageError
from schemas.landing import RECEIVED_NAMES
from schemas.states import ExitCode


def load(*assignments: str, config: Path | None = None, **storage: str) -> Settings:
    return load_settings(None if config is None else str(config), assignments, storage)


def refused(*assignments: str, config: Path | None = None) -> str:
    """The error's text, which is one line and ends a run with code 2."""
    with pytest.raises(UsageError) as error:
        load(*assignments, config=config)
    assert error.value.exit_code is ExitCode.USAGE
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_defaults_are_those_of_the_design() -> None:
    settings = load()
    assert settings.business_day.timezone == "America/New_York"
    assert settings.business_day.starts_at == dt.time(0, 0)
    assert settings.business_day.store_timezones == {}
    assert settings.late.days == 7
    assert settings.late.history_before is None
    assert settings.chunks.key == "product_name"
    assert settings.chunks.ranges == ("A-G", "H-N", "O-U", "V-Z")
    assert [(r.low, r.high) for r in settings.chunks.key_ranges] == [
        ("A", "G"),
        ("H", "N"),
        ("O", "U"),
        ("V", "Z"),
    ]
    assert settings.chunks.target_rows_per_partition == 1_000_000
    assert settings.currencies == ("USD",)
    assert settings.audit.max_rejected_share == 0.05
    assert settings.audit.max_conflict_share == 0.01
    assert settings.received_names == {name: name for name in RECEIVED_NAMES}


@pytest.mark.parametrize(
    ("assignment", "key", "near"),
    [
        ("late.dayz=7", "late.dayz", "late.days"),
        ("days=7", "days", "late.days"),
        # Too short to be near anything as a whole.
        ("key=store_id", "key", "chunks.key"),
        ("chunk.key=store_id", "chunk.key", "chunks.key"),
        ("chunks.range=[A-Z]", "chunks.range", "chunks.ranges"),
        ("currency=[USD]", "currency", "currencies"),
        ("business_day.time_zone=UTC", "business_day.time_zone", "business_day.timezone"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(assignment: str, key: str, near: str) -> None:
    text = refused(assignment)
    named = (key, key.partition(".")[0])
    assert any(f"unknown config key {name!r}" in text for name in named)
    assert f"did you mean {near!r}?" in text


def test_a_profile_reads_each_received_name_once() -> None:
    one = "deliveries=[{files: a, columns: {discount_amount: Brutto}}]"
    assert "deliveries[0]: gross_amount and discount_amount would both be read from" in refused(
        "columns={gross_amount: Brutto}", one
    )


def test_an_unknown_key_of_a_file_is_refused_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("late:\n  days: 3\n  dayz: 4\n")
    assert refused(config=path) == f"{path}: unknown config key 'late.dayz'; did you mean 'late.days'?"
    path.write_text("qqqqqqqq: 1\n")
    assert "known are storage.landing" in refused(config=path)


def test_a_key_that_stands_twice_is_refused_since_one_of_them_would_be_lost(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("deliveries:\n  - files: a*\nlate: {days: 3}\ndeliveries:\n  - files: b*\n")
    assert "key 'deliveries' stands twice" in (text := refused(config=path))
    assert "line 4, column 1" in text
    assert "the value is not YAML" in refused("late={days: 3, days: 4}")


@pytest.mark.parametrize(
    ("assignment", "key", "value", "form"),
    [
        ("late.days=-1", "late.days", "-1", "greater than or equal to 0"),
        ("late.days=seven", "late.days", "'seven'", "integer"),
        ("late.days=1.5", "late.days", "1.5", "integer"),
        ("late.history_before=yesterday", "late.history_before", "'yesterday'", "date"),
        ("business_day.timezone=Mars/Base", "business_day.timezone", "'Mars/Base'", "as America/New_York"),
        ("business_day.timezone=../../etc/passwd", "business_day.timezone", "passwd", "as America/New_York"),
        (
            "business_day.store_timezones={'1': Nowhere}",
            "business_day.store_timezones.1",
            "'Nowhere'",
            "IANA",
        ),
        # Read as a number, 0042 would be store 34.
        (
            "business_day.store_timezones={0042: UTC}",
            "business_day.store_timezones",
            "34",
            "must be in quotes",
        ),
        ("business_day.starts_at='25:00'", "business_day.starts_at", "'25:00'", "HH:MM"),
        ("business_day.starts_at=0:00", "business_day.starts_at", "'0:00'", "HH:MM"),
        ("business_day.starts_at=4am", "business_day.starts_at", "'4am'", "HH:MM"),
        ("business_day.starts_at='04:00:30'", "business_day.starts_at", "'04:00:30'", "HH:MM"),
        ("business_day.starts_at='04:00Z'", "business_day.starts_at", "'04:00Z'", "HH:MM"),
        ("business_day.starts_at=1440", "business_day.starts_at", "1440", "HH:MM"),
        ("chunks.key=sale_date", "chunks.key", "'sale_date'", "product_name"),
        ("chunks.ranges=[A-G, F-Z]", "chunks.ranges", "A-G", "'A-G' and 'F-Z' overlap"),
        ("chunks.ranges=[H-Z, A-G]", "chunks.ranges", "H-Z", "'H-Z' and 'A-G' overlap or are out of order"),
        ("chunks.ranges=[a-g]", "chunks.ranges", "a-g", "of the form A-G"),
        ("chunks.ranges=[]", "chunks.ranges", "[]", "at least one range"),
        ("chunks.target_rows_per_partition=0", "chunks.target_rows_per_partition", "0", "greater than"),
        ("deadlines.publish_sales=6am", "deadlines.publish_sales", "'6am'", "HH:MM"),
        ("ingest.max_bytes_per_window=0", "ingest.max_bytes_per_window", "0", "greater than"),
        ("publish.max_lines_per_window=0", "publish.max_lines_per_window", "0", "greater than"),
        ("currencies=[]", "currencies", "[]", "at least 1"),
        ("currencies=[USB]", "currencies", "USB", "ISO 4217"),
        ("currencies=[usd]", "currencies", "usd", "ISO 4217"),
        ("currencies=[CLF]", "currencies", "CLF", "at most 3 decimals"),
        ("currencies=[XAU]", "currencies", "XAU", "at most 3 decimals"),
        ("audit.max_rejected_share=1.5", "audit.max_rejected_share", "1.5", "less than or equal to 1"),
        ("audit.max_conflict_share=-0.1", "audit.max_conflict_share", "-0.1", "greater than or equal to 0"),
        ("audit.max_rejected_share=.nan", "audit.max_rejected_share", "nan", ""),
        ("columns={shop: store}", "columns", "shop", "not a column of the contract"),
        ("columns={store_idd: x}", "columns", "store_idd", "did you mean 'store_id'?"),
        ("columns={store_id: x, product_id: x}", "columns", "x", "same received name"),
        (
            "columns={customer_id: store_id}",
            "columns",
            "store_id and customer_id would both be read",
            "give each its own, for example {store_id: store_id_name, customer_id: customer_id_name}",
        ),
        ('columns={store_id: "it\'s"}', "columns", "it's", "quote"),
        ("columns={store_id: ''}", "columns.store_id", "''", "at least 1"),
        ("storage.lake=", "storage.lake", "None", "string"),
        ("late=7", "late", "7", ""),
    ],
)
def test_a_bad_value_is_refused_with_key_value_and_form(
    assignment: str, key: str, value: str, form: str
) -> None:
    text = refused(assignment)
    assert text.startswith(f"config: {key} = ")
    assert value in text
    assert form in text


def test_a_name_may_be_another_columns_where_that_one_has_its_own() -> None:
    settings = load("columns={customer_id: store_id, store_id: shop_no}")
    assert settings.received_names["customer_id"] == "store_id"
    assert settings.received_names["store_id"] == "shop_no"


def test_several_bad_values_are_counted() -> None:
    assert refused("late.days=-1", "chunks.key=nothing").endswith("(and 1 more)")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("'04:00'", dt.time(4)), ("14:30", dt.time(14, 30)), ("04:30", dt.time(4, 30)),
     ("00:01", dt.time(0, 1)), ("23:59", dt.time(23, 59)), ("'00:00'", dt.time(0))],
)  # fmt: skip
def test_a_time_of_day_needs_no_quotes(text: str, expected: dt.time, tmp_path: Path) -> None:
    # YAML 1.1 reads some of these as numbers to the base of sixty.
    assert load(f"business_day.starts_at={text}").business_day.starts_at == expected
    path = tmp_path / "mine.yaml"
    path.write_text(f"business_day:\n  starts_at: {text}\n")
    assert load(config=path).business_day.starts_at == expected


def test_set_takes_a_dotted_key_and_a_yaml_value() -> None:
    settings = load(
        "late.days = 3",
        "late.history_before=2026-01-31",
        "chunks.ranges=[A-CO, CP-Z]",
        "currencies=[USD, JPY, KWD]",
        'business_day.store_timezones={"1042": America/Chicago}',
        "columns={store_id: shop=no}",
        "audit={max_rejected_share: 1}",
    )
    assert settings.late.days == 3
    assert settings.late.history_before == dt.date(2026, 1, 31)
    assert settings.chunks.ranges == ("A-CO", "CP-Z")
    assert settings.currency_scales == {"USD": 2, "JPY": 0, "KWD": 3}
    assert settings.business_day.store_timezones == {"1042": "America/Chicago"}
    assert settings.received_names["store_id"] == "shop=no"
    # A mapping of keys is laid over: what it does not name stays.
    assert (settings.audit.max_rejected_share, settings.audit.max_conflict_share) == (1, 0.01)
    # Later ones win.
    assert load("late.days=3", "late.days=4").late.days == 4


@pytest.mark.parametrize(
    ("assignment", "form"),
    [
        ("late.days", "must be of the form key=value"),
        ("late.days=[", "the value is not YAML"),
        ("=7", "unknown config key"),
    ],
)
def test_a_malformed_assignment_is_refused(assignment: str, form: str) -> None:
    assert form in refused(assignment)


def test_the_command_line_goes_before_the_file_and_the_file_before_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "storage: {landing: from-file, lake: from-file}\nlate: {days: 3}\naudit: {max_rejected_share: 0.5}\n"
    )
    settings = load("late.days=4", config=path, lake="from-option")
    storage = settings.storage
    assert (storage.landing, storage.lake, storage.catalog) == ("from-file", "from-option", None)
    assert settings.late.days == 4
    assert settings.audit.max_rejected_share == 0.5
    assert settings.audit.max_conflict_share == 0.01


@pytest.mark.parametrize(
    ("content", "form"),
    [(b"a: [", "not YAML"), (b"- a\n", "must be a mapping"), (b"\xff\xfe\x00", "not YAML")],
)
def test_a_file_that_is_no_config_is_refused_by_name(content: bytes, form: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    text = refused(config=path)
    assert str(path) in text
    assert form in text


def test_a_file_that_is_not_there_is_refused_and_an_empty_one_changes_nothing(tmp_path: Path) -> None:
    assert "No such file" in refused(config=tmp_path / "none.yaml")
    path = tmp_path / "empty.yaml"
    path.write_text("# nothing\n")
    assert load(config=path) == load()


def test_the_digest_tells_what_decides_values_not_where_the_data_are() -> None:
    assert load().digest == load(lake="elsewhere").digest
    changes = ["late.days=6", "chunks.ranges=[A-Z]", "currencies=[USD, EUR]", "columns={store_id: shop}"]
    digests: set[Any] = {load(change).digest for change in changes} | {load().digest}
    assert len(digests) == 5


def test_settings_are_frozen() -> None:
    settings = load()
    with pytest.raises(ValidationError, match="frozen"):
        settings.late.days = 8  # type: ignore[misc]


@pytest.mark.parametrize("name", ["sales", "spark_catalog.sales"])
def test_a_catalogs_schema_is_named_alone_or_with_its_catalog(name: str) -> None:
    assert load(f"storage.catalog={name}").storage.catalog == name


@pytest.mark.parametrize("name", ["a.b.c", "sales;DROP", "''"])
def test_what_is_no_schemas_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"storage\.catalog = .*: must be a schema of a catalog"):
        load(f"storage.catalog={name}")


@pytest.mark.parametrize(
    ("date", "is_expected"),
    [
        ("2026-03-02", True),  # a Monday, the first day
        ("2026-03-01", False),
        ("2026-03-03", False),
        ("2026-03-09", True),
        ("2026-03-16", False),
    ],
)
def test_a_store_is_expected_on_its_days_from_its_first_to_its_last(date: str, is_expected: bool) -> None:
    store = ExpectedStore(store_id="7", days=("mon",), opened=dt.date(2026, 3, 2), closed=dt.date(2026, 3, 9))
    assert store.is_expected(dt.date.fromisoformat(date)) == is_expected


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("[7]", "expected_stores.0"),
        ('["7", {store_id: "7"}]', "store '7' stands twice"),
        ('[{store_id: "7", days: [monday]}]', "'mon', 'tue'"),
        ("no/such.yaml", "file no/such.yaml: No such file"),
        ("7", "must be a list of stores"),
    ],
)
def test_expected_stores_must_be_of_their_form(value: str, problem: str) -> None:
    assert problem in refused(f"expected_stores={value}")


def test_a_currency_may_have_a_last_sale_date_and_is_pinned_with_it() -> None:
    settings = load("currencies=[USD, {code: HRK, valid_until: 2022-12-31}]")
    assert settings.currency_scales == {"USD": 2, "HRK": 2}
    assert settings.currency_ends == {"HRK": dt.date(2022, 12, 31)}
    assert {"code": "HRK", "valid_until": "2022-12-31"} in settings.pinned["currencies"]
    plain = load("currencies=[USD, HRK]")
    assert plain.pinned["currencies"] == ["HRK", "USD"]
    assert settings.rules_digest != plain.rules_digest


def test_currencies_of_the_years_before_the_euro_have_their_decimals() -> None:
    old = load("currencies=[HRK, BGN, ITL, DEM]").currency_scales
    assert old == {"HRK": 2, "BGN": 2, "ITL": 0, "DEM": 2}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("[{code: HRX, valid_until: 2022-12-31}]", "'HRX' must be an ISO 4217"),
        ("[{code: HRK, valid_until: soon}]", "valid_until"),
        ("[HRK, {code: HRK, valid_until: 2022-12-31}]", "'HRK' stands twice"),
    ],
)
def test_the_last_sale_date_of_a_currency_must_be_of_its_form(value: str, problem: str) -> None:
    assert problem in refused(f"currencies={value}")
