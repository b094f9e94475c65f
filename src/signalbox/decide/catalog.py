"""A policy's routers, compiled: pools, rules and thresholds, with every name already looked up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from signalbox.decide.affinity import Sessions, compile_sessions
from signalbox.decide.asks import NOBODY, Asks
from signalbox.decide.budgets import Limit, compile_limits
from signalbox.decide.filters import FILTERS, Demands
from signalbox.decide.goals import COMPLEXITY, DESCRIBED, CompiledGoals, Step, compile_goals
from signalbox.decide.judge import REASONS, CompiledJudge, compile_judge
from signalbox.decide.pools import Pool, make_pool, pick
from signalbox.decide.privacy import Guard, compile_guard
from signalbox.decide.rollout import CompiledRollout, compile_rollout
from signalbox.decide.rules import CompiledRule, RuleBook, compile_rules
from signalbox.decide.trace import Trace
from signalbox.engines.base import Route
from signalbox.engines.heads import says_key
from signalbox.engines.routes import routes_of
from signalbox.errors import RouterError
from signalbox.policy.schema import Policy, Router, Rule
from signalbox.types import Candidate, Case, Judgement, Privacy, Reason
from signalbox.world import UNKNOWN_MODEL, CircuitState


class Choice(NamedTuple):
    """What a router made of a request."""

    pool: Pool
    reason: Reason
    rule: str = ""
    judged: Judgement | None = None
    goal: str = ""  # router that was taken among the router's goals


@dataclass(frozen=True, slots=True)
class ComplexityStep:
    """Two pools and a threshold on the surface complexity."""

    threshold: float
    below: Pool
    above: Pool

    def choose(self, case: Case, trace: Trace | None) -> Pool:
        """Return the pool for this request. Raises RouterError when its complexity is not known."""
        complexity = case.features.complexity
        if math.isnan(complexity):
            raise RouterError("the surface complexity of the request could not be computed")
        pool = self.above if complexity >= self.threshold else self.below
        if trace is not None:
            trace["complexity"] = {"score": complexity, "threshold": self.threshold, "task": pool.route}
        return pool


@dataclass(frozen=True, slots=True)
class CompiledRouter:
    """A router: rules first, then its engine, then complexity, then the default; or rules first, then its goals.

    homes: model -> the pool it is in, the default one if it is in several; for sessions that keep their model.
    """

    name: str
    rules: RuleBook
    complexity: ComplexityStep | None
    default: Pool
    guard: Guard  # the policy's, its own and those of the routers it may lead to
    homes: Mapping[str, Pool]
    sessions: Sessions | None = None
    limits: tuple[Limit, ...] = ()
    rollout: CompiledRollout | None = None
    shadow: str | None = None
    judge: CompiledJudge | None = None
    labeller: CompiledJudge | None = None  # of its shadow engine, which has no say
    engines: tuple[str, ...] = ()  # that its rules, itself and the routers for its goals may ask
    routes: tuple[Route, ...] = ()
    has_second: bool = False  # it, or a router for one of its goals, may ask one engine after another
    members: tuple[Candidate, ...] = ()  # models of its pools, and its own fallbacks
    goals: CompiledGoals | None = None
    leads_to: Mapping[str, CompiledRouter] = field(default_factory=dict)  # routers for its goals, by name

    def asks(self, case: Case, demands: Demands, *, rules_alone: bool = False) -> Asks:
        """Return the engines `choose` wants an answer of; nobody if it can do without."""
        wanted: list[str] = []
        try:
            ruled = self.rules.first_match(case, None, wanted)
            guards = self.rules.guards_among(wanted)
            asks = (
                Asks(tuple([(key, self.routes) for key in dict.fromkeys(wanted)]), guards=guards) if wanted else NOBODY
            )
            if ruled is not None or rules_alone:
                return asks
            if self.goals is not None:
                return asks + self._asks_for_goals(self.goals, case, demands)
            if self.judge is not None:
                own = self.judge.asks(case, demands, self.routes)
                return asks + own if wanted else own
        except Exception:  # noqa: BLE001 - `choose` meets the same, counts it and takes the default
            return NOBODY
        return asks

    def guard_rule(
        self, model: str, case: Case, trace: Trace | None, wanted: list[str] | None = None
    ) -> CompiledRule | None:
        """Return the guard that takes a request away from its session's model; None if none does.

        Those of the routers for its goals count where the model is one of theirs. wanted: gets the engines whose
        answers would have to be known.
        """
        try:
            for router in (self, *(other for other in self.leads_to.values() if model in other.homes)):
                found = router.rules.guard(case, trace, wanted)
                if found is not None:
                    return None if model in found.pool.names else found
        except Exception as failure:  # noqa: BLE001 - rules that fail let a session stay, as they let others pass
            if trace is not None:
                trace["guard_failed"] = type(failure).__name__
        return None

    def asks_of_guards(self, model: str, case: Case) -> Asks:
        """Return the engines `guard_rule` wants an answer of."""
        wanted: list[str] = []
        self.guard_rule(model, case, None, wanted)
        return Asks(tuple([(engine, self.routes) for engine in dict.fromkeys(wanted)]))

    def choose(self, case: Case, demands: Demands, trace: Trace | None) -> Choice:
        """Return the pool for this request and why. Never raises: what fails leads to the default."""
        try:
            if self.rules.rules:
                rule = self.rules.first_match(case, trace)
                if rule is not None:
                    return Choice(rule.pool, Reason.RULE, rule.name, rule.judgement(case))
            if self.goals is not None:
                return self._choose_for_goals(self.goals, case, demands, trace)
            judge = self.judge
            said = None if judge is None else judge.opinion(case, trace)
            if judge is not None and said is not None:
                pool, judged = said
                if demands.privacy is Privacy.LOCAL and judge.may_leave_the_site:
                    judged = judged._replace(completion=None)  # it should not even have been asked
                return Choice(pool or self._without_answer(case, trace), REASONS[judged.outcome], judged=judged)
            if self.complexity is not None:
                return Choice(self.complexity.choose(case, trace), Reason.COMPLEXITY)
        except Exception as failure:  # noqa: BLE001 - counted by its reason; costs quality, never the request
            if trace is not None:
                trace["engine_failed"] = type(failure).__name__
            return Choice(self.default, Reason.ENGINE_FAILED)
        return Choice(self.default, Reason.DEFAULT)

    def can_serve(self, case: Case, demands: Demands) -> bool:
        """Whether a model of this router, fallbacks included, can take the request and is up."""
        states = case.signals.world.models
        kept = tuple([c for c in self.members if states.get(c.model, UNKNOWN_MODEL).circuit is not CircuitState.OPEN])
        for _, keep in FILTERS:
            kept = keep(kept, demands)
        return bool(kept)

    def _asks_for_goals(self, goals: CompiledGoals, case: Case, demands: Demands) -> Asks:
        asks = NOBODY
        for step in goals.steps(case, None):
            router = self.leads_to[step.router]
            if not router.can_serve(case, demands):
                continue
            theirs = router.asks(case, demands)
            asks += theirs
            # The described router may decide nothing, and then there is no time to ask the next one.
            may_pass = step.name == DESCRIBED and router.choose(case, demands, None).reason not in _DECIDED
            if not may_pass:
                break
        return asks

    def _choose_for_goals(self, goals: CompiledGoals, case: Case, demands: Demands, trace: Trace | None) -> Choice:
        told: Trace | None = None if trace is None else trace.setdefault("goals", {})
        steps = goals.steps(case, told)
        passed: Judgement | None = None  # what the engine of a router said that did not decide
        for step in steps:
            router = self.leads_to[step.router]
            notes: Trace | None = None
            if told is not None:
                notes = {"step": step.name, "router": step.router}
                told.setdefault("steps", []).append(notes)
            if not router.can_serve(case, demands):
                if notes is not None:
                    notes["passed_over"] = "no model of it can take the request and is up"
                continue
            choice = router.choose(case, demands, notes)
            if step.name == DESCRIBED and choice.reason not in _DECIDED:
                passed = choice.judged
                if notes is not None:
                    notes["passed_over"] = "neither a rule nor an engine of it decided"
                continue
            return _for_goal(choice, step, passed)
        # Nobody is able. The filters say why, of the router whose turn it would have been.
        step = next(step for step in steps if step.name == COMPLEXITY)
        return _for_goal(self.leads_to[step.router].choose(case, demands, None), step, passed)

    def _without_answer(self, case: Case, trace: Trace | None) -> Pool:
        """Return the step after an engine that did not decide: the named one, the complexity's, the default."""
        if self.judge is not None and self.judge.otherwise is not None:
            return self.judge.otherwise
        return self.default if self.complexity is None else self.complexity.choose(case, trace)


_DECIDED = (Reason.RULE, Reason.ENGINE)


def _for_goal(choice: Choice, step: Step, passed: Judgement | None) -> Choice:
    """Return the choice of a router as that for a goal. passed: what was said by an engine that did not decide."""
    reason, judged = choice.reason, choice.judged
    if judged is None and passed is not None:
        judged = passed
        if reason in (Reason.DEFAULT, Reason.COMPLEXITY):
            reason = REASONS[passed.outcome]
    if reason is Reason.DEFAULT:
        reason = step.reason
    return choice._replace(reason=reason, judged=judged, goal=step.router)


def compile_router(
    name: str,
    router: Router,
    policy: Policy,
    candidates: Mapping[str, Candidate],
    behind: tuple[Candidate, ...] = (),
) -> CompiledRouter:
    """Return a router of a policy whose references were checked when it was loaded.

    behind: fallbacks of the router for whose goal this one is taken; they come after its own.
    """
    own_fallback = pick(candidates, router.fallback)
    fallback = own_fallback + behind
    balance = router.balance
    tasks = {
        task.name: make_pool(task.name, pick(candidates, task.models), fallback, task.prefer, balance)
        for task in router.tasks
    }
    leads_to = {
        other: compile_router(other, policy.routers[other], policy, candidates, fallback)
        for other in (() if router.goals is None else router.goals.routers)
    }
    if router.goals is not None:
        default = leads_to[router.goals.complexity.above].default
    elif router.default_task is None:
        default = make_pool(name, pick(candidates, router.models), fallback, router.prefer, balance)
    else:
        default = tasks[router.default_task]
    ruled: list[Pool] = []

    def outcome(rule: Rule) -> Pool:
        if rule.task is not None:
            return tasks[rule.task]
        ruled.append(make_pool(name, pick(candidates, rule.models), fallback))
        return ruled[-1]

    step = router.complexity
    complexity = None if step is None else ComplexityStep(step.threshold, tasks[step.below], tasks[step.above])
    rules = compile_rules(router.rules, outcome, lambda says: says_key(says, policy))
    homes: dict[str, Pool] = {}
    for pool in (default, *tasks.values(), *ruled):
        for candidate in pool.chain:
            if candidate.model in pool.names:
                homes.setdefault(candidate.model, pool)
    members = {candidate.model: candidate for pool in homes.values() for candidate in pool.candidates}
    for other in leads_to.values():
        homes.update({model: pool for model, pool in other.homes.items() if model not in homes})
    for candidate in fallback:
        homes.setdefault(candidate.model, default)
    rollout = router.rollout
    otherwise = None
    if rollout is not None:
        model = policy.models[rollout.otherwise]
        otherwise = make_pool(
            rollout.otherwise, pick(candidates, (rollout.otherwise,)), pick(candidates, model.fallback)
        )
    return CompiledRouter(
        name=name,
        rules=rules,
        complexity=complexity,
        default=default,
        # Known before anybody is led anywhere: what is local-only for one of its routers is so for all of them.
        guard=compile_guard(policy.privacy, router.privacy, *(policy.routers[other].privacy for other in leads_to)),
        homes=homes,
        sessions=compile_sessions(name, router, policy),
        limits=compile_limits(f"router/{name}", router.budget),
        rollout=compile_rollout(name, rollout, otherwise),
        shadow=router.shadow,
        judge=compile_judge(name, router, router.judge, policy, tasks, default),
        labeller=compile_judge(name, router, router.labeller, policy, tasks, default),
        engines=tuple(
            dict.fromkeys([*router.engines, *(name for other in leads_to.values() for name in other.engines)])
        ),
        routes=routes_of(router),
        has_second=(router.judge is not None and router.judge.second is not None)
        or any(other.has_second for other in leads_to.values()),
        members=tuple((members | {candidate.model: candidate for candidate in own_fallback}).values()),
        goals=None if router.goals is None else compile_goals(router.goals),
        leads_to=leads_to,
    )
