"""Secrets in addresses: a password before the host of a URI, or one in its query."""

from __future__ import annotations

import re
from collections.abc import Sequence

# SCHEME://USER:PASSWORD@HOST. A password may hold a slash, as keys of S3 do; HOST:8020/folder@2 has none.
_LOGIN = re.compile(r"(?<=://)[^/@:\s\[]*:(?!\d*[/?#])[^@\s]*@")
_QUERY = re.compile(
    r"((?<=[?&;])(?:access_?key|api_?key|passw(?:or)?d|pwd|secret|sig|signature|token)=)[^\s&;'\"]+",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?:--[\w-]+=)?(?:[\w.-]+=)?")
HOLDS_SECRET = "the address holds a password, which command lines, logs and the ledger would show"
REASON = (
    f"{HOLDS_SECRET}: take it out, put it into spark-defaults.conf in a folder that only you can read, and "
    "set SPARK_CONF_DIR to that folder"
)


def holds_secret(text: str) -> bool:
    """Whether an address in the text holds a password, a key or a signature."""
    return _LOGIN.search(text) is not None or ("://" in text and _QUERY.search(text) is not None)


def without_secrets(text: str) -> str:
    """Returns the text without the users, passwords, keys and signatures of its addresses."""
    return _QUERY.sub(r"\1...", _LOGIN.sub("", text)) if "://" in text else text


def secret_argument(arguments: Sequence[str]) -> str | None:
    """Returns the name of the first option whose value holds a secret; None if none does.

    The name of a key that ``--set`` assigns belongs to it: ``--set storage.lake``.
    """
    for previous, word in zip(("", *arguments), arguments, strict=False):
        if holds_secret(word):
            option = previous if previous.startswith("--") and not word.startswith("--") else ""
            name = _NAME.match(word)
            return f"{option} {name[0].rstrip('=') if name else ''}".strip() or "an argument"
    return None
