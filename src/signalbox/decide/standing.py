"""Who should not be asked first: models that are down, and models whose requests are moving on to others.

Nothing is removed: a model that is down stands last, because it may be up again, and a request that nobody else takes
is better tried there than refused.
"""

from __future__ import annotations

from collections.abc import Mapping

from signalbox.decide.chance import hash_key, identity_of, uniform
from signalbox.types import Candidate, Signals
from signalbox.world import UNKNOWN_MODEL, CircuitState

IN_PLACE, SHIFTED, DOWN = range(3)

_SALT = 8191.0  # makes another throw out of the same dice
_NO_SHIFTS: Mapping[str, float] = {}


def is_down(candidate: Candidate, signals: Signals) -> bool:
    """Whether a candidate's circuit keeps this request away from it."""
    state = signals.world.models.get(candidate.model, UNKNOWN_MODEL)
    if state.circuit is CircuitState.CLOSED:
        return False
    return state.circuit is CircuitState.OPEN or (signals.dice * _SALT) % 1.0 >= state.probe_share


def standings(chain: tuple[Candidate, ...], router: str, signals: Signals) -> dict[str, int]:
    """Return model -> `SHIFTED` or `DOWN`, for those of a chain that do not stand in their place."""
    found = {}
    shifts = signals.world.shifts.get(router, _NO_SHIFTS)
    for candidate in chain:
        model = candidate.model
        if is_down(candidate, signals):
            found[model] = DOWN
        elif shifts and _is_shifted(router, model, shifts.get(model, 0.0), signals):
            found[model] = SHIFTED
    return found


def _is_shifted(router: str, model: str, share: float, signals: Signals) -> bool:
    # By session, so that a growing share moves more of them and never the same one to and fro.
    return share > 0.0 and uniform(identity_of(signals.session), hash_key(router, model, "shift")) < share


def arrange(chain: tuple[Candidate, ...], found: Mapping[str, int]) -> tuple[Candidate, ...]:
    """Return the chain with those that do not stand in their place behind the others, order kept otherwise."""
    if not found:
        return chain
    return tuple(sorted(chain, key=lambda candidate: found.get(candidate.model, IN_PLACE)))
