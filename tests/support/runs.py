"""Jobs run in this process, on the session of the tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.cli.job import Job


@dataclass(frozen=True)
class Finished:
    """What a run of a job came to: its exit code and what it wrote as its result (empty where none)."""

    code: int
    result: dict[str, Any]


def run_job(job: Job, landing: Path, lake: Path, *arguments: str) -> Finished:
    """Runs a job over a landing and a lake."""
    result = lake.parent / "result.json"
    result.unlink(missing_ok=True)
    where = ["--landing", str(landing), "--lake", str(lake), "--result", str(result)]
    code = int(job.run([*where, *arguments]))
    return Finished(code, json.loads(result.read_text()) if result.exists() else {})
