"""Token counts of one request for a policy's candidates: which counter each has, and what a decision may ask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from signalbox.decide.worth import usd
from signalbox.policy.schema import Model, Policy
from signalbox.tokens.catalogue import SHIPPED, Family, find_family, find_shipped, template_of
from signalbox.tokens.counter import CountCache, Counter, RequestCounts
from signalbox.tokens.templates import TemplateName
from signalbox.tokens.tokenizer import Tokenizer
from signalbox.tokens.vocabulary import VocabularyError, load_tokenizer
from signalbox.types import Candidate, Case, Price, TokenCount
from signalbox.world import UNKNOWN_MODEL


def compile_counters(policy: Policy) -> dict[str, Counter]:
    """Return model -> counter, for the models whose tokenizer is known and can be loaded.

    A vocabulary that cannot be loaded here costs exactness, not requests: whoever loads a policy reports it.
    """
    caches: dict[int, CountCache] = {}
    counters = {}
    for name, model in policy.models.items():
        found = _tokenizer(name, model, policy)
        if found is not None:
            tokenizer, template, family = found
            cache = caches.setdefault(id(tokenizer), CountCache(tokenizer))
            counters[name] = Counter(cache, template, family.images if family else None)
    return counters


def _tokenizer(name: str, model: Model, policy: Policy) -> tuple[Tokenizer, TemplateName | None, Family | None] | None:
    family = find_family(model.name or name)
    vocabulary = model.tokenizer or (family.vocabulary if family else "")
    spec = policy.tokenizers.get(vocabulary)
    try:
        if spec is not None:
            pattern = spec.pattern or (SHIPPED[vocabulary].pattern if vocabulary in SHIPPED else None)
            tokenizer = load_tokenizer(Path(spec.file), spec.format, pattern)
        elif (shipped := find_shipped(vocabulary)) is not None:
            tokenizer = load_tokenizer(shipped[0], pattern=shipped[1])
        else:
            return None
    except VocabularyError:
        return None
    template = spec.template if spec else None
    if template is None:
        template = family.template if family and family.vocabulary else template_of(vocabulary)
    return tokenizer, template, family


class Counts:
    """The counts one decision works with. Made anew for each, so nothing is shared between threads."""

    def __init__(self, case: Case, counters: Mapping[str, Counter]) -> None:
        self._request = RequestCounts(case.request, case.features.prompt_tokens)
        self._counters = counters
        self._models = case.signals.world.models
        self._estimates: dict[str, TokenCount] = {}

    def fits(self, candidate: Candidate, limit: int) -> bool | None:
        """Whether the prompt has at most `limit` tokens; None when only the estimate can say."""
        return self._request.fits(self._counters.get(candidate.model), limit)

    def is_exact(self, candidate: Candidate) -> bool:
        """Whether counts for this candidate are proved rather than estimated."""
        return self._request.is_exact(self._counters.get(candidate.model))

    def settle(self, candidate: Candidate) -> None:
        """Count to the end for this candidate."""
        counter = self._counters.get(candidate.model)
        if counter is not None:
            self._request.settle(counter)

    def count(self, candidate: Candidate) -> TokenCount:
        """Return what is known so far. An estimate is scaled by what the model's provider reported so far."""
        counter = self._counters.get(candidate.model)
        if counter is not None:
            return self._request.count(counter)
        count = self._estimates.get(candidate.model)
        if count is None:
            count = self._request.count(None)
            scale = self._models.get(candidate.model, UNKNOWN_MODEL).token_scale
            if scale is not None:
                count = TokenCount(max(1, round(count.tokens * scale)), estimated=True)
            self._estimates[candidate.model] = count
        return count

    def of(self, candidates: Iterable[Candidate]) -> dict[str, TokenCount]:
        """Return model -> what is known so far."""
        return {candidate.model: self.count(candidate) for candidate in candidates}

    def settle_order(
        self, candidates: tuple[Candidate, ...], prices: Mapping[str, Price | None], outputs: Mapping[str, float]
    ) -> None:
        """Count as far as sorting by cost needs: only where two candidates' costs overlap within bounds.

        prices, outputs: by model; tokens of the answer each is expected to write.
        """
        if not any(candidate.model in self._counters for candidate in candidates):
            return  # estimates are points: counting would not move them
        lines = []
        for candidate in candidates:
            price = prices[candidate.model]
            if price is not None:
                lines.append((candidate, price, outputs[candidate.model]))
        for at, first in enumerate(lines):
            for second in lines[at + 1 :]:
                if not self._is_ordered(first, second):
                    self.settle(first[0])
                    self.settle(second[0])

    def _is_ordered(self, first: Line, second: Line) -> bool:
        counters = [self._counters.get(line[0].model) for line in (first, second)]
        if counters[0] == counters[1] and counters[0] is not None:
            # The same number of tokens for both: two straight lines, in order if they are at both ends.
            low, high = self._range(first[0])
            ends = [_usd(first, tokens) - _usd(second, tokens) for tokens in (low, high)]
            return low == high or min(ends) > 0 or max(ends) < 0 or ends == [0, 0]
        (low, high), (least, most) = self._range(first[0]), self._range(second[0])
        return (
            _usd(first, high) < _usd(second, least)
            or _usd(second, most) < _usd(first, low)
            or (low == high and least == most)
        )

    def _range(self, candidate: Candidate) -> tuple[int, int]:
        """Bounds on the prompt's tokens; where nothing bounds them, the number counted or estimated."""
        counter = self._counters.get(candidate.model)
        found = self._request.range(counter)
        if found is None:
            self._request.settle(counter)
            found = self._request.range(counter)
        tokens = self.count(candidate).tokens
        return found or (tokens, tokens)


Line = tuple[Candidate, Price, float]
"""A candidate's cost as a straight line over the prompt's tokens: its price, and the tokens of its answer."""


def _usd(line: Line, prompt_tokens: int) -> float:
    return usd(line[1], prompt_tokens, line[2])
