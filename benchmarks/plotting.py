"""Time against size, drawn alike by every benchmark that draws it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

Curves = Mapping[int, Mapping[str, float]]
"""Median microseconds by series, by size in bytes."""


def draw(
    file: Path, sides: Mapping[str, Curves], *, size_of: str, crosses: tuple[str, Mapping[int, float]] | None = None
) -> Path:
    """Draw one pair of logarithmic axes for each title, side by side.

    size_of: what the sizes are of. crosses: a label and points on the first axes. Returns the file.
    """
    from matplotlib import pyplot

    pyplot.rcParams["svg.hashsalt"] = "signalbox"  # the same figures give the same file
    figure, row = pyplot.subplots(1, len(sides), sharey=True, squeeze=False, figsize=(2.5 + 4.5 * len(sides), 4.5))
    for axes, (title, curves) in zip(row[0], sides.items(), strict=True):
        for name in next(iter(curves.values())):
            axes.plot(list(curves), [taken[name] for taken in curves.values()], marker="o", markersize=3, label=name)
        if crosses is not None and axes is row[0][0]:
            axes.plot(list(crosses[1]), list(crosses[1].values()), "kx", label=crosses[0])
        axes.set(xscale="log", yscale="log", xlabel=f"{size_of}, bytes", title=title)
        axes.grid(visible=True, which="major", alpha=0.3)
        axes.legend(fontsize="small")
    row[0][0].set_ylabel("median, microseconds")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, bbox_inches="tight", metadata={"Date": None})
    return file
