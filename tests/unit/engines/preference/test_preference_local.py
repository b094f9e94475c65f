"""A preference model in this process, from its bundle to its answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from signalbox.engines.base import Outcome, Route
from signalbox.engines.preference import scoring
from signalbox.engines.preference.budget import LEAD
from signalbox.engines.preference.cache import DecisionCache
from signalbox.engines.preference.decoder import Decoder, Memory
from signalbox.engines.preference.local import MAX_PASSING_SETS, LocalPreference
from signalbox.engines.preference.open import open_local, open_served
from signalbox.engines.preference.prompts import ARCH_ROUTER_PLANO, FORMATS, PLANO_ORCHESTRATOR, PromptFormat
from signalbox.engines.runtime import Pace
from signalbox.errors import RouterError, SetupError
from tests.unit.engines.preference.bundles import VOCABULARY, write_bundle
from tests.unit.engines.preference.questions import ROUTES, question
from tests.unit.engines.preference.test_preference_scoring import slow_choices
from tests.unit.engines.preference.tiny_decoder import Weights, open_decoder, weights, write_decoder
from tests.unit.engines.preference.tokenizers_like_qwen import prompt_tokenizer


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Decoder, Weights]:
    path = tmp_path_factory.mktemp("decoder") / "model.onnx"
    found = weights(VOCABULARY)
    found["head"] *= 0.05  # so that no answer is out of the question
    write_decoder(path, found)
    return open_decoder(path), found


class Watched:
    """A decoder that says how many tokens it read, and can be told to fail."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self.empty = decoder.empty
        self.read: list[int] = []
        self.fails = False

    def run(self, ids: Sequence[int], memory: Memory, *, remember: bool = True) -> tuple[NDArray[np.float32], Memory]:
        if self.fails:
            raise RouterError("out of memory")
        self.read.append(len(ids))
        return self._decoder.run(ids, memory, remember=remember)


def engine(decoder: Any, form: PromptFormat = ARCH_ROUTER_PLANO, **more: Any) -> LocalPreference:
    return LocalPreference(decoder, prompt_tokenizer(), form, budget=1000, **more)


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_scores_are_the_models_own_for_the_chat_as_a_whole(
    form: PromptFormat, model: tuple[Decoder, Weights], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "MIN_MASS", 0.0)  # every branch counts, however improbable these weights make it
    decoder, found = model
    answer = engine(decoder, form).ask(question(("user", "hi"), ("assistant", "yes?"), ("user", "write a loop")))
    tokenizer = prompt_tokenizer()
    content = form.render(ROUTES, [(1, b"hi"), (2, b"yes?"), (1, b"write a loop")])
    names = [*(route.name for route in ROUTES), "other"]
    answers = [tokenizer.ids(text) for text in (*(form.answer(name) for name in names[:-1]), form.no_route)]
    expected = slow_choices(found, tokenizer.chat(form.chat, content), answers)
    assert dict(answer.scores) == pytest.approx(dict(zip(names, expected, strict=True)), abs=1e-4)
    assert [share for _, share in answer.scores] == sorted((share for _, share in answer.scores), reverse=True)
    if answer.scores[0][0] == "other":
        assert (answer.outcome, answer.route, answer.detail) == (Outcome.UNSURE, None, "no_route")
    else:
        assert (answer.outcome, answer.route, answer.detail) == (Outcome.RESULT, answer.scores[0][0], "")


def test_the_routes_are_read_once_and_only_the_conversation_for_each_request(model: tuple[Decoder, Weights]) -> None:
    watched = Watched(model[0])
    local = engine(watched)
    prepared = local.prepare(ROUTES)
    tokenizer = prompt_tokenizer()
    assert sum(watched.read) == len(prepared.prefix) > len(tokenizer.ids(ARCH_ROUTER_PLANO.before(ROUTES))) - 3
    for text in ("write a loop", "say hello"):
        watched.read.clear()
        assert local.ask(question(("user", text))).scores
        content = ARCH_ROUTER_PLANO.render(ROUTES, [(1, text.encode())])
        chat = len(tokenizer.chat(ARCH_ROUTER_PLANO.chat, content)) + len(prepared.tree.tokens)
        assert watched.read[0] == chat - len(prepared.prefix)
        assert all(count < 10 for count in watched.read[1:])


def test_likelihoods_compare_whole_answers_and_sum_to_one(model: tuple[Decoder, Weights]) -> None:
    answer = engine(model[0], compare="likelihood").ask(question())
    assert sum(share for _, share in answer.scores) == pytest.approx(1)
    assert {name for name, _ in answer.scores} == {*(route.name for route in ROUTES), "other"}


def test_a_route_called_other_is_arch_routers_other(model: tuple[Decoder, Weights]) -> None:
    routes = (Route("code", "code"), Route("other", "anything else"))
    answer = engine(model[0]).ask(question(routes=routes))
    assert {name for name, _ in answer.scores} == {"code", "other"}
    assert answer.outcome is Outcome.RESULT


def test_a_route_called_other_is_not_the_orchestrators_empty_list(model: tuple[Decoder, Weights]) -> None:
    routes = (Route("other", "anything else"), Route("code", "code"))
    answer = engine(model[0], PLANO_ORCHESTRATOR).ask(question(routes=routes))
    assert {name for name, _ in answer.scores} == {"code", "other", "no_route"}
    best = answer.scores[0][0]
    assert answer.route == (None if best == "no_route" else best)


def test_a_lead_below_the_margin_decides_nothing(model: tuple[Decoder, Weights]) -> None:
    answer = engine(model[0], margin=0.99).ask(question())
    assert (answer.outcome, answer.route, answer.detail) == (Outcome.UNSURE, None, "margin")
    assert answer.scores


def test_the_same_prompt_is_answered_from_the_cache(model: tuple[Decoder, Weights]) -> None:
    watched = Watched(model[0])
    local = engine(watched, cache=DecisionCache(8, 60))
    first = local.ask(question())
    watched.read.clear()
    assert local.ask(question()) is first
    assert watched.read == []


def test_what_cannot_be_answered_has_an_outcome_and_a_detail(model: tuple[Decoder, Weights]) -> None:
    watched = Watched(model[0])
    local = engine(watched, cache=DecisionCache(8, 60), pace=Pace(((100, 1.0),)))
    assert local.ask(question(("system", "x"))).detail == "no_text"
    assert local.ask(question(routes=())).detail == "no_routes"
    twins = (Route("code", "a"), Route("code", "b"))
    assert (local.ask(question(routes=twins)).outcome, local.ask(question(routes=twins)).detail) == (
        Outcome.FAILED,
        "routes",
    )
    late = local.ask(question(seconds=0.5))
    assert (late.outcome, late.detail) == (Outcome.LATE, "too_slow")
    local.prepare(ROUTES)
    late = local.ask(question(seconds=0.5))
    assert (late.outcome, late.detail) == (Outcome.LATE, "too_slow")
    watched.fails = True
    assert (local.ask(question()).outcome, local.ask(question()).detail) == (Outcome.FAILED, "run")
    watched.fails = False
    assert local.ask(question()).scores


def test_logits_that_are_no_numbers_are_a_failure(tmp_path: Path) -> None:
    write_decoder(tmp_path / "model.onnx", weights(VOCABULARY), not_finite=True)
    answer = engine(open_decoder(tmp_path / "model.onnx")).ask(question())
    assert (answer.outcome, answer.detail) == (Outcome.FAILED, "not_finite")


def test_routes_that_requests_bring_along_do_not_push_out_the_policys(model: tuple[Decoder, Weights]) -> None:
    watched = Watched(model[0])
    local = engine(watched)
    local.prepare(ROUTES)
    for number in range(MAX_PASSING_SETS + 2):
        assert local.ask(question(routes=(Route(f"r{number}", "x"), Route("code", "y")))).scores
    watched.read.clear()
    assert local.ask(question()).scores
    assert max(watched.read) < 300
    assert len(local._passing) == MAX_PASSING_SETS


def test_threads_share_one_engine(model: tuple[Decoder, Weights]) -> None:
    local = engine(model[0])
    texts = [f"question {number}" for number in range(6)]
    alone = [local.ask(question(("user", text))).scores for text in texts]
    barrier = threading.Barrier(3)

    def ask_all(_: int) -> list[object]:
        barrier.wait(10)
        return [local.ask(question(("user", text))).scores for text in texts]

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(ask_all, range(3))) == [alone] * 3


def test_a_bundle_is_opened_measured_and_asked(tmp_path: Path) -> None:
    local, pace, provider = open_local(write_bundle(tmp_path / "bundle"))
    assert provider == "CPUExecutionProvider"
    assert [tokens for tokens, _ in pace.points] == [64, 128, 256, 512]
    local.prepare(ROUTES)
    asked = question(("user", "write a loop, " * 2000))
    answer = local.ask(asked)
    assert sum(share for _, share in answer.scores) == pytest.approx(1)
    assert time.monotonic() < asked.deadline
    local.close()


@pytest.mark.parametrize(
    ("manifest", "message"),
    [({"prompt": "arch-router/v9"}, r"expected arch-router/card"), ({"kind": "deliberate"}, "expected preference")],
)
def test_a_bundle_for_something_else_is_refused(tmp_path: Path, manifest: dict[str, str], message: str) -> None:
    with pytest.raises(RouterError, match=message):
        open_local(write_bundle(tmp_path / "bundle", **manifest))


def test_a_served_models_prompt_is_known_by_its_name_or_told() -> None:
    assert open_served("http://127.0.0.1:1/v1", "katanemo/Plano-Orchestrator-4B")._form is PLANO_ORCHESTRATOR
    assert open_served("http://127.0.0.1:1/v1", "mine", prompt="arch-router/plano")._form is ARCH_ROUTER_PLANO
    with pytest.raises(RouterError, match=r"(?s)'mine'.*fix: say which one"):
        open_served("http://127.0.0.1:1/v1", "mine")
    with pytest.raises(RouterError, match="'nobodys'"):
        open_served("http://127.0.0.1:1/v1", "mine", prompt="nobodys")
    with pytest.raises(SetupError):
        open_served("not a url", "arch-router")


def test_lead_is_what_the_chat_template_writes_before_the_content() -> None:
    for form in FORMATS.values():
        assert f"{form.chat.start}{LEAD}x{form.chat.end}" in form.chat.render("x")
