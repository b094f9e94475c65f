"""A policy made runnable: one request in, one decision out, with no clock, no dice and no I/O.

resolve -> budgets -> course (rollout, session, rules, complexity, default) -> filters -> rank -> standing -> chain
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from signalbox.decide import budgets
from signalbox.decide import course as courses
from signalbox.decide.affinity import Session, is_bound, pays_to_leave
from signalbox.decide.asks import Asks
from signalbox.decide.budgets import Budgets, Limit, WhenSpent
from signalbox.decide.catalog import CompiledRouter
from signalbox.decide.counts import Counts, compile_counters
from signalbox.decide.course import Course, take_course
from signalbox.decide.describe import describe, describe_features, describe_ranking
from signalbox.decide.filters import FILTERS, MAX_ATTEMPTS, Demands, read_demands
from signalbox.decide.members import OWN_MEMBERS
from signalbox.decide.pools import NO_PRICES, Pool
from signalbox.decide.privacy import Guard, compile_guard
from signalbox.decide.rank import (
    Measures,
    explore,
    measured,
    rank_as_requested,
    rank_balanced,
    rank_cheapest,
    rank_fastest,
)
from signalbox.decide.refuse import no_candidate
from signalbox.decide.resolve import Resolver, compile_resolver
from signalbox.decide.standing import DOWN, arrange, standings
from signalbox.decide.trace import Trace
from signalbox.decide.worth import usd
from signalbox.errors import RequestError
from signalbox.policy.schema import Policy
from signalbox.policy.world import Ranking
from signalbox.tokens.counter import Counter
from signalbox.types import Candidate, Case, Decision, ImageAsked, ParsedRequest, PinOutcome, Price, Reason
from signalbox.world import Hold

Candidates = tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Everything of a policy that decisions need, compiled once. Immutable, so threads may share it.

    limits: of every request. dearest: what an unknown price counts as in a budget.
    counters: models whose tokenizer is known, by name.
    drops: top-level body members that are ours and no provider's.
    off_site: engines whose questions leave the site. heads: engines whose labels may say that an image is asked for.
    """

    resolver: Resolver
    guard: Guard  # of requests that go through no router
    max_attempts: int
    ranking: Ranking = field(default_factory=Ranking)
    limits: tuple[Limit, ...] = ()
    dearest: Price | None = None
    counters: Mapping[str, Counter] = field(default_factory=dict)
    drops: frozenset[str] = OWN_MEMBERS
    has_engines: bool = False
    heads: frozenset[str] = frozenset()
    off_site: frozenset[str] = frozenset()
    tells_images: bool = False  # whether a request asks for an image makes a difference
    has_seconds: bool = False  # an engine may have to be asked after another one has answered

    @classmethod
    def compile(cls, policy: Policy, prices: Mapping[str, Price] = NO_PRICES) -> Pipeline:
        """Return the pipeline of a policy whose references were checked when it was loaded.

        prices: by model, as `prices.resolve` returns them, for models whose price the policy does not say.
        """
        resolver = compile_resolver(policy, prices)
        return cls(
            resolver=resolver,
            guard=compile_guard(policy.privacy),
            max_attempts=policy.gateway.max_attempts,
            ranking=policy.ranking,
            limits=budgets.compile_limits(budgets.EVERYBODY, policy.budget),
            dearest=budgets.dearest(resolver.candidates.values()),
            counters=compile_counters(policy),
            has_engines=any(router.engines for router in resolver.routers.values()),
            heads=frozenset(name for name, engine in policy.engines.items() if engine.kind == "modality"),
            off_site=frozenset(name for name, engine in policy.engines.items() if engine.leaves_the_site),
            tells_images=policy.tells_images,
            has_seconds=any(router.has_second for router in resolver.routers.values()),
        )

    @property
    def needs_store(self) -> bool:
        """Whether any decision may pin a session or hold a budget, or follows from the scores of those before it."""
        return bool(self.limits) or any(
            router.sessions is not None or router.limits or (router.judge is not None and router.judge.follows)
            for router in self.resolver.routers.values()
        )

    def session(self, request: ParsedRequest) -> Session | None:
        """Return the session whose pin a decision on this request wants to know; None when it wants none."""
        try:
            target, _ = self.resolver.resolve(request)
        except RequestError:
            return None  # `decide` refuses it in a moment, with the reason
        if not isinstance(target, CompiledRouter) or target.sessions is None:
            return None
        return target.sessions.of(request)

    def asks(self, case: Case) -> Asks | None:
        """Return the engines that have to be asked before `decide`; None if the decision needs no further answer.

        With `held_back`, ask again when they have answered: guards come before anybody off the site.
        Then `case.signals.answers` should have theirs, whatever the outcome; without, the router's next step decides.
        Once it has, a second engine may have to be asked, if the policy `has_seconds`.
        """
        if not self.has_engines:
            return None
        try:
            target, _ = self.resolver.resolve(case.request)
            if not isinstance(target, CompiledRouter) or not target.engines:
                return None
            keys = Budgets(self.limits + target.limits, self.dearest).keys(case)
            is_spent = budgets.ruling(keys, case) is not None
            demands = read_demands(case, target.guard.judge(case), Counts(case, self.counters), self.heads)
            asks = courses.asks(target, case, demands, is_spent=is_spent).next(self.off_site, case.signals.answers)
            return asks if asks.questions else None
        except RequestError:
            return None  # `decide` refuses it in a moment, with the reason

    def judge_privacy(self, case: Case) -> Case:
        """Return the case with the verdict on its privacy, so that the request is read once for `asks` and `decide`."""
        try:
            target, _ = self.resolver.resolve(case.request)
        except RequestError:
            return case  # `decide` refuses it in a moment, with the reason
        guard = target.guard if isinstance(target, CompiledRouter) else self.guard
        if guard.finder is None:
            return case
        return replace(case, signals=replace(case.signals, privacy=guard.judge(case)))

    def decide(self, case: Case) -> Decision:
        """Return where the request goes. Same case, same decision.

        Raises RequestError when the request names nothing, is malformed, fits no candidate, or its budget is spent; its
        `code` is a `Refusal`. Nothing else is raised: an engine that fails leads to the default.
        """
        return self._decide(case, None)

    def explain(self, case: Case) -> Trace:
        """Return every step of the decision as JSON-able data, the refusal included if there is one."""
        trace: Trace = {
            "model": case.request.scan.model,
            "endpoint": case.request.endpoint.value,
            "features": describe_features(case.features),
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
        router = target if isinstance(target, CompiledRouter) else None
        verdict = (self.guard if router is None else router.guard).judge(case)
        demands = read_demands(case, verdict, Counts(case, self.counters), self.heads)
        held = Budgets(self.limits if router is None else self.limits + router.limits, self.dearest)
        keys = held.keys(case)
        spent = budgets.ruling(keys, case)

        course = take_course(target, case, demands, spent, trace, is_unknown=is_unknown)
        pool = course.pool
        if trace is not None:
            trace["target"] = {"model": pool.route} if router is None else {"router": router.name}
            trace["choice"] = {"route": pool.route, "reason": course.reason.value, "rule": course.rule}
            if course.goal:
                trace["choice"]["goal"] = course.goal
            trace["privacy"] = {
                "privacy": verdict.privacy.value,
                "by": verdict.by.value,
                "header": verdict.header,
                "kinds": [kind.value for kind in verdict.kinds],
            }

        removed: dict[str, str] = {}
        kept = _filter(pool, demands, removed, trace)
        pinned = course.pinned
        measures = Measures.of(case, demands.counts, pool.route, kept if pinned is None else (*kept, pinned))
        owner = "" if router is None else router.name
        chain, explored = self._order(kept, course, owner, demands, measures, spent, trace)
        if pinned is not None:
            chain, course = _with_pin(chain, pinned, course, case, measures)
        image_asked = demands.wanted.asked
        is_served = image_asked is not ImageAsked.NO and demands.wanted.suits(chain[0])
        if trace is not None:
            if image_asked is not ImageAsked.NO:
                trace["image"] = {"asked": image_asked.value, "served": is_served, "why": _why(is_served)}
            trace["ranking"] = describe_ranking(chain, pool, course, measures)
        if len(chain) > self.max_attempts:
            removed.update((candidate.model, MAX_ATTEMPTS) for candidate in chain[self.max_attempts :])
            chain = chain[: self.max_attempts]
        first = chain[0]
        if keys:
            measures.counts.settle(first)
        expected_usd = measures.usd(first)
        completion = None if spent is not None else course.completion
        return Decision(
            id=case.signals.decision_id,
            router=owner,
            route=pool.route,
            reason=course.reason if completion is None else Reason.ANSWERED,
            chain=chain,
            privacy=verdict.privacy,
            removed=removed,
            rule=course.rule,
            counts=demands.counts.of(chain),
            holds=self._holds(held, keys, first, measures, expected_usd) if keys else (),
            pin=course.pin,
            expected_usd=expected_usd,
            expected_output=round(measures.outputs[first.model]),
            rollout=course.rollout,
            spent="" if spent is None else spent[1],
            shadow=None if router is None or router.shadow is None else self._shadow(router.shadow, case, demands),
            explored=explored,
            judged=course.judged,
            goal=course.goal,
            completion=completion,
            local_by=verdict.by,
            personal=verdict.kinds,
            image_asked=image_asked,
            image_served=is_served,
        )

    def _order(
        self,
        kept: Candidates,
        course: Course,
        router: str,
        demands: Demands,
        measures: Measures,
        spent: tuple[WhenSpent, str] | None,
        trace: Trace | None,
    ) -> tuple[Candidates, bool]:
        """Return the chain, and whether its first candidate stands there to be measured."""
        pool, case = course.pool, measures.case
        if spent is not None and spent[0] == "cheapest":
            chain = rank_cheapest(kept, measures)
        else:
            chain = _rank(pool, kept, course.goal or router, demands, measures, self.ranking)
        found = standings(chain, router, case.signals)
        if trace is not None and found:
            words = {model: "down" if place == DOWN else "shifted" for model, place in found.items()}
            trace["standing"] = words
        chain = arrange(chain, found)
        if spent is None and course.pinned is None and demands.models is None and measured(pool.prefer):
            own = tuple(c for c in chain if c.model in pool.names and c.model not in found)
            tried = explore(own, case, self.ranking)
            if tried is not None:
                return (tried, *(c for c in chain if c is not tried)), tried is not chain[0]
        return chain, False

    def _holds(
        self,
        held: Budgets,
        keys: tuple[tuple[Limit, str], ...],
        first: Candidate,
        measures: Measures,
        expected: float | None,
    ) -> tuple[Hold, ...]:
        """Return the claims of a request that goes to `first`; what it really costs is settled afterwards."""
        tokens = measures.counts.count(first).tokens
        output = measures.outputs[first.model]
        if expected is None and held.dearest is not None:
            expected = usd(held.dearest, tokens, output)
        return held.holds(keys, measures.case, expected, round(tokens + output))

    def _shadow(self, name: str, case: Case, demands: Demands) -> tuple[str, str] | None:
        """Return route and model that another router would have taken; None if it failed, or had no model left."""
        router = self.resolver.routers[name]
        try:
            pool, *_, goal = router.choose(case, demands, None)
            kept = pool.chain
            for _, keep in FILTERS:
                kept = keep(kept, demands)
            if not kept:
                return None
            measures = Measures.of(case, demands.counts, pool.route, kept)
            chain = _rank(pool, kept, goal or name, demands, measures, self.ranking)
            return pool.route, arrange(chain, standings(chain, name, case.signals))[0].model
        except Exception:  # noqa: BLE001 - nothing that follows from a shadow may touch the request
            return None


def _why(is_served: bool) -> str:
    if is_served:
        return "models that make images are preferred"
    return "no model left of this route makes images: the request goes on to one that writes"


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


def _rank(
    pool: Pool, kept: Candidates, router: str, demands: Demands, measures: Measures, ranking: Ranking
) -> Candidates:
    """Return the pool's own candidates in order of preference, then its fallbacks."""
    if demands.models is not None:
        return rank_as_requested(kept, demands.models)
    if pool.prefer == "manual":
        return kept
    own = tuple([candidate for candidate in kept if candidate.model in pool.names])
    rest = kept[len(own) :]
    if pool.prefer == "cheapest":
        return rank_cheapest(own, measures) + rest
    leader = measures.case.signals.world.leaders.get(f"{router}/{pool.route}")
    if pool.prefer == "fastest":
        return rank_fastest(own, measures, ranking, leader) + rest
    return rank_balanced(own, measures, ranking, leader, pool.balance) + rest


def _with_pin(
    chain: Candidates, pinned: Candidate, course: Course, case: Case, measures: Measures
) -> tuple[Candidates, Course]:
    """Return the chain with the session's model in front, unless leaving it pays.

    Content that only its maker can take back keeps the whole chain with that maker.
    """
    if course.may_leave and chain[0] is not pinned:
        pin = case.signals.pin
        assert pin is not None
        if pays_to_leave(pin, pinned, chain[0], measures, course.expected_turns):
            return chain, course.with_pin(PinOutcome.MOVED, Reason.REPINNED)
    course = course.with_pin(PinOutcome.KEPT, Reason.AFFINITY)
    if is_bound(case.request):
        chain = tuple([candidate for candidate in chain if candidate.provider == pinned.provider])
    if chain and chain[0] is pinned:
        return chain, course
    return (pinned, *[candidate for candidate in chain if candidate is not pinned]), course
