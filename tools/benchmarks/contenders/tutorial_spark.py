"""The same work as a PySpark tutorial would do it: one file, read top to bottom, Spark with its defaults.

``spark-submit tutorial_spark.py LANDING LAKE``. Bronze, silver, gold: a chain of withColumn for the rules and
a window for the duplicates. Each step writes its table completely, and the next step reads it again. There is
no planning, audit, reconciliation, ledger or second run: the comparison shows what these cost.
"""

from __future__ import annotations

import sys
import unicodedata

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

COLUMNS = [
    "store_id", "transaction_id", "line_number", "sold_at", "customer_id", "product_id", "product_name",
    "category", "line_type", "quantity", "gross_amount", "discount_amount", "currency", "payment_method",
    "channel",
]  # fmt: skip
REQUIRED = [
    "store_id", "transaction_id", "line_number", "sold_at", "product_id", "line_type", "quantity",
    "gross_amount", "currency",
]  # fmt: skip
TEXTS = [
    "store_id", "transaction_id", "customer_id", "product_id", "product_name", "category", "payment_method",
    "channel",
]  # fmt: skip
KEY = ["store_id", "transaction_id", "line_number", "sale_date"]
SCALES = {"USD": 2, "JPY": 0, "KWD": 3}
WHITESPACE = " \t\r\n\f\v\u00a0"
AMOUNT = r"^[+-]?[0-9]{1,15}(\.[0-9]+)?$"
QUANTITY = r"^[+-]?[0-9]{1,9}(\.[0-9]+)?$"
TIME = r"^[12]\d{3}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?)$"


def main(landing: str, lake: str) -> None:
    """Reads the landing and writes all tables of the lake."""
    spark = SparkSession.builder.appName("sales").config("spark.sql.session.timeZone", "UTC").getOrCreate()
    bronze, silver = f"{lake}/bronze/received_sales", f"{lake}/silver/sales"
    write(judge(read_csv(spark, landing)), bronze, "drop_date")
    lines = deduplicate(spark.read.format("delta").load(bronze).filter("validation_status = 'accepted'"))
    write(lines.filter("outcome = 'published'").drop("outcome", "kept_drop_date"), silver, "business_date")
    left_out = lines.filter("outcome not in ('published', 'duplicate')").drop("duplicates", "net_amount")
    write(left_out, f"{lake}/silver/conflicts", "business_date")
    sales = spark.read.format("delta").load(silver)
    write(daily_sales(sales), f"{lake}/gold/daily_sales", "business_date")
    write(invoices(sales), f"{lake}/gold/invoices", "business_date")
    spark.stop()


def read_csv(spark: SparkSession, landing: str) -> DataFrame:
    """Every line as text; a line with too few or too many fields is in _corrupt_record."""
    schema = ", ".join(f"{name} string" for name in [*COLUMNS, "_corrupt_record"])
    received = (
        spark.read.option("header", True)
        .option("mode", "PERMISSIVE")
        .option("columnNameOfCorruptRecord", "_corrupt_record")
        .option("quote", '"')
        .option("escape", '"')
        .schema(schema)
        .csv(landing, pathGlobFilter="*.csv")
    )
    return (
        received.withColumn("drop_date", F.col("drop_date").cast("date"))
        .withColumn("source_file", F.col("_metadata.file_name"))
        .withColumn("raw", F.coalesce(F.col("_corrupt_record"), F.to_json(F.struct(*COLUMNS))))
    )


def judge(received: DataFrame) -> DataFrame:
    """Trims, types and validates the lines; rejected lines keep their reasons and the received text."""
    lines = received
    for name in COLUMNS:
        text = F.btrim(F.col(name), F.lit(WHITESPACE))
        lines = lines.withColumn(name, F.when(F.col("_corrupt_record").isNull() & (text != ""), text))
    with_seconds = F.regexp_replace("sold_at", r"^(.{16})([Z+-])", "$1:00$2")
    lines = (
        lines.withColumn(
            "number", F.when(F.col("line_number").rlike("^[0-9]+$"), F.col("line_number").try_cast("int"))
        )
        .withColumn("moment", F.when(F.col("sold_at").rlike(TIME), with_seconds.try_cast("timestamp")))
        .withColumn("amount", parsed("quantity", QUANTITY, "decimal(12,3)"))
        .withColumn("gross", parsed("gross_amount", AMOUNT, "decimal(18,3)"))
        .withColumn("discount", parsed("discount_amount", AMOUNT, "decimal(18,3)"))
        .withColumn("sale_date", F.to_date(F.from_utc_timestamp("moment", "America/New_York")))
        .withColumn("scale", scale_of_currency())
    )
    reasons = [F.when(condition, F.lit(reason)) for reason, condition in sorted(rules().items())]
    return (
        lines.withColumn("reject_reasons", F.array_compact(F.array(*reasons)))
        .withColumn("accepted", F.size("reject_reasons") == 0)
        .withColumn("validation_status", F.when(F.col("accepted"), "accepted").otherwise("rejected"))
        .withColumn("raw", F.when(~F.col("accepted"), F.col("raw")))
        .withColumn("is_adjustment", F.when(F.col("accepted"), F.datediff("drop_date", "sale_date") > 7))
        .withColumn(
            "business_date",
            F.when(
                F.col("accepted"),
                F.when(F.col("is_adjustment"), F.col("drop_date")).otherwise(F.col("sale_date")),
            ),
        )
        .withColumn("line_number", F.col("number"))
        .withColumn("sold_at", F.col("moment"))
        .withColumn("quantity", F.col("amount"))
        .withColumn("gross_amount", F.col("gross"))
        .withColumn(
            "discount_amount",
            F.when(F.col("discount_amount").isNull(), F.lit(0).cast("decimal(18,3)")).otherwise(
                F.col("discount")
            ),
        )
        .drop("number", "moment", "amount", "gross", "discount", "scale", "accepted", "_corrupt_record")
    )


def parsed(name: str, form: str, data_type: str) -> Column:
    """The typed value of a text, or null if the text has the wrong form."""
    return F.when(F.col(name).rlike(form), F.col(name).try_cast(data_type))


def scale_of_currency() -> Column:
    """Decimals of the line's currency; 3 if the currency is unknown."""
    scale = F.lit(3)
    for code, decimals in SCALES.items():
        scale = F.when(F.col("currency") == code, F.lit(decimals)).otherwise(scale)
    return scale


def decimals_of(name: str) -> Column:
    """Number of digits after the decimal point of a text."""
    return F.length(F.regexp_extract(name, r"\.([0-9]+)$", 1))


def rules() -> dict[str, Column]:
    """Conditions by reject reason."""
    typed = {"line_number": "number", "sold_at": "moment", "quantity": "amount"}
    typed |= {"gross_amount": "gross", "discount_amount": "discount"}
    is_line = F.col("_corrupt_record").isNull()
    conditions = {f"missing_{name}": F.col(name).isNull() for name in REQUIRED}
    for name, value in typed.items():
        conditions[f"bad_{name}"] = F.col(name).isNotNull() & F.col(value).isNull()
    conditions["bad_line_type"] = ~F.col("line_type").isin("SALE", "RETURN")
    is_code = F.col("currency").rlike("^[A-Z]{3}$")
    conditions["bad_currency"] = ~is_code
    conditions["currency_not_allowed"] = is_code & ~F.col("currency").isin(*SCALES)
    conditions["excess_scale_quantity"] = F.col("amount").isNotNull() & (decimals_of("quantity") > 3)
    for name in ("gross_amount", "discount_amount"):
        too_fine = decimals_of(name) > F.col("scale")
        conditions[f"excess_scale_{name}"] = F.col(typed[name]).isNotNull() & too_fine
    conditions["zero_quantity"] = F.col("amount") == 0
    conditions["sign_mismatch"] = F.expr(
        """(line_type = 'SALE' and (amount < 0 or gross < 0))
        or (line_type = 'RETURN' and (amount > 0 or gross > 0))
        or (discount < 0 and gross > 0) or (discount > 0 and gross < 0)"""
    )
    conditions["discount_exceeds_gross"] = F.abs("discount") > F.abs("gross")
    conditions["future_sale"] = F.col("sale_date") > F.col("drop_date")
    conditions = {reason: is_line & condition for reason, condition in conditions.items()}
    undecodable = F.lit(False)
    for name in TEXTS:
        undecodable = undecodable | F.coalesce(F.col(name).contains("\ufffd"), F.lit(False))
    conditions["malformed_line"] = ~is_line | undecodable
    return conditions


def deduplicate(lines: DataFrame) -> DataFrame:
    """Adds the outcome of each line. The first line of a key is published and counts its equal copies."""
    payload = F.xxhash64(*[F.coalesce(F.col(name).cast("string"), F.lit("\x00")) for name in COLUMNS])
    copies = Window.partitionBy(*KEY)
    in_order = copies.orderBy("drop_date", "source_file", "payload")
    late = F.col("is_adjustment") & (F.col("drop_date") > F.col("kept_drop_date"))
    equal = F.col("payload") == F.col("kept_payload")
    return (
        lines.withColumn("payload", payload)
        .withColumn("copy", F.row_number().over(in_order))
        .withColumn("kept_payload", F.first("payload").over(in_order))
        .withColumn("kept_drop_date", F.first("drop_date").over(in_order))
        .withColumn(
            "outcome",
            F.when(F.col("copy") == 1, "published")
            .when(late & equal, "late_duplicate")
            .when(late, "late_conflict")
            .when(equal, "duplicate")
            .otherwise("conflict"),
        )
        .withColumn("duplicates", F.count_if(F.col("outcome") == "duplicate").over(copies).cast("int"))
        .withColumn("net_amount", (F.col("gross_amount") - F.col("discount_amount")).cast("decimal(18,3)"))
        .withColumn("chunk", chunk())
        .drop("payload", "copy", "kept_payload", "validation_status", "reject_reasons", "raw")
    )


def chunk() -> Column:
    """Key range of the product's first letter, without accents."""
    accented, plain = accents()
    letter = F.upper(F.translate(F.substring("product_name", 1, 1), accented, plain))
    return (
        F.when(letter.between("A", "G"), "A-G")
        .when(letter.between("H", "N"), "H-N")
        .when(letter.between("O", "U"), "O-U")
        .when(letter.between("V", "Z"), "V-Z")
        .otherwise("other")
    )


def accents() -> tuple[str, str]:
    """Characters that are a letter with an accent or in another form, and the plain letters."""
    pairs = [(c, unicodedata.normalize("NFKD", c)[0]) for c in map(chr, range(0x80, 0x20000))]
    letters = [(c, letter) for c, letter in pairs if letter.isascii() and letter.isalpha()]
    return "".join(c for c, _ in letters), "".join(letter for _, letter in letters)


def totals(sales: DataFrame, *grain: str) -> DataFrame:
    """Sums of sales by some columns."""
    returned = F.when(F.col("line_type") == "RETURN", F.col("net_amount")).otherwise(F.lit(0))
    return (
        sales.groupBy(*grain)
        .agg(
            F.count("*").alias("lines"),
            F.sum("quantity").cast("decimal(38,3)").alias("units"),
            F.sum("gross_amount").cast("decimal(38,3)").alias("gross_amount"),
            F.sum("discount_amount").cast("decimal(38,3)").alias("discount_amount"),
            F.sum("net_amount").cast("decimal(38,3)").alias("net_amount"),
            F.sum(returned).cast("decimal(38,3)").alias("returns_amount"),
        )
        .withColumn("sales_revision", F.lit(1))
    )


def daily_sales(sales: DataFrame) -> DataFrame:
    """Totals of each date, store, category and currency."""
    return totals(sales, "business_date", "store_id", "category", "currency")


def invoices(sales: DataFrame) -> DataFrame:
    """One invoice per date, customer and currency."""
    bills = totals(sales.filter("customer_id is not null"), "business_date", "customer_id", "currency")
    number = F.sha2(F.concat_ws("|", "business_date", "customer_id", "currency"), 256)
    return bills.withColumn("invoice_id", number)


def write(rows: DataFrame, path: str, partition: str) -> None:
    """Overwrites a table."""
    rows.write.format("delta").mode("overwrite").partitionBy(partition).save(path)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
