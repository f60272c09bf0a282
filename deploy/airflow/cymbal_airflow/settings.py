"""What the DAGs are told from outside: when to run, by the environment; where to work, by Variables too."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from airflow.sdk import Variable

# As long as a killed run's sign of life counts in the lake (two minutes), and a little more.
_RETRY_SECONDS = 150.0


@dataclass(frozen=True)
class Times:
    """What Airflow must know when it reads the DAGs: of the environment alone, for no database is asked then.

    Attributes:
        zone: time zone of the schedules, and of the day that a drop is of.
        first_date: first drop date that a run is made for.
        nightly: cron expression of the nightly DAG: when the day before is worked.
        weekly: cron expression of the maintenance.
        deadline: how long after it is due to start a night must have ended; None for no deadline.
        pool: pool of all Spark runs.
        by_stage: whether each stage of a night is a task of its own.
        retry_delay: wait before another try.
        look_every: wait between two looks for a drop.
        wait_at_most: wait for a drop before the sensor fails.
        alert_email: who is told of a failed task and of a missed deadline; empty for nobody.
    """

    zone: str
    first_date: dt.date
    nightly: str
    weekly: str
    deadline: dt.timedelta | None
    pool: str
    by_stage: bool
    retry_delay: dt.timedelta
    look_every: dt.timedelta
    wait_at_most: dt.timedelta
    alert_email: str

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Times:
        """Reads them.

        Raises:
            ValueError: one is missing or not of its form; it names it.
        """
        deadline = _number(environment, "CYMBAL_DEADLINE_HOURS", 0)
        return cls(
            zone=environment.get("CYMBAL_TIMEZONE", "America/New_York"),
            first_date=_first_date(environment),
            nightly=environment.get("CYMBAL_SCHEDULE", "0 2 * * *"),
            weekly=environment.get("CYMBAL_MAINTENANCE_SCHEDULE", "0 14 * * 0"),
            deadline=dt.timedelta(hours=deadline) if deadline else None,
            pool=environment.get("CYMBAL_POOL", "default_pool"),
            by_stage=_is_by_stage(environment),
            retry_delay=_seconds(environment, "CYMBAL_RETRY_SECONDS", _RETRY_SECONDS),
            look_every=_seconds(environment, "CYMBAL_LOOK_SECONDS", 300),
            wait_at_most=_seconds(environment, "CYMBAL_WAIT_SECONDS", 12 * 3600),
            alert_email=environment.get("CYMBAL_ALERT_EMAIL", ""),
        )

    @property
    def start(self) -> dt.datetime:
        """The first moment of the first drop's day."""
        return dt.datetime.combine(self.first_date, dt.time(), ZoneInfo(self.zone))


@dataclass(frozen=True)
class Site:
    """Where a run works; looked up when a task runs, so that a changed Variable counts at once.

    Attributes:
        home: the checkout.
        place: name of a file in ``configs/places``.
        landing: folder or URI of the drops; None for the config's.
        lake: folder or URI of the tables; None for the config's.
        config: YAML file over ``configs/cymbal.yaml``; None for none.
        results: folder of the runs' result files.
    """

    home: Path
    place: str
    landing: str | None
    lake: str | None
    config: str | None
    results: Path

    @classmethod
    def current(cls) -> Site:
        """Reads each from the Variable ``cymbal_x``, else from the environment as ``CYMBAL_X``."""
        # Where the DAGs are read from a checkout, it is this one.
        home = Path(_said("home") or Path(__file__).resolve().parents[3])
        results = _said("results")
        return cls(
            home=home,
            place=_said("place") or "local",
            landing=_absolute(_said("landing"), home),
            lake=_absolute(_said("lake"), home),
            config=_absolute(_said("config"), home),
            results=Path(_absolute(results, home) or home / "var" / "airflow" / "results"),
        )

    @property
    def options(self) -> list[str]:
        """The options that tell a job the same."""
        given = {"--landing": self.landing, "--lake": self.lake, "--config": self.config}
        return [part for option, value in given.items() if value for part in (option, value)]


def _said(name: str) -> str | None:
    return Variable.get(f"cymbal_{name}", default=None) or os.environ.get(f"CYMBAL_{name.upper()}")


def _absolute(path: str | None, home: Path) -> str | None:
    """A task's own working folder is nowhere in particular: a relative path is one below the checkout."""
    return path if path is None or "://" in path else str(home / path)


def _first_date(environment: Mapping[str, str]) -> dt.date:
    text = environment.get("CYMBAL_START_DATE", "")
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"CYMBAL_START_DATE={text}: the first drop date to work is needed, as 2026-11-27"
        ) from None


def _is_by_stage(environment: Mapping[str, str]) -> bool:
    form = environment.get("CYMBAL_TASKS", "run_batch")
    if form not in ("run_batch", "stages"):
        raise ValueError(f"CYMBAL_TASKS={form}: one of run_batch, stages")
    return form == "stages"


def _seconds(environment: Mapping[str, str], name: str, default: float) -> dt.timedelta:
    return dt.timedelta(seconds=_number(environment, name, default))


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, str(default))
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number < float("inf"):
        raise ValueError(f"{name}={text}: a number of at least 0 is needed")
    return number
