"""What usage reports teach about tokens: how long answers are, and how far the estimate of a prompt is off."""

from __future__ import annotations

from collections.abc import Mapping

from signalbox.collector.live.decay import DecayedSum
from signalbox.collector.live.models import is_success
from signalbox.collector.records import RequestRecord
from signalbox.decide.worth import PRIOR_OUTPUT_TOKENS

HALF_LIFE_SECONDS = 3600.0  # tasks and tokenizers change slowly; load does not come into it
PRIOR_SAMPLES = 5.0  # the prior counts as much as this many answers
REFRESH_SECONDS = 30.0
LEAST_SCALE, MOST_SCALE = 0.25, 4.0
MIN_SCALE_SAMPLES = 5.0
_FADED_SAMPLES = 0.05  # what rests on less is as good as the prior
_MAX_TOKENS = 100_000_000


class _Mean:
    __slots__ = ("samples", "total")

    def __init__(self) -> None:
        self.total = DecayedSum(HALF_LIFE_SECONDS)
        self.samples = DecayedSum(HALF_LIFE_SECONDS)

    def add(self, amount: float, now_seconds: float) -> None:
        self.total.add(amount, now_seconds)
        self.samples.add(1.0, now_seconds)


class OutputLengths:
    """Expected answer length by route and model: the mean, drawn to a prior while samples are few.

    (samples * mean + PRIOR_SAMPLES * PRIOR_OUTPUT_TOKENS) / (samples + PRIOR_SAMPLES), samples and mean decayed.
    """

    def __init__(self) -> None:
        self._means: dict[tuple[str, str], _Mean] = {}
        self._table: dict[str, dict[str, float]] = {}
        self._fresh_until_seconds = 0.0

    def use(self, routes: frozenset[str], models: frozenset[str]) -> None:
        """Keep to the routes and models of a policy; nothing else is ever learned."""
        self._routes, self._models = routes, models
        self._means = {pair: mean for pair, mean in self._means.items() if pair[0] in routes and pair[1] in models}
        self._table = {}
        self._fresh_until_seconds = 0.0

    _routes: frozenset[str] = frozenset()
    _models: frozenset[str] = frozenset()

    def add(self, record: RequestRecord, now_seconds: float) -> None:
        """Learn from a request that succeeded and whose provider reported its usage."""
        verdict, served, tokens = record.verdict, record.served, record.usage.output_tokens
        if verdict is None or served is None or tokens is None or not 0 < tokens < _MAX_TOKENS:
            return
        route, model = verdict.route, served.model
        if route not in self._routes or model not in self._models or not is_success(record):
            return
        assert route is not None
        assert model is not None
        mean = self._means.get((route, model))
        if mean is None:
            mean = self._means[route, model] = _Mean()
        mean.add(float(tokens), now_seconds)
        self._table.setdefault(route, {})[model] = _blend(mean, now_seconds)

    def table(self, now_seconds: float) -> Mapping[str, Mapping[str, float]]:
        """Return route -> model -> tokens, for what was seen. Renewed as answers come, and faded now and then."""
        if now_seconds >= self._fresh_until_seconds:
            self._fresh_until_seconds = now_seconds + REFRESH_SECONDS
            self._table = {}
            for (route, model), mean in list(self._means.items()):
                if mean.samples.at(now_seconds) < _FADED_SAMPLES:
                    del self._means[route, model]
                else:
                    self._table.setdefault(route, {})[model] = _blend(mean, now_seconds)
        return self._table


def _blend(mean: _Mean, now_seconds: float) -> float:
    total, samples = mean.total.at(now_seconds), mean.samples.at(now_seconds)
    return (total + PRIOR_SAMPLES * PRIOR_OUTPUT_TOKENS) / (samples + PRIOR_SAMPLES)


class TokenScales:
    """By model, what the rule of thumb for a prompt's tokens is to be multiplied with.

    Sum of the input tokens reported over the sum of those estimated, both decayed: long prompts count for more, as they
    do in what is paid. Learned only where the record says that the count was an estimate.
    """

    def __init__(self) -> None:
        self._reported: dict[str, _Mean] = {}
        self._estimated: dict[str, DecayedSum] = {}
        self._models: frozenset[str] = frozenset()
        self._table: dict[str, float] = {}
        self._fresh_until_seconds = 0.0

    def use(self, models: frozenset[str]) -> None:
        """Keep to the models of a policy."""
        self._models = models
        for name in self._reported.keys() - models:
            del self._reported[name], self._estimated[name]
        self._fresh_until_seconds = 0.0

    def add(self, record: RequestRecord, now_seconds: float) -> None:
        """Learn from a request that succeeded and whose provider reported its usage."""
        said, served, reported = record.verdict, record.served, record.usage.input_tokens
        if said is None or served is None or reported is None:
            return
        model, index = served.model, record.attempts - 1
        if model not in self._models or not 0 <= index < len(said.tokens) or said.tokens[index] >= 0:
            return
        if not (0 < reported < _MAX_TOKENS and 0 < said.estimate < _MAX_TOKENS and is_success(record)):
            return
        assert model is not None
        self._reported.setdefault(model, _Mean()).add(float(reported), now_seconds)
        self._estimated.setdefault(model, DecayedSum(HALF_LIFE_SECONDS)).add(float(said.estimate), now_seconds)
        self._renew(model, now_seconds)

    def table(self, now_seconds: float) -> Mapping[str, float]:
        """Return model -> factor, at least 1/4 and at most 4; without models below five decayed samples."""
        if now_seconds >= self._fresh_until_seconds:
            self._fresh_until_seconds = now_seconds + REFRESH_SECONDS
            self._table = {}
            for model in self._reported:
                self._renew(model, now_seconds)
        return self._table

    def _renew(self, model: str, now_seconds: float) -> None:
        reported = self._reported[model]
        if reported.samples.at(now_seconds) >= MIN_SCALE_SAMPLES:
            scale = reported.total.at(now_seconds) / self._estimated[model].at(now_seconds)
            self._table[model] = min(max(scale, LEAST_SCALE), MOST_SCALE)
