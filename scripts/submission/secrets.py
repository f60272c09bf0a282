"""Keeps secrets off the command line, which every user of a host can read.

A secret may have any name, so only settings that are known to hold none may stand there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from schemas.addresses import REASON, holds_secret, secret_argument
from scripts.submission.request import Request, SubmissionError

_SPARK = (
    "app|archives|barrier|broadcast|buffer|checkpoint|cleaner|cores|cymbal|databricks[.]delta|decommission|"
    "default|delta|deploy|driver|dynamicAllocation|eventLog|excludeOnFailure|executor|extraListeners|files|"
    "history|io|jars|kryo|kryoserializer|kubernetes|local|locality|log|logConf|master|"
    "maxRemoteBlockSizeFetchToMem|memory|metrics|network|openlineage|plugins|port|pyspark|python|rdd|reducer|"
    "resources|rpc|scheduler|serializer|shuffle|speculation|sql|stage|standalone|storage|streaming|submit|"
    "task|ui|unsafe|worker|yarn"
)
_HADOOP = (
    "cymbal|datanucleus|dfs|hive[.]metastore|io|ipc|javax[.]jdo[.]option[.]Connection(URL|DriverName)|mapreduce|"
    "parquet|yarn|hadoop[.](rpc|security[.]authentication|security[.]authorization|tmp[.]dir)|"
    "fs[.](defaultFS|permissions|[a-z0-9]+[.]impl|azure[.]account[.]auth[.]type|gs[.]project[.]id)|"
    "fs[.]s3a[.](bucket[.][^.]+[.])?(attempts|aws[.]credentials[.]provider|block|change|committer|connection|"
    "create|endpoint|fast|impl|input|multipart|paging|path[.]style|retry|threads|encryption[.]algorithm)"
)
_VARIABLE = "CYMBAL_(?!NOTIFY)|HADOOP_|JAVA_HOME|LANG|LC_|LD_LIBRARY_PATH|PATH|PYSPARK_|PYTHON|SPARK_|TZ"
_HARMLESS = re.compile(
    rf"spark[.](executorEnv|yarn[.]appMasterEnv|kubernetes[.]driverEnv)[.]({_VARIABLE})\w*"
    rf"|spark[.]hadoop[.]({_HADOOP})([.].*)?"
    rf"|spark[.](?!hadoop[.]|executorEnv[.]|yarn[.]appMasterEnv|kubernetes[.]driverEnv)({_SPARK})([.].*)?"
)
# Properties of Java that hold no secret. Other options of Java, such as -XX:+UseParallelGC, hold none at all.
_HARMLESS_PROPERTY = re.compile(
    r"(cymbal|derby|file|java|jdk|log4j2?|logback|native|os|sun|user|javax[.]net[.]ssl[.]trustStore(Type)?"
    r"|https?[.](proxyHost|proxyPort|nonProxyHosts)|spark)([.]|$).*|javax[.]net[.]ssl[.]trustStore(Type)?"
)
# Below a harmless name there may still be a secret: spark.sql.catalog.NAME.token.
_SECRET = re.compile(
    r"secret|passw|token|credential(?!s?[.]provider)|access[.]?key|private[.]?key|account[.]?key|api[.]?key|[.]key$",
    re.IGNORECASE,
)
# The name of a secret, or the path of a file that holds one, is not a secret.
_NO_SECRET = re.compile(r"[.]secrets[.]|secretKeyRef|file$|path$|provider$|enabled$", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"(password|passwd|pwd|sig|secret|token)=[^\s&;]", re.IGNORECASE)
# Their values are for the run alone: no command line, log or table names them.
_OWN_SECRETS = ("CYMBAL_NOTIFY", "CYMBAL_MAVEN_MIRROR")
_JAVA_OPTIONS = re.compile(r"spark[.](driver|executor|yarn[.]am)[.](extra|default)JavaOptions")
_PROPERTY = re.compile(r"(?<![^\s\"'])-D([^\s=]+)")


def refuse_secrets(arguments: Sequence[str]) -> None:
    """Refuses settings that may hold a secret.

    Raises:
        SubmissionError: a setting may hold a secret. The message has its name, but not its value.
    """
    for name, value in _settings(arguments):
        if not is_harmless(name, value):
            raise SubmissionError(
                f"CYMBAL_SPARK_ARGS: {name} may hold a secret, which every user of this host could read: put "
                "it into spark-defaults.conf in a folder that only you can read, and set SPARK_CONF_DIR to it"
            )


def refuse_secret_addresses(request: Request) -> None:
    """Refuses a password in an address: of the job's options, or of a variable that a command line repeats.

    Raises:
        SubmissionError: the message names the option or the variable, but not the address.
    """
    option = secret_argument(request.arguments)
    if option is not None:
        raise SubmissionError(f"{request.job}: {option}: {REASON}")
    for name, value in sorted(request.environment.items()):
        is_own = name.startswith("CYMBAL_") and name not in (*_OWN_SECRETS, "CYMBAL_SPARK_ARGS")
        if is_own and holds_secret(value):
            raise SubmissionError(f"{name}: {REASON}")


def is_harmless(name: str, value: str) -> bool:
    """Whether a setting of Spark, or an option of spark-submit, is known to hold no secret."""
    if _SECRET_VALUE.search(value) or holds_secret(value):
        return False
    if name.startswith("--"):
        return name != "--driver-java-options" or _are_harmless_options(value)
    if _SECRET.search(name) and not _NO_SECRET.search(name):
        return False
    if _JAVA_OPTIONS.fullmatch(name):
        return _are_harmless_options(value)
    return _HARMLESS.fullmatch(name) is not None


def is_harmless_property(name: str) -> bool:
    """Whether a system property of Java is known to hold no secret."""
    return _HARMLESS_PROPERTY.fullmatch(name) is not None and not _SECRET.search(name)


def _are_harmless_options(text: str) -> bool:
    return all(map(is_harmless_property, _PROPERTY.findall(text)))


def _settings(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields the settings of --conf by their names, and the other options by theirs."""
    for previous, word in zip(("", *arguments), arguments, strict=False):
        if previous in ("--conf", "-c"):
            name, _, value = word.partition("=")
        elif word.startswith("--conf="):
            name, _, value = word.removeprefix("--conf=").partition("=")
        elif word in ("--conf", "-c"):
            continue
        elif word.startswith("--") and "=" in word:
            name, _, value = word.partition("=")
        else:
            name, value = (previous, word) if previous.startswith("--") else ("--", word)
        yield name, value
