"""The live picture of a policy's models: fed with what the access log says, published as snapshots.

Holds the parts together and nothing else; each has a module of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from signalbox.collector.join import Exchange
from signalbox.collector.live.leaders import Leaders
from signalbox.collector.live.lengths import OutputLengths, TokenScales
from signalbox.collector.live.models import LiveModels
from signalbox.collector.live.publish import Elsewhere, Publisher, States
from signalbox.collector.names import Names
from signalbox.collector.records import AttemptId, AttemptRecord, ExchangeKey, RequestRecord
from signalbox.decide.worth import PRIOR_OUTPUT_TOKENS
from signalbox.policy.schema import Policy
from signalbox.record import Target
from signalbox.types import Price
from signalbox.world import RolloutState


class Picture:
    """Everything live. Every `now_seconds` is of one clock that never goes back."""

    def __init__(self) -> None:
        self.models = LiveModels()
        self.lengths = OutputLengths()
        self.scales = TokenScales()
        self.leaders = Leaders(PRIOR_OUTPUT_TOKENS)
        self._states = States()

    def apply_policy(self, policy: Policy, now_seconds: float) -> None:
        """Take the names of a policy. What it shares with the one before keeps its figures."""
        names = Names.of(policy)
        self.models.apply_policy(policy, now_seconds)
        self.lengths.use(names.routes, names.models)
        self.scales.use(names.models)
        self.leaders.use(policy)

    # ------------------------------------------------------------------ what the log says

    def attempt_started(self, attempt: AttemptId, source: int, now_seconds: float) -> None:
        """source: the log stream that told."""
        self.models.attempt_started(attempt, source, now_seconds)

    def attempt_ended(self, record: AttemptRecord, now_seconds: float) -> None:
        self.models.attempt_ended(record, now_seconds)

    def request_goes_on(self, key: ExchangeKey, chain: Sequence[Target], now_seconds: float) -> None:
        self.models.in_flight.goes_on(key, chain, now_seconds)

    def request_ended(self, record: RequestRecord, now_seconds: float) -> None:
        self.models.request_ended(record, now_seconds)

    def source_lost(self, source: int) -> None:
        """Give up the attempts that a log stream told of; it has ended."""
        self.models.in_flight.source_lost(source)

    def exchange(self, exchange: Exchange, now_seconds: float) -> None:
        """Learn from a request and its attempts, once they are together."""
        self.models.exchange(exchange, now_seconds)
        if exchange.request is not None:
            self.lengths.add(exchange.request, now_seconds)
            self.scales.add(exchange.request, now_seconds)

    # ------------------------------------------------------------------ what follows

    def publish(
        self,
        publisher: Publisher,
        now_seconds: float,
        *,
        elsewhere: Elsewhere,
        prices: Mapping[str, Price | None],
        shifts: Mapping[str, Mapping[str, float]] | None = None,
        rollouts: Mapping[str, RolloutState] | None = None,
    ) -> bool:
        """Write a snapshot of now. Returns False if it cannot be written; `publisher.problem` says why.

        prices: what each model costs, wherever the price is from; those of `elsewhere` are published.
        """
        self.models.expire(now_seconds)
        states, encoded = self._states.update(self.models, elsewhere, self.scales.table(now_seconds), now_seconds)
        lengths = self.lengths.table(now_seconds)
        return publisher.publish(
            encoded,
            output_tokens=lengths,
            leaders=self.leaders.update(states, lengths, prices),
            shifts=shifts,
            rollouts=rollouts,
        )
