"""``scripts/profile.sh FILE...``: proposes a delivery profile for each file."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipeline.landing.unpack import UNREADABLE
from pipeline.profiles import DeliveryProfile, contract_profile
from scripts.profiling.propose import propose
from scripts.profiling.sniff import Found, sniff
from scripts.profiling.typed import typed_row

_ROWS_SHOWN = 3


def main(arguments: list[str]) -> int:
    """Prints a proposal for each file.

    Returns:
        0; 2 if a file could not be read or none was given.
    """
    if not arguments or arguments[0].startswith("-"):
        print("usage: scripts/profile.sh FILE...", file=sys.stderr)
        return 2
    code = 0
    for path in map(Path, arguments):
        try:
            print(proposal(path))
        except (*UNREADABLE, StopIteration) as error:
            print(f"error: {path}: {error}", file=sys.stderr)
            code = 2
    return code


def proposal(path: Path) -> str:
    """The proposal for a file: YAML with evidence, what is to be decided, and the first rows.

    Raises:
        UNREADABLE: the file cannot be read, or is no table.
    """
    found = sniff(path)
    questions = propose(found)
    keys = profile_keys(path, found)
    lines = ["deliveries:", *_as_yaml(found, keys)]
    lines += [f"# to decide: {question}" for question in questions]
    if contract_profile(path.name) is not None and set(keys) <= {"files", "format"}:
        lines.append("# the contract's own form: it needs no profile")
    try:
        DeliveryProfile.model_validate(keys)
    except ValidationError as error:
        lines.append(f"# not valid yet: {error.errors()[0]['msg']}")
    return "\n".join([*lines, *_first_rows(found)])


def profile_keys(path: Path, found: Found) -> dict[str, Any]:
    """The keys of the proposed profile."""
    keys: dict[str, Any] = {"files": _pattern(path.name)}
    if found.format != "csv":
        keys["format"] = found.format
    return keys | found.keys


def _pattern(name: str) -> str:
    """The name with its numbers as wildcards: other days and stores are called alike."""
    return re.sub(r"\d+", "*", re.sub(r"[\[\]?*]", "?", name))


def _as_yaml(found: Found, keys: dict[str, Any]) -> list[str]:
    lines = []
    for number, (key, value) in enumerate(keys.items()):
        text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000).strip()
        because = found.evidence.get(key)
        lead = "  - " if number == 0 else "    "
        lines.append(f"{lead}{key}: {text.removesuffix('...').strip()}{f'  # {because}' if because else ''}")
    return lines


def _first_rows(found: Found) -> list[str]:
    lines = []
    for row in found.rows[:_ROWS_SHOWN]:
        lines.append("# a row:")
        lines += [f"#   {text}" for text in typed_row(found, row)]
    return lines


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
