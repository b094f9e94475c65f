"""Tables for a terminal: columns as wide as they have to be, numbers to the right."""

from __future__ import annotations

import math
from collections.abc import Sequence

from signalbox.evaluation.metrics import Interval

NONE = "-"
"""Stands for a figure that does not exist."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows under their heads; the first column to the left, the others to the right."""
    every = [list(head), *map(list, rows)]
    widths = [max(len(row[column]) for row in every) for column in range(len(head))]
    lines = ["  ".join(_cell(row[at], widths[at], first=at == 0) for at in range(len(head))).rstrip() for row in every]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def number(value: float, digits: int = 3) -> str:
    """Return a number, `-` for NaN."""
    return NONE if math.isnan(value) else f"{value:.{digits}f}"


def between(interval: Interval, digits: int = 3, *, sign: bool = False) -> str:
    """Return a figure with its interval: `0.531 [0.512, 0.550]`."""
    if math.isnan(interval.value):
        return NONE
    form = f"{'+' if sign else ''}.{digits}f"
    if math.isnan(interval.low):
        return format(interval.value, form)
    return f"{interval.value:{form}} [{interval.low:{form}}, {interval.high:{form}}]"


def _cell(text: str, width: int, *, first: bool) -> str:
    return text.ljust(width) if first else text.rjust(width)
