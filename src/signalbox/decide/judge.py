"""What follows from an engine's answer: a task, or the named next step and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from signalbox.decide.asks import NOBODY, Asks
from signalbox.decide.filters import FILTERS, Demands
from signalbox.decide.pools import Pool
from signalbox.decide.success import EXPECTED, pool_by_success
from signalbox.decide.trace import Trace
from signalbox.engines.base import STRONG, Route
from signalbox.engines.heads import CLOSE, own_key
from signalbox.label import VERSION, Label
from signalbox.policy.engines import Judge
from signalbox.policy.schema import Goal, Policy, Router
from signalbox.types import (
    Answer,
    Candidate,
    Case,
    EngineOutcome,
    ImageAsked,
    Judgement,
    Privacy,
    Reason,
    Threshold,
    ThresholdState,
)
from signalbox.world import CircuitState

DEFAULT_THRESHOLD = 0.5
SETTLED = ("no_text", "other")
"""Details of an unsure answer that nobody else would have a better one to."""

REASONS = {
    EngineOutcome.RESULT: Reason.ENGINE,
    EngineOutcome.UNSURE: Reason.ENGINE_UNSURE,
    EngineOutcome.LATE: Reason.ENGINE_LATE,
    EngineOutcome.FAILED: Reason.ENGINE_FAILED,
}


@dataclass(frozen=True, slots=True)
class Opinion:
    """A second engine, asked where the first is not sure. margin: how near a decision counts as not sure."""

    engine: str
    threshold: float
    margin: float
    leaves_the_site: bool


@dataclass(frozen=True, slots=True)
class CompiledJudge:
    """A router's engine and what its answers lead to.

    key: of its answers among the signals'. strong, weak: pools of the two tiers; None where labels lead to `tasks`.
    threshold: on the chance that the strong tier is needed. target_share, usd_per_1000: with one of them the signals
    have a running threshold instead.
    otherwise: pool without an answer; None for the router's next step. leaves_the_site: a cloud reads the question.
    """

    router: str
    engine: str
    key: str
    strong: Pool | None
    weak: Pool | None
    threshold: float
    target_share: float | None
    usd_per_1000: float | None
    tasks: Mapping[str, Pool]
    min_score: float
    otherwise: Pool | None
    leaves_the_site: bool = False
    dial: str | None = None  # header that names a request's own share
    second: Opinion | None = None
    pools: tuple[tuple[Candidate, ...], ...] = ()  # that its answers may lead to
    members: tuple[Candidate, ...] = ()  # of those, each model once
    ranked: Pool | None = None  # of models to be taken by their chances, as `goal` wants
    goal: Goal | None = None

    @property
    def follows(self) -> bool:
        """Whether its threshold follows what comes."""
        return self.target_share is not None or self.usd_per_1000 is not None

    @property
    def may_leave_the_site(self) -> bool:
        """Whether a cloud reads the question, of the second engine if not of the first."""
        return self.leaves_the_site or (self.second is not None and self.second.leaves_the_site)

    def asks(self, case: Case, demands: Demands, routes: tuple[Route, ...]) -> Asks:
        """Return whom to ask about a request: the engine, or the second one once that is not sure; nobody after it."""
        answers = case.signals.answers
        first = answers.get(self.key)
        if first is None:
            if not self.may_be_asked(case, demands, leaves_the_site=self.leaves_the_site):
                return NOBODY
            return Asks(((self.key, routes),), ((self.router, self.share_of(case.request.headers)),))
        second = self.second
        if second is None or second.engine in answers or not self._is_open(first, case, second.margin):
            return NOBODY
        if not self.may_be_asked(case, demands, leaves_the_site=second.leaves_the_site):
            return NOBODY
        return Asks(((second.engine, routes),))

    def opinion(self, case: Case, trace: Trace | None) -> tuple[Pool | None, Judgement] | None:
        """Return what follows from the answers there are: the second engine's if it decided; None without any."""
        answers = case.signals.answers
        first = answers.get(self.key)
        if first is None:
            return None
        pool, judged = self.judge(first, case, trace)
        answer = None if self.second is None else answers.get(self.second.engine)
        if self.second is None or answer is None:
            return pool, judged
        after = replace(
            self,
            engine=self.second.engine,
            threshold=self.second.threshold,
            target_share=None,
            usd_per_1000=None,
            min_score=0.0,
            second=None,
        )
        instead, opinion = after.judge(answer, case, None)
        if trace is not None:
            trace["engine"]["then"] = _told(opinion, answer, instead)
        if instead is None and pool is not None:  # what the first said stands
            waited = judged.microseconds + opinion.microseconds
            return pool, judged._replace(detail=f"then_{opinion.outcome.value}", microseconds=waited)
        return instead, opinion._replace(first_score=judged.score, learns=judged.learns, cut=judged.cut)

    def label(self, answer: Answer, case: Case, *, at_seconds: float, id: str, line: int = 0) -> Label:
        """Return what is kept of an answer that has no say: of the request with this id, or in this line of a file.

        at_seconds: since the epoch, when it was given.
        """
        pool, judged = self.judge(answer, case, None)
        return Label(
            v=VERSION,
            at_seconds=round(at_seconds, 3),
            id=id,
            line=line,
            router=self.router,
            engine=self.engine,
            outcome=judged.outcome.value,
            detail=judged.detail,
            task="" if pool is None else pool.route,
            score=judged.score,
            threshold=judged.threshold,
            scores=answer.scores,
            engine_us=judged.microseconds,
        )

    def share_of(self, headers: Mapping[str, str]) -> float | None:
        """Return the share a request names for itself; None if it names none, or none that can be read."""
        value = None if self.dial is None else headers.get(self.dial)
        if value is None:
            return None
        try:
            share = float(value)
        except ValueError:
            return None
        return share if 0.0 <= share <= 1.0 else None

    def may_be_asked(self, case: Case, demands: Demands, *, leaves_the_site: bool) -> bool:
        """Whether an engine may read the request, and its answer makes a difference.

        It does when at least two models can take the request and are up.
        """
        if leaves_the_site and demands.privacy is Privacy.LOCAL:
            return False
        # Who comes nearest to an answer with images depends on who else is there; everything else does not.
        groups = (self.members,) if demands.wanted.asked is ImageAsked.NO else self.pools
        models = case.signals.world.models
        found: set[str] = set()
        for kept in groups:
            for _, keep in FILTERS:
                kept = keep(kept, demands)
            for candidate in kept:
                state = models.get(candidate.model)
                if state is None or state.circuit is not CircuitState.OPEN:
                    found.add(candidate.model)
            if len(found) > 1:
                return True
        return False

    def judge(self, answer: Answer, case: Case, trace: Trace | None) -> tuple[Pool | None, Judgement]:
        """Return the pool an answer leads to, None if to none, and what is kept of it."""
        pool, judgement = self._tier(answer, case) if self.strong is not None else self._task(answer)
        if trace is not None:
            trace["engine"] = _told(judgement, answer, pool)
        return pool, judgement

    def _tier(self, answer: Answer, case: Case) -> tuple[Pool | None, Judgement]:
        score = dict(answer.scores).get(STRONG)
        if answer.outcome is not EngineOutcome.RESULT or score is None:
            return None, self._judgement(answer, "no_tiers" if answer.outcome is EngineOutcome.RESULT else "", score)
        threshold, state = self._cut(case)
        pool = self.strong if score >= threshold else self.weak
        if state is None:
            return pool, self._judgement(answer, "", score, threshold)
        judgement = Judgement(
            self.engine,
            answer.outcome,
            answer.detail,
            answer.microseconds,
            score,
            threshold,
            learns=score,
            cut=state.value,
        )
        return pool, judgement

    def _cut(self, case: Case) -> tuple[float, ThresholdState | None]:
        if not self.follows:
            return self.threshold, None
        return case.signals.cuts.get(self.router) or Threshold(self.threshold, ThresholdState.LEARNING)

    def _is_open(self, answer: Answer, case: Case, margin: float) -> bool:
        """Whether an answer leaves open what to do. That nothing fits, or that nobody said anything, does not."""
        if answer.outcome is EngineOutcome.UNSURE and answer.detail in SETTLED:
            return False
        pool, judged = self._tier(answer, case) if self.strong is not None else self._task(answer)
        if pool is None or judged.score is None or answer.detail == CLOSE:
            return True
        if self.strong is not None:
            return abs(judged.score - self._cut(case)[0]) < margin
        return len(answer.scores) > 1 and answer.scores[0][1] - answer.scores[1][1] < margin

    def _task(self, answer: Answer) -> tuple[Pool | None, Judgement]:
        if answer.outcome is not EngineOutcome.RESULT or answer.route is None:
            is_wanting = answer.outcome is EngineOutcome.RESULT and answer.completion is None
            return None, self._judgement(answer, "no_route" if is_wanting else "")
        score = dict(answer.scores).get(answer.route)
        if self.ranked is not None and self.goal is not None:
            by_chance = pool_by_success(self.ranked, self.goal, dict(answer.scores), self.min_score or EXPECTED)
            return by_chance, self._judgement(answer, "", score)
        pool = self.tasks.get(answer.route)
        doubt = ""
        if pool is None:
            doubt = "unknown_route"
        elif score is not None and score < self.min_score:
            pool, doubt = None, "low_score"
        return pool, self._judgement(answer, doubt, score)

    def _judgement(
        self, answer: Answer, doubt: str, score: float | None = None, threshold: float | None = None
    ) -> Judgement:
        """doubt: why a result decides nothing after all."""
        outcome = EngineOutcome.UNSURE if doubt else answer.outcome
        return Judgement(
            self.engine, outcome, doubt or answer.detail, answer.microseconds, score, threshold, answer.completion
        )


def _told(judgement: Judgement, answer: Answer, pool: Pool | None) -> Trace:
    told: Trace = {
        "name": judgement.engine,
        "outcome": judgement.outcome.value,
        "detail": judgement.detail,
        "microseconds": judgement.microseconds,
        "scores": dict(answer.scores),
        "threshold": judgement.threshold,
        "task": None if pool is None else pool.route,
    }
    if judgement.cut:
        told["cut"] = judgement.cut
    if answer.completion is not None:
        told["answers"] = True
    return told


def compile_judge(
    name: str, router: Router, judge: Judge | None, policy: Policy, tasks: Mapping[str, Pool], default: Pool
) -> CompiledJudge | None:
    """Return what a router makes of an engine; None if it has none. tasks, default: the router's pools."""
    engines = policy.known_engines
    if judge is None:
        return None
    second = judge.second
    strong, weak = (None if tier is None else tasks[tier] for tier in (judge.strong, judge.weak))
    by_label = {label: tasks[task] for label, task in judge.tasks.items()} or dict(tasks)
    ranked = None if router.tasks else default
    if strong is not None and weak is not None:
        pools: tuple[Pool, ...] = (strong, weak)
    else:
        pools = tuple(by_label.values()) if ranked is None else (ranked,)
    return CompiledJudge(
        router=name,
        engine=judge.name,
        key=own_key(name, router, judge, policy),
        strong=strong,
        weak=weak,
        threshold=DEFAULT_THRESHOLD if judge.threshold is None else judge.threshold,
        target_share=judge.target_share,
        usd_per_1000=judge.usd_per_1000,
        tasks=by_label,
        min_score=judge.min_score,
        pools=tuple(pool.candidates for pool in pools),
        members=tuple({c.model: c for pool in pools for c in pool.candidates}.values()),
        ranked=ranked,
        goal=router.goal,
        otherwise=None if judge.otherwise is None else tasks[judge.otherwise],
        leaves_the_site=engines[judge.name].leaves_the_site,
        dial=judge.dial,
        second=None
        if second is None
        else Opinion(
            second.name,
            DEFAULT_THRESHOLD if second.threshold is None else second.threshold,
            second.margin,
            engines[second.name].leaves_the_site,
        ),
    )
