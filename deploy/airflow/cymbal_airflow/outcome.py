"""The outcome of a run: its result file, and whether a retry could succeed. Does not need Airflow."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

# A rerun of the same command cannot fix these: a person has to look first.
FINAL = {
    2: "the command or the config is wrong",
    3: "some dates failed, the others are published",
    4: "an audit stopped it",
    5: "the input is not there, or not complete",
}


def read_result(path: Path) -> dict[str, Any] | None:
    """Reads the result of a run; None if there is none: the run never began, was killed, or lost its disk."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def describe_result(result: dict[str, Any]) -> str:
    """Describes a result in one line."""
    states = Counter(date["status"] for date in result["dates"])
    dates = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"
    line = f"{result['job']} {result['status']}, exit code {result['exit_code']}; business dates: {dates}"
    return f"{line}; {result['error']}" if result["error"] else line
