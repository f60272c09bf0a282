"""What the cluster is made of: its processes, their addresses, folders and settings."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.bootstrap.common import ROOT
from scripts.submission.request import read_properties

HOME = Path(os.environ.get("CYMBAL_CLUSTER_HOME", ROOT / "var" / "cluster"))
# In the environment of every process of the cluster, executors too: how they are found after any crash.
MARK = "CYMBAL_CLUSTER_OF"
MASTER_HOST = "127.0.0.1"
# A worker that stays silent this long is taken as lost; the master's default is 60 s.
WORKER_TIMEOUT_SECONDS = 20
_SHARING = f'-XX:SharedArchiveFile="{ROOT}/var/java/classes.jsa" -Xlog:disable'


@dataclass(frozen=True)
class Daemon:
    """A process of the cluster.

    Attributes:
        name: as ``worker-2``.
        command: arguments, the program first.
        environment: variables of its own.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Layout:
    """The shape of a cluster.

    Attributes:
        port: of the master; its web page and the shuffle service have the next two.
        workers: number of workers, each with a loopback address of its own (127.0.0.2 and on).
        cores: of each worker.
        memory: of each worker, as Spark writes it (``1g``).
        small_disk_mb: size of the last worker's local disk, a file system in memory; 0 for the machine's.
        restart_seconds: after how long a lost process is started again.
    """

    port: int = 7077
    workers: int = 4
    cores: int = 1
    memory: str = "1g"
    small_disk_mb: int = 0
    restart_seconds: float = 10

    @property
    def master(self) -> str:
        """Address that jobs connect to."""
        return f"spark://{MASTER_HOST}:{self.port}"

    @property
    def page(self) -> str:
        """Address of the master's state as JSON."""
        return f"http://{MASTER_HOST}:{self.port + 1}/json/"

    @property
    def ports(self) -> tuple[int, int, int]:
        """Ports of the master, its page, and the shuffle service."""
        return self.port, self.port + 1, self.port + 2

    @property
    def disk_of_last_worker(self) -> Path:
        """Where a small disk is mounted."""
        return local_folder(self.workers)

    def save(self) -> None:
        """Keeps the layout for the other commands."""
        (HOME / "layout.json").write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")

    @classmethod
    def load(cls) -> Layout | None:
        """The layout of the cluster that was started here; None where none was."""
        try:
            return cls(**json.loads((HOME / "layout.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def daemons(self) -> list[Daemon]:
        """Its processes, in the order in which they start."""
        return [self._master(), self._shuffle_service(), *map(self._worker, range(1, self.workers + 1))]

    def variables(self) -> dict[str, str]:
        """Environment with which ``scripts/submit.sh --place standalone`` uses this cluster."""
        jars = sorted((ROOT / "var" / "jars").glob("*.jar"))
        place = read_properties(ROOT / "configs" / "places" / "standalone.conf")
        settings = {
            "spark.executor.memory": self.memory,
            "spark.driver.memory": "1g",
            "spark.shuffle.service.enabled": "true",
            "spark.shuffle.service.port": str(self.ports[2]),
            # All is on this machine: no chmod process a file, no checksum file beside it.
            "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
            "spark.ui.enabled": "false",
            # Executors start from the archive of classes of local runs, where there is one: it is of this
            # class path alone. Beside the place's own default options: the extra ones stay the user's.
            "spark.executor.extraClassPath": ":".join(map(str, jars)),
            "spark.executor.defaultJavaOptions": f"{place['spark.executor.defaultJavaOptions']} {_SHARING}",
        }
        return {
            "CYMBAL_MASTER": self.master,
            "CYMBAL_SPARK_ARGS": " ".join(
                f"--conf {shlex.quote(f'{name}={value}')}" for name, value in settings.items()
            ),
            "SPARK_LOCAL_IP": MASTER_HOST,
        }

    def _master(self) -> Daemon:
        # Its REST port is always the same one: of two clusters on a machine the second would only stand by.
        options = "-Dspark.port.maxRetries=0 -Dspark.master.rest.enabled=false "
        options += f"-Dspark.worker.timeout={WORKER_TIMEOUT_SECONDS}"
        arguments = ["--host", MASTER_HOST, "--port", str(self.port), "--webui-port", str(self.port + 1)]
        command = _spark_class("deploy.master.Master", *arguments)
        return Daemon("master", command, {"SPARK_MASTER_OPTS": options, "SPARK_LOCAL_IP": MASTER_HOST})

    def _shuffle_service(self) -> Daemon:
        # One daemon a host: it listens on every address, so it serves all the workers' loopback ones. It
        # reads no folder but its own SPARK_LOCAL_DIRS: an executor that registers another is turned away.
        options = f"-Dspark.shuffle.service.enabled=true -Dspark.shuffle.service.port={self.ports[2]}"
        folders = ",".join(str(local_folder(number)) for number in range(1, self.workers + 1))
        own = {"SPARK_SHUFFLE_OPTS": options, "SPARK_LOCAL_DIRS": folders}
        return Daemon("shuffle-service", _spark_class("deploy.ExternalShuffleService"), own)

    def _worker(self, number: int) -> Daemon:
        host = worker_host(number)
        arguments = ["--host", host, "--port", "0", "--webui-port", "0"]
        arguments += ["--cores", str(self.cores), "--memory", self.memory]
        arguments += ["--work-dir", str(HOME / f"worker-{number}" / "work"), self.master]
        # An address and a disk of its own: on shared ones a lost worker takes everybody's map outputs along.
        own = {"SPARK_LOCAL_IP": host, "SPARK_LOCAL_DIRS": str(local_folder(number))}
        return Daemon(f"worker-{number}", _spark_class("deploy.worker.Worker", *arguments), own)


def worker_host(number: int) -> str:
    """Loopback address of a worker; the first is 127.0.0.2."""
    return f"127.0.0.{number + 1}"


def local_folder(number: int) -> Path:
    """Folder of a worker's shuffle files."""
    return HOME / f"worker-{number}" / "local"


def _spark_class(name: str, *arguments: str) -> list[str]:
    return [f"{os.environ['SPARK_HOME']}/bin/spark-class", f"org.apache.spark.{name}", *arguments]
