"""The secret of a standalone cluster, by which its processes and a run know each other.

Spark makes a secret for each application on YARN and on Kubernetes. A standalone cluster has one secret,
which master, workers and every run must be given. A file holds it. From there it goes into an environment
variable of Spark's own, which only processes of the same user can read, and never onto a command line.
"""

from __future__ import annotations

import stat
from pathlib import Path

from scripts.submission.request import Request, SubmissionError

SECRET_FILE = "CYMBAL_CLUSTER_SECRET"
# Spark's own name: its workers hand the secret to executors and drivers in it.
SPARK_VARIABLE = "_SPARK_AUTH_SECRET"
SETTINGS = {"spark.authenticate": "true", "spark.network.crypto.enabled": "true"}
SECRET = "spark.authenticate.secret"


def authentication_settings(request: Request) -> dict[str, str]:
    """Returns the settings that turn on authentication and encryption, if the cluster's secret is given.

    Raises:
        SubmissionError: the file of the secret cannot be used.
    """
    return dict(SETTINGS) if secret_files(request) or _is_in_defaults(request) else {}


def secret_files(request: Request) -> dict[str, Path]:
    """Returns the file of the secret, by the variable that takes its content; empty if none is given.

    Raises:
        SubmissionError: as :func:`read_secret`.
    """
    given = request.environment.get(SECRET_FILE)
    if request.target != "standalone" or not given:
        return {}
    file = Path(given).absolute()
    read_secret(file)
    return {SPARK_VARIABLE: file}


def read_secret(file: Path, named_by: str = f"{SECRET_FILE}=") -> str:
    """Returns the secret that a file holds.

    Args:
        file: the file.
        named_by: what names the file, for messages.

    Raises:
        SubmissionError: the file cannot be read, does not hold one line, or can be read by every user of this
            host.
    """
    try:
        secret = file.read_text(encoding="utf-8").strip()
        is_open = bool(file.stat().st_mode & stat.S_IROTH)
    except (OSError, UnicodeDecodeError) as error:
        raise SubmissionError(
            f"{named_by}{file}: {getattr(error, 'strerror', None) or 'not a text'}"
        ) from None
    if not secret:
        raise SubmissionError(f"{named_by}{file}: is empty; it must hold the secret of the cluster")
    if len(secret.splitlines()) > 1:
        raise SubmissionError(f"{named_by}{file}: holds several lines; the secret of the cluster is one")
    if is_open:
        raise SubmissionError(f"{named_by}{file}: every user of this host can read it: chmod o-r {file}")
    return secret


def _is_in_defaults(request: Request) -> bool:
    """Whether the user's spark-defaults.conf holds the secret, as on the hosts of the cluster."""
    return request.target == "standalone" and bool(request.defaults().get(SECRET))
