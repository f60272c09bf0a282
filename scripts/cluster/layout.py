"""The layout of the cluster: its processes, addresses, folders and settings."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.bootstrap.common import ROOT, write_whole
from scripts.submission.authentication import SECRET, SECRET_FILE, read_secret
from scripts.submission.authentication import SETTINGS as AUTHENTICATION
from scripts.submission.request import read_properties

HOME = Path(
    os.environ.get("CYMBAL_CLUSTER_HOME") or f"{os.environ.get('CYMBAL_VAR') or ROOT / 'var'}/cluster"
)
_CONF = HOME / "conf"
# Every process of the cluster, including executors, has this variable. It identifies them after a crash.
MARK = "CYMBAL_CLUSTER_OF"
MASTER_HOST = "127.0.0.1"
# The master treats a worker as lost after this silence. Its default is 60 s.
WORKER_TIMEOUT_SECONDS = 20
_SHARING = f'-XX:SharedArchiveFile="{ROOT}/var/java/classes.jsa" -Xlog:disable'


@dataclass(frozen=True)
class Daemon:
    """A process of the cluster.

    Attributes:
        name: for example ``worker-2``.
        command: the program and its arguments.
        environment: further environment variables.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Layout:
    """The shape of a cluster.

    Attributes:
        port: port of the master; its web page and the shuffle service use the next two.
        workers: number of workers, each with its own loopback address (127.0.0.2 and up).
        cores: cores of each worker.
        memory: memory of each worker, in Spark's notation (``1g``).
        small_disk_mb: size in MB of the last worker's in-memory disk; 0 to use the machine's disk.
        restart_seconds: delay before a lost process starts again.
        secret: file with the secret of the cluster; empty for a cluster that answers everyone.
    """

    port: int = 7077
    workers: int = 4
    cores: int = 1
    memory: str = "1g"
    small_disk_mb: int = 0
    restart_seconds: float = 10
    secret: str = ""

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
        """Mount point of the small disk."""
        return local_folder(self.workers)

    def save(self) -> None:
        """Writes the layout to a file for the other commands, and Spark's settings with the secret."""
        (HOME / "layout.json").write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")
        if self.secret:
            secret = read_secret(Path(self.secret), "--secret ")
            settings = AUTHENTICATION | {SECRET: secret.replace("\\", "\\\\")}  # Java reads it as properties
            text = "".join(f"{name}={value}\n" for name, value in settings.items())
            write_whole(_CONF / "spark-defaults.conf", text, mode=0o600)

    @classmethod
    def load(cls) -> Layout | None:
        """Reads the layout of the cluster that was started here; None if there is none."""
        try:
            return cls(**json.loads((HOME / "layout.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def daemons(self) -> list[Daemon]:
        """Returns the processes in the order in which they start."""
        return [self._master(), self._shuffle_service(), *map(self._worker, range(1, self.workers + 1))]

    def environment(self) -> dict[str, str]:
        """Returns the variables that every process of the cluster needs."""
        return {MARK: str(HOME), **({"SPARK_CONF_DIR": str(_CONF)} if self.secret else {})}

    def variables(self) -> dict[str, str]:
        """Returns the environment with which ``scripts/submit.sh --place standalone`` uses this cluster."""
        jars = sorted((ROOT / "var" / "jars").glob("*.jar"))
        target = read_properties(ROOT / "configs" / "places" / "standalone.conf")
        settings = {
            "spark.executor.memory": self.memory,
            "spark.driver.memory": "1g",
            "spark.shuffle.service.enabled": "true",
            "spark.shuffle.service.port": str(self.ports[2]),
            # Saves a chmod process and a checksum file per file: all files are on this machine.
            "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
            "spark.ui.enabled": "false",
            # Executors start from the class archive of local runs if it exists. It fits only this class path.
            # Default options hold it, because the extra Java options belong to the user.
            "spark.executor.extraClassPath": ":".join(map(str, jars)),
            "spark.executor.defaultJavaOptions": f"{target['spark.executor.defaultJavaOptions']} {_SHARING}",
        }
        return {
            **({SECRET_FILE: self.secret} if self.secret else {}),
            "CYMBAL_MASTER": self.master,
            "CYMBAL_SPARK_ARGS": " ".join(
                f"--conf {shlex.quote(f'{name}={value}')}" for name, value in settings.items()
            ),
            "SPARK_LOCAL_IP": MASTER_HOST,
        }

    def _master(self) -> Daemon:
        # Without REST: its port is fixed, so the second of two clusters on a machine would stay in standby.
        options = "-Dspark.port.maxRetries=0 -Dspark.master.rest.enabled=false "
        options += f"-Dspark.worker.timeout={WORKER_TIMEOUT_SECONDS}"
        arguments = ["--host", MASTER_HOST, "--port", str(self.port), "--webui-port", str(self.port + 1)]
        command = _spark_class("deploy.master.Master", *arguments)
        return Daemon("master", command, {"SPARK_MASTER_OPTS": options, "SPARK_LOCAL_IP": MASTER_HOST})

    def _shuffle_service(self) -> Daemon:
        # One daemon per host: it listens on every address, and so on the loopback addresses of all workers.
        # It reads only its own SPARK_LOCAL_DIRS, and rejects an executor that registers another folder.
        options = f"-Dspark.shuffle.service.enabled=true -Dspark.shuffle.service.port={self.ports[2]}"
        folders = ",".join(str(local_folder(number)) for number in range(1, self.workers + 1))
        environment = {"SPARK_SHUFFLE_OPTS": options, "SPARK_LOCAL_DIRS": folders}
        return Daemon("shuffle-service", _spark_class("deploy.ExternalShuffleService"), environment)

    def _worker(self, number: int) -> Daemon:
        host = worker_host(number)
        arguments = ["--host", host, "--port", "0", "--webui-port", "0"]
        arguments += ["--cores", str(self.cores), "--memory", self.memory]
        arguments += ["--work-dir", str(HOME / f"worker-{number}" / "work"), self.master]
        # Own address and disk per worker: if they were shared, one lost worker would lose the outputs of all.
        environment = {"SPARK_LOCAL_IP": host, "SPARK_LOCAL_DIRS": str(local_folder(number))}
        return Daemon(f"worker-{number}", _spark_class("deploy.worker.Worker", *arguments), environment)


def worker_host(number: int) -> str:
    """Returns the loopback address of a worker; the first is 127.0.0.2."""
    return f"127.0.0.{number + 1}"


def local_folder(number: int) -> Path:
    """Returns the folder of a worker's shuffle files."""
    return HOME / f"worker-{number}" / "local"


def _spark_class(name: str, *arguments: str) -> list[str]:
    return [f"{os.environ['SPARK_HOME']}/bin/spark-class", f"org.apache.spark.{name}", *arguments]
