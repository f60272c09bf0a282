"""HDFS and YARN on this machine: one process with a name node, a data node and two node managers."""

from __future__ import annotations

import os
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

from tests.places.submission import ROOT

_SOURCE = Path(__file__).resolve().parent / "java" / "HadoopCluster.java"
_JAVA_HOME = ROOT / "var" / "java" / "home"
# Compiles and runs a program: it comes with Spark, a Java compiler may not be here.
_LAUNCHER = "org.codehaus.janino.SimpleCompiler"


@dataclass
class Hadoop:
    """A running cluster."""

    folder: Path
    _process: subprocess.Popen[str] | None = field(default=None, init=False)

    @property
    def variables(self) -> dict[str, str]:
        """Variables with which clients find it; all of it is on the loopback."""
        return {"HADOOP_CONF_DIR": str(self.folder / "conf"), "SPARK_LOCAL_IP": "127.0.0.1"}

    def start(self) -> None:
        """Starts it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        spark_jars = f"{_spark_home()}/jars/*"
        own_jars = f"{ROOT}/var/jars/minicluster/*"
        # One compiler and one collecting thread: the cores are for Spark.
        java = [str(_JAVA_HOME / "bin" / "java"), "-Xmx800m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        program = [_LAUNCHER, str(_SOURCE), "HadoopCluster"]
        self._process = subprocess.Popen(
            [*java, "-cp", f"{own_jars}:{spark_jars}", *program, str(self.folder), spark_jars],
            cwd=self.folder,
            env={**os.environ, "JAVA_HOME": str(_JAVA_HOME)},  # which containers inherit
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(self.folder / "hadoop.log").open("w"),
            text=True,
        )
        watchdog = threading.Timer(120, self._process.kill)
        watchdog.start()
        assert self._process.stdout is not None
        is_ready = any(line.strip() == "ready" for line in self._process.stdout)
        watchdog.cancel()
        assert is_ready, (self.folder / "hadoop.log").read_text()[-5000:]

    def stop(self) -> None:
        """Stops it: it ends when its input does."""
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def shell(self, *arguments: str) -> None:
        """``hadoop fs``."""
        ran = subprocess.run(
            [f"{_spark_home()}/bin/spark-class", "org.apache.hadoop.fs.FsShell", *arguments],
            env={**os.environ, **self.variables, "JAVA_HOME": str(_JAVA_HOME)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr


def _spark_home() -> Path:
    return next((ROOT / ".venv" / "lib").glob("python3*/site-packages/pyspark"))


# Containers of one core and little memory; the jars of Spark are where every host of this cluster finds them,
# so that they are not uploaded anew for each run.
SETTINGS = {
    "spark.yarn.jars": f"local:{_spark_home()}/jars/*",
    "spark.driver.memory": "1g",
    "spark.executor.memory": "700m",
    "spark.executor.cores": "1",
    "spark.executor.instances": "2",
    "spark.yarn.am.memory": "512m",
    # As configs/places/yarn.conf says where there are fewer than three hosts.
    "spark.excludeOnFailure.enabled": "false",
}
