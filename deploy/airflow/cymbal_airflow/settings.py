"""Settings of the DAGs: when to run, from the environment; where to work, also from Airflow Variables."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from airflow.sdk import Variable

# A little longer than the two minutes after which the lake's lock of a killed run expires.
_RETRY_SECONDS = 150.0


@dataclass(frozen=True)
class Times:
    """The settings that Airflow needs to read the DAGs. The environment alone gives them, without a database.

    Attributes:
        zone: time zone of the schedules and of the drop dates.
        first_date: first drop date that gets a run.
        nightly: cron expression of the nightly DAG, which processes the day before.
        weekly: cron expression of the maintenance.
        deadline: time from the scheduled start of a night to its latest end; None for no deadline.
        pool: pool of all Spark runs.
        by_stage: whether each stage of a night is its own task.
        retry_delay: wait before a retry.
        look_every: wait between two checks for a drop.
        wait_at_most: wait for a drop before the sensor fails.
        alert_email: address for failed tasks and missed deadlines; empty for no mail.
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
        """Reads the settings from environment variables.

        Raises:
            ValueError: a variable is missing or invalid; the message names it.
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
        """Start of the first drop date, in the time zone of the schedules."""
        return dt.datetime.combine(self.first_date, dt.time(), ZoneInfo(self.zone))


@dataclass(frozen=True)
class Site:
    """Where a run works. Read when a task runs, so that a changed Variable takes effect at once.

    Attributes:
        home: the checkout.
        place: name of a file in ``configs/places``.
        landing: folder or URI of the drops; None to use the config's.
        lake: folder or URI of the tables; None to use the config's.
        config: YAML file that overrides ``configs/cymbal.yaml``; None for none.
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
        """Reads each value from the Variable ``cymbal_x``, else from ``CYMBAL_X`` in the environment."""
        # The default is the checkout that holds this file.
        home = Path(_configured("home") or Path(__file__).resolve().parents[3])
        results = _configured("results")
        return cls(
            home=home,
            place=_configured("place") or "local",
            landing=_absolute(_configured("landing"), home),
            lake=_absolute(_configured("lake"), home),
            config=_absolute(_configured("config"), home),
            results=Path(_absolute(results, home) or home / "var" / "airflow" / "results"),
        )

    @property
    def options(self) -> list[str]:
        """The options that pass these values to a job."""
        values = {"--landing": self.landing, "--lake": self.lake, "--config": self.config}
        return [part for option, value in values.items() if value for part in (option, value)]


def _configured(name: str) -> str | None:
    return Variable.get(f"cymbal_{name}", default=None) or os.environ.get(f"CYMBAL_{name.upper()}")


def _absolute(path: str | None, home: Path) -> str | None:
    """Resolves a relative path below the checkout, because a task may run in any working folder."""
    return path if path is None or "://" in path else str(home / path)


def _first_date(environment: Mapping[str, str]) -> dt.date:
    text = environment.get("CYMBAL_START_DATE", "")
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"CYMBAL_START_DATE={text}: the first drop date to process is needed, for example 2026-11-27"
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
