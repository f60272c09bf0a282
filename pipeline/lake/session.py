"""The Spark session of a run, with the settings that the correctness of the results rests on.

They are the job's own: what a place or a user sets otherwise is overridden, and told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from schemas.errors import UsageError
from schemas.tables import HIGH_CARDINALITY_COLUMNS

REQUIRED = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # sale_date is computed from local clocks written as UTC: any other zone here would shift it.
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    # A cast that cannot be made must fail, not turn into null; a sum keeps its decimals.
    "spark.sql.ansi.enabled": "true",
    "spark.sql.storeAssignmentPolicy": "ANSI",
    "spark.sql.decimalOperations.allowPrecisionLoss": "true",
    "spark.sql.caseSensitive": "false",
    # A file that is damaged or gone must fail its read: else its lines are lost in silence.
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreInvalidPartitionPaths": "false",
    # drop_date is read from the folder's name.
    "spark.sql.sources.partitionColumnTypeInference.enabled": "true",
    # A write replaces the dates that it names, those that lost all their lines among them.
    "spark.sql.sources.partitionOverwriteMode": "static",
    # The reader takes the fields that the header names, so every line must be checked against all of them.
    "spark.sql.csv.parser.columnPruning.enabled": "false",
    "spark.sql.csv.filterPushdown.enabled": "false",
    "spark.sql.json.filterPushdown.enabled": "false",
    "spark.sql.columnNameOfCorruptRecord": "_corrupt_record",
    # A key that stands twice in a line is an error: neither of its values is the delivered one.
    "spark.sql.variant.allowDuplicateKeys": "false",
    # What bronze keeps of a rejected line leaves out the fields that were empty.
    "spark.sql.jsonGenerator.ignoreNullFields": "true",
    # Upper case by Java's tables, the same for a chunk's letters: with ICU's, Spark first computes the title
    # case of every character, two CPU seconds of each process (measured).
    "spark.sql.icu.caseMappings.enabled": "false",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # A date is the same to every reader of Parquet: none is moved to another calendar.
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.int96AsTimestamp": "true",
    "spark.sql.parquet.binaryAsString": "false",
    "spark.sql.parquet.mergeSchema": "false",
    "spark.sql.parquet.writeLegacyFormat": "false",
    # A table's columns are its contract; a write that holds lines of other dates fails.
    "spark.databricks.delta.schema.autoMerge.enabled": "false",
    "spark.databricks.delta.replaceWhere.constraintCheck.enabled": "true",
    "spark.databricks.delta.replaceWhere.dataColumns.enabled": "true",
    # Decisions rest on the latest version, never on one that is some minutes old.
    "spark.databricks.delta.stalenessLimit": "0",
    # A chunk's partitions are written as planned, in the one commit of its publication.
    "spark.databricks.delta.optimizeWrite.enabled": "false",
    "spark.databricks.delta.autoCompact.enabled": "false",
    # Each task of an ingest writes a few drops, each its own file: without this it sorts its lines first.
    "spark.sql.maxConcurrentOutputFileWriters": "16",
    # What Hadoop reads S3 with unless told otherwise keeps what it read, and a lock must be read as it is.
    "spark.hadoop.fs.s3a.input.stream.type": "classic",
}

# Set by nobody: rules of older Sparks, properties of new tables that are not the contract's, and what Delta
# would write into each commit, or pass a commit over for.
_UNSET = re.compile(
    r"spark\.sql\.legacy\..+"
    r"|spark\.databricks\.delta\.(properties\.defaults\..+|write\.txn(AppId|Version)|commitInfo\.userMetadata)"
)
_OVERRIDDEN = "spark.cymbal.overriddenSettings"
_HADOOP_PREFIX = "spark.hadoop."


def open_session(application: str, master: str | None = None) -> SparkSession:
    """Starts Spark, or takes up the session that spark-submit prepared.

    Args:
        application: name shown by the cluster.
        master: where it runs; None for where spark-submit was told.

    Raises:
        UsageError: a session that runs already has a setting that cannot be changed any more.
    """
    _set_java_defaults()
    given = _given_settings()
    builder = SparkSession.builder.appName(application)
    if master is not None:
        builder = builder.master(master)
    for key, value in REQUIRED.items():
        builder = builder.config(key, value)
    for column in HIGH_CARDINALITY_COLUMNS:
        builder = builder.config(f"spark.hadoop.parquet.enable.dictionary#{column}", "false")
    spark = builder.getOrCreate()
    _enforce(spark)
    _note_overridden(spark, given)
    return spark


def wrong_settings(spark: SparkSession) -> list[str]:
    """Settings that results rest on and that are not as they must be, each with what it must be."""
    return _differences(_settings_of(spark))


def overridden_settings(spark: SparkSession) -> list[str]:
    """Settings of the place or the user that the job set otherwise, each with what it is now."""
    noted = json.loads(_settings_of(spark).get(_OVERRIDDEN, "[]"))
    return [str(text) for text in noted]


def _set_java_defaults() -> None:
    """Makes Java write its digits in ASCII: Delta formats a version as the name of its file.

    In any time zone but UTC, Delta looks the files of each commit up a second time.
    """
    SparkContext._ensure_initialized()
    java: Any = SparkContext._jvm
    java.java.util.Locale.setDefault(java.java.util.Locale.ENGLISH)
    java.java.util.TimeZone.setDefault(java.java.util.TimeZone.getTimeZone("UTC"))


def _given_settings() -> dict[str, str]:
    """What the place and the user set, before the job does."""
    running = SparkSession.getActiveSession()
    return _settings_of(running) if running is not None else dict(SparkConf().getAll())


def _settings_of(spark: SparkSession) -> dict[str, str]:
    # One text: Python's own way asks the JVM several times for each setting.
    settings: Any = spark._jsparkSession.conf().getAll()
    return dict(pair.split(" -> ", 1) for pair in settings.mkString("\0").split("\0"))


def _enforce(spark: SparkSession) -> None:
    """Sets what is required in a session, whoever started it, and proves that it took it."""
    found = _settings_of(spark)
    for name, value in REQUIRED.items():
        if found.get(name) != value:
            _set(spark, name, value)
    for name in filter(_UNSET.fullmatch, found):
        _set(spark, name, None)
    wrong = wrong_settings(spark)
    if wrong:
        raise UsageError(f"the Spark session cannot be used: {wrong[0]}; start it without this setting")


def _set(spark: SparkSession, name: str, value: str | None) -> None:
    try:
        if value is None:
            spark.conf.unset(name)
        else:
            spark.conf.set(name, value)
    except PySparkException:  # fixed since the session was started: _enforce tells it
        return
    if name.startswith(_HADOOP_PREFIX):
        java: Any = spark.sparkContext._jsc
        java.hadoopConfiguration().set(name.removeprefix(_HADOOP_PREFIX), value)


def _differences(settings: Mapping[str, str]) -> list[str]:
    wrong = [
        f"{name} is {settings.get(name, 'not set')}, must be {value}"
        for name, value in REQUIRED.items()
        if settings.get(name, "").lower() != value.lower()
    ]
    unwanted = sorted(filter(_UNSET.fullmatch, settings))
    return wrong + [f"{name} is {settings[name]}, must not be set" for name in unwanted]


def _note_overridden(spark: SparkSession, given: Mapping[str, str]) -> None:
    # Kept in the session: who takes it up later finds only what the job made of it.
    set_by_user = {name: given[name] for name in given if name in REQUIRED or _UNSET.fullmatch(name)}
    as_required = {name: value for name, value in REQUIRED.items() if name not in set_by_user}
    noted = overridden_settings(spark)
    noted += [text for text in _differences({**as_required, **set_by_user}) if text not in noted]
    if noted:
        spark.conf.set(_OVERRIDDEN, json.dumps(noted))
