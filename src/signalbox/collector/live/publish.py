"""The snapshot: put together from everything the collector knows, and written where the workers look.

One file, `world.json` in the run directory, always whole: written beside and renamed over. Workers read it with
`world_file.WorldReader`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import msgspec

from signalbox.collector.live.models import LiveModels
from signalbox.world import CircuitState, ModelState, RolloutState, Snapshot, Timing
from signalbox.world_file import WORLD_FILE

FILE_MODE = 0o640  # as the other files of the run directory
RENEWED_AT_ONCE = 32  # four times a second: of 200 models that are all busy, each is looked at every 1.6 s
FADED_AT_ONCE = 8
MIN_OWN_SAMPLES = 3.0  # decayed; with fewer, what the fleet measured is better


Usd = tuple[float, float, float]
"""USD per million tokens: input, output, cached input."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What other parts of the collector know of models, by name. What is not there is not known.

    circuits: state, and share of the requests that probe it. queue_depth, kv_usage: of the model's server.
    fleet_ttft, fleet_per_token: measured by the whole fleet; they stand in where this pod has seen too little.
    prices: of price lists on the web.
    """

    circuits: Mapping[str, tuple[CircuitState, float]] = field(default_factory=dict)
    queue_depth: Mapping[str, float] = field(default_factory=dict)
    kv_usage: Mapping[str, float] = field(default_factory=dict)
    fleet_ttft: Mapping[str, Timing] = field(default_factory=dict)
    fleet_per_token: Mapping[str, Timing] = field(default_factory=dict)
    prices: Mapping[str, Usd] = field(default_factory=dict)


_ENCODER = msgspec.json.Encoder()
_CLOSED = (CircuitState.CLOSED, 1.0)
_Timings = tuple[Timing | None, Timing | None, Timing | None]
_NO_TIMINGS: _Timings = (None, None, None)


class States:
    """The models' states as the next snapshot will have them.

    A snapshot costs the same however much happens between two: of the models whose timings changed, a bounded number
    is looked at each time, those that wait longest first, and of those where nothing happens a few, so that their
    samples fade. All other figures are as of the moment. What did not change is neither made nor encoded again.
    """

    def __init__(self) -> None:
        self._timings: dict[str, _Timings] = {}
        self._made: dict[str, tuple[tuple[object, ...], ModelState, msgspec.Raw]] = {}
        self._fading: list[str] = []

    def update(
        self, live: LiveModels, elsewhere: Elsewhere, scales: Mapping[str, float], now_seconds: float
    ) -> tuple[dict[str, ModelState], dict[str, msgspec.Raw]]:
        """Return each model's state as of now, and the same as JSON.

        now_seconds: of the clock that `live` is fed with. What no figure can be (NaN, infinite, negative) is left out:
        JSON has no word for it, and no decision a use.
        """
        self._renew(live, now_seconds)
        states, encoded = {}, {}
        made, self._made = self._made, {}
        for model, figures in live.items():
            own_ttft, own_per_token, whole = self._timings.get(model, _NO_TIMINGS)
            circuit, probe_share = elsewhere.circuits.get(model, _CLOSED)
            said = (
                _better(own_ttft, elsewhere.fleet_ttft.get(model)),
                _better(own_per_token, elsewhere.fleet_per_token.get(model)),
                whole,
                live.in_flight.of_model(model),
                figures.error_rate,
                circuit,
                probe_share,
                elsewhere.queue_depth.get(model),
                elsewhere.kv_usage.get(model),
                scales.get(model),
                elsewhere.prices.get(model),
            )
            known = made.get(model)
            if known is None or known[0] != said:
                state = ModelState(*said[:7], _figure(said[7]), _figure(said[8]), said[9], _price(said[10]))
                known = said, state, msgspec.Raw(_ENCODER.encode(state))
            self._made[model] = known
            states[model], encoded[model] = known[1], known[2]
        return states, encoded

    def _renew(self, live: LiveModels, now_seconds: float) -> None:
        if not self._fading:
            self._fading = list(live)
            self._timings = {model: self._timings.get(model, _NO_TIMINGS) for model in live}
        fading, self._fading = self._fading[-FADED_AT_ONCE:], self._fading[:-FADED_AT_ONCE]
        for model in {*live.take_changed(RENEWED_AT_ONCE), *fading}:
            figures = live.get(model)
            if figures is None:  # the policy has it no more
                continue
            figures.fade(now_seconds)
            self._timings[model] = (
                figures.ttft.timing(now_seconds),
                figures.per_token.timing(now_seconds),
                figures.whole.timing(now_seconds),
            )


def _better(own: Timing | None, fleet: Timing | None) -> Timing | None:
    if fleet is None or (own is not None and own.samples >= MIN_OWN_SAMPLES):
        return own
    if any(_figure(value) is None for value in (fleet.p50, fleet.p95, fleet.samples)):
        return own
    return fleet


def _figure(value: float | None) -> float | None:
    return value if value is not None and 0 <= value < math.inf else None


def _price(price: Usd | None) -> Usd | None:
    return price if price is not None and all(_figure(usd) is not None for usd in price) else None


class Publisher:
    """Writes snapshots, counting them. problem: why the last one could not be written, None if it could."""

    def __init__(self, run_dir: Path, wall_clock: Callable[[], float], clock: Callable[[], float]) -> None:
        """wall_clock: seconds since the epoch. clock: seconds that never go back."""
        self._path = run_dir / WORLD_FILE
        self._draft = run_dir / f".{WORLD_FILE}.new"
        self._wall_clock, self._clock = wall_clock, clock
        self._generation = 0
        self._published_seconds = clock()
        self.problem: OSError | None = None

    @property
    def generation(self) -> int:
        return self._generation

    @property
    def age_seconds(self) -> float:
        """Seconds since a snapshot was written, or since the start if none was."""
        return max(0.0, self._clock() - self._published_seconds)

    def publish(
        self,
        models: Mapping[str, ModelState] | Mapping[str, msgspec.Raw],
        *,
        output_tokens: Mapping[str, Mapping[str, float]] | None = None,
        leaders: Mapping[str, str] | None = None,
        shifts: Mapping[str, Mapping[str, float]] | None = None,
        rollouts: Mapping[str, RolloutState] | None = None,
    ) -> bool:
        """Write the next snapshot. Returns False, and sets `problem`, if the file cannot be written.

        models: by name, as they are or as `States` encoded them.
        """
        snapshot = Snapshot(
            generation=self._generation + 1,
            published_seconds=self._wall_clock(),
            models=cast(Mapping[str, ModelState], models),  # the encoder takes either
            output_tokens=output_tokens or {},
            leaders=leaders or {},
            shifts=shifts or {},
            rollouts=rollouts or {},
        )
        try:
            self._replace(_ENCODER.encode(snapshot))
        except OSError as problem:
            self.problem = problem
            return False
        self._generation += 1
        self._published_seconds = self._clock()
        self.problem = None
        return True

    def _replace(self, content: bytes) -> None:
        # Nothing is synced: after a crash of the machine the picture is void anyway.
        descriptor = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
        with open(descriptor, "wb", buffering=0) as file:
            written = file.write(content)
        if written != len(content):
            raise OSError(f"{self._draft}: {written} of {len(content)} bytes were written: the disk is full")
        os.replace(self._draft, self._path)
