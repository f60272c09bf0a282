"""``scripts/profile.sh [--known KEYS] FILE...``: proposes a delivery profile for each file."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipeline.landing.unpack import UNREADABLE
from pipeline.profiles import DeliveryProfile, contract_profile
from pipeline.yaml_text import read_yaml
from schemas.landing import RECEIVED_NAMES
from scripts.profiling.propose import propose
from scripts.profiling.sniff import Found, sniff
from scripts.profiling.typed import typed_row

_ROWS_SHOWN = 3
_HEAD = "deliveries:"
# What a file does not say of itself, and what its sender's description says.
_MAY_BE_KNOWN = ("columns", "constants", "positions")


def main(arguments: list[str]) -> int:
    """Prints a proposal for each file.

    Returns:
        0; 2 if a file could not be read or none was given, or if what is known is not of its form.
    """
    parser = argparse.ArgumentParser(prog="scripts/profile.sh", description="Proposes delivery profiles.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument(
        "--known",
        type=_known,
        default={},
        metavar="KEYS",
        help="what the sender says, as '{constants: {currency: EUR}}'; also columns and positions",
    )
    try:
        requested = parser.parse_args(arguments)
    except SystemExit as exit_of_parser:
        return int(exit_of_parser.code or 0)
    code, is_first = 0, True
    for path in requested.files:
        try:
            text = proposal(path, requested.known)
            # One key for all files: YAML takes the last of two.
            print(text if is_first else text.removeprefix(f"{_HEAD}\n"))
            is_first = False
        except (*UNREADABLE, StopIteration) as error:
            print(f"error: {path}: {error}", file=sys.stderr)
            code = 2
    return code


def _known(text: str) -> dict[str, dict[str, Any]]:
    """Keys of a profile, by column.

    Raises:
        ArgumentTypeError: the text is no such mapping.
    """
    try:
        keys = read_yaml(text)
    except yaml.YAMLError:
        keys = None
    if not isinstance(keys, dict) or not all(isinstance(value, dict) for value in keys.values()):
        raise argparse.ArgumentTypeError(f"{text!r} must be as '{{constants: {{currency: EUR}}}}'")
    unknown = sorted(set(keys) - set(_MAY_BE_KNOWN))
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(_MAY_BE_KNOWN)}")
    columns = [column for value in keys.values() for column in value if column not in RECEIVED_NAMES]
    if columns:
        raise argparse.ArgumentTypeError(f"{columns[0]!r} is no column of the contract")
    for column, place in keys.get("positions", {}).items():
        if not isinstance(place, list) or [type(at) for at in place] != [int, int]:
            raise argparse.ArgumentTypeError(f"positions of {column} must be as [1, 6], is {place!r}")
    return keys


def proposal(path: Path, known: Mapping[str, Mapping[str, Any]]) -> str:
    """The proposal for a file: YAML with evidence, what is to be decided, and the first rows.

    Args:
        path: the file.
        known: columns, constants and positions that a person knows, by contract column.

    Raises:
        UNREADABLE: the file cannot be read, or is no table.
    """
    found = sniff(path, known.get("positions", {}))
    questions = propose(found, known)
    keys = profile_keys(path, found)
    lines = [_HEAD, *_as_yaml(found, keys)]
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
