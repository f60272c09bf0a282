"""Generates synthetic drops at any size, and the truth about them."""

from __future__ import annotations

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

# What the common options and the config say already.
_SAID_ELSEWHERE = frozenset({"first_date", "last_date", "timezone", "ranges", "late_days"})


def run(batch: Batch, options: Options) -> None:
    """Writes the drops of sale dates --from to --to into the landing, and truth.json beside it."""
    plan = _plan(batch, options)
    landing = batch.settings.storage.landing
    batch.outcome.planned.append(
        f"{plan.rows:,} lines and their copies, {len(plan.drops)} drops of {plan.files} files each "
        f"from {plan.first_date}, seed {plan.seed}, into {landing}"
    )
    if batch.dry_run:
        return
    batch.tell(f"generating {plan.rows:,} lines")
    try:
        generate(batch.spark, plan, landing, options.extra["truth"], overwrite=options.extra["overwrite"])
    except FileExistsError as error:
        raise UsageError(f"{error} (--overwrite)") from None


def _plan(batch: Batch, options: Options) -> SyntheticPlan:
    settings = batch.settings
    said = {
        "timezone": settings.business_day.timezone,
        "ranges": settings.chunks.ranges,
        "late_days": settings.late.days,
        "first_date": options.dates.first,
        "last_date": options.dates.last,
    }
    said |= {name: options.extra[name] for name in _own_fields()}
    try:
        return SyntheticPlan.model_validate(
            {name: value for name, value in said.items() if value is not None}
        )
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = "".join(f"--{part} {problem['input']!r}: ".replace("_", "-") for part in problem["loc"][:1])
        raise UsageError(f"{where}{problem['msg'].removeprefix('Value error, ')}") from None


def _own_fields() -> list[str]:
    return [name for name in SyntheticPlan.model_fields if name not in _SAID_ELSEWHERE]


def _yaml_value(_: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    try:
        return None if value is None else yaml.safe_load(value)
    except yaml.YAMLError:
        raise click.BadParameter(f"{value!r} is not a YAML value", param=parameter) from None


def _plan_options() -> list[Callable[[Any], Any]]:
    """An option of each field of the plan, so that a new field is an option at once."""
    options = []
    for name in _own_fields():
        default = SyntheticPlan.model_fields[name].get_default(call_default_factory=True)
        shown = f"Default {default}." if not isinstance(default, dict) else "YAML: {name: weight}."
        flag = f"--{name.replace('_', '-')}"
        options.append(click.option(flag, name, callback=_yaml_value, metavar="VALUE", help=shown))
    return options


JOB = Job(
    "generate_sales",
    "Generates synthetic drops of any size into the landing, and truth.json with what is to come of them.",
    run,
    [
        *_plan_options(),
        click.option("--truth", help="Where truth.json goes; beside the landing unless given."),
        click.option("--overwrite", is_flag=True, help="Replace the drops that the landing holds."),
    ],
    records_runs=False,
    needs_settled_lake=False,
    can_be_unchanged=False,
)

if __name__ == "__main__":
    JOB.main()
