"""A policy made runnable: one request in, one decision out, with no clock, no dice and no I/O.

resolve -> rules -> complexity -> default -> filters -> rank -> chain
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from signalbox.decide.catalog import CompiledRouter
from signalbox.decide.counts import Counts, compile_counters
from signalbox.decide.filters import FILTERS, MAX_ATTEMPTS, Demands, read_demands
from signalbox.decide.headers import HeaderPairs, local_only_pairs, matching_header
from signalbox.decide.members import OWN_MEMBERS
from signalbox.decide.pools import Pool
from signalbox.decide.rank import expected_usd, rank_as_requested, rank_cheapest
from signalbox.decide.refuse import no_candidate
from signalbox.decide.resolve import Resolver, compile_resolver
from signalbox.decide.split import Split
from signalbox.decide.trace import Trace
from signalbox.errors import RequestError
from signalbox.policy.schema import Policy
from signalbox.tokens.counter import Counter
from signalbox.types import Candidate, Case, Decision, Features, Privacy, Reason

Candidates = tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Everything of a policy that decisions need, compiled once. Immutable, so threads may share it.

    counters: models whose tokenizer is known, by name.
    drops: top-level body members that are ours and no provider's.
    """

    resolver: Resolver
    local_only: HeaderPairs
    max_attempts: int
    counters: Mapping[str, Counter] = field(default_factory=dict)
    drops: frozenset[str] = OWN_MEMBERS

    @classmethod
    def compile(cls, policy: Policy) -> Pipeline:
        """Return the pipeline of a policy whose references were checked when it was loaded."""
        return cls(
            resolver=compile_resolver(policy),
            local_only=local_only_pairs(policy.privacy),
            max_attempts=policy.gateway.max_attempts,
            counters=compile_counters(policy),
        )

    def decide(self, case: Case) -> Decision:
        """Return where the request goes. Same case, same decision.

        Raises RequestError when the request names nothing, is malformed, or fits no candidate; its
        `code` is a `Refusal`. Nothing else is raised: an engine that fails leads to the default.
        """
        return self._decide(case, None)

    def explain(self, case: Case) -> Trace:
        """Return every step of the decision as JSON-able data, the refusal included if there is one."""
        trace: Trace = {
            "model": case.request.scan.model,
            "endpoint": case.request.endpoint.value,
            "features": _describe_features(case.features),
        }
        try:
            decision = self._decide(case, trace)
        except RequestError as refusal:
            trace["refused"] = {"status": refusal.status, "code": str(refusal.code), "message": str(refusal)}
        else:
            trace["decision"] = describe(decision)
        return trace

    def _decide(self, case: Case, trace: Trace | None) -> Decision:
        target, is_unknown = self.resolver.resolve(case.request)
        if isinstance(target, CompiledRouter):
            router = target.name
            if trace is not None:
                trace["target"] = {"router": router}
            pool, reason, rule = target.choose(case, trace)
            local_only = target.local_only
            if is_unknown and reason is Reason.DEFAULT:
                reason = Reason.UNKNOWN_MODEL
        else:
            router, rule = "", ""
            pool = target.pool(case.signals.session) if isinstance(target, Split) else target
            reason = Reason.UNKNOWN_MODEL if is_unknown else Reason.REQUESTED
            local_only = self.local_only
            if trace is not None:
                trace["target"] = {"model": pool.route}
        header = matching_header(case.request.headers, local_only) if local_only else None
        privacy = Privacy.ANY if header is None else Privacy.LOCAL
        if trace is not None:
            trace["choice"] = {"route": pool.route, "reason": reason.value, "rule": rule}
            trace["privacy"] = {"privacy": privacy.value, "header": header}

        removed: dict[str, str] = {}
        counts = Counts(case, self.counters)
        demands = read_demands(case, privacy, counts)
        kept = _filter(pool, demands, removed, trace)
        chain = _rank(pool, kept, demands, trace)
        if len(chain) > self.max_attempts:
            removed.update((candidate.model, MAX_ATTEMPTS) for candidate in chain[self.max_attempts :])
            chain = chain[: self.max_attempts]
        return Decision(
            id=case.signals.decision_id,
            router=router,
            route=pool.route,
            reason=reason,
            chain=chain,
            privacy=privacy,
            removed=removed,
            rule=rule,
            counts=counts.of(chain),
        )


def _filter(pool: Pool, demands: Demands, removed: dict[str, str], trace: Trace | None) -> Candidates:
    """Return the candidates of the whole chain that every filter keeps; note the others in `removed`."""
    candidates = pool.chain
    for name, keep in FILTERS:
        kept = keep(candidates, demands)
        if kept is candidates:
            continue
        names = {candidate.model for candidate in kept}
        gone = [candidate.model for candidate in candidates if candidate.model not in names]
        removed.update(dict.fromkeys(gone, name))
        if trace is not None:
            trace.setdefault("filters", []).append({"filter": name, "removed": gone})
        if not kept:
            raise no_candidate(removed, demands)
        candidates = kept
    return candidates


def _rank(pool: Pool, kept: Candidates, demands: Demands, trace: Trace | None) -> Candidates:
    """Return the chain: the pool's own candidates in order of preference, then its fallbacks."""
    if demands.models is not None:
        prefer, chain = "requested", rank_as_requested(kept, demands.models)
    elif pool.prefer == "cheapest":
        own = tuple(candidate for candidate in kept if candidate.model in pool.names)
        prefer, chain = pool.prefer, rank_cheapest(own, demands.features, demands.counts) + kept[len(own) :]
    else:
        prefer, chain = pool.prefer, kept
    if trace is not None:
        for candidate in chain:  # the order is settled; whoever asks why wants the numbers as well
            demands.counts.settle(candidate)
        tokens = demands.counts.of(chain)
        trace["ranking"] = {
            "prefer": prefer,
            "candidates": [
                {
                    "model": candidate.model,
                    "provider": candidate.provider,
                    "prompt_tokens": tokens[candidate.model].tokens,
                    "estimated": tokens[candidate.model].estimated,
                    "expected_usd": expected_usd(candidate, demands.features, tokens[candidate.model].tokens),
                    "fallback": candidate.model not in pool.names,
                }
                for candidate in chain
            ],
        }
    return chain


def _describe_features(features: Features) -> Trace:
    """Return every feature as JSON-able data."""
    told = features._asdict()
    told["modalities"] = sorted(modality.value for modality in features.modalities)
    told["complexity"] = None if math.isnan(features.complexity) else features.complexity
    told["scripts"] = dict(features.scripts)
    return told


def describe(decision: Decision) -> Trace:
    """Return a decision as JSON-able data."""
    return {
        "id": decision.id,
        "router": decision.router,
        "route": decision.route,
        "reason": decision.reason.value,
        "rule": decision.rule,
        "privacy": decision.privacy.value,
        "chain": [candidate.model for candidate in decision.chain],
        "removed": dict(decision.removed),
    }
