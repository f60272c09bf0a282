"""Opens the Spark session of a run, with the settings that correct results require.

The job overrides other values from the environment or the user, and reports what it overrode.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.logger import PySparkLogger
from pyspark.sql import SparkSession

from pipeline.lake.jvm import keep_names
from pipeline.lake.masters import STANDALONE, refusal_of
from schemas.errors import UsageError
from schemas.tables import HIGH_CARDINALITY_COLUMNS

REQUIRED = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # The job computes sale_date from local times written as UTC. Another session time zone would shift it.
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    # An impossible cast must fail instead of returning null. A sum must keep its decimals.
    "spark.sql.ansi.enabled": "true",
    "spark.sql.storeAssignmentPolicy": "ANSI",
    "spark.sql.decimalOperations.allowPrecisionLoss": "true",
    "spark.sql.caseSensitive": "false",
    # Reading a damaged or missing file must fail. Otherwise its lines are lost without an error.
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreInvalidPartitionPaths": "false",
    # Spark must read drop_date as a date from the folder's name.
    "spark.sql.sources.partitionColumnTypeInference.enabled": "true",
    # A write must also replace the dates that it names but has no lines for.
    "spark.sql.sources.partitionOverwriteMode": "static",
    # The reader must check every line against all fields of the header, not only the requested ones.
    "spark.sql.csv.parser.columnPruning.enabled": "false",
    "spark.sql.csv.filterPushdown.enabled": "false",
    "spark.sql.json.filterPushdown.enabled": "false",
    "spark.sql.columnNameOfCorruptRecord": "_corrupt_record",
    # A line that repeats a JSON key is an error: the right value is unknown.
    "spark.sql.variant.allowDuplicateKeys": "false",
    # bronze keeps a rejected line as JSON without its empty fields.
    "spark.sql.jsonGenerator.ignoreNullFields": "true",
    # Java's upper case gives the same chunks as ICU's. With ICU, Spark first computes the title case of every
    # character, which costs each process two CPU seconds (measured).
    "spark.sql.icu.caseMappings.enabled": "false",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # Every Parquet reader must see the same dates, so Spark must not convert them to another calendar.
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.int96AsTimestamp": "true",
    "spark.sql.parquet.binaryAsString": "false",
    "spark.sql.parquet.mergeSchema": "false",
    # Spark has no type for nanoseconds: a delivery's times of that kind are read as numbers, exactly.
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    "spark.sql.parquet.writeLegacyFormat": "false",
    # A write must not add columns. A write with lines of other dates must fail.
    "spark.databricks.delta.schema.autoMerge.enabled": "false",
    "spark.databricks.delta.replaceWhere.constraintCheck.enabled": "true",
    "spark.databricks.delta.replaceWhere.dataColumns.enabled": "true",
    # Every decision needs the latest version of a table, not one that is some minutes old.
    "spark.databricks.delta.stalenessLimit": "0",
    # Delta must write a chunk's partitions as planned, in a single commit per publication.
    "spark.databricks.delta.optimizeWrite.enabled": "false",
    "spark.databricks.delta.autoCompact.enabled": "false",
    # An ingest task writes one file for each of a few drops. Without this it would sort its lines first.
    "spark.sql.maxConcurrentOutputFileWriters": "16",
    # Hadoop's default S3 reader caches what it read. The lock needs the current content.
    "spark.hadoop.fs.s3a.input.stream.type": "classic",
}

# Settings that must be unset: legacy rules of older Spark versions, default properties of new tables,
# metadata that Delta would add to each commit, and numbers that could make Delta skip a commit.
_UNSET = re.compile(
    r"spark\.sql\.legacy\.(?!parquet\.nanosAsLong\Z).+"
    r"|spark\.databricks\.delta\.(properties\.defaults\..+|write\.txn(AppId|Version)|commitInfo\.userMetadata)"
)
_OVERRIDDEN = "spark.cymbal.overriddenSettings"
_HADOOP_PREFIX = "spark.hadoop."
# Spark's own name for the environment of what a worker starts; scripts/submit.sh uses it too.
_SECRET_VARIABLE = "_SPARK_AUTH_SECRET"
_SECRET = "spark.authenticate.secret"


def open_session(application: str, master: str | None = None) -> SparkSession:
    """Starts Spark, or configures the session that already runs.

    Args:
        application: name that the cluster shows.
        master: Spark master URL; None for the one that spark-submit set.

    Raises:
        UsageError: a session already runs, and one of its settings is wrong and cannot be changed.
        TryAgainError: no master of the standalone cluster took the run.
    """
    _set_java_defaults()
    # Every error is told in one line. PySpark would print some a second time, as JSON with a stack trace.
    PySparkLogger.getLogger("SQLQueryContextLogger").disabled = True
    _hand_over_secret()
    given = _given_settings()
    builder = SparkSession.builder.appName(application)
    if master is not None:
        builder = builder.master(master)
    for key, value in REQUIRED.items():
        builder = builder.config(key, value)
    for column in HIGH_CARDINALITY_COLUMNS:
        builder = builder.config(f"spark.hadoop.parquet.enable.dictionary#{column}", "false")
    spark = _start(builder, master or given.get("spark.master", ""))
    keep_names(spark._jvm)
    _enforce(spark)
    _note_overridden(spark, given)
    return spark


def _start(builder: SparkSession.Builder, master: str) -> SparkSession:
    try:
        return builder.getOrCreate()
    except Py4JJavaError as error:
        # What Spark says once no master of a standalone cluster has taken the run.
        if not master.startswith(STANDALONE) or "stopped SparkContext" not in str(error):
            raise
        raise refusal_of(master) from error


def wrong_settings(spark: SparkSession) -> list[str]:
    """Returns the required settings whose value is wrong, each with the value that it must have."""
    return _differences(_settings_of(spark))


def overridden_settings(spark: SparkSession) -> list[str]:
    """Returns the settings of the environment or the user that the job overrode, each with its new value."""
    noted = json.loads(_settings_of(spark).get(_OVERRIDDEN, "[]"))
    return [str(text) for text in noted]


def _set_java_defaults() -> None:
    """Sets Java's locale and time zone.

    Delta formats version numbers into file names, so digits must be ASCII. In a time zone other than UTC,
    Delta looks up the files of each commit a second time.
    """
    SparkContext._ensure_initialized()
    java: Any = SparkContext._jvm
    java.java.util.Locale.setDefault(java.java.util.Locale.ENGLISH)
    java.java.util.TimeZone.setDefault(java.java.util.TimeZone.getTimeZone("UTC"))


def _hand_over_secret() -> None:
    """Gives Spark the secret of a standalone cluster, which no command line may hold.

    Spark's workers find it in the environment. A driver asks for a setting.
    """
    secret = os.environ.get(_SECRET_VARIABLE)
    if not secret or SparkContext._active_spark_context is not None:
        return
    conf = SparkConf()
    if conf.get("spark.authenticate", "false") == "true" and not conf.contains(_SECRET):
        java: Any = SparkContext._jvm
        java.java.lang.System.setProperty(_SECRET, secret)


def _given_settings() -> dict[str, str]:
    """Returns the settings of the environment and the user, before the job changes them."""
    running = SparkSession.getActiveSession()
    return _settings_of(running) if running is not None else dict(SparkConf().getAll())


def _settings_of(spark: SparkSession) -> dict[str, str]:
    # Fetch all settings as one text: PySpark's own API calls the JVM several times for each setting.
    settings: Any = spark._jsparkSession.conf().getAll()
    return dict(pair.split(" -> ", 1) for pair in settings.mkString("\0").split("\0"))


def _enforce(spark: SparkSession) -> None:
    """Applies the required settings to a session and checks that they took effect."""
    current = _settings_of(spark)
    for name, value in REQUIRED.items():
        if current.get(name) != value:
            _set(spark, name, value)
    for name in filter(_UNSET.fullmatch, current):
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
    except PySparkException:  # cannot change in a running session: _enforce reports it
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
    # Store the list in the session: a later job in this session sees only the overridden values.
    set_by_user = {name: given[name] for name in given if name in REQUIRED or _UNSET.fullmatch(name)}
    as_required = {name: value for name, value in REQUIRED.items() if name not in set_by_user}
    noted = overridden_settings(spark)
    noted += [text for text in _differences({**as_required, **set_by_user}) if text not in noted]
    if noted:
        spark.conf.set(_OVERRIDDEN, json.dumps(noted))
