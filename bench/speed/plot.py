"""Rows per second and CPU, side by side, as an SVG."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.speed.jobs import Backlog

COLOURS = {"XNovu": "#2563eb", "limit": "#d1d5db"}
OTHERS = "#6b7280"


def plot(found: Mapping[str, Sequence[Backlog]], path: Path) -> None:
    """Medians as bars, with the range; without the limit program's rate, which dwarfs them."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "xnovu", "font.size": 9})
    figure = Figure(figsize=(8, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = [name for name in found if name != "limit"]
    for axes, title, values in (
        (left, "rows per second", {name: [one.rate for one in found[name]] for name in names}),
        (right, "CPU s per 1,000 rows", {n: [one.cpu for one in found[n]] for n in names}),
    ):
        middle = [statistics.median(values[name]) for name in names]
        spread = [
            [m - min(values[name]) for m, name in zip(middle, names, strict=True)],
            [max(values[name]) - m for m, name in zip(middle, names, strict=True)],
        ]
        bars = axes.barh(
            names, middle, xerr=spread, color=[COLOURS.get(name, OTHERS) for name in names]
        )
        axes.bar_label(bars, [f"{m:,.0f}" if m > 10 else f"{m:.2f}" for m in middle], padding=6)
        axes.set_title(title)
        axes.invert_yaxis()
        axes.margins(x=0.18)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
