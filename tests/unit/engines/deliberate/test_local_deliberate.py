"""Router-R1 in this process: it thinks token by token, and names are scored where it would write one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from signalbox.engines.base import Answer, Outcome, Question, Route
from signalbox.engines.deliberate.local import LocalDeliberate
from signalbox.engines.deliberate.open import open_local
from signalbox.engines.deliberate.prompt import content
from signalbox.engines.open import answer_now, open_engines
from signalbox.engines.preference import scoring
from signalbox.engines.preference.cache import DecisionCache
from signalbox.engines.preference.decoder import Memory
from signalbox.engines.preference.prompts import QWEN25_CHAT
from signalbox.engines.runtime import Pace
from signalbox.errors import RouterError
from tests.unit.decide.cases import make_policy
from tests.unit.engines.preference.bundles import VOCABULARY, write_bundle
from tests.unit.engines.preference.questions import question
from tests.unit.engines.preference.test_preference_scoring import slow_choices
from tests.unit.engines.preference.tiny_decoder import weights
from tests.unit.engines.preference.tokenizers_like_qwen import prompt_tokenizer

POOL = (Route("A-7B", "A-7B is a small model, quick."), Route("B-70B", "B-70B is large."))
TOKENIZER = prompt_tokenizer()
END = TOKENIZER.special("<|im_end|>")


class Scripted:
    """A decoder that writes what it is told, and calls a model where it has to name one. read: texts of its runs."""

    def __init__(self, writes: str, calls: str = "B-70B", *, ends: bool = False, seconds: float = 0.0) -> None:
        self.empty = Memory(0, ())
        self.read: list[str] = []
        self._writes = [*TOKENIZER.ids(writes), *([END] if ends else [])]
        self._calls = TOKENIZER.ids(f" {calls}:")
        self._seconds = seconds

    def run(self, ids: Sequence[int], memory: Memory, *, remember: bool = True) -> tuple[NDArray[np.float32], Memory]:
        time.sleep(self._seconds)
        self.read.append(TOKENIZER.text(ids))
        context = (*memory.values, *ids)
        row = np.zeros(VOCABULARY, dtype=np.float32)
        row[self._next(context)] = 3.0
        return row, Memory(len(context), context) if remember else memory

    def _next(self, context: tuple[Any, ...]) -> int:
        for length in range(len(self._calls)):  # it has begun to name a model, or has just opened the tag
            before = context[: len(context) - length]
            if context[len(before) :] == tuple(self._calls[:length]) and TOKENIZER.text(before[-9:]).endswith(
                "<search>"
            ):
                return self._calls[length]
        said = context[self._turn(context) :]
        return self._writes[len(said)] if len(said) < len(self._writes) else END

    @staticmethod
    def _turn(context: tuple[Any, ...]) -> int:
        opened = TOKENIZER.ids("assistant\n")
        start = max(at for at, token in enumerate(context) if token == TOKENIZER.special("<|im_start|>"))
        return start + 1 + len(opened)

    @property
    def written(self) -> str:
        """All that was read behind the prompt."""
        return "".join(self.read).rpartition("<|im_start|>assistant\n")[2]


def engine(decoder: Any, **more: Any) -> LocalDeliberate:
    return LocalDeliberate(decoder, TOKENIZER, **{"max_tokens": 4096, **more})


def ask(decoder: Any, asked: Question | None = None, **more: Any) -> Answer:
    return engine(decoder, **more).ask(asked or question(("user", "Who wrote Faust"), routes=POOL))


def test_it_thinks_until_it_calls_and_the_names_are_scored_there() -> None:
    decoder = Scripted("<think>\nA riddle.\n</think>\n<search> A-7B: never written", "B-70B")
    answer = ask(decoder)
    assert (answer.outcome, answer.route, answer.detail) == (Outcome.RESULT, "B-70B", "")
    assert [name for name, _ in answer.scores] == ["B-70B", "A-7B"]
    assert sum(share for _, share in answer.scores) == pytest.approx(1)
    assert decoder.written.startswith("<think>\nA riddle.\n</think>\n<search>")
    assert "never" not in decoder.written
    assert "".join(decoder.read).endswith(decoder.written)
    assert content(POOL, "Who wrote Faust") in "".join(decoder.read)


@pytest.mark.parametrize(
    ("writes", "tokens", "written"),
    [
        ("<think>\nI think and think and think and think", 12, "<think>\nI"),
        ("<think>done</think> well", 200, "<think>done</think> well\n<search>"),
        ("no tag at all", 200, "no tag at all<think>\n</think>\n<search>"),
        ("", 200, "<think>\n</think>\n<search>"),
        ("<think>\nI think", 0, "<think>\n</think>\n<search>"),
    ],
)
def test_where_it_does_not_call_it_is_made_to(writes: str, tokens: int, written: str) -> None:
    decoder = Scripted(writes, "A-7B", ends=True)
    assert ask(decoder, think_tokens=tokens).route == "A-7B"
    assert decoder.written.startswith(written)
    assert "</think>" in decoder.written
    assert decoder.written.count("<search>") == 1


def test_an_answer_of_its_own_is_none_of_the_routes() -> None:
    answer = ask(Scripted("<think>easy</think><answer> Goethe </answer>"))
    assert (answer.outcome, answer.route, answer.detail) == (Outcome.UNSURE, None, "answered")


def test_a_lead_that_is_too_small_decides_nothing() -> None:
    answer = ask(Scripted("<search>"), margin=0.99)
    assert (answer.outcome, answer.detail) == (Outcome.UNSURE, "margin")
    assert len(answer.scores) == 2


def test_thinking_ends_before_the_deadline_and_such_an_answer_is_not_kept() -> None:
    cache = DecisionCache(8, 60)
    decoder = Scripted("<think>" + "and then " * 400, seconds=0.002)
    local = engine(decoder, think_tokens=1000, cache=cache)
    local.prepare(POOL)
    began = time.monotonic()
    answer = local.ask(replace(question(routes=POOL), deadline=began + 1.0))
    assert answer.outcome is Outcome.RESULT
    assert len(decoder.read) < 600  # of a thousand, each of which takes two milliseconds and more
    assert len(cache) == 0


def test_a_prompt_that_cannot_be_read_in_time_is_late_at_once() -> None:
    decoder = Scripted("<search>")
    answer = ask(decoder, question(routes=POOL, seconds=0.5), pace=Pace(((64, 1.0), (512, 8.0))))
    assert (answer.outcome, answer.detail, decoder.read) == (Outcome.LATE, "too_slow", [])


def test_the_same_question_is_thought_about_once() -> None:
    decoder = Scripted("<think>hm</think><search>")
    local = engine(decoder, cache=DecisionCache(8, 60))
    local.prepare(POOL)
    decoder.read.clear()
    first = local.ask(question(routes=POOL))
    runs = len(decoder.read)
    assert local.ask(question(routes=POOL)) == first
    assert len(decoder.read) == runs
    assert decoder.read[0].endswith("<|im_start|>assistant\n")
    assert "Descriptions of Each LLM" not in decoder.read[0]  # read when the policy was


def test_faults_are_outcomes() -> None:
    class Failing(Scripted):
        def run(self, ids: Sequence[int], memory: Memory, *, remember: bool = True) -> Any:
            row, memory = super().run(ids, memory, remember=remember)
            if len(self.read) > 4:
                raise RouterError("out of memory")
            return row, memory

    class Empty(Scripted):
        def run(self, ids: Sequence[int], memory: Memory, *, remember: bool = True) -> Any:
            row, memory = super().run(ids, memory, remember=remember)
            return row * np.nan, memory

    assert ask(Failing("<think> on and on")).detail == "run"
    assert ask(Empty("<search>")).detail == "not_finite"
    assert ask(Scripted(""), question(routes=())).detail == "no_routes"
    assert ask(Scripted(""), question(("system", "x"), routes=POOL)).detail == "no_text"
    twins = (Route("same", "x"), Route("same", "y"))
    assert ask(Scripted(""), question(routes=twins)).detail == "routes"
    with pytest.raises(RouterError, match=r"(?s)room for \d+ beside question and thought.*fix: shorter"):
        engine(Scripted(""), max_tokens=1500).prepare(POOL)


def test_a_bundles_scores_are_the_models_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "MIN_MASS", 0.0)
    folder = write_bundle(tmp_path / "b", kind="deliberate", prompt="router-r1", max_tokens=4096)
    local, _, _ = open_local(folder, device="cpu", question_tokens=1024, think_tokens=0)
    answer = local.ask(question(("user", "Who wrote Faust"), routes=POOL))
    prompt = TOKENIZER.chat(QWEN25_CHAT, content(POOL, "Who wrote Faust"))
    forced = TOKENIZER.ids("<think>\n</think>\n<search>")
    names = [TOKENIZER.ids(f" {route.name}:") for route in POOL]
    expected = slow_choices(weights(VOCABULARY), [*prompt, *forced], names)
    assert dict(answer.scores) == pytest.approx(dict(zip(("A-7B", "B-70B"), expected, strict=True)), abs=1e-4)


def test_a_policy_opens_the_bundle_and_refuses_another_kinds(tmp_path: Path) -> None:
    tasks = [
        {"name": name, "description": f"{name} is a model", "models": [name]} for name in ("acme-mini", "acme-large")
    ]

    def policy(folder: Path) -> Any:
        return make_policy(
            engines={"r1": {"kind": "deliberate", "bundle": str(folder), "deadline_ms": 9000, "think_tokens": 8}},
            routers={"r": {"tasks": tasks, "default_task": "acme-mini", "engine": "r1"}},
        )

    folder = write_bundle(tmp_path / "b", kind="deliberate", prompt="router-r1", max_tokens=4096)
    engines = open_engines(policy(folder), strict=True)
    assert engines is not None
    routes = tuple(Route(task["name"], task["description"]) for task in tasks)
    answer = answer_now(engines, "r1", question(routes=routes, seconds=9))
    assert answer.outcome is Outcome.RESULT
    assert answer.route in ("acme-mini", "acme-large")
    engines.close()
    with pytest.raises(
        RouterError, match=r"(?s)kind preference .*expected deliberate and 'router-r1'.*fix: name another"
    ):
        open_engines(policy(write_bundle(tmp_path / "other")), strict=True)
