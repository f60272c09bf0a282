"""Draws a flow of lines as a Sankey diagram: SVG, with its numbers beside each state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup, escape

from pipeline.report.pages.flow import Flow, Node

_WIDTH, _NODE_WIDTH, _COLUMNS = 860, 14, 4
_LABEL_WIDTH = 150
# The tallest column's bars share this height; each state takes at least the height of its label.
_BARS_HEIGHT, _SLOT, _GAP = 230, 38, 12
_TOP = 8


@dataclass(frozen=True)
class _Box:
    x: float
    y: float
    height: float


def draw_flow(flow: Flow, title: str) -> Markup:
    """Returns the SVG of a flow.

    Args:
        flow: states and links, not empty.
        title: what the picture shows, for a screen reader.
    """
    scale = _BARS_HEIGHT / max(
        sum(node.lines for node in flow.nodes if node.column == column) for column in range(_COLUMNS)
    )
    boxes, height = _layout(flow, scale)
    parts = [_band(flow, boxes, scale), *(_state(node, boxes[node.key]) for node in flow.nodes)]
    described = "; ".join(f"{node.label} {node.lines:,}" for node in flow.nodes)
    return Markup(
        '<svg role="img" aria-labelledby="flow-title flow-desc" class="sankey" viewBox="0 0 {} {:.0f}">'
        '<title id="flow-title">{}</title><desc id="flow-desc">{}.</desc>{}</svg>'
    ).format(_WIDTH, height, title, described, Markup("").join(parts))


def _layout(flow: Flow, scale: float) -> tuple[dict[str, _Box], float]:
    step = (_WIDTH - _LABEL_WIDTH - _NODE_WIDTH) / (_COLUMNS - 1)
    boxes: dict[str, _Box] = {}
    bottom = 0.0
    for column in range(_COLUMNS):
        y = float(_TOP)
        for node in (node for node in flow.nodes if node.column == column):
            height = max(2.0, node.lines * scale)
            boxes[node.key] = _Box(column * step, y, height)
            y += max(height, _SLOT) + _GAP
        bottom = max(bottom, y)
    return boxes, bottom


def _band(flow: Flow, boxes: Mapping[str, _Box], scale: float) -> Markup:
    """The links, each as a band between two bars."""
    kinds = {node.key: node.kind for node in flow.nodes}
    left: dict[str, float] = defaultdict(float)
    right: dict[str, float] = defaultdict(float)
    bands = []
    for link in flow.links:
        source, target = boxes[link.source], boxes[link.target]
        thickness = max(1.5, link.lines * scale)
        x1, x2 = source.x + _NODE_WIDTH, target.x
        y1, y2 = source.y + left[link.source] + thickness / 2, target.y + right[link.target] + thickness / 2
        left[link.source] += link.lines * scale
        right[link.target] += link.lines * scale
        middle = (x1 + x2) / 2
        bands.append(
            Markup(
                '<path class="band {}" d="M{:.1f},{:.1f}C{:.1f},{:.1f} {:.1f},{:.1f} {:.1f},{:.1f}"'
                ' stroke-width="{:.1f}"/>'
            ).format(kinds[link.target], x1, y1, middle, y1, middle, y2, x2, y2, thickness)
        )
    return Markup("").join(bands)


def _state(node: Node, box: _Box) -> Markup:
    x, y = box.x + _NODE_WIDTH + 6, box.y + 13
    return Markup(
        '<rect class="state {}" x="{:.1f}" y="{:.1f}" width="{}" height="{:.1f}" rx="2"/>'
        '<text x="{:.1f}" y="{:.1f}"><tspan class="name">{}</tspan>'
        '<tspan class="count" x="{:.1f}" dy="17">{}</tspan></text>'
    ).format(node.kind, box.x, box.y, _NODE_WIDTH, box.height, x, y, escape(node.label), x, f"{node.lines:,}")
