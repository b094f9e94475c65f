"""Plots of an evaluation: quality over strong share, differences with their intervals, chances against outcomes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from signalbox.errors import SetupError
from signalbox.evaluation.compare import (
    ALWAYS_STRONG,
    ALWAYS_WEAK,
    APGR,
    AUROC,
    ORACLE,
    QUALITY,
    RANDOM,
    Comparison,
    Group,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from signalbox.evaluation.report import Report

CURVES, DIFFERENCES, CALIBRATION = "curves.svg", "differences.svg", "calibration.svg"
COLUMNS = 3
EVERY = 2  # points of a curve: the others would be on the line between them

ROUTER_COLOUR, OTHERS = "#c1121f", ("#669bbc", "#2a9d8f", "#7f5539", "#8d99ae")


def check_plotting() -> None:
    """Raise SetupError if plots cannot be drawn here, before a long run finds out."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as problem:
        raise SetupError(
            "--plots needs matplotlib, which is not installed\n  fix: pip install 'signalbox[bench]'"
        ) from problem


def draw(report: Report, folder: Path) -> list[Path]:
    """Write the plots of a report and return their files: SVG, the same bytes for the same report.

    Raises SetupError when the folder cannot be written.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    comparison = report.comparison
    groups = list(comparison.sources)
    if comparison.pooled not in groups:
        groups.append(comparison.pooled)
    figures: dict[str, Figure] = {}

    columns = min(COLUMNS, len(groups))
    lines = math.ceil(len(groups) / columns)
    curves = Figure(figsize=(4.2 * columns, 3.4 * lines), layout="constrained")
    axes = np.atleast_1d(curves.subplots(lines, columns)).ravel()
    for axis, group in zip(axes, groups, strict=False):
        _curves(axis, comparison, group)
    for axis in axes[len(groups) :]:
        axis.set_visible(False)
    axes[0].legend(fontsize=7)
    figures[CURVES] = curves

    differences = Figure(figsize=(9.0, 1.2 + 0.28 * len(groups) * len(_rankings(comparison))), layout="constrained")
    for axis, figure in zip(differences.subplots(1, 2, sharey=True), (AUROC, APGR), strict=True):
        _differences(axis, comparison, groups, figure)
    figures[DIFFERENCES] = differences

    if comparison.pooled.calibration is not None:
        calibration = Figure(figsize=(4.2, 4.0), layout="constrained")
        _calibration(calibration.subplots(), groups)
        figures[CALIBRATION] = calibration

    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Text stays text, and ids are those of the last run: files that can be read, and compared.
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": "signalbox"}):
            for name, drawn in figures.items():
                drawn.savefig(folder / name, format="svg", metadata={"Date": None})
                written.append(folder / name)
    except OSError as problem:
        raise SetupError(
            f"{folder}: {problem.strerror}\n  fix: name a folder that can be written after --plots"
        ) from problem
    return written


def _rankings(comparison: Comparison) -> list[str]:
    """Return the baselines a router is compared with at every share."""
    return [name for name in comparison.baselines if name not in (ALWAYS_WEAK, ALWAYS_STRONG, ORACLE)]


def _curves(axis: Axes, comparison: Comparison, group: Group) -> None:
    points = np.linspace(0, 1, len(next(iter(group.curves.values()))))[::EVERY]
    colours = iter(OTHERS)
    at_share = group.figures[comparison.router][QUALITY].value
    for name, whole in group.curves.items():
        curve = whole[::EVERY]
        if name == ORACLE:
            axis.plot(points, curve, color="0.75", linewidth=0.9, label=name)
        elif name == RANDOM:
            axis.plot(points, curve, color="0.5", linewidth=0.9, linestyle=":", label=name)
        elif name == comparison.router:
            axis.plot(points, curve, color=ROUTER_COLOUR, linewidth=1.8, zorder=5, label="router")
        else:
            axis.plot(points, curve, color=next(colours, "0.6"), linewidth=1.0, label=name)
    axis.plot([group.strong_share], [at_share], "o", color=ROUTER_COLOUR)
    axis.set_title(f"{group.name} ({group.facts.rows})", fontsize=9)
    axis.set_xlabel("strong share", fontsize=8)
    axis.set_ylabel("mean score", fontsize=8)
    axis.tick_params(labelsize=7)


def _differences(axis: Axes, comparison: Comparison, groups: Sequence[Group], figure: str) -> None:
    names = _rankings(comparison)
    shown = [("macro average", comparison.macro), *[(group.name, group.figures) for group in groups]]
    labels, at = [], 0
    for label, figures in shown:
        for name, colour in zip(names, (*OTHERS, "0.5"), strict=False):
            found = comparison.difference(figures, name, figure)
            if math.isfinite(found.low):
                axis.plot([found.low, found.high], [at, at], color=colour, linewidth=1.5)
                axis.plot([found.value], [at], "o", color=colour, markersize=3.5)
            labels.append(f"{label} | {name}")
            at += 1
    axis.axvline(0, color="0.3", linewidth=0.8)
    axis.set_yticks(range(at), labels, fontsize=6)
    axis.set_ylim(at - 0.5, -0.5)
    axis.set_title(f"router minus baseline, {figure.upper()}", fontsize=9)
    axis.tick_params(axis="x", labelsize=7)


def _calibration(axis: Axes, groups: Sequence[Group]) -> None:
    axis.plot([0, 1], [0, 1], color="0.5", linewidth=0.8, linestyle=":")
    for group in groups:
        found = group.calibration
        if found is None:
            continue
        whole = group is groups[-1]
        axis.plot(
            [each.chance for each in found.bins],
            [each.observed for each in found.bins],
            "o-",
            color=ROUTER_COLOUR if whole else "0.75",
            linewidth=1.8 if whole else 0.8,
            markersize=4 if whole else 2,
            zorder=5 if whole else 1,
            label=f"{group.name}: error {found.error:.3f}" if whole else None,
        )
    axis.legend(fontsize=7)
    axis.set_xlabel("chance that the strong side is needed", fontsize=8)
    axis.set_ylabel("share that needed it", fontsize=8)
    axis.tick_params(labelsize=7)
