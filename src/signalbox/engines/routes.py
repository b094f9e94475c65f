"""What a router offers an engine to choose from."""

from __future__ import annotations

from signalbox.engines.base import Route
from signalbox.policy.schema import Router


def routes_of(router: Router) -> tuple[Route, ...]:
    """Return a router's tasks in the policy's order: prompts that list them begin alike, and are kept for that."""
    return tuple(Route(task.name, task.description) for task in router.tasks)
