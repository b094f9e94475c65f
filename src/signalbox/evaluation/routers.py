"""Routers under evaluation: what each says of every prompt, by the functions that traffic goes through.

Besides routers, a file of scores can be evaluated: whatever made it.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from signalbox.core import scan
from signalbox.decide.asking import answer_at_once
from signalbox.decide.catalog import CompiledRouter
from signalbox.decide.pipeline import Pipeline
from signalbox.decide.resolve import ROUTER_PREFIXES
from signalbox.engines.base import Question
from signalbox.engines.heads import IMAGE_KEY
from signalbox.engines.open import Engines, answer_now, open_engines
from signalbox.errors import DataError, RequestError, SetupError
from signalbox.features.extract import extract
from signalbox.policy.load import load_policy
from signalbox.prices.resolve import resolve
from signalbox.types import Case, Decision, Endpoint, Features, ParsedRequest, Reason, Signals

Floats = NDArray[np.float64]
Said = Callable[[int], None]
"""Told how many prompts are done."""

SURELY_STRONG, SURELY_WEAK = 2.0, -1.0
"""Scores of prompts whose side no threshold decided, a rule for one: above and below every probability."""


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """What a router said of each prompt.

    scores: (rows,), finite, higher = needs the strong side more. chosen: (rows,), the side it takes as it is set, True
    for strong; None for a mere ranking. is_chance: scores are chances that the strong side is needed.
    unsure: (rows,), it would not say. microseconds: (rows,), a decision's time. reasons: why, how often.
    """

    name: str
    scores: Floats
    chosen: NDArray[np.bool_] | None = None
    is_chance: bool = False
    unsure: NDArray[np.bool_] | None = None
    microseconds: Floats | None = None
    reasons: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


UNDECIDED = frozenset({Reason.ENGINE_UNSURE, Reason.ENGINE_LATE, Reason.ENGINE_FAILED})


def nobody(done: int) -> None:
    """Told how far it is, and does nothing about it."""


def as_request(prompt: str, model: str = "auto") -> ParsedRequest:
    """Return the chat completion whose only turn is the prompt, scanned."""
    body = msgspec.json.encode({"model": model, "messages": [{"role": "user", "content": prompt}]})
    return ParsedRequest(Endpoint.CHAT_COMPLETIONS, body, scan(body), {})


def features_of(prompts: Sequence[str]) -> list[Features]:
    """Return what each prompt alone tells, as for a request of one turn."""
    return [extract(as_request(prompt)) for prompt in prompts]


class PolicyRouter:
    """A router of a policy: rules, engines, complexity and filters, decided as traffic is.

    strong_models: the policy's models that stand for the strong side; by default those of the tier or task that its
    engine or its complexity threshold sends hard prompts to. Raises SetupError where that is not clear,
    and what loading the policy and opening its engines raise.
    """

    def __init__(self, policy: Path, router: str, strong_models: Sequence[str] = ()) -> None:
        loaded = load_policy(policy).policy
        self.name = f"{policy.name}:{router}"
        self._pipeline = Pipeline.compile(loaded, resolve(loaded))
        compiled = self._pipeline.resolver.routers.get(router)
        if compiled is None:
            raise SetupError(
                f"{policy}: router {router!r} is not there\n"
                f"  expected: one of {', '.join(self._pipeline.resolver.routers) or 'none: the policy has no router'}\n"
                "  fix: name one of them after the colon"
            )
        unknown = [name for name in strong_models if name not in loaded.models]
        if unknown:
            raise SetupError(
                f"--strong-models: {unknown[0]!r} is no model of {policy}\n  expected: {', '.join(loaded.models)}"
            )
        self._router = router
        self._refusal = ""
        self._target_share = None if compiled.judge is None else compiled.judge.target_share
        self._is_strong = _sides(compiled, frozenset(strong_models), policy)
        self._engines = open_engines(loaded, only=(*compiled.engines, IMAGE_KEY), strict=True)

    def close(self) -> None:
        """Let go of the models of its engines."""
        if self._engines is not None:
            self._engines.close()

    def verdicts(self, prompts: Sequence[str], said: Said = nobody) -> Verdicts:
        """Decide each prompt, on its own and as the first of its session.

        A prompt that the router refuses is taken for one of the weak side, and a note says how many those are. A target
        share is made on these very prompts, where traffic has a threshold that follows it.
        """
        scores, chosen = np.zeros(len(prompts)), np.zeros(len(prompts), dtype=bool)
        unsure, by_chance = np.zeros(len(prompts), dtype=bool), np.zeros(len(prompts), dtype=bool)
        microseconds = np.zeros(len(prompts))
        reasons: Counter[str] = Counter()
        for row, prompt in enumerate(prompts):
            request = as_request(prompt, ROUTER_PREFIXES[0] + self._router)
            began = time.perf_counter_ns()
            case, decision = self._decide(request, f"sb-{row}")
            microseconds[row] = (time.perf_counter_ns() - began) / 1_000
            reasons["refused" if decision is None else str(decision.reason)] += 1
            chosen[row] = decision is not None and self._is_strong(decision)
            unsure[row] = decision is not None and decision.reason in UNDECIDED
            scores[row], by_chance[row] = _score(decision, case, strong=bool(chosen[row]))
            said(row + 1)
        notes = []
        if reasons["refused"] == len(prompts):
            raise SetupError(f"{self.name} refuses every prompt: {self._refusal}")
        if reasons["refused"]:
            notes.append(
                f"{reasons['refused']} prompts are refused by the router and count as sent to the weak side; the last: "
                f"{self._refusal}"
            )
        if self._target_share is not None and by_chance.any():
            cut = np.quantile(scores[by_chance], 1 - self._target_share)
            chosen[by_chance] = scores[by_chance] >= cut
            notes.append(f"threshold {cut:.3f}, for the target share {self._target_share:g} of these prompts")
        return Verdicts(
            self.name,
            scores,
            chosen,
            bool(by_chance.all()),
            unsure,
            microseconds,
            dict(reasons.most_common()),
            tuple(notes),
        )

    def _decide(self, request: ParsedRequest, number: str) -> tuple[Case, Decision | None]:
        case = Case(request, extract(request), Signals(number, time.time(), number))
        case = self._pipeline.judge_privacy(case)
        if self._engines is not None:
            case = _answered(self._pipeline, self._engines, case)
        try:
            return case, self._pipeline.decide(case)
        except RequestError as refusal:
            self._refusal = str(refusal)
            return case, None


def _answered(pipeline: Pipeline, engines: Engines, case: Case) -> Case:
    """Return the case with what all engines said that have a say, second opinions included."""
    case, asks = answer_at_once(pipeline, engines, case)
    while asks is not None:
        answers = {**case.signals.answers}
        for key, routes in asks.questions:
            deadline = time.monotonic() + engines.deadline_seconds(key)
            answers[key] = answer_now(engines, key, Question(case.request, case.features, routes, deadline))
        case = replace(case, signals=replace(case.signals, answers=answers))
        asks = pipeline.asks(case)
    return case


def _sides(router: CompiledRouter, strong_models: frozenset[str], policy: Path) -> Callable[[Decision], bool]:
    """Return what says whether a decision takes the strong side."""
    if strong_models:
        return lambda decision: decision.chain[0].model in strong_models
    if router.judge is not None and router.judge.strong is not None and router.judge.weak is not None:
        strong, weak = router.judge.strong, router.judge.weak
    elif router.complexity is not None:
        strong, weak = router.complexity.above, router.complexity.below
    else:
        raise SetupError(
            f"{policy}: which models of router {router.name!r} stand for the strong side is not clear\n"
            f"  expected: some of {', '.join(candidate.model for candidate in router.members)}\n"
            "  fix: name them with --strong-models"
        )
    only_strong, only_weak = strong.names - weak.names, weak.names - strong.names

    def is_strong(decision: Decision) -> bool:
        head = decision.chain[0].model
        if head in only_strong or head in only_weak:
            return head in only_strong
        return decision.route == strong.route  # a model of both sides, or of neither

    return is_strong


def _score(decision: Decision | None, case: Case, *, strong: bool) -> tuple[float, bool]:
    """Return what a threshold was held against, and whether that is a chance; without a threshold, the side alone."""
    if decision is None:
        return SURELY_WEAK, False
    judged = decision.judged
    if decision.reason is Reason.ENGINE and judged is not None and judged.threshold is not None:
        return float(judged.score or 0.0), True
    complexity = case.features.complexity
    if decision.reason is Reason.COMPLEXITY and not math.isnan(complexity):
        return complexity, False
    return (SURELY_STRONG if strong else SURELY_WEAK), False


def read_scores(path: Path, rows: int) -> Verdicts:
    """Return scores that something else made, as `signalbox score` writes them: a .npy file, one number a row.

    Raises DataError when the file is not that, has another length, or a score is not finite.
    """
    try:
        scores = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as problem:
        raise DataError.single(
            str(path), f"not a .npy file of numbers: {problem}", fix="write it with numpy.save"
        ) from problem
    if not isinstance(scores, np.ndarray) or scores.dtype.kind not in "fiub" or scores.shape != (rows,):
        found = f"{scores.dtype} of shape {scores.shape}" if isinstance(scores, np.ndarray) else "several arrays"
        raise DataError.single(
            str(path),
            f"found {found}",
            expected=f"{rows} numbers, one for each row of the data",
            fix="score the same file",
        )
    column = scores.astype(np.float64)
    odd = np.flatnonzero(~np.isfinite(column))
    if len(odd):
        raise DataError.single(
            str(path), f"row {odd[0] + 1} is {column[odd[0]]}", expected="finite numbers", fix="give every row a score"
        )
    return Verdicts(path.name, column, is_chance=bool((column >= 0).all() and (column <= 1).all()))
