"""The spark-submit command of a request, and the environment variables that it needs."""

from __future__ import annotations

import re
import shlex
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from scripts.submission.authentication import authentication_settings, read_secret, secret_files
from scripts.submission.class_archive import archive_options
from scripts.submission.compiler import compiler_options
from scripts.submission.extras import extra_settings
from scripts.submission.java_options import VARIABLES as JAVA_VARIABLES
from scripts.submission.java_options import caller_options
from scripts.submission.redaction import redaction_settings
from scripts.submission.request import ROOT, Request, SubmissionError
from scripts.submission.secrets import refuse_secrets
from scripts.submission.temporary import temporary_folder

# The project's folder in the image of the Dockerfile.
IMAGE_HOME = "/opt/cymbal"
# The folder in which YARN and Kubernetes unpack the bundle, below a container's working folder.
UNPACKED = "cymbal"


@dataclass(frozen=True)
class Line:
    """A command.

    Attributes:
        arguments: the program and its arguments.
        variables: environment variables to set for it; None removes one.
        secrets: variables whose values are the contents of files; nothing shows them.
    """

    arguments: list[str]
    variables: dict[str, str | None]
    secrets: Mapping[str, Path] = field(default_factory=dict)

    def describe(self) -> str:
        """Returns the command as one line for a shell."""
        removed = [word for name, value in self.variables.items() if value is None for word in ("-u", name)]
        assigned = [f"{name}={value}" for name, value in self.variables.items() if value is not None]
        read = "".join(f'{name}="$(cat {shlex.quote(str(file))})" ' for name, file in self.secrets.items())
        return f"{read}{shlex.join(['env', *removed, *assigned, *self.arguments])}"

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Returns the caller's environment, changed by these variables."""
        merged = {**inherited, **{name: value for name, value in self.variables.items() if value is not None}}
        merged |= {name: read_secret(file) for name, file in self.secrets.items()}
        return {name: value for name, value in merged.items() if self.variables.get(name, "") is not None}


def line_in_client_mode(request: Request) -> Line:
    """Returns the command that runs the driver on this host.

    Raises:
        SubmissionError: a setting of the caller is refused.
    """
    arguments = [*_start(request), "--jars", ",".join(map(str, request.jars()))]
    own_options, settings = temporary_folder(request, caller_options(request))
    if own_options:
        arguments += ["--driver-java-options", shlex.join(own_options)]
    variables = _variables_of_driver(request) | dict.fromkeys(
        name for name in JAVA_VARIABLES if name in request.environment
    )
    if request.target in ("local", "standalone"):
        # Spark loads packages in a child class loader. From the class path, Delta could not see a catalog's
        # connector among them. With packages, Delta therefore comes only from --jars, as they do.
        if not request.brings_packages:
            arguments += ["--driver-class-path", ":".join(map(str, request.jars()))]
        options = f"{archive_options(request)} {compiler_options(request)}".strip()
        arguments += _settings({"spark.driver.defaultJavaOptions": options})
    arguments += _settings(settings | _own_settings(request) | _settings_of_pods(request))
    arguments += [*_caller_arguments(request), str(ROOT / "jobs" / f"{request.job}.py"), *request.arguments]
    return Line(arguments, variables, secret_files(request))


def line_in_cluster_mode(
    request: Request, arguments: Sequence[str], bundle: Path | None, files: Sequence[Path] = ()
) -> Line:
    """Returns the command that runs the driver on a host of the cluster.

    Args:
        request: the job, and where it runs.
        arguments: the job's arguments, as the driver gets them.
        bundle: archive of the project and packages, unpacked for the driver; None if it is not needed.
        files: files to send to the driver's working folder: a config, and the SQL files that it names.

    Raises:
        SubmissionError: a setting of the caller is refused.
    """
    extras = _own_settings(request)
    if request.target == "standalone":
        return _line_on_standalone(request, arguments, extras)
    line = _start(request)
    if bundle is not None:
        line += ["--archives", f"{bundle}#{UNPACKED}"]
    if files:
        line += ["--files", ",".join(map(str, files))]
    settings, home = _settings_of_place(request)
    line += ["--jars", ",".join(_jars_in(request, home)), *_settings(settings), *_settings(extras)]
    program = f"local://{home}/jobs/{request.job}.py" if home else str(ROOT / "jobs" / f"{request.job}.py")
    return Line([*line, *_caller_arguments(request), program, *arguments], _variables(request))


def _own_settings(request: Request) -> dict[str, str]:
    """Returns the settings that the request's environment asks for, wherever the driver runs."""
    return (
        extra_settings(request.environment) | authentication_settings(request) | redaction_settings(request)
    )


def _start(request: Request) -> list[str]:
    start = [
        f"{request.environment['SPARK_HOME']}/bin/spark-submit",
        *("--master", request.master),
        *("--deploy-mode", request.deploy_mode),
        *("--name", f"cymbal-sales {request.job}"),
        *("--properties-file", str(request.settings_file)),
    ]
    # Load the user's own spark-defaults.conf: it may hold secrets, such as storage keys.
    return [*start, "--load-spark-defaults"] if "SPARK_CONF_DIR" in request.environment else start


def _settings_of_place(request: Request) -> tuple[dict[str, str], str]:
    """Returns the settings of cluster mode, and the project's folder in the image; empty for a bundle."""
    if request.target == "yarn":
        python = f"./{UNPACKED}/bin/python"
        settings = {
            "spark.yarn.appMasterEnv.PYSPARK_PYTHON": python,
            "spark.yarn.appMasterEnv.CYMBAL_PLACE": request.target,
            **{f"spark.yarn.appMasterEnv.{name}": value for name, value in _notify_marker(request).items()},
            # By default Spark logs a report every second.
            "spark.yarn.report.interval": "5s",
        }
        return settings, ""
    settings = {
        **_settings_of_pods(request),
        "spark.pyspark.python": f"{IMAGE_HOME}/bin/python",
        "spark.kubernetes.driverEnv.CYMBAL_PLACE": request.target,
        **{f"spark.kubernetes.driverEnv.{name}": value for name, value in _notify_marker(request).items()},
        "spark.kubernetes.submission.waitAppCompletion": "true",
    }
    if "CYMBAL_STAGING" in request.environment:
        settings["spark.kubernetes.file.upload.path"] = request.environment["CYMBAL_STAGING"]
    return settings, IMAGE_HOME


def _notify_marker(request: Request) -> dict[str, str]:
    """Tells a driver on the cluster that this host sends the messages, whose receivers are secrets."""
    return {"CYMBAL_NOTIFY": "submitter"} if request.environment.get("CYMBAL_NOTIFY") else {}


def _settings_of_pods(request: Request) -> dict[str, str]:
    """Returns the pod templates and the image. Templates are local paths, which Spark reads itself."""
    if request.target != "kubernetes":
        return {}
    folder = request.settings_file.parent
    roles = ["driver", "executor"] if request.is_on_cluster else ["executor"]
    templates = {
        f"spark.kubernetes.{role}.podTemplateFile": str(folder / f"kubernetes-{role}.yaml") for role in roles
    }
    image = request.environment.get("CYMBAL_IMAGE")
    return {**templates, "spark.kubernetes.container.image": image} if image else templates


def _line_on_standalone(request: Request, arguments: Sequence[str], extras: dict[str, str]) -> Line:
    """Submits the class that runs Python programs: on standalone, cluster mode accepts no Python program.

    The hosts must have this checkout at the same path.
    """
    jars = request.jars()
    settings = {"spark.standalone.submit.waitAppCompletion": "true"}
    line = [*_start(request), "--jars", ",".join(map(str, jars)), *_settings(settings), *_settings(extras)]
    words = _caller_arguments(request)
    # A driver on a worker ignores default options, so these extend the caller's extra options.
    option = "spark.driver.extraJavaOptions"
    values = [
        word.partition(f"{option}=")[2] for word in words if word.startswith((option, f"--conf={option}"))
    ]
    line += [*words, *_settings({option: " ".join([*_module_options(request), *values[-1:]])})]
    line += ["--class", "org.apache.spark.deploy.PythonRunner", jars[0].as_uri()]
    # PythonRunner's second argument lists further Python files: none.
    program = [str(ROOT / "jobs" / f"{request.job}.py"), "", *arguments]
    return Line([*line, *program], _variables_of_driver(request), secret_files(request))


def _module_options(request: Request) -> list[str]:
    """Returns the Java modules that Spark opens. Spark's launcher omits them for a driver on a worker."""
    (launcher,) = Path(request.environment["SPARK_HOME"], "jars").glob("spark-launcher_*.jar")
    with zipfile.ZipFile(launcher) as jar:
        constants = jar.read("org/apache/spark/launcher/JavaModuleOptions.class").decode("latin-1")
    return re.findall(r"--add-opens=[\w./-]+=ALL-UNNAMED", constants)


def _jars_in(request: Request, home: str) -> list[str]:
    return [f"local://{home}/jars/{jar.name}" if home else str(jar) for jar in request.jars()]


def _variables(request: Request) -> dict[str, str | None]:
    """Returns the variables of spark-submit. Its log goes to a file: the terminal is for the job."""
    log = f"spark-{datetime.now():%Y%m%dT%H%M%S}-{request.environment.get('CYMBAL_PID', '0')}.log"  # noqa: DTZ005
    return {
        "CYMBAL_LOG_FILE": request.environment.get("CYMBAL_LOG_FILE", str(request.var / "log" / log)),
        "LOG4J_CONFIGURATION_FILE": str(ROOT / "configs" / LOG_CONFIGURATIONS[_log_format(request)]),
        **(_notify_marker(request) if request.is_on_cluster else {}),
    }


LOG_CONFIGURATIONS = {"text": "log4j2.properties", "json": "log4j2-json.properties"}


def _log_format(request: Request) -> str:
    form = request.environment.get("CYMBAL_LOG_FORMAT", "text")
    if form not in LOG_CONFIGURATIONS:
        raise SubmissionError(f"CYMBAL_LOG_FORMAT={form}: one of {', '.join(LOG_CONFIGURATIONS)}")
    return form


def _variables_of_driver(request: Request) -> dict[str, str | None]:
    python = str(ROOT / ".venv" / "bin" / "python")
    # In other places the executors have no .venv of this checkout, and the jobs need no Python there.
    here = request.target in ("local", "standalone")
    executor_python = python if here else request.environment.get("PYSPARK_PYTHON", "python3")
    variables: dict[str, str | None] = {
        **_variables(request),
        "PYSPARK_PYTHON": executor_python,
        "PYSPARK_DRIVER_PYTHON": python,
        "PYTHONPATH": str(ROOT),
        "JAVA_HOME": request.environment["JAVA_HOME"],
        "CYMBAL_PLACE": request.target,
    }
    if request.target == "local":  # loopback: no host name look-up, no port open to other hosts
        variables["SPARK_LOCAL_IP"] = request.environment.get("SPARK_LOCAL_IP", "127.0.0.1")
    return variables


def _settings(settings: Mapping[str, str]) -> list[str]:
    return [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]


def _caller_arguments(request: Request) -> list[str]:
    text = request.environment.get("CYMBAL_SPARK_ARGS", "")
    try:
        words = shlex.split(text)
    except ValueError:
        raise SubmissionError("CYMBAL_SPARK_ARGS: its quotes do not match") from None
    refuse_secrets(words)
    return words
