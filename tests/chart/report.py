"""What the pod test measured, shown at the end of a run."""

from __future__ import annotations

LINES: list[str] = []


def said(what: str, *facts: str) -> None:
    """Note one line of the report."""
    LINES.append(f"{what:<34}{', '.join(facts)}")
