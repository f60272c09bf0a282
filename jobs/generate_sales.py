"""Generates synthetic drops of any size, and the results that the batch must give for them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import click
import yaml
from pydantic import ValidationError

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.steps.context import Batch
from schemas.errors import UsageError
from tools.synthetic.generate import generate
from tools.synthetic.plan import SyntheticPlan

_LOG = logging.getLogger("jobs.generate_sales")  # spark-submit runs this file as __main__

# Fields of the plan that come from the common options and the config.
_FROM_CONFIG = frozenset({"first_date", "last_date", "timezone", "ranges", "late_days"})


def run(batch: Batch, options: Options) -> None:
    """Writes drops for the sale dates from --from to --to into the landing, and truth.json beside it."""
    plan = _plan(batch, options)
    landing = batch.settings.storage.landing
    batch.outcome.planned.append(
        f"{plan.rows:,} lines and their copies, {len(plan.drops)} drops of {plan.files} files each "
        f"from {plan.first_date}, seed {plan.seed}, into {landing}"
    )
    if batch.dry_run:
        return
    _LOG.info(f"generating {plan.rows:,} lines")
    try:
        generate(batch.spark, plan, landing, options.extra["truth"], overwrite=options.extra["overwrite"])
    except FileExistsError as error:
        raise UsageError(f"{error} (--overwrite)") from None


def _plan(batch: Batch, options: Options) -> SyntheticPlan:
    settings = batch.settings
    values = {
        "timezone": settings.business_day.timezone,
        "ranges": settings.chunks.ranges,
        "late_days": settings.late.days,
        "first_date": options.dates.first,
        "last_date": options.dates.last,
    }
    values |= {name: options.extra[name] for name in _own_fields()}
    try:
        return SyntheticPlan.model_validate(
            {name: value for name, value in values.items() if value is not None}
        )
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        option = "".join(f"--{part} {problem['input']!r}: ".replace("_", "-") for part in problem["loc"][:1])
        raise UsageError(f"{option}{problem['msg'].removeprefix('Value error, ')}") from None


def _own_fields() -> list[str]:
    return [name for name in SyntheticPlan.model_fields if name not in _FROM_CONFIG]


def _yaml_value(_: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    try:
        return None if value is None else yaml.safe_load(value)
    except yaml.YAMLError:
        raise click.BadParameter(f"{value!r} is not a YAML value", param=parameter) from None


def _plan_options() -> list[Callable[[Any], Any]]:
    """One option for each field of the plan, so that a new field needs no other change."""
    options = []
    for name in _own_fields():
        default = SyntheticPlan.model_fields[name].get_default(call_default_factory=True)
        text = f"Default {default}." if not isinstance(default, dict) else "YAML: {name: weight}."
        flag = f"--{name.replace('_', '-')}"
        options.append(click.option(flag, name, callback=_yaml_value, metavar="VALUE", help=text))
    return options


JOB = Job(
    "generate_sales",
    "Generates synthetic drops of any size into the landing, and truth.json with the expected results.",
    run,
    [
        *_plan_options(),
        click.option("--truth", help="Path of truth.json; default: beside the landing."),
        click.option("--overwrite", is_flag=True, help="Replace the drops that the landing holds."),
    ],
    records_runs=False,
    needs_settled_lake=False,
    can_be_unchanged=False,
)

if __name__ == "__main__":
    JOB.main()
