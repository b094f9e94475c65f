"""What a scenario hands back: what was seen, what had to hold, and how to draw it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One figure. wanted: what it had to be; empty where it is only told."""

    what: str
    found: str
    wanted: str = ""
    holds: bool = True


@dataclass
class Story:
    """The outcome of one scenario. draw: writes its plot to a file."""

    draw: Callable[[Path], None]
    rows: list[Row] = field(default_factory=list)

    def tell(self, what: str, found: object) -> None:
        """Add a figure that nothing depends on."""
        self.rows.append(Row(what, str(found)))

    def check(self, what: str, holds: bool, found: object, wanted: object) -> None:
        """Add a figure that decides whether the scenario passed."""
        self.rows.append(Row(what, str(found), str(wanted), bool(holds)))

    @property
    def broken(self) -> list[Row]:
        return [row for row in self.rows if not row.holds]


def table(name: str, rows: list[Row]) -> str:
    """The rows as Markdown; what did not hold stands out."""
    lines = [f"| {name} | found | wanted |", "|---|---|---|"]
    for row in rows:
        found = row.found if row.holds else f"**{row.found}** (broken)"
        lines.append(f"| {row.what} | {found} | {row.wanted} |")
    return "\n".join(lines)
