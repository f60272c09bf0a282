"""Draws wall time and price by number of workers, p line per size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from tools.benchmarks.scale.model import Projection


def draw(projections: Sequence[Projection], price_per_core_hour: float, path: Path) -> None:
    """Writes the curves as SVG; both axes are logarithmic.

    Args:
        projections: by lines, then workers.
        price_per_core_hour: price of a core, busy or idle.
        path: file to write.
    """
    # A fixed salt makes equal results give an identical file.
    with mpl.rc_context({"svg.hashsalt": "benchmarks", "svg.fonttype": "none"}):
        figure = Figure(figsize=(11, 5), layout="constrained")
        times, prices = figure.subplots(1, 2)
        for lines in dict.fromkeys(p.lines for p in projections):
            of_size = [p for p in projections if p.lines == lines]
            workers = [p.cluster.workers for p in of_size]
            times.plot(workers, [p.seconds / 60 for p in of_size], marker="o", label=f"{lines:,} lines")
            prices.plot(workers, [p.core_hours * price_per_core_hour for p in of_size], marker="o")
        for axes, title in ((times, "wall time, minutes"), (prices, "price")):
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.xaxis.set_major_formatter("{x:,g}")
            axes.yaxis.set_major_formatter("{x:,g}")
            axes.set_xlabel(f"workers of {projections[0].cluster.cores} cores")
            axes.set_ylabel(title)
            axes.grid(alpha=0.3)
        figure.legend(*times.get_legend_handles_labels(), loc="outside upper center", ncols=5, frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None})
