"""Requests to calibrate on: prompts of a file, scored now, or those of a journal, by the scores they came with."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from signalbox.collector.journal.entry import RequestEntry
from signalbox.collector.journal.read import JournalReader
from signalbox.core import scan
from signalbox.decide.catalog import CompiledRouter
from signalbox.decide.judge import CompiledJudge
from signalbox.decide.pipeline import Pipeline
from signalbox.decide.pools import Pool
from signalbox.decide.worth import expected_output, price_of, usd
from signalbox.engines.base import STRONG, WEAK, Question
from signalbox.engines.open import answer_now, open_engines
from signalbox.errors import SetupError
from signalbox.evaluation.calibrate.threshold import Floats, Traffic
from signalbox.evaluation.records import read_prompts, read_records
from signalbox.features.extract import extract
from signalbox.policy.load import load_policy
from signalbox.policy.schema import Policy
from signalbox.prices.resolve import resolve
from signalbox.types import Candidate, Endpoint, EngineOutcome, Features, ParsedRequest, Price
from signalbox.world import NOTHING_KNOWN

MIN_MARKED = 50  # of each tier, for a straight line through their marks
Said = Callable[[int, int], None]
"""Told how many requests are done, of how many."""


def nobody(done: int, of: int) -> None:
    """Told how far it is, and does nothing about it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A router to calibrate: of two tiers, with an engine that says how likely the strong one is needed."""

    policy: Policy
    name: str
    pipeline: Pipeline
    router: CompiledRouter
    judge: CompiledJudge

    @classmethod
    def load(cls, path: Path, name: str) -> Asked:
        """Raises PolicyError, or SetupError for a router that is not there or has no threshold."""
        policy = load_policy(path).policy
        pipeline = Pipeline.compile(policy, resolve(policy))
        router = pipeline.resolver.routers.get(name)
        tiered = [each for each, found in pipeline.resolver.routers.items() if found.judge and found.judge.strong]
        if router is None or router.judge is None or router.judge.strong is None:
            found = "is not in the policy" if router is None else "has no engine with `strong` and `weak`"
            raise SetupError(
                f"{path}: router {name!r} {found}\n  expected: a router whose engine has a threshold: "
                f"{', '.join(tiered) or 'there is none'}\n  fix: name one with --router"
            )
        return cls(policy, name, pipeline, router, router.judge)


@dataclass(frozen=True, slots=True)
class Collected:
    """traffic: of the requests that got a score. passed: the others, by why; the router's next step decides those.

    notes: what an operator should know about figures that had to be worked out.
    """

    traffic: Traffic
    passed: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def from_file(
    asked: Asked,
    path: Path,
    *,
    strong: str | None = None,
    weak: str | None = None,
    judged: bool = False,
    deadline_seconds: float = 30.0,
    said: Said = nobody,
) -> Collected:
    """Ask the router's engine about each prompt of a file.

    judged: the outcomes of a strong and a weak side are wanted as well; strong, weak: as for `read_records`.
    Raises DataError, or what opening the engine raises.
    """
    records = read_records(path, strong, weak) if judged else None
    prompts = list(records.prompts) if records is not None else read_prompts(path)
    scores = np.full(len(prompts), np.nan)
    costs = np.full((len(prompts), 2), np.nan)
    passed: Counter[str] = Counter()
    tiers = _tiers(asked)
    engines = open_engines(asked.policy, only=[asked.judge.engine], strict=True)
    assert engines is not None  # the router's own
    try:
        for row, prompt in enumerate(prompts):
            body = msgspec.json.encode({"model": "auto", "messages": [{"role": "user", "content": prompt}]})
            request = ParsedRequest(Endpoint.CHAT_COMPLETIONS, body, scan(body), {})
            features = extract(request)
            question = Question(request, features, asked.router.routes, time.monotonic() + deadline_seconds)
            answer = answer_now(engines, asked.judge.key, question)
            score = dict(answer.scores).get(STRONG)
            if answer.outcome is EngineOutcome.RESULT and score is not None:
                scores[row] = score
                costs[row] = [tier.usd(features.prompt_tokens, features) for tier in tiers]
            else:
                passed[answer.detail or answer.outcome.value] += 1
            said(row + 1, len(prompts))
    finally:
        engines.close()
    kept = np.isfinite(scores)
    strong_usd, weak_usd = _known(costs[kept])
    return Collected(
        Traffic(
            scores[kept],
            strong_usd,
            weak_usd,
            None if records is None else records.strong[kept],
            None if records is None else records.weak[kept],
        ),
        dict(passed),
    )


def from_journal(asked: Asked, directory: Path, *, judged: bool = False) -> Collected:
    """Take the requests of a journal that this router's engine was asked about.

    judged: marks are wanted as well. A request has the marks of the tier it went to alone, so a straight line through
    the marks of each tier over its scores stands for what it would have got. Raises SetupError.
    """
    scores, costs, marks, went = [], [], [], []
    passed: Counter[str] = Counter()
    tiers = _tiers(asked)
    reader = JournalReader(directory)
    for entry, mark in reader.marked():
        score = _score_of(entry, asked)
        if score is None:
            continue
        if entry.engine_outcome not in ("result", "") and entry.first_score is None:
            passed[entry.engine_detail or entry.engine_outcome] += 1
            continue
        scores.append(score)
        costs.append([tier.usd_of(entry) for tier in tiers])
        marks.append(np.nan if mark is None or mark.score is None else mark.score)
        went.append(entry.route)
    if not scores:
        raise SetupError(
            f"{directory}: no request of router {asked.name!r} with a score of engine {asked.judge.engine!r}\n"
            "  expected: requests that the engine was asked about\n"
            "  fix: calibrate on a file with --data until there are, or check --router"
        )
    strong_usd, weak_usd = _known(np.array(costs, dtype=float).reshape(-1, 2))
    column = np.array(scores)
    notes = [f"{reader.skipped} lines of the journal could not be read"] if reader.skipped else []
    strong_quality = weak_quality = None
    if judged:
        assert asked.judge.strong is not None
        assert asked.judge.weak is not None
        routes = np.array(went)
        given = np.array(marks)
        strong_quality = _line(column, given, routes == asked.judge.strong.route, STRONG)
        weak_quality = _line(column, given, routes == asked.judge.weak.route, WEAK)
        notes.append("what a request would have got from the other tier is a straight line through that tier's marks")
    traffic = Traffic(column, strong_usd, weak_usd, strong_quality, weak_quality)
    return Collected(traffic, dict(passed), tuple(notes))


@dataclass(frozen=True, slots=True)
class _Tier:
    """Who takes what goes to a tier, when nothing is measured and all are up. price: None if unknown."""

    route: str
    model: str
    price: Price | None

    @classmethod
    def of(cls, pool: Pool) -> _Tier:
        priced = [(candidate, price_of(candidate, NOTHING_KNOWN)) for candidate in pool.candidates]
        if pool.prefer == "cheapest":
            priced.sort(key=_dearness)
        candidate, price = priced[0]
        return cls(pool.route, candidate.model, price)

    def usd(self, prompt_tokens: float, features: Features) -> float:
        if self.price is None:
            return np.nan
        return usd(self.price, prompt_tokens, expected_output(self.route, self.model, features, NOTHING_KNOWN))

    def usd_of(self, entry: RequestEntry) -> float:
        """What a request of the journal costs here: by the tokens that were reported, or else expected."""
        if self.price is None:
            return np.nan
        prompt = entry.input_tokens if entry.input_tokens is not None else abs(entry.tokens[0]) if entry.tokens else 0
        output = entry.expected_output_tokens if entry.output_tokens is None else entry.output_tokens
        return usd(self.price, prompt, output)


def _dearness(priced: tuple[Candidate, Price | None]) -> float:
    price = priced[1]
    return np.inf if price is None else price.input_usd_per_mtok + price.output_usd_per_mtok


def _tiers(asked: Asked) -> tuple[_Tier, _Tier]:
    assert asked.judge.strong is not None
    assert asked.judge.weak is not None
    return _Tier.of(asked.judge.strong), _Tier.of(asked.judge.weak)


def _known(costs: Floats) -> tuple[Floats, Floats] | tuple[None, None]:
    """Return the costs of the strong and the weak tier; nothing unless all are known."""
    return (costs[:, 0], costs[:, 1]) if np.isfinite(costs).all() else (None, None)


def _score_of(entry: RequestEntry, asked: Asked) -> float | None:
    """Return what the router's own engine scored a request with; None if it was not asked."""
    if (entry.goal or entry.router) != asked.name:
        return None
    if entry.first_score is not None:
        return entry.first_score
    return entry.score if entry.engine == asked.judge.engine and not entry.rule else None


def _line(scores: Floats, marks: Floats, went: NDArray[np.bool_], tier: str) -> Floats:
    """Return what each request would have been marked with, had it gone to a tier: (requests,), 0 to 1."""
    known = went & np.isfinite(marks)
    if known.sum() < MIN_MARKED:
        raise SetupError(
            f"{known.sum()} requests of the {tier} tier have a mark\n  expected: {MIN_MARKED} or more of each tier\n"
            "  fix: more feedback, or a file with --data that has the scores of both"
        )
    x, y = scores[known], marks[known]
    spread = x - x.mean()
    slope = 0.0 if not spread.any() else float(spread @ (y - y.mean()) / (spread @ spread))
    line: Floats = np.clip(y.mean() + slope * (scores - x.mean()), 0.0, 1.0)
    return line
