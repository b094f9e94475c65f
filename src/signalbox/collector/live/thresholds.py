"""How the running thresholds of routers stand, by what workers said with their decisions.

Each worker has a threshold of its own, learned from its share of the requests, so they do not freeze at one moment. A
router's is shown as frozen from the first such word until none was heard for a minute.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from signalbox.record import Record
from signalbox.types import ThresholdState

FROZEN_SECONDS = 60.0
HALF_LIFE = 200  # requests, for the share that was sent to the strong tier

_STATES = frozenset(ThresholdState)
_WEIGHT = 1.0 - 0.5 ** (1.0 / HALF_LIFE)


class Standing(NamedTuple):
    """value: the threshold held last; None where nothing is for the strong tier. strong_share: of requests lately."""

    state: ThresholdState
    value: float | None
    strong_share: float


class Change(NamedTuple):
    """A threshold that froze, or goes on."""

    router: str
    standing: Standing


@dataclass(slots=True)
class _Seen:
    state: ThresholdState
    value: float | None = None
    strong: float = 0.0
    weight: float = 0.0
    frozen_seconds: float | None = None  # when somebody last said so

    @property
    def standing(self) -> Standing:
        return Standing(self.state, self.value, self.strong / self.weight if self.weight else 0.0)


class Thresholds:
    """Of all routers that have one. Times are seconds of one clock that never goes back."""

    def __init__(self, routers: Collection[str]) -> None:
        self._routers = frozenset(routers)
        self._seen: dict[str, _Seen] = {}

    def use(self, routers: Collection[str]) -> None:
        """Forget routers that a policy no longer has."""
        self._routers = frozenset(routers)
        self._seen = {router: seen for router, seen in self._seen.items() if router in self._routers}

    def observe(self, record: Record, now_seconds: float) -> Change | None:
        """Take what a worker said of a decision. Returns what changed, if the router's threshold was not frozen."""
        router = record.goal or record.router
        if record.cut not in _STATES or router not in self._routers:
            return None
        state = ThresholdState(record.cut)
        seen = self._seen.get(router)
        if seen is None:
            seen = self._seen[router] = _Seen(state)
        score = record.score if record.first_score is None else record.first_score
        seen.value = record.threshold if record.first_score is None else seen.value
        if score is not None:
            is_strong = seen.value is not None and score >= seen.value
            seen.strong += _WEIGHT * ((1.0 if is_strong else 0.0) - seen.strong)
            seen.weight += _WEIGHT * (1.0 - seen.weight)
        was_frozen = seen.frozen_seconds is not None
        if state is ThresholdState.FROZEN:
            seen.frozen_seconds = now_seconds
        elif was_frozen:
            return None  # another worker's; time tells
        seen.state = state
        return Change(router, seen.standing) if state is ThresholdState.FROZEN and not was_frozen else None

    def tick(self, now_seconds: float) -> list[Change]:
        """Let time pass. Returns the thresholds that go on again."""
        freed = []
        for router, seen in self._seen.items():
            if seen.frozen_seconds is not None and now_seconds - seen.frozen_seconds > FROZEN_SECONDS:
                seen.frozen_seconds = None
                seen.state = ThresholdState.FOLLOWING
                freed.append(Change(router, seen.standing))
        return freed

    @property
    def standings(self) -> dict[str, Standing]:
        """How each stands, by router; those that nothing was heard of yet are left out."""
        return {router: seen.standing for router, seen in self._seen.items()}
