"""Which pool a request goes to, before anybody looks at its candidates: rollout, session, then the router itself."""

from __future__ import annotations

from typing import NamedTuple

from signalbox.decide.affinity import is_bound, is_tool_loop
from signalbox.decide.asks import NOBODY, Asks
from signalbox.decide.budgets import WhenSpent
from signalbox.decide.catalog import CompiledRouter
from signalbox.decide.filters import FILTERS, Demands
from signalbox.decide.pools import Pool, make_pool
from signalbox.decide.resolve import Target
from signalbox.decide.rollout import IN, OUT
from signalbox.decide.split import Split
from signalbox.decide.trace import Trace
from signalbox.types import Candidate, Case, Completion, Judgement, PinOutcome, Reason
from signalbox.world import UNKNOWN_MODEL, CircuitState


class Course(NamedTuple):
    """Where a request goes and why.

    pin: what affinity does about it; None when it belongs to no session. pinned: the session's model, able to serve.
    may_leave: whether the session leaves it if that pays over the `expected_turns` a session has.
    """

    pool: Pool
    reason: Reason
    rule: str = ""
    rollout: str = ""
    pin: PinOutcome | None = None
    pinned: Candidate | None = None
    may_leave: bool = False
    expected_turns: int = 1
    judged: Judgement | None = None
    goal: str = ""  # router that was taken among the router's goals

    @property
    def completion(self) -> Completion | None:
        """What the client is answered without any model, unless its session keeps one."""
        return None if self.judged is None or self.pinned is not None else self.judged.completion

    def with_pin(self, pin: PinOutcome, reason: Reason) -> Course:
        return Course(self.pool, reason, self.rule, self.rollout, pin, self.pinned, self.may_leave, self.expected_turns)


def take_course(
    target: Target,
    case: Case,
    demands: Demands,
    spent: tuple[WhenSpent, str] | None,
    trace: Trace | None,
    *,
    is_unknown: bool,
) -> Course:
    """Return the course of a request to `target`. spent: what the policy wants when its budget is spent."""
    if isinstance(target, CompiledRouter):
        course = _through(target, case, demands, spent, trace)
        if is_unknown and course.reason is Reason.DEFAULT:
            course = course._replace(reason=Reason.UNKNOWN_MODEL)
    else:
        pool = target.pool(case.signals.session) if isinstance(target, Split) else target
        course = Course(pool, Reason.UNKNOWN_MODEL if is_unknown else Reason.REQUESTED)
    return course if spent is None else _economize(course, spent[0])


def _through(
    router: CompiledRouter, case: Case, demands: Demands, spent: tuple[WhenSpent, str] | None, trace: Trace | None
) -> Course:
    side = ""
    if router.rollout is not None:
        side = router.rollout.side(case.signals)
        if side == OUT:
            return Course(router.rollout.otherwise, Reason.ROLLOUT, rollout=OUT)
    sessions, pin = router.sessions, case.signals.pin
    outcome: PinOutcome | None = None
    if sessions is not None and case.signals.session_key and spent is None:
        outcome = PinOutcome.NEW
        if pin is not None:
            pinned = _able(router, pin.model, case, demands)
            if trace is not None:
                trace["affinity"] = {"model": pin.model, "able": pinned is not None, "mode": sessions.mode}
            if pinned is not None:
                home = router.homes[pin.model]
                guard = router.guard_rule(pin.model, case, trace)
                if guard is not None:
                    judged = guard.judgement(case)
                    return Course(guard.pool, Reason.RULE, guard.name, side, PinOutcome.MOVED, judged=judged)
                if sessions.mode == "strict" or is_tool_loop(case) or is_bound(case.request):
                    return Course(home, Reason.AFFINITY, rollout=side, pin=PinOutcome.KEPT, pinned=pinned)
                pool, reason, rule, judged, goal = router.choose(case, demands, trace)
                return Course(
                    pool,
                    reason,
                    rule,
                    side,
                    PinOutcome.KEPT,
                    pinned,
                    may_leave=True,
                    expected_turns=sessions.expected_turns,
                    judged=judged,
                    goal=goal,
                )
            outcome = PinOutcome.MOVED
    pool, reason, rule, judged, goal = router.choose(case, demands, trace)
    if outcome is PinOutcome.MOVED:
        reason = Reason.REPINNED
    side = side or (IN if router.rollout is not None else "")
    return Course(pool, reason, rule, side, outcome, judged=judged, goal=goal)


def asks(router: CompiledRouter, case: Case, demands: Demands, *, is_spent: bool) -> Asks:
    """Return the engines that have to be asked before a course is taken; nobody if nothing hangs on one.

    An engine has no say in where a session that is out of the rollout goes. In one that keeps its model only guards
    have: rules that keep on the site what an engine sees. When a budget is spent the router's own engine has none
    either, but those of its rules do.
    """
    if router.rollout is not None and router.rollout.side(case.signals) == OUT:
        return NOBODY
    sessions, pin = router.sessions, case.signals.pin
    if sessions is not None and case.signals.session_key and pin is not None and not is_spent:
        stays = sessions.mode == "strict" or is_tool_loop(case) or is_bound(case.request)
        if stays and _able(router, pin.model, case, demands) is not None:
            return router.asks_of_guards(pin.model, case)
    return router.asks(case, demands, rules_alone=is_spent)


def _able(router: CompiledRouter, model: str, case: Case, demands: Demands) -> Candidate | None:
    """Return the session's model if it is still in the router, can take this request, and is up.

    One that cannot give the kind of answer asked for stays only where no other model of the router can either, or
    where the session may not move.
    """
    home = router.homes.get(model)
    if home is None:
        return None
    if case.signals.world.models.get(model, UNKNOWN_MODEL).circuit is CircuitState.OPEN:
        return None
    alone = tuple([candidate for candidate in home.chain if candidate.model == model])
    for _, keep in FILTERS:
        if not keep(alone, demands):
            return None
    if not demands.wanted.suits(alone[0]) and not is_tool_loop(case) and not is_bound(case.request):
        others = router.members
        for _, keep in FILTERS:
            others = keep(others, demands)
        if any(map(demands.wanted.suits, others)):
            return None
    return alone[0]


def _economize(course: Course, when_spent: WhenSpent) -> Course:
    """Return the course of a request whose budget is spent: local models, fallbacks, or the cheapest of all."""
    pool = course.pool
    if when_spent == "local":
        pool = _only(pool, tuple(c for c in pool.chain if c.is_local))
    elif when_spent == "fallback":
        pool = _only(pool, tuple(c for c in pool.chain if c.model not in pool.names))
    return course._replace(pool=pool, reason=Reason.BUDGET, rule="")


def _only(pool: Pool, candidates: tuple[Candidate, ...]) -> Pool:
    # Without any, the pool stays as it is: a budget is the operator's wish, no wall around the provider.
    return make_pool(pool.route, candidates) if candidates else pool
