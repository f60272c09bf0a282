"""What Spark's event log and pages must not show: they list all settings, and the properties of Java."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from scripts.submission.java_options import secret_properties
from scripts.submission.request import Request
from scripts.submission.secrets import is_harmless

_SETTING = "spark.redaction.regex"
# Spark's default lacks Azure's account keys, among others.
_USUAL = r"(?i:secret|passw|token|credential|(access|account|api|encryption|private)[._-]?key)"
_HADOOP = "spark.hadoop."


def redaction_settings(request: Request) -> dict[str, str]:
    """Returns the setting by which Spark hides values: by names that tell a secret, and by exact names.

    The latter are the settings of the user's spark-defaults.conf and the properties of the caller's Java
    options that are not known to be harmless. An expression of the user's own stays in force beside it.
    """
    defaults = request.defaults()
    given = defaults.get(_SETTING)
    names = sorted({*secret_properties(request.environment), *_names(defaults)})
    exact = [f"(^|[.]){re.escape(name)}$" for name in names]
    return {_SETTING: "|".join([*([f"({given})"] if given else []), _USUAL, *exact])}


def _names(defaults: Mapping[str, str]) -> Iterator[str]:
    for name, value in defaults.items():
        if name != _SETTING and not is_harmless(name, value):
            yield name.removeprefix(_HADOOP)  # as it stands in Hadoop's own list
