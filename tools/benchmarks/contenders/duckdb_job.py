"""The same work in DuckDB; deltalake writes the tables: ``python -m ...duckdb_job LANDING LAKE GB``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import duckdb
from deltalake import DeltaTable, write_deltalake

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
    TEXTS,
    TIME_FORM,
    TIME_ZONE,
    WHITESPACE,
    chunk_by_initial,
    landed_files,
)

# DuckDB's share of the allowed memory; deltalake's writer needs the rest.
_SHARE_OF_MEMORY = 0.5
_BATCH_LINES = 100_000


def main(landing: str, lake: str, memory_gb: float) -> None:
    """Reads the landing and writes all tables of the lake."""
    database = duckdb.connect()
    database.execute("set timezone = 'UTC'")
    database.execute(f"set memory_limit = '{memory_gb * _SHARE_OF_MEMORY:.1f}GB'")
    database.execute(f"set temp_directory = '{lake}/spilled'")
    database.execute("set preserve_insertion_order = false")
    _receive(database, landing, f"{lake}/bronze/received_sales")
    _find_repeated(database, f"{lake}/bronze/received_sales")
    _write(database, _sales(), f"{lake}/silver/sales", "business_date")
    _write(database, _conflicts(), f"{lake}/silver/conflicts", "business_date")
    _open(database, "sales", f"{lake}/silver/sales", "business_date")
    _write(database, _daily_sales(), f"{lake}/gold/daily_sales", "business_date")
    _write(database, _invoices(), f"{lake}/gold/invoices", "business_date")


def _receive(database: duckdb.DuckDBPyConnection, landing: str, bronze: str) -> None:
    """Validates every line. Lines that DuckDB cannot parse come from its own table of rejects."""
    columns = ", ".join(f"'{name}': 'varchar'" for name in COLUMNS)
    scan = f"""read_csv({landed_files(landing)!r}, header = true, auto_detect = false,
        columns = {{{columns}}}, delim = ',', quote = '"', escape = '"', filename = true,
        store_rejects = true, rejects_limit = 0)"""
    _write(database, _validated(scan), bronze, "drop_date")
    _write(database, _malformed(), bronze, "drop_date", mode="append")


def _validated(scan: str) -> str:
    trimmed = ", ".join(f"nullif(trim({name}, {_text(WHITESPACE)}), '') as {name}" for name in COLUMNS)
    as_received = ", ".join(f"{name} := {name}" for name in COLUMNS)
    reasons = ", ".join(f"case when {condition} then '{reason}' end" for reason, condition in _rules())
    return f"""
    with read as (
        select {trimmed}, to_json(struct_pack({as_received})) as raw, {_origin("filename")} from {scan}
    ), typed as (
        select *, {_typed()},
            (timezone('{TIME_ZONE}', moment))::date as sale_date
        from read
    ), tested as (
        select *, list_filter([{reasons}], lambda reason: reason is not null) as reject_reasons from typed
    ), dated as (
        select *, len(reject_reasons) = 0 as accepted, drop_date - sale_date > {LATE_DAYS} as late from tested
    )
    select drop_date, source_file, if(accepted, 'accepted', 'rejected') as validation_status,
        reject_reasons, if(accepted, null, raw::varchar) as raw, sale_date,
        case when accepted then if(late, drop_date, sale_date) end as business_date,
        if(accepted, late, null) as is_adjustment,
        store_id, transaction_id, number as line_number, moment as sold_at, customer_id, product_id,
        product_name, category, line_type, amount as quantity, gross as gross_amount,
        if(discount_amount is null, 0, discount) as discount_amount, currency, payment_method, channel
    from dated"""


def _typed() -> str:
    scales = " ".join(f"when '{code}' then {scale}" for code, scale in CURRENCY_SCALES.items())
    with_seconds = r"regexp_replace(sold_at, '^(.{16})([Z+-])', '\1:00\2')"
    return f"""
        if(regexp_matches(line_number, '{INTEGER_FORM}'), try_cast(line_number as integer), null) as number,
        if(regexp_matches(sold_at, '{TIME_FORM}'), try_cast({with_seconds} as timestamptz), null) as moment,
        if(regexp_matches(quantity, '{QUANTITY_FORM}'), try_cast(quantity as decimal(12, 3)), null) as amount,
        if(regexp_matches(gross_amount, '{AMOUNT_FORM}'), try_cast(gross_amount as decimal(18, 3)), null)
            as gross,
        if(regexp_matches(discount_amount, '{AMOUNT_FORM}'),
            try_cast(discount_amount as decimal(18, 3)), null) as discount,
        case currency {scales} else {LARGEST_SCALE} end as scale"""


def _rules() -> list[tuple[str, str]]:
    """Reject reasons with their conditions, sorted by reason."""
    typed = {"line_number": "number", "sold_at": "moment", "quantity": "amount"}
    typed |= {"gross_amount": "gross", "discount_amount": "discount"}
    rules = {f"missing_{name}": f"{name} is null" for name in REQUIRED}
    rules |= {f"bad_{name}": f"{name} is not null and {value} is null" for name, value in typed.items()}
    rules |= {
        f"excess_scale_{name}": f"{typed[name]} is not null and {_decimals(name)} > scale" for name in AMOUNTS
    }
    codes = ", ".join(f"'{code}'" for code in CURRENCY_SCALES)
    is_code = f"regexp_matches(currency, '{CURRENCY_FORM}')"
    undecodable = " or ".join(f"contains({name}, chr(65533))" for name in TEXTS)
    rules |= {
        "malformed_line": undecodable,
        "bad_line_type": "line_type not in ('SALE', 'RETURN')",
        "bad_currency": f"not {is_code}",
        "currency_not_allowed": f"{is_code} and currency not in ({codes})",
        "excess_scale_quantity": f"amount is not null and {_decimals('quantity')} > {LARGEST_SCALE}",
        "zero_quantity": "amount = 0",
        "sign_mismatch": """line_type = 'SALE' and (amount < 0 or gross < 0)
            or line_type = 'RETURN' and (amount > 0 or gross > 0)
            or discount < 0 and gross > 0 or discount > 0 and gross < 0""",
        "discount_exceeds_gross": "abs(discount) > abs(gross)",
        "future_sale": "sale_date > drop_date",
    }
    return sorted(rules.items())


def _decimals(name: str) -> str:
    return f"if(contains({name}, '.'), length({name}) - position('.' in {name}), 0)"


def _malformed() -> str:
    null_types = {"line_number": "integer", "sold_at": "timestamptz", "quantity": "decimal(12, 3)"}
    null_types |= dict.fromkeys(AMOUNTS, "decimal(18, 3)")
    fields = ", ".join(f"null::{null_types.get(name, 'varchar')} as {name}" for name in COLUMNS)
    return f"""
    select {_origin("file_path")}, 'rejected' as validation_status, ['malformed_line'] as reject_reasons,
        to_json(struct_pack(line := any_value(csv_line)))::varchar as raw, null::date as sale_date,
        null::date as business_date, null::boolean as is_adjustment, {fields}
    from reject_errors join reject_scans using (scan_id, file_id)
    group by file_path, line"""


def _origin(path: str) -> str:
    return rf"""regexp_extract({path}, 'drop_date=([0-9-]+)', 1)::date as drop_date,
        regexp_extract({path}, '[^/]+$') as source_file"""


def _find_repeated(database: duckdb.DuckDBPyConnection, bronze: str) -> None:
    """Creates a table of the few lines whose key occurs more than once, each with its outcome."""
    _open(database, "received", bronze, "drop_date")
    chunks = chunk_by_initial()
    database.execute(
        "create temp table initials as select unnest($initials) as initial, unnest($chunks) as chunk",
        {"initials": list(chunks), "chunks": list(chunks.values())},
    )
    database.execute(f"""create view lines as
        select received.*, coalesce(initials.chunk, 'other') as chunk,
            hash({", ".join(KEY)}) as key_hash, hash({", ".join(COLUMNS)}) as payload_hash
        from received
        left join initials on initials.initial = left(trim(product_name, {_text(WHITESPACE)}), 1)
        where validation_status = 'accepted'""")
    database.execute("""create temp table repeated_keys as
        select key_hash from lines group by key_hash having count(*) > 1""")
    database.execute(f"""create temp table repeated as
        with ranked as (
            select *, row_number() over copies as copy, first(payload_hash) over copies as kept_payload,
                first(drop_date) over copies as kept_drop_date
            from lines semi join repeated_keys using (key_hash)
            window copies as (partition by {", ".join(KEY)} order by drop_date, source_file, payload_hash)
        ), compared as (
            select *, payload_hash = kept_payload as equal,
                is_adjustment and drop_date > kept_drop_date as late
            from ranked
        )
        select *, case when copy = 1 then 'published' when late and equal then 'late_duplicate'
            when late then 'late_conflict' when equal then 'duplicate' else 'conflict' end as outcome
        from compared""")


def _sales() -> str:
    columns = ", ".join(SALES.columns)
    price = "(gross_amount - discount_amount)::decimal(18, 3) as net_amount"
    return f"""
    with priced as (
        select *, {price}, 0 as duplicates from lines anti join repeated_keys using (key_hash)
    ), counted as (
        select *, {price}, (count(*) filter (outcome = 'duplicate') over (partition by {", ".join(KEY)}))::int
            as duplicates
        from repeated
    )
    select {columns} from priced
    union all select {columns} from counted where copy = 1"""


def _conflicts() -> str:
    return f"""select {", ".join(CONFLICTS.columns)} from repeated
        where outcome in ('conflict', 'late_duplicate', 'late_conflict')"""


def _sums() -> str:
    return f"""count(*) as lines, sum(quantity)::decimal(38, 3) as units,
        sum(gross_amount)::decimal(38, 3) as gross_amount,
        sum(discount_amount)::decimal(38, 3) as discount_amount,
        sum(net_amount)::decimal(38, 3) as net_amount,
        coalesce(sum(net_amount) filter (line_type = 'RETURN'), 0)::decimal(38, 3) as returns_amount,
        {FIRST_REVISION}::int as sales_revision"""


def _daily_sales() -> str:
    grain = "business_date, store_id, category, currency"
    return f"with totals as (select {grain}, {_sums()} from sales group by {grain}) " + _in_order(
        DAILY_SALES.columns
    )


def _invoices() -> str:
    grain = "business_date, customer_id, currency"
    return f"""with totals as (
        select {grain}, sha256(concat_ws('|', business_date, customer_id, currency)) as invoice_id, {_sums()}
        from sales where customer_id is not null group by {grain}
    ) """ + _in_order(INVOICES.columns)


def _in_order(columns: Sequence[str]) -> str:
    return f"select {', '.join(columns)} from totals"


def _text(characters: str) -> str:
    """A text as SQL literal."""
    return "'" + characters.replace("'", "''") + "'"


def _write(
    database: duckdb.DuckDBPyConnection, query: str, path: str, partition: str, mode: str = "overwrite"
) -> None:
    reader = database.sql(query).to_arrow_reader(_BATCH_LINES)
    write_deltalake(
        path, reader, partition_by=[partition], mode="append" if mode == "append" else "overwrite"
    )


def _open(database: duckdb.DuckDBPyConnection, name: str, path: str, partition: str) -> None:
    files = DeltaTable(path).file_uris()
    database.execute(f"""create view {name} as
        select * from read_parquet({files!r},
            hive_partitioning = true, hive_types = {{'{partition}': date}})""")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
