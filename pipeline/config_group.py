"""The base of every group of keys in a config."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ConfigGroup(BaseModel):
    """A frozen group of keys. It refuses unknown ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")
