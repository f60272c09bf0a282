"""Keeps secrets off the command line, which every user of a host can read."""

from __future__ import annotations

import re
from collections.abc import Sequence

from scripts.submission.request import SubmissionError

# The same words as in Spark's own redaction (spark.redaction.regex).
_SECRET = re.compile(r"secret|password|token|access[.]?key", re.IGNORECASE)
# The name of a secret, or the path of a file that holds one, is not a secret.
_NO_SECRET = re.compile(r"[.]secrets[.]|secretKeyRef|file$|path$|provider$|enabled$", re.IGNORECASE)


def refuse_secrets(arguments: Sequence[str]) -> None:
    """Refuses settings that hold a secret.

    Raises:
        SubmissionError: a setting holds a secret. The message has its name, but not its value.
    """
    for previous, word in zip(("", *arguments), arguments, strict=False):
        setting = word if previous in ("--conf", "-c") else word.removeprefix("--conf=")
        if setting is word and previous not in ("--conf", "-c"):
            continue
        name = setting.partition("=")[0]
        if _SECRET.search(name) and not _NO_SECRET.search(name):
            raise SubmissionError(
                f"CYMBAL_SPARK_ARGS: {name} holds a secret, which every user of this host could read: put it "
                "into spark-defaults.conf in a folder that only you can read, and set SPARK_CONF_DIR to it"
            )
