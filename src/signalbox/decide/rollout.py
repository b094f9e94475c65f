"""A router for a share of the sessions: who is in, who goes where they went before."""

from __future__ import annotations

from dataclasses import dataclass

from signalbox.decide.chance import hash_key, identity_of, uniform
from signalbox.decide.pools import Pool
from signalbox.policy.world import Rollout
from signalbox.types import Signals

IN, OUT = "in", "out"


@dataclass(frozen=True, slots=True)
class CompiledRollout:
    """share: of the sessions, while the collector has not said where the rollout stands."""

    router: str
    share: float
    otherwise: Pool
    key: bytes

    def side(self, signals: Signals) -> str:
        """Return `IN` or `OUT`. A session that is in stays in while the share grows."""
        state = signals.world.rollouts.get(self.router)
        share = self.share if state is None else state.share
        return IN if uniform(identity_of(signals.session), self.key) < share else OUT


def compile_rollout(router: str, rollout: Rollout | None, otherwise: Pool | None) -> CompiledRollout | None:
    """Return a router's rollout; `otherwise` is the pool of the model it names."""
    if rollout is None or otherwise is None:
        return None
    percent = rollout.steps[0] if rollout.percent is None else rollout.percent
    return CompiledRollout(router, percent / 100.0, otherwise, hash_key(router, "rollout"))
