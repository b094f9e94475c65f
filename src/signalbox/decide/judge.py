"""What follows from an engine's answer: a task, or the named next step and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from signalbox.decide.filters import FILTERS, Demands
from signalbox.decide.pools import Pool
from signalbox.decide.trace import Trace
from signalbox.engines.base import STRONG
from signalbox.policy.engines import Engine, Judge
from signalbox.types import Answer, Case, EngineOutcome, Judgement, Privacy, Reason
from signalbox.world import UNKNOWN_MODEL, CircuitState

DEFAULT_THRESHOLD = 0.5

REASONS = {
    EngineOutcome.RESULT: Reason.ENGINE,
    EngineOutcome.UNSURE: Reason.ENGINE_UNSURE,
    EngineOutcome.LATE: Reason.ENGINE_LATE,
    EngineOutcome.FAILED: Reason.ENGINE_FAILED,
}


@dataclass(frozen=True, slots=True)
class CompiledJudge:
    """A router's engine and what its answers lead to.

    strong, weak: pools of the two tiers; None where labels lead to `tasks`. threshold: on the chance that the strong
    tier is needed. target_share: of requests for the strong tier; its threshold comes with the signals.
    otherwise: pool without an answer; None for the router's next step. leaves_the_site: a cloud reads the question.
    """

    router: str
    engine: str
    strong: Pool | None
    weak: Pool | None
    threshold: float
    target_share: float | None
    tasks: Mapping[str, Pool]
    min_score: float
    otherwise: Pool | None
    leaves_the_site: bool = False
    dial: str | None = None  # header that names a request's own share

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

    def may_be_asked(self, case: Case, demands: Demands) -> bool:
        """Whether the engine may read the request, and its answer makes a difference.

        It does when at least two models can take the request and are up.
        """
        if self.leaves_the_site and demands.privacy is Privacy.LOCAL:
            return False
        models = case.signals.world.models
        found: set[str] = set()
        for pool in self._pools():
            kept = pool.candidates
            for _, keep in FILTERS:
                kept = keep(kept, demands)
            found.update(
                candidate.model
                for candidate in kept
                if models.get(candidate.model, UNKNOWN_MODEL).circuit is not CircuitState.OPEN
            )
            if len(found) > 1:
                return True
        return False

    def judge(self, answer: Answer, case: Case, trace: Trace | None) -> tuple[Pool | None, Judgement]:
        """Return the pool an answer leads to, None if to none, and what is kept of it."""
        pool, judgement = self._tier(answer, case) if self.strong is not None else self._task(answer)
        if trace is not None:
            trace["engine"] = {
                "name": self.engine,
                "outcome": judgement.outcome.value,
                "detail": judgement.detail,
                "microseconds": judgement.microseconds,
                "scores": dict(answer.scores),
                "threshold": judgement.threshold,
                "task": None if pool is None else pool.route,
            }
            if answer.completion is not None:
                trace["engine"]["answers"] = True
        return pool, judgement

    def _tier(self, answer: Answer, case: Case) -> tuple[Pool | None, Judgement]:
        score = dict(answer.scores).get(STRONG)
        if answer.outcome is not EngineOutcome.RESULT or score is None:
            return None, self._judgement(answer, "no_tiers" if answer.outcome is EngineOutcome.RESULT else "")
        threshold = self.threshold
        if self.target_share is not None:
            threshold = case.signals.cuts.get(self.router, threshold)
        pool = self.strong if score >= threshold else self.weak
        return pool, self._judgement(answer, "", score, threshold)

    def _task(self, answer: Answer) -> tuple[Pool | None, Judgement]:
        if answer.outcome is not EngineOutcome.RESULT or answer.route is None:
            is_wanting = answer.outcome is EngineOutcome.RESULT and answer.completion is None
            return None, self._judgement(answer, "no_route" if is_wanting else "")
        score = dict(answer.scores).get(answer.route)
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

    def _pools(self) -> tuple[Pool, ...]:
        if self.strong is not None and self.weak is not None:
            return self.strong, self.weak
        return tuple(self.tasks.values())


def compile_judge(
    name: str, judge: Judge | None, engines: Mapping[str, Engine], tasks: Mapping[str, Pool]
) -> CompiledJudge | None:
    """Return what a router makes of an engine; None if it has none. name: of the router. tasks: its pools, by name."""
    if judge is None:
        return None
    return CompiledJudge(
        router=name,
        engine=judge.name,
        strong=None if judge.strong is None else tasks[judge.strong],
        weak=None if judge.weak is None else tasks[judge.weak],
        threshold=DEFAULT_THRESHOLD if judge.threshold is None else judge.threshold,
        target_share=judge.target_share,
        tasks={label: tasks[task] for label, task in judge.tasks.items()} or dict(tasks),
        min_score=judge.min_score,
        otherwise=None if judge.otherwise is None else tasks[judge.otherwise],
        leaves_the_site=engines[judge.name].leaves_the_site,
        dial=judge.dial,
    )
