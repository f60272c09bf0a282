"""One Spark session for the whole run of tests, made as a job makes its own."""

from __future__ import annotations

import gc
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from pyspark.sql import SparkSession

from pipeline.lake.evaluation import evaluation_for
from pipeline.lake.session import open_session
from scripts.submission.request import read_properties

ROOT = Path(__file__).resolve().parents[1]

# A Spark job has no steady pace, and function-scoped fixtures are only read here.
settings.register_profile(
    "spark", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("spark")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The session; a job that runs in this process takes it up."""
    folder = tmp_path_factory.mktemp("spark")
    set_environment(folder)
    os.environ["PYSPARK_SUBMIT_ARGS"] = shlex.join(submit_arguments(folder))
    session = open_session("cymbal-sales tests")
    session.sparkContext.setLogLevel("WARN")
    gc.collect()
    gc.freeze()  # Modules and their code stay: no later collection looks at them.
    yield session
    session.stop()


@pytest.fixture(autouse=True)
def free_java_objects(request: pytest.FixtureRequest) -> Iterator[None]:
    """Frees the tables and plans of a test in Java.

    Python's cycles hold them, and a large process looks for cycles so rarely that Java's heap fills up.
    """
    yield
    if "spark" in request.fixturenames:
        gc.collect()


@pytest.fixture
def interpreted(spark: SparkSession) -> Iterator[None]:
    """Evaluates expressions as they stand: for a few lines, compiled code costs more than it saves."""
    with evaluation_for(spark, 0):
        yield


def set_environment(folder: Path) -> None:
    """What scripts/test.sh exports, for a run of pytest without it."""
    os.environ.setdefault("JAVA_HOME", str(ROOT / "var" / "java" / "home"))
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    # Loopback: no look-up of the host's own name, no port open to others.
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    # Spark's warnings go to a file, not between the dots of pytest.
    os.environ.setdefault("LOG4J_CONFIGURATION_FILE", str(ROOT / "configs" / "log4j2.properties"))
    os.environ.setdefault("CYMBAL_LOG_FILE", str(folder / "spark.log"))


def submit_arguments(folder: Path) -> list[str]:
    jars = sorted(str(path) for path in (ROOT / "var" / "jars").glob("*.jar"))
    if not jars:
        pytest.exit("no Delta jars in var/jars: run scripts/test.sh, which fetches them", returncode=2)
    place = read_properties(ROOT / "configs" / "places" / "local.conf")
    java_options = place["spark.driver.defaultJavaOptions"]
    conf = {
        # Few rows: more memory would only be taken from others.
        "spark.driver.memory": "1g",
        # Both compilers, the second one late, as on the local place: in a run of all tests it saves a fourth
        # of the CPU. Java keeps room for 240 MB of compiled code. That is too little, and the JVM would end.
        "spark.driver.extraJavaOptions": f"{java_options} -XX:ReservedCodeCacheSize=400m {_launch_option()}",
        # No port is opened, and no page is kept up to date for nobody.
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # Each shuffle partition is a task; two are enough to show that rows do meet.
        "spark.sql.shuffle.partitions": "2",
        # Adaptive execution as in production: plans are checked as they run there.
        "spark.sql.adaptive.enabled": "true",
        # Delta reads its own log with 50 tasks a table otherwise.
        "spark.databricks.delta.snapshotPartitions": "1",
        # The files of a small table are told by the checksum of its log: as in production.
        "spark.databricks.delta.allFilesInCrc.thresholdNumFiles": "1000",
        "spark.python.sql.dataFrameDebugging.enabled": "false",
        # Delta keeps 10,000 tables in memory otherwise: those of some hundred lakes fill the heap, and Java
        # does nothing but collect garbage.
        "spark.databricks.delta.delta.log.cacheSize": "100",
        # The tests look at the plans of a run, not of the whole suite.
        "spark.sql.ui.retainedExecutions": "200",
        # One process: no two runs meet in a log. The default asks a process for each file that it renames.
        "spark.delta.logStore.file.impl": "io.delta.storage.LocalLogStore",
        "spark.sql.streaming.checkpointFileManagerClass": (
            "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
        ),
        # Compaction and listings start 10,000 tasks otherwise.
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
        # As in production; the checksumming file system starts a process for each file.
        "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
        # Nothing is left in the checkout.
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.local.dir": str(folder / "local"),
    }
    pairs = [part for key, value in conf.items() for part in ("--conf", f"{key}={value}")]
    # Two cores, so that what depends on the order of tasks can show; two attempts, since plain local[N]
    # never retries a task.
    return ["--master", "local[2,2]", "--jars", ",".join(jars), *pairs, "pyspark-shell"]


def _launch_option() -> str:
    """Java's cheapest way to start a process: Hadoop starts one for the permissions of each file."""
    return "-Djdk.lang.Process.launchMechanism=VFORK" if sys.platform == "linux" else ""
