"""Writes the reference of the config from the settings: its JSON Schema, and the tables of its page.

``python -m scripts.config_reference`` writes both. The settings' models give types and valid forms,
``configs/cymbal.yaml`` gives defaults and, in the comment above a key, its meaning.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from pipeline.gold_config import DeclaredGold
from pipeline.settings import DEFAULTS, ExpectedStore, Settings

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "docs" / "reference" / "config.schema.json"
PAGE = ROOT / "docs" / "reference" / "config.md"
_KEY = re.compile(r"( *)([a-z_]+):")
_DOCS = re.compile(r"docs/([\w/-]+)\.md(#[\w-]+)?")
# A table of the page stands between two such lines.
_TABLE = "<!-- {name}: written by scripts/config_reference.py -->\n"
_END = "<!-- end -->\n"


def meanings() -> dict[str, str]:
    """Returns the meaning of each key and group by dotted name: the comment above it.

    A key without a comment has the same meaning as the one before it in its group.
    """
    found: dict[str, str] = {}
    comment: list[str] = []
    group = last = ""
    for line in DEFAULTS.read_text(encoding="utf-8").splitlines():
        if line.lstrip().startswith("#"):
            comment.append(line.lstrip(" #"))
            continue
        key = _KEY.match(line)
        if key is not None:
            group = group if key[1] else key[2]
            name = f"{group}.{key[2]}" if key[1] else key[2]
            last = " ".join(comment) or (last if key[1] else "")
            found[name] = last
        comment = []
    return found


def schema() -> dict[str, Any]:
    """Returns the JSON Schema of a config file: every key may be left out, and no other is allowed."""
    document = Settings.model_json_schema()
    defaults = yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))
    definitions = document["$defs"]
    said = meanings()
    _describe(document, "", defaults, said)
    for name, part in document["properties"].items():
        reference = part.get("$ref", "").rpartition("/")[2]
        if reference:
            _describe(definitions[reference], f"{name}.", defaults[name], said)
    for name in ("Series", "Seller"):
        definitions[name].pop("required", None)
    stores = document["properties"]["expected_stores"]
    stores |= _expected_stores(definitions)
    del stores["items"], stores["type"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **document,
        "title": "Config of the sales batch",
        "description": "A config file holds the keys that differ from configs/cymbal.yaml.",
    }


def _describe(
    part: dict[str, Any], prefix: str, defaults: Mapping[str, Any], said: Mapping[str, str]
) -> None:
    """Adds meanings and defaults to the keys of a group; none of them is required."""
    part.pop("required", None)
    for name, key in part["properties"].items():
        key.pop("title", None)
        if said.get(f"{prefix}{name}"):
            key["description"] = said[f"{prefix}{name}"]
        if "$ref" not in key or prefix:
            key["default"] = defaults[name]


def _expected_stores(definitions: dict[str, Any]) -> dict[str, Any]:
    definitions.setdefault("ExpectedStore", ExpectedStore.model_json_schema())
    entry = {"anyOf": [{"type": "string", "minLength": 1}, {"$ref": "#/$defs/ExpectedStore"}]}
    return {"anyOf": [{"type": "array", "items": entry}, {"type": "string"}]}


def schema_text() -> str:
    """Returns the JSON Schema as its file holds it."""
    # Dates of the defaults are text in a schema.
    return json.dumps(schema(), indent=2, ensure_ascii=False, default=str) + "\n"


def page_text(page: str) -> str:
    """Returns the page of the config with its tables written anew."""
    for name, rows in (("keys", _rows_of_keys()), ("gold", _rows_of(DeclaredGold))):
        begin = _TABLE.format(name=name)
        before, middle, rest = page.partition(begin)
        _, end, after = rest.partition(_END)
        if not middle or not end:
            raise ValueError(f"{PAGE}: lacks the lines {begin.strip()} and {_END.strip()}")
        page = before + begin + "\n" + "".join(rows) + "\n" + _END + after
    return page


def _rows_of_keys() -> Iterator[str]:
    yield "| key | default | meaning |\n|---|---|---|\n"
    defaults, said = yaml.safe_load(DEFAULTS.read_text(encoding="utf-8")), meanings()
    for name, value in defaults.items():
        if _is_group(name):
            for key, inner in value.items():
                yield _row(f"{name}.{key}", inner, said)
        else:
            yield _row(name, value, said)


def _is_group(name: str) -> bool:
    model = Settings.model_fields[name].annotation
    return isinstance(model, type) and issubclass(model, BaseModel)


def _row(name: str, value: Any, said: Mapping[str, str]) -> str:
    default = yaml.safe_dump(value, default_flow_style=True, width=1000, allow_unicode=True, sort_keys=False)
    default = default.removesuffix("\n").removesuffix("\n...").replace("|", "\\|")
    return f"| `{name}` | {default} | {_linked(said[name])} |\n"


def _rows_of(model: type[BaseModel]) -> Iterator[str]:
    yield "| key | meaning |\n|---|---|\n"
    for name, field in model.model_fields.items():
        optional = "" if field.is_required() else "; [] unless given"
        yield f"| `{name}` | {field.description}{optional} |\n"


def _linked(text: str) -> str:
    """Names of pages as links, seen from the page of the config."""

    def link(match: re.Match[str]) -> str:
        folder, _, name = match[1].rpartition("/")
        path = f"{name}.md" if folder == "reference" else f"../{match[1]}.md"
        return f"[{name.replace('-', ' ')}]({path}{match[2] or ''})"

    return _DOCS.sub(link, text.replace("|", "\\|"))


def main() -> int:
    """Writes both files; returns 0."""
    SCHEMA.write_text(schema_text(), encoding="utf-8")
    PAGE.write_text(page_text(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{SCHEMA.relative_to(ROOT)}, {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
