"""What a run came to: its result file, and whether another try could end better; knows no Airflow."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

# The same command would come to the same: a person has to look first.
FINAL = {
    2: "the command or the config is wrong",
    3: "some dates failed, the others are published",
    4: "an audit stopped it",
    5: "the input is not there, or not whole",
}


def read_result(path: Path) -> dict[str, Any] | None:
    """The result that a run left; None where it left none: it never began, was killed, or lost its disk."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def in_words(result: dict[str, Any]) -> str:
    """A result in one line."""
    states = Counter(date["status"] for date in result["dates"])
    dates = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"
    told = f"{result['job']} {result['status']}, exit code {result['exit_code']}; business dates: {dates}"
    return f"{told}; {result['error']}" if result["error"] else told
