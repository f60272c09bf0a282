"""Reads YAML in which a key stands once. YAML itself says so; its reader lets the last one win in silence."""

from __future__ import annotations

from typing import Any

import yaml

_MERGE = "tag:yaml.org,2002:merge"


class _OneOfEachKey(yaml.SafeLoader):
    """The safe reader, which refuses a key that stands twice in a mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        known: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            if key.value in known:
                raise yaml.constructor.ConstructorError(
                    problem=f"key {key.value!r} stands twice", problem_mark=key.start_mark
                )
            known.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(text: str) -> Any:
    """Returns the value that a YAML text holds.

    Raises:
        yaml.YAMLError: it is not YAML, or a mapping has a key twice. The message has line and column.
    """
    return yaml.load(text, Loader=_OneOfEachKey)
