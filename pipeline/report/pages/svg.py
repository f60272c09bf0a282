"""Turns a chart into SVG that follows the page's light and dark colours and that a screen reader can name."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from typing import Any

from markupsafe import Markup

from pipeline.planning.shown_text import without_controls
from pipeline.report.pages.converter import converter

# Charts are drawn with these colours; the page's style replaces each by a variable.
INK, MUTED, LINE, BAD, WAIT, PAPER = (f"#0a0b{number:02d}" for number in range(1, 7))
_VARIABLES = dict(
    zip((INK, MUTED, LINE, BAD, WAIT, PAPER), ("ink", "muted", "line", "bad", "wait", "paper"), strict=True)
)
_COLOURS = 8
# Colours of chunks, which differ for people who see few colours too.
CHUNK_COLOURS = tuple(f"#0a0c{number:02d}" for number in range(1, _COLOURS + 1))
_VARIABLES |= {colour: f"c{number}" for number, colour in enumerate(CHUNK_COLOURS, start=1)}
_SVG = "http://www.w3.org/2000/svg"
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
_LONGEST_TEXT, _LONGEST_DESCRIPTION = 60, 1000


def printable(text: str, longest: int = _LONGEST_TEXT) -> str:
    """Text for a chart, in one line: without what no XML may hold, and not too long."""
    clean = without_controls(" ".join(text.splitlines()))
    return clean if len(clean) <= longest else f"{clean[: longest - 1]}…"


def draw(chart: Any, name: str, title: str, description: str) -> Markup:
    """Draws an Altair chart.

    Args:
        chart: the chart.
        name: id of the picture, unique on its page.
        title: what it shows.
        description: what can be read from it.
    """
    text = converter().to_svg(_styled(chart).to_dict(validate=False))
    ET.register_namespace("", _SVG)
    root = ET.fromstring(text)
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    for element in root.iter():
        _adapt(element)
    root.attrib.clear()
    root.attrib.update(
        {
            "viewBox": f"0 0 {width:.0f} {height:.0f}",
            "role": "img",
            "aria-labelledby": f"{name}-title {name}-desc",
            "style": f"width:{width:.0f}px",
        }
    )
    for position, (tag, content) in enumerate((("title", title), ("desc", description))):
        child = ET.Element(f"{{{_SVG}}}{tag}", {"id": f"{name}-{tag}"})
        child.text = printable(content, _LONGEST_DESCRIPTION)
        root.insert(position, child)
    return Markup(ET.tostring(root, encoding="unicode"))


def _styled(chart: Any) -> Any:
    return (
        chart.configure(
            background="transparent",
            font=_FONT,
            aria=False,
            padding={"left": 2, "top": 4, "right": 8, "bottom": 2},
        )
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=INK,
            titleColor=MUTED,
            gridColor=LINE,
            domainColor=LINE,
            tickColor=LINE,
            labelFontSize=13,
            titleFontSize=13,
            titleFontWeight="normal",
            labelLimit=260,
        )
        .configure_legend(
            labelColor=INK, titleColor=MUTED, labelFontSize=13, titleFontSize=13, orient="top", title=None
        )
        .configure_text(color=INK, fontSize=13)
        .configure_header(labelColor=INK, labelFontSize=13)
    )


def _adapt(element: ET.Element) -> None:
    """Makes colours variable, and drops what only an interactive chart needs."""
    for key, value in list(element.attrib.items()):
        if key == "role" or key.startswith("aria-"):
            del element.attrib[key]
        elif value in _VARIABLES:
            element.set(key, f"var(--{_VARIABLES[value]})")


def colour_by_chunk(chunks: list[str]) -> dict[str, str]:
    """A colour for each chunk, in order."""
    return dict(zip(chunks, itertools.cycle(CHUNK_COLOURS), strict=False))
