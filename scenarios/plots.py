"""Plots of scenarios: one style, small files, and nothing in them that changes unless the figures do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

COLOURS = {"amber": "#c77700", "blue": "#0a6fc2", "red": "#c2314b", "green": "#2a8a4a", "grey": "#6b7280"}
INK = "#24292f"
STYLE: Any = {
    "svg.hashsalt": "signalbox",
    "svg.fonttype": "none",  # text stays text: small, and searchable
    "font.family": "sans-serif",
    "font.size": 9,
    "figure.facecolor": "white",  # a card of its own, on light pages and dark ones
    "axes.facecolor": "white",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#d0d7de",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "path.simplify_threshold": 0.5,
}


@contextmanager
def figure(file: Path, title: str, panels: int, end_seconds: float) -> Iterator[Any]:
    """Yield the axes of so many panels over one time axis, and write the file afterwards."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    with pyplot.rc_context(STYLE):
        drawn, axes = pyplot.subplots(panels, sharex=True, figsize=(7.2, 0.6 + 1.75 * panels), squeeze=False)
        axes[0][0].set_title(title, loc="left", pad=16)
        yield [row[0] for row in axes]
        axes[-1][0].set(xlabel="seconds", xlim=(0, end_seconds))
        drawn.align_ylabels()
        drawn.savefig(file, bbox_inches="tight", metadata={"Date": None, "Creator": None})
        pyplot.close(drawn)


def span(axes: Any, since: float, until: float, text: str) -> None:
    """Shade a span of time on every panel, and say above the first what it is."""
    for each in axes:
        each.axvspan(since, until, color="k", alpha=0.06, lw=0)
    axes[0].annotate(
        text, ((since + until) / 2, 1.0), xycoords=("data", "axes fraction"), va="bottom", ha="center",
        color=COLOURS["grey"], xytext=(0, 2), textcoords="offset points",
    )  # fmt: skip
