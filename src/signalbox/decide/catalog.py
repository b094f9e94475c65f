"""A policy's routers, compiled: pools, rules and thresholds, with every name already looked up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from signalbox.decide.affinity import Sessions, compile_sessions
from signalbox.decide.budgets import Limit, compile_limits
from signalbox.decide.filters import Demands
from signalbox.decide.headers import HeaderPairs, local_only_pairs
from signalbox.decide.judge import REASONS, CompiledJudge, compile_judge
from signalbox.decide.pools import Pool, make_pool, pick
from signalbox.decide.rollout import CompiledRollout, compile_rollout
from signalbox.decide.rules import RuleBook, compile_rules
from signalbox.decide.trace import Trace
from signalbox.engines.base import Route
from signalbox.engines.routes import routes_of
from signalbox.errors import RouterError
from signalbox.policy.schema import Policy, Router, Rule
from signalbox.types import Candidate, Case, Judgement, Reason


class Choice(NamedTuple):
    """What a router made of a request."""

    pool: Pool
    reason: Reason
    rule: str = ""
    judged: Judgement | None = None


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
    """A router: rules first, then its engine, then complexity, then the default.

    homes: model -> the pool it is in, the default one if it is in several; for sessions that keep their model.
    """

    name: str
    rules: RuleBook
    complexity: ComplexityStep | None
    default: Pool
    local_only: HeaderPairs  # the policy's pairs and its own
    homes: Mapping[str, Pool]
    sessions: Sessions | None = None
    limits: tuple[Limit, ...] = ()
    rollout: CompiledRollout | None = None
    shadow: str | None = None
    judge: CompiledJudge | None = None
    engines: tuple[str, ...] = ()  # that its rules and itself may ask
    routes: tuple[Route, ...] = ()

    def asks(self, case: Case, demands: Demands, *, rules_alone: bool = False) -> tuple[str, ...]:
        """Return the engines `choose` wants an answer of; none if it can do without."""
        wanted: list[str] = []
        try:
            ruled = self.rules.first_match(case, None, wanted)
        except Exception:  # noqa: BLE001 - `choose` meets the same, counts it and takes the default
            return ()
        judge = None if rules_alone else self.judge
        if ruled is None and judge is not None and judge.may_be_asked(case, demands):
            wanted.append(judge.engine)
        return tuple(dict.fromkeys(wanted))

    def choose(self, case: Case, trace: Trace | None) -> Choice:
        """Return the pool for this request and why. Never raises: what fails leads to the default."""
        try:
            if self.rules.rules:
                rule = self.rules.first_match(case, trace)
                if rule is not None:
                    return Choice(rule.pool, Reason.RULE, rule.name, rule.judgement(case))
            answer = None if self.judge is None else case.signals.answers.get(self.judge.engine)
            if self.judge is not None and answer is not None:
                pool, judged = self.judge.judge(answer, case, trace)
                return Choice(pool or self._without_answer(case, trace), REASONS[judged.outcome], judged=judged)
            if self.complexity is not None:
                return Choice(self.complexity.choose(case, trace), Reason.COMPLEXITY)
        except Exception as failure:  # noqa: BLE001 - counted by its reason; costs quality, never the request
            if trace is not None:
                trace["engine_failed"] = type(failure).__name__
            return Choice(self.default, Reason.ENGINE_FAILED)
        return Choice(self.default, Reason.DEFAULT)

    def _without_answer(self, case: Case, trace: Trace | None) -> Pool:
        """Return the step after an engine that did not decide: the named one, the complexity's, the default."""
        if self.judge is not None and self.judge.otherwise is not None:
            return self.judge.otherwise
        return self.default if self.complexity is None else self.complexity.choose(case, trace)


def compile_router(name: str, router: Router, policy: Policy, candidates: Mapping[str, Candidate]) -> CompiledRouter:
    """Return a router of a policy whose references were checked when it was loaded."""
    fallback = pick(candidates, router.fallback)
    balance = router.balance
    tasks = {
        task.name: make_pool(task.name, pick(candidates, task.models), fallback, task.prefer, balance)
        for task in router.tasks
    }
    if router.default_task is None:
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
    rules = compile_rules(router.rules, outcome)
    homes: dict[str, Pool] = {}
    for pool in (default, *tasks.values(), *ruled):
        for candidate in pool.chain:
            if candidate.model in pool.names:
                homes.setdefault(candidate.model, pool)
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
        local_only=local_only_pairs(policy.privacy, router.privacy),
        homes=homes,
        sessions=compile_sessions(name, router, policy),
        limits=compile_limits(f"router/{name}", router.budget),
        rollout=compile_rollout(name, rollout, otherwise),
        shadow=router.shadow,
        judge=compile_judge(name, router, policy.engines, tasks),
        engines=router.engines,
        routes=routes_of(router),
    )
