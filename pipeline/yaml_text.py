"""Reads YAML that people write."""

from __future__ import annotations

from typing import Any

import yaml


def load_yaml(text: str) -> Any:
    """Reads YAML of plain values. A key that stands twice in a mapping is an error.

    Raises:
        YAMLError: it is no YAML, or a key stands twice: PyYAML alone would take the last and drop the other.
    """
    # A loader of plain values only.
    return yaml.load(text, _OneOfEachKey)


class _OneOfEachKey(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node, each of whose keys stands once."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key.value!r} stands twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)
