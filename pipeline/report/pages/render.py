"""Renders the page of a run: one HTML file that holds all it needs and runs no script."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.lake.causes import explain
from pipeline.planning.shown_text import without_controls
from pipeline.report.pages.facts import RunFacts
from pipeline.report.pages.flow import flow_of
from pipeline.report.pages.parts import Picture, moment
from pipeline.report.pages.sections import sections_of
from pipeline.report.pages.words import commands_of, verdict_of
from schemas.addresses import without_secrets

_FOLDER = Path(__file__).resolve().parent / "templates"
# Begins the page of a run that is still at work.
IS_RUNNING = '<header class="running">'
_SIGNS = {"good": "✓", "warning": "!", "bad": "✗", "running": "…"}


def render_run(facts: RunFacts, *, index: str | None = None) -> str:
    """Returns the page of a run.

    Args:
        facts: what it shows.
        index: address of the overview of all runs, relative to the page; None if there is none.
    """
    flow, notes = flow_of(facts), list(facts.notes)
    sections = sections_of(facts, flow, lambda draw: try_to_draw(draw, notes))
    verdict = verdict_of(facts, flow)
    return render(
        "run.html.j2",
        title=f"{facts.job} {facts.run_id}",
        verdict=verdict,
        sign=_SIGNS[verdict.state],
        facts=facts,
        when=(moment(facts.started_at), moment(facts.ended_at)),
        sections=sections,
        commands=commands_of(facts),
        notes=notes,
        index=index,
    )


def render(template: str, **values: Any) -> str:
    """Renders a template; every value is escaped."""
    return environment().get_template(template).render(**values)


@cache
def environment() -> Environment:
    """The templates. Escaping is on for all of them, and a missing value is an error."""
    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_as_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _as_shown(value: Any) -> Any:
    """Text without what drives a screen, and without passwords in addresses: a page is sent to others."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return without_secrets(without_controls(value))


def try_to_draw(draw: Callable[[], Picture], notes: list[str]) -> list[Picture]:
    """Draws a picture. If it cannot be drawn, a note says why, once; its table stays."""
    try:
        return [draw()]
    except ImportError as error:
        note = (
            f"Some pictures are left out, because the package {error.name} is not installed. To install it: "
            ".venv/bin/python -m pip install -r requirements-report.lock"
        )
    except Exception as error:  # the tables hold the same numbers
        note = f"A picture is left out: {explain(error)}"
    if note not in notes:
        notes.append(note)
    return []
