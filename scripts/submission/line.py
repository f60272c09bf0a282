"""The spark-submit line of a request, and the variables it needs."""

from __future__ import annotations

import re
import shlex
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from scripts.submission.class_archive import archive_options
from scripts.submission.extras import extra_settings
from scripts.submission.request import ROOT, Request, SubmissionError
from scripts.submission.secrets import refuse_secrets

# Where the image of the Dockerfile has the project.
IMAGE_HOME = "/opt/cymbal"
# The folder in which YARN and Kubernetes unpack the bundle, below a container's working folder.
UNPACKED = "cymbal"


@dataclass(frozen=True)
class Line:
    """A command.

    Attributes:
        arguments: the program and its arguments.
        variables: environment variables that are set for it; None takes one away.
    """

    arguments: list[str]
    variables: dict[str, str | None]

    def in_words(self) -> str:
        """As a shell takes it, in one line."""
        taken = [word for name, value in self.variables.items() if value is None for word in ("-u", name)]
        given = [f"{name}={value}" for name, value in self.variables.items() if value is not None]
        return shlex.join(["env", *taken, *given, *self.arguments])

    def environment(self, own: Mapping[str, str]) -> dict[str, str]:
        """The environment of the caller with these variables."""
        merged = {**own, **{name: value for name, value in self.variables.items() if value is not None}}
        return {name: value for name, value in merged.items() if self.variables.get(name, "") is not None}


def line_in_client_mode(request: Request) -> Line:
    """The line that runs the driver on this host.

    Raises:
        SubmissionError: a setting of the caller cannot be taken.
    """
    arguments = [*_start(request), "--jars", ",".join(map(str, request.jars()))]
    variables = _variables_of_driver(request)
    tool_options = request.environment.get("JAVA_TOOL_OPTIONS")
    if tool_options:  # handed on as arguments: from the environment, Java announces them
        arguments += ["--driver-java-options", tool_options]
        variables["JAVA_TOOL_OPTIONS"] = None
    if request.place in ("local", "standalone"):
        # Packages are in a class loader below the class path's, from which Delta would not see a catalog's
        # connector that calls it: beside packages Delta is a jar as they are.
        if not request.brings_packages:
            arguments += ["--driver-class-path", ":".join(map(str, request.jars()))]
        arguments += _settings({"spark.driver.defaultJavaOptions": archive_options(request)})
    arguments += _settings(extra_settings(request.environment) | _settings_of_pods(request))
    arguments += [*_of_the_caller(request), str(ROOT / "jobs" / f"{request.job}.py"), *request.arguments]
    return Line(arguments, variables)


def line_in_cluster_mode(
    request: Request, arguments: Sequence[str], bundle: Path | None, config: Path | None
) -> Line:
    """The line that runs the driver on a host of the cluster.

    Args:
        request: what is asked for.
        arguments: the job's, as the driver is to have them.
        bundle: project and packages, to be unpacked beside the driver; None where they are there.
        config: file that the driver needs beside it.

    Raises:
        SubmissionError: a setting of the caller cannot be taken.
    """
    extras = extra_settings(request.environment)
    if request.place == "standalone":
        return _line_on_standalone(request, arguments, extras)
    line = _start(request)
    if bundle is not None:
        line += ["--archives", f"{bundle}#{UNPACKED}"]
    if config is not None:
        line += ["--files", str(config)]
    settings, home = _settings_of_place(request)
    line += ["--jars", ",".join(_jars_in(request, home)), *_settings(settings), *_settings(extras)]
    program = f"local://{home}/jobs/{request.job}.py" if home else str(ROOT / "jobs" / f"{request.job}.py")
    return Line([*line, *_of_the_caller(request), program, *arguments], _variables(request))


def _start(request: Request) -> list[str]:
    start = [
        f"{request.environment['SPARK_HOME']}/bin/spark-submit",
        *("--master", request.master),
        *("--deploy-mode", request.deploy_mode),
        *("--name", f"cymbal-sales {request.job}"),
        *("--properties-file", str(request.settings_file)),
    ]
    # The user's own defaults, such as keys of a storage, in a file that only the user can read.
    return [*start, "--load-spark-defaults"] if "SPARK_CONF_DIR" in request.environment else start


def _settings_of_place(request: Request) -> tuple[dict[str, str], str]:
    """Settings of cluster mode on YARN or Kubernetes; and where the driver's host has the project, if so."""
    if request.place == "yarn":
        python = f"./{UNPACKED}/bin/python"
        settings = {
            "spark.yarn.appMasterEnv.PYSPARK_PYTHON": python,
            "spark.yarn.appMasterEnv.CYMBAL_PLACE": request.place,
            # Spark reports once a second otherwise, a line each.
            "spark.yarn.report.interval": "5s",
        }
        return settings, ""
    settings = {
        **_settings_of_pods(request),
        "spark.pyspark.python": f"{IMAGE_HOME}/bin/python",
        "spark.kubernetes.driverEnv.CYMBAL_PLACE": request.place,
        "spark.kubernetes.submission.waitAppCompletion": "true",
    }
    if "CYMBAL_STAGING" in request.environment:
        settings["spark.kubernetes.file.upload.path"] = request.environment["CYMBAL_STAGING"]
    return settings, IMAGE_HOME


def _settings_of_pods(request: Request) -> dict[str, str]:
    """Templates, by paths here: Spark hands the files on; and the image."""
    if request.place != "kubernetes":
        return {}
    folder = request.settings_file.parent
    roles = ["driver", "executor"] if request.is_on_cluster else ["executor"]
    templates = {
        f"spark.kubernetes.{role}.podTemplateFile": str(folder / f"kubernetes-{role}.yaml") for role in roles
    }
    image = request.environment.get("CYMBAL_IMAGE")
    return {**templates, "spark.kubernetes.container.image": image} if image else templates


def _line_on_standalone(request: Request, arguments: Sequence[str], extras: dict[str, str]) -> Line:
    """Spark takes no Python program there in cluster mode, but a class: its own that runs Python programs.

    The hosts must have this checkout at the same path.
    """
    jars = request.jars()
    settings = {"spark.standalone.submit.waitAppCompletion": "true"}
    line = [*_start(request), "--jars", ",".join(map(str, jars)), *_settings(settings), *_settings(extras)]
    words = _of_the_caller(request)
    # Default options are not for a driver on a worker: these go beside the caller's.
    option = "spark.driver.extraJavaOptions"
    given = [
        word.partition(f"{option}=")[2] for word in words if word.startswith((option, f"--conf={option}"))
    ]
    line += [*words, *_settings({option: " ".join([*_module_options(request), *given[-1:]])})]
    line += ["--class", "org.apache.spark.deploy.PythonRunner", jars[0].as_uri()]
    # The empty one: further Python files of the program's.
    return Line(
        [*line, str(ROOT / "jobs" / f"{request.job}.py"), "", *arguments], _variables_of_driver(request)
    )


def _module_options(request: Request) -> list[str]:
    """What Spark opens of Java for itself, as its launcher has it: it forgets a driver on a worker."""
    (launcher,) = Path(request.environment["SPARK_HOME"], "jars").glob("spark-launcher_*.jar")
    with zipfile.ZipFile(launcher) as jar:
        constants = jar.read("org/apache/spark/launcher/JavaModuleOptions.class").decode("latin-1")
    return re.findall(r"--add-opens=[\w./-]+=ALL-UNNAMED", constants)


def _jars_in(request: Request, home: str) -> list[str]:
    return [f"local://{home}/jars/{jar.name}" if home else str(jar) for jar in request.jars()]


def _variables(request: Request) -> dict[str, str | None]:
    """Of spark-submit itself: its log goes to a file of this run, the terminal is the job's."""
    log = f"spark-{datetime.now():%Y%m%dT%H%M%S}-{request.environment.get('CYMBAL_PID', '0')}.log"  # noqa: DTZ005
    return {
        "CYMBAL_LOG_FILE": request.environment.get("CYMBAL_LOG_FILE", str(ROOT / "var" / "log" / log)),
        "LOG4J_CONFIGURATION_FILE": str(ROOT / "configs" / LOG_CONFIGURATIONS[_log_format(request)]),
    }


LOG_CONFIGURATIONS = {"text": "log4j2.properties", "json": "log4j2-json.properties"}


def _log_format(request: Request) -> str:
    form = request.environment.get("CYMBAL_LOG_FORMAT", "text")
    if form not in LOG_CONFIGURATIONS:
        raise SubmissionError(f"CYMBAL_LOG_FORMAT={form}: one of {', '.join(LOG_CONFIGURATIONS)}")
    return form


def _variables_of_driver(request: Request) -> dict[str, str | None]:
    python = str(ROOT / ".venv" / "bin" / "python")
    # Executors elsewhere have no .venv of this checkout, and the jobs need no Python there.
    of_executors = python if request.place in ("local", "standalone") else "python3"
    variables: dict[str, str | None] = {
        **_variables(request),
        "PYSPARK_PYTHON": request.environment.get("PYSPARK_PYTHON", of_executors),
        "PYSPARK_DRIVER_PYTHON": python,
        "PYTHONPATH": str(ROOT),
        "JAVA_HOME": request.environment["JAVA_HOME"],
        "CYMBAL_PLACE": request.place,
    }
    if request.place == "local":  # loopback: no look-up of the host's own name, no port open to others
        variables["SPARK_LOCAL_IP"] = request.environment.get("SPARK_LOCAL_IP", "127.0.0.1")
    return variables


def _settings(settings: Mapping[str, str]) -> list[str]:
    return [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]


def _of_the_caller(request: Request) -> list[str]:
    text = request.environment.get("CYMBAL_SPARK_ARGS", "")
    try:
        words = shlex.split(text)
    except ValueError:
        raise SubmissionError(f"CYMBAL_SPARK_ARGS={text}: its quotes do not match") from None
    refuse_secrets(words)
    return words
