"""A lake as a team extends it: own columns, rules and a gold table. What is promised holds for them too."""

from __future__ import annotations

from pathlib import Path

EXTENDED_CONFIG = Path(__file__).with_name("config.yaml")
