"""A team's own rules: conditions of the config that reject a line or count it with a warning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# What a rule may read, besides the received columns: when the line was sold and delivered.
DATES_OF_LINE = ("sale_date", "drop_date")


@dataclass(frozen=True)
class OwnRule:
    """One rule of the config key ``rules``.

    Attributes:
        name: name of the rule, and reject reason.
        condition: Spark SQL, a boolean over the typed received columns and the dates of the line. True
            rejects the line, or warns of it; null does neither.
        stores: stores that it holds for; empty for all.
        warns: whether a line is only counted, and published all the same.
    """

    name: str
    condition: str
    stores: tuple[str, ...] = ()
    warns: bool = False

    def as_json(self) -> dict[str, Any]:
        """Returns the rule as plain values, for the metadata of a commit."""
        return {"condition": self.condition, "stores": list(self.stores), "warns": self.warns}

    @classmethod
    def from_json(cls, name: str, values: Mapping[str, Any]) -> OwnRule:
        """Reads a rule from the metadata of a commit."""
        return cls(name, str(values["condition"]), tuple(values["stores"]), bool(values["warns"]))
