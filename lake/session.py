"""The Spark session of a run, with the settings that the correctness of the results rests on."""

from __future__ import annotations

from pyspark.sql import SparkSession

from schemas.tables import HIGH_CARDINALITY_COLUMNS

REQUIRED = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # sale_date is computed from local clocks written as UTC: any other zone here would shift it.
    "spark.sql.session.timeZone": "UTC",
    # A cast that cannot be made must fail, not turn into null.
    "spark.sql.ansi.enabled": "true",
    # The reader takes the fields that the header names, so every line must be checked against all of them.
    "spark.sql.csv.parser.columnPruning.enabled": "false",
    # Upper case by Java's tables, the same for a chunk's letters: with ICU's, Spark first computes the title
    # case of every character, two CPU seconds of each process (measured).
    "spark.sql.icu.caseMappings.enabled": "false",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # Each task of an ingest writes a few drops, each its own file: without this it sorts its lines first.
    "spark.sql.maxConcurrentOutputFileWriters": "16",
    # What Hadoop reads S3 with unless told otherwise keeps what it read, and a lock must be read as it is.
    "spark.hadoop.fs.s3a.input.stream.type": "classic",
}


def open_session(application: str, master: str | None = None) -> SparkSession:
    """Starts Spark, or takes up the session that spark-submit prepared.

    Args:
        application: name shown by the cluster.
        master: where it runs; None for where spark-submit was told.
    """
    builder = SparkSession.builder.appName(application)
    if master is not None:
        builder = builder.master(master)
    for key, value in REQUIRED.items():
        builder = builder.config(key, value)
    for column in HIGH_CARDINALITY_COLUMNS:
        builder = builder.config(f"spark.hadoop.parquet.enable.dictionary#{column}", "false")
    return builder.getOrCreate()
