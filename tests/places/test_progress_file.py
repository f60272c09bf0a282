"""The progress file on stores that are no disk: replaced whole, and read without a Spark session."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.places.hadoop import Hadoop
from tests.places.s3 import S3Server
from tests.places.submission import ROOT

# In a process of its own: the settings of a store are those of its spark-submit.
PROGRAM = """
import sys, threading
from jobs.watch_run import JOB
from pipeline.lake.files import FileStore
from pipeline.lake.lock import LakeLock
from pipeline.lake.progress_file import path_of, read_progress, write_progress
from pipeline.planning.progress import ended
from pyspark.sql import SparkSession
from tests.support.progress import PROGRESS

lake = sys.argv[1]
files, reader = FileStore(None, lake), FileStore(None, lake)
lock = LakeLock(files, PROGRESS.run_id)
lock.begin()
long = PROGRESS.model_copy(update={"events": PROGRESS.events * 25})
write_progress(files, lock.number, long.to_json())
seen, done = [], threading.Event()

def read():
    while not done.is_set():
        seen.append(read_progress(reader, lock.number))

thread = threading.Thread(target=read)
thread.start()
for _ in range(20):
    write_progress(files, lock.number, long.to_json())
done.set()
thread.join()
assert seen and None not in seen
assert JOB.run(["--lake", lake, "--once"]) == 0
threading.Timer(2, write_progress, [files, lock.number, ended(PROGRESS, PROGRESS.at, 4).to_json()]).start()
assert JOB.run(["--lake", lake]) == 4
lock.end()
assert JOB.run(["--lake", lake]) == 5
assert sorted(file.name for file in files.entries("ledger/_running")) == [
    "lock.000000000001", path_of(1).rpartition("/")[2]
]
assert SparkSession.getActiveSession() is None
print("all is well")
"""


def _is_well(lake: str, submit: str, **variables: str) -> None:
    own = {"PYTHONPATH": str(ROOT), "PYSPARK_SUBMIT_ARGS": f"{submit} pyspark-shell"}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, lake],
        env={**os.environ, **variables, **own},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "all is well" in ran.stdout, ran.stderr[-3000:]


def test_on_hdfs(hadoop: Hadoop) -> None:
    _is_well("hdfs:///watched/lake", "", **hadoop.variables)


def test_on_s3(s3: S3Server) -> None:
    jars = [str(path) for folder in ("", "s3") for path in (ROOT / "var" / "jars" / folder).glob("*.jar")]
    settings = [f"--conf {name}={value}" for name, value in s3.settings.items()]
    submit = ["--jars", ",".join(jars), "--driver-class-path", ":".join(jars), *settings]
    _is_well("s3a://shop/watched/lake", " ".join(submit), **s3.keys)
