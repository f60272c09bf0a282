"""Secrets do not go on a command line: every user of a host can read it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from scripts.submission.request import SubmissionError

# As Spark's own redaction has it (spark.redaction.regex).
_SECRET = re.compile(r"secret|password|token|access[.]?key", re.IGNORECASE)
# Names of secrets, and paths of files that hold them, are none.
_NO_SECRET = re.compile(r"[.]secrets[.]|secretKeyRef|file$|path$|provider$|enabled$", re.IGNORECASE)


def refuse_secrets(arguments: Sequence[str]) -> None:
    """Refuses settings that hold a secret.

    Raises:
        SubmissionError: there is one; its name is told, its value is not.
    """
    for before, word in zip(("", *arguments), arguments, strict=False):
        setting = word if before in ("--conf", "-c") else word.removeprefix("--conf=")
        if setting is word and before not in ("--conf", "-c"):
            continue
        name = setting.partition("=")[0]
        if _SECRET.search(name) and not _NO_SECRET.search(name):
            raise SubmissionError(
                f"CYMBAL_SPARK_ARGS: {name} holds a secret, which every user of this host could read there: "
                "put it into spark-defaults.conf in a folder only you read, and set SPARK_CONF_DIR to that"
            )
