"""The same work in Polars; deltalake writes the tables: ``python -m ...polars_job LANDING LAKE``."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import polars as pl

from schemas.gold import DAILY_SALES, INVOICES
from schemas.tables import CONFLICTS, SALES
from tools.benchmarks.contenders.shared import (
    AMOUNT_FORM,
    AMOUNTS,
    COLUMNS,
    CURRENCY_FORM,
    CURRENCY_SCALES,
    FIRST_REVISION,
    INTEGER_FORM,
    KEY,
    LARGEST_SCALE,
    LATE_DAYS,
    QUANTITY_FORM,
    REQUIRED,
    SUMS,
    TEXTS,
    TIME_FORM,
    TIME_ZONE,
    UNDECODABLE,
    WHITESPACE,
    chunk_by_initial,
    landed_files,
)

_AMOUNT = pl.Decimal(18, 3)
_QUANTITY = pl.Decimal(12, 3)
_SUM = pl.Decimal(38, 3)
# One field, quoted or plain, of a line that was prefixed with a comma.
_FIELD = r',(?:"(?:[^"]|"")*"|[^,]*)'
# No line holds this character, so the CSV reader takes each line as one field.
_NO_SEPARATOR = "\x01"


def main(landing: str, lake: str) -> None:
    """Reads the landing and writes all tables of the lake."""
    pl.Config.set_engine_affinity("streaming")
    _write(_validated(_received(landing)), f"{lake}/bronze/received_sales", "drop_date")
    lines = _lines(f"{lake}/bronze/received_sales")
    repeated_keys = lines.group_by("key_hash").len().filter(pl.col("len") > 1).select("key_hash").collect()
    repeated = _with_outcomes(lines.join(repeated_keys.lazy(), on="key_hash", how="semi")).collect()
    _write(_sales(lines, repeated_keys, repeated), f"{lake}/silver/sales", "business_date")
    _write(_conflicts(repeated), f"{lake}/silver/conflicts", "business_date")
    sales = pl.scan_delta(f"{lake}/silver/sales")
    _write(_daily_sales(sales), f"{lake}/gold/daily_sales", "business_date")
    _write(_invoices(sales), f"{lake}/gold/invoices", "business_date")


def _received(landing: str) -> pl.LazyFrame:
    """Every line with its fields as text; the fields are null if there are too few or too many.

    Polars' CSV reader silently fills up lines with too few fields. So lines are read whole and split here.
    """
    whole = pl.scan_csv(
        landed_files(landing),
        has_header=False,
        skip_rows=1,
        schema={"line": pl.String},
        separator=_NO_SEPARATOR,
        quote_char=None,
        encoding="utf8-lossy",
        include_file_paths="path",
    )
    line = pl.col("line")
    quoted = line.str.contains('"', literal=True)
    split = whole.with_columns(
        plain=pl.when(~quoted).then(line).str.split(","),
        quoted=pl.when(quoted).then("," + line).str.extract_all(_FIELD).list.eval(_unquoted()),
        drop_date=pl.col("path").str.extract(r"drop_date=([0-9-]+)").str.to_date("%Y-%m-%d"),
        source_file=pl.col("path").str.extract(r"([^/]+)$"),
    ).with_columns(fields=pl.coalesce("plain", "quoted"))
    is_whole = pl.col("fields").list.len() == len(COLUMNS)
    return split.select(
        "line",
        "drop_date",
        "source_file",
        is_whole=is_whole,
        fields=pl.when(is_whole).then("fields"),
    )


def _unquoted() -> pl.Expr:
    field = pl.element().str.slice(1)
    inner = field.str.strip_prefix('"').str.strip_suffix('"').str.replace_all('""', '"', literal=True)
    return pl.when(field.str.starts_with('"')).then(inner).otherwise(field)


def _validated(received: pl.LazyFrame) -> pl.LazyFrame:
    fields = {
        name: pl.col("fields").list.get(number, null_on_oob=True).str.strip_chars(WHITESPACE)
        for number, name in enumerate(COLUMNS)
    }
    trimmed = received.select("line", "drop_date", "source_file", "is_whole", **fields)
    texts = trimmed.with_columns(pl.when(pl.col(name) != "").then(name).alias(name) for name in COLUMNS)
    typed = texts.with_columns(**_typed())
    reasons = [
        pl.when(condition).then(pl.lit(reason)).otherwise(None).alias(reason)
        for reason, condition in _rules().items()
    ]
    validated = typed.with_columns(reject_reasons=pl.concat_list(reasons).list.drop_nulls())
    accepted = pl.col("reject_reasons").list.len() == 0
    late = (pl.col("drop_date") - pl.col("sale_date")).dt.total_days() > LATE_DAYS
    dated = validated.with_columns(accepted=accepted, late=late)
    return dated.select(
        "drop_date",
        "source_file",
        pl.when("accepted").then(pl.lit("accepted")).otherwise(pl.lit("rejected")).alias("validation_status"),
        "reject_reasons",
        pl.when(~pl.col("accepted")).then(_raw()).alias("raw"),
        "sale_date",
        pl.when("accepted")
        .then(pl.when("late").then("drop_date").otherwise("sale_date"))
        .alias("business_date"),
        pl.when("accepted").then("late").alias("is_adjustment"),
        *[_final(name) for name in COLUMNS],
    )


def _typed() -> dict[str, pl.Expr]:
    def matching(name: str, form: str) -> pl.Expr:
        return pl.when(pl.col(name).str.contains(form)).then(name)

    moment = (
        matching("sold_at", TIME_FORM)
        .str.replace(r"^(.{10}) ", "${1}T")
        .str.replace(r"^(.{16})([Z+-])", "${1}:00${2}")
        .str.replace("Z", "+00:00", literal=True)
        .str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", strict=False, time_unit="us", time_zone="UTC")
    )
    typed = {
        "number": matching("line_number", INTEGER_FORM).cast(pl.Int32, strict=False),
        "moment": moment,
        "amount": matching("quantity", QUANTITY_FORM).cast(_QUANTITY, strict=False),
        "gross": matching("gross_amount", AMOUNT_FORM).cast(_AMOUNT, strict=False),
        "discount": matching("discount_amount", AMOUNT_FORM).cast(_AMOUNT, strict=False),
    }
    scale = pl.lit(LARGEST_SCALE)
    for code, decimals in CURRENCY_SCALES.items():
        scale = pl.when(pl.col("currency") == code).then(pl.lit(decimals)).otherwise(scale)
    return typed | {"sale_date": moment.dt.convert_time_zone(TIME_ZONE).dt.date(), "scale": scale}


def _rules() -> dict[str, pl.Expr]:
    """Conditions by reject reason, sorted by reason."""
    typed = {"line_number": "number", "sold_at": "moment", "quantity": "amount"}
    typed |= {"gross_amount": "gross", "discount_amount": "discount"}
    read = pl.col("is_whole")
    rules = {f"missing_{name}": pl.col(name).is_null() for name in REQUIRED}
    rules |= {
        f"bad_{name}": pl.col(name).is_not_null() & pl.col(value).is_null() for name, value in typed.items()
    }
    rules |= {
        f"excess_scale_{name}": pl.col(typed[name]).is_not_null() & (_decimals(name) > pl.col("scale"))
        for name in AMOUNTS
    }
    is_code = pl.col("currency").str.contains(CURRENCY_FORM)
    rules |= {
        "bad_line_type": ~pl.col("line_type").is_in(["SALE", "RETURN"]),
        "bad_currency": ~is_code,
        "currency_not_allowed": is_code & ~pl.col("currency").is_in(list(CURRENCY_SCALES)),
        "excess_scale_quantity": pl.col("amount").is_not_null() & (_decimals("quantity") > LARGEST_SCALE),
        "zero_quantity": pl.col("amount") == 0,
        "sign_mismatch": _signs_disagree(),
        "discount_exceeds_gross": pl.col("discount").abs() > pl.col("gross").abs(),
        "future_sale": pl.col("sale_date") > pl.col("drop_date"),
    }
    rules = {reason: read & condition for reason, condition in rules.items()}
    undecodable = [pl.col(name).str.contains(UNDECODABLE, literal=True) for name in TEXTS]
    rules["malformed_line"] = ~read | pl.any_horizontal(undecodable)
    return dict(sorted(rules.items()))


def _signs_disagree() -> pl.Expr:
    amount, gross, discount = pl.col("amount"), pl.col("gross"), pl.col("discount")
    sale, is_return = pl.col("line_type") == "SALE", pl.col("line_type") == "RETURN"
    return pl.any_horizontal(
        sale & (amount < 0),
        sale & (gross < 0),
        is_return & (amount > 0),
        is_return & (gross > 0),
        (discount < 0) & (gross > 0),
        (discount > 0) & (gross < 0),
    )


def _decimals(name: str) -> pl.Expr:
    return pl.col(name).str.extract(r"\.([0-9]*)$").str.len_chars().fill_null(0)


def _raw() -> pl.Expr:
    fields = pl.struct(*COLUMNS).struct.json_encode()
    return pl.when("is_whole").then(fields).otherwise(pl.struct("line").struct.json_encode())


def _final(name: str) -> pl.Expr:
    typed = {"line_number": "number", "sold_at": "moment", "quantity": "amount", "gross_amount": "gross"}
    if name == "discount_amount":
        is_empty = pl.col("discount_amount").is_null() & pl.col("is_whole")
        return pl.when(is_empty).then(pl.lit(0).cast(_AMOUNT)).otherwise("discount").alias(name)
    return pl.col(typed.get(name, name)).alias(name)


def _lines(bronze: str) -> pl.LazyFrame:
    initial = pl.col("product_name").str.head(1)
    return (
        pl.scan_delta(bronze)
        .filter(pl.col("validation_status") == "accepted")
        .with_columns(
            chunk=initial.replace_strict(chunk_by_initial(), default="other", return_dtype=pl.String),
            key_hash=pl.struct(*KEY).hash(),
            payload_hash=pl.struct(*COLUMNS).hash(),
        )
    )


def _with_outcomes(repeated: pl.LazyFrame) -> pl.LazyFrame:
    """Adds the outcome of each line; the input holds the few lines whose key occurs more than once."""
    ordered = repeated.sort("drop_date", "source_file", "payload_hash")
    ranked = ordered.with_columns(
        copy=pl.int_range(pl.len()).over(KEY),
        kept_payload=pl.col("payload_hash").first().over(KEY),
        kept_drop_date=pl.col("drop_date").first().over(KEY),
    )
    equal = pl.col("payload_hash") == pl.col("kept_payload")
    late = pl.col("is_adjustment") & (pl.col("drop_date") > pl.col("kept_drop_date"))
    outcome = (
        pl.when(pl.col("copy") == 0)
        .then(pl.lit("published"))
        .when(late & equal)
        .then(pl.lit("late_duplicate"))
        .when(late)
        .then(pl.lit("late_conflict"))
        .when(equal)
        .then(pl.lit("duplicate"))
        .otherwise(pl.lit("conflict"))
    )
    return ranked.with_columns(outcome=outcome).with_columns(
        duplicates=(pl.col("outcome") == "duplicate").sum().over(KEY).cast(pl.Int32)
    )


def _sales(lines: pl.LazyFrame, repeated_keys: pl.DataFrame, repeated: pl.DataFrame) -> pl.LazyFrame:
    single = lines.join(repeated_keys.lazy(), on="key_hash", how="anti").with_columns(
        duplicates=pl.lit(0, pl.Int32)
    )
    net = (pl.col("gross_amount") - pl.col("discount_amount")).cast(_AMOUNT).alias("net_amount")
    kept = repeated.lazy().filter(pl.col("copy") == 0)
    return pl.concat([rows.with_columns(net).select(SALES.columns) for rows in (single, kept)])


def _conflicts(repeated: pl.DataFrame) -> pl.LazyFrame:
    left_out = pl.col("outcome").is_in(["conflict", "late_duplicate", "late_conflict"])
    return repeated.lazy().filter(left_out).select(CONFLICTS.columns)


def _totals(sales: pl.LazyFrame, *grain: str) -> pl.LazyFrame:
    returned = pl.when(pl.col("line_type") == "RETURN").then("net_amount").otherwise(pl.lit(0).cast(_AMOUNT))
    summed = {"units": pl.col("quantity"), "returns_amount": returned}
    return (
        sales.group_by(*grain)
        .agg(
            pl.len().cast(pl.Int64).alias("lines"),
            *[summed.get(name, pl.col(name)).cast(_SUM).sum().alias(name) for name in SUMS],
        )
        .with_columns(sales_revision=pl.lit(FIRST_REVISION, pl.Int32))
    )


def _daily_sales(sales: pl.LazyFrame) -> pl.LazyFrame:
    return _totals(sales, "business_date", "store_id", "category", "currency").select(DAILY_SALES.columns)


def _invoices(sales: pl.LazyFrame) -> pl.LazyFrame:
    known = sales.filter(pl.col("customer_id").is_not_null())
    totals = _totals(known, "business_date", "customer_id", "currency")
    parts = (pl.col("business_date").dt.to_string("%Y-%m-%d"), "customer_id", "currency")
    # Polars has no sha256, so Python hashes the invoices one by one.
    identified = totals.with_columns(
        invoice_id=pl.concat_str(*parts, separator="|").map_elements(_sha256, return_dtype=pl.String)
    )
    return identified.select(INVOICES.columns)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _write(rows: pl.LazyFrame, path: str, partition: str) -> None:
    Path(path).mkdir(parents=True)
    rows.sink_delta(path, delta_write_options={"partition_by": [partition]})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
