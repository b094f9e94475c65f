"""RouteLLM's matrix factorisation as an engine, with vectors from a bundle or from a server."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from signalbox.bundles import Pooling
from signalbox.decide.pipeline import Pipeline
from signalbox.engines.base import Answer, Outcome, Question
from signalbox.engines.embedding import Cached, Encoder, ServedEncoder, TooSlow
from signalbox.engines.factorization import read_direction
from signalbox.engines.open import Engines, answer_now, open_engines
from signalbox.engines.reading import Reader, plain_prompt
from signalbox.engines.remote import Remote, RemoteError
from signalbox.engines.runtime import Pace, open_network
from signalbox.errors import SignalboxError
from signalbox.features.extract import extract
from tests.unit.decide.cases import LOCAL_ONLY, PROVIDERS, make_case

from .bundles import encoder_bundle, factorization_bundle, judged_policy
from .scripted_server import respond, serving, wait

FAR = math.inf
Opened = Callable[[Any], Engines]


def policy(bundle: Path, embedding: dict[str, Any], **engine: Any) -> Any:
    section = {"kind": "matrix_factorization", "embedding": embedding, **engine}
    return judged_policy(bundle, engine=section)


def ask(engines: Engines, text: str, seconds: float = 5.0) -> Answer:
    request = make_case(text=text).request
    return answer_now(engines, "judge", Question(request, extract(request), (), time.monotonic() + seconds))


@pytest.fixture
def opened() -> Iterator[Callable[[Any], Engines]]:
    """Open engines; closed when the test ends."""
    made: list[Engines] = []

    def open_now(policy: Any) -> Engines:
        engines = open_engines(policy, strict=True)
        assert engines is not None
        made.append(engines)
        return engines

    yield open_now
    for engines in made:
        engines.close()


def test_the_win_rate_is_routellms_formula(opened: Opened, tmp_path: Path) -> None:
    engines = opened(policy(factorization_bundle(tmp_path / "m"), {"bundle": str(encoder_bundle(tmp_path / "e"))}))
    vector = np.array([2, 1]) / np.hypot(2, 1)  # two hard words and an easy one, length one
    # score of a model: head . (row / |row| * projection @ vector)
    expected = 1 / (1 + math.exp(-(4 * vector[0] - 4 * vector[1])))
    answer = ask(engines, "proof theorem hi")
    assert answer.outcome is Outcome.RESULT
    assert dict(answer.scores)["strong"] == pytest.approx(expected, rel=1e-5)
    assert answer.route == "strong"
    assert ask(engines, "hi thanks").route == "weak"


def test_models_are_named_numbered_or_the_published_pair(tmp_path: Path) -> None:
    names = ["gpt-4-1106-preview", "mixtral-8x7b-instruct-v0.1", "other"]
    tensors = factorization_bundle(tmp_path / "m", models=names) / "tensors.npz"
    published = read_direction(tensors, names, None, None)
    assert published.tolist() == read_direction(tensors, names, 0, "mixtral-8x7b-instruct-v0.1").tolist()
    assert published.tolist() == (-read_direction(tensors, names, 1, 0)).tolist()


@pytest.mark.parametrize(
    ("strong", "weak", "found"),
    [
        ("gpt-5", None, "strong_model: 'gpt-5' is not among"),
        (7, 0, "strong_model: there is no model 7; expected 0 to 2"),
        ("other", "other", "both 'other'"),
        (None, None, "the published 'gpt-4-1106-preview' is not among one, two, other"),
    ],
)
def test_a_model_that_is_not_in_the_checkpoint_is_refused_with_those_that_are(
    tmp_path: Path, strong: Any, weak: Any, found: str
) -> None:
    names = ["gpt-4-1106-preview", "mixtral-8x7b-instruct-v0.1", "other"] if strong else ["one", "two", "other"]
    tensors = factorization_bundle(tmp_path / "m", models=names) / "tensors.npz"
    with pytest.raises(SignalboxError, match=found):
        read_direction(tensors, names, strong, weak)


def test_an_encoder_of_other_dimensions_than_the_checkpoint_is_refused(opened: Opened, tmp_path: Path) -> None:
    bundle, encoder = factorization_bundle(tmp_path / "m", dims=6), encoder_bundle(tmp_path / "e", dims=4)
    with pytest.raises(SignalboxError, match=r"(?s)vectors of 4 dimensions.*trained on 6, of tiny"):
        opened(policy(bundle, {"bundle": str(encoder)}))


@pytest.mark.parametrize(("pooling", "expected"), [("cls", [0, 0]), ("mean", [1, 0]), ("last", [0, 0])])
def test_states_are_pooled_as_the_bundle_says(tmp_path: Path, pooling: str, expected: list[float]) -> None:
    bundle = encoder_bundle(tmp_path / "e", dims=2, pooling=pooling)
    reader = Reader(bundle / "tokenizer.json", 128)
    encoder = Encoder(open_network(bundle / "model.onnx"), reader, Pooling(pooling), Pace())
    assert encoder.vector("proof proof", FAR).tolist() == expected


def test_an_encoder_that_would_be_late_is_not_run(tmp_path: Path) -> None:
    bundle = encoder_bundle(tmp_path / "e")
    reader = Reader(bundle / "tokenizer.json", 128)
    encoder = Encoder(open_network(bundle / "model.onnx"), reader, Pooling.MEAN, Pace(((8, 1.0),)))
    with pytest.raises(TooSlow):
        encoder.vector("proof " * 20, time.monotonic() + 0.5)


# ---------------------------------------------------------------- served vectors


def vectors(*values: float) -> bytes:
    return json.dumps({"object": "list", "data": [{"index": 0, "embedding": list(values)}]}).encode()


def test_a_server_is_asked_in_openais_words_and_its_vector_decides(opened: Opened, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("s3cret\n")
    with serving(respond(vectors(1, 0, 0, 0))) as server:
        embedding = {"endpoint": server.url, "model": "text-embedding-3-small", "key_file": str(key)}
        engines = opened(policy(factorization_bundle(tmp_path / "m"), embedding))
        assert ask(engines, "what I said").route == "strong"
        assert server.bodies == [
            {"model": "text-embedding-3-small", "input": "what I said", "encoding_format": "float"}
        ]
        assert b"POST /v1/embeddings" in server.requests[0]
        assert b"Bearer s3cret" in server.requests[0]


def test_a_text_asked_about_before_needs_no_server(opened: Opened, tmp_path: Path) -> None:
    with serving(respond(vectors(1, 0, 0, 0))) as server:
        embedding = {"endpoint": server.url, "model": "m", "cache_entries": 2}
        engines = opened(policy(factorization_bundle(tmp_path / "m"), embedding))
        for text in ("one", "one", "two", "one", "three", "two"):
            assert ask(engines, text).outcome is Outcome.RESULT
        assert [body["input"] for body in server.bodies] == ["one", "two", "three", "two"]


def test_a_kept_vector_is_asked_for_again_when_it_is_old() -> None:
    class Counting:
        asked = 0

        def vector(self, text: str, deadline: float) -> Any:
            self.asked += 1
            return np.zeros(2, dtype=np.float32)

        def close(self) -> None: ...

    clock, counting = [0.0], Counting()
    cached = Cached(counting, 10, 60.0, lambda: clock[0])
    for now, asked in ((0.0, 1), (59.0, 1), (60.0, 2), (119.0, 2)):
        clock[0] = now
        cached.vector("text", FAR)
        assert counting.asked == asked


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"data": []}',
        b'{"data": [{"embedding": "AAAA"}]}',
        b'{"data": [{"embedding": [1, 2]}]}',
        b'{"data": [{"embedding": [1, 2, 3, "x"]}]}',
        b'{"data": [{"embedding": [1, 2, 3, NaN]}]}',
        b"[" * 60_000,
    ],
)
def test_an_answer_that_is_no_vector_is_garbage(body: bytes) -> None:
    with serving(respond(body)) as server:
        encoder = ServedEncoder(Remote(server.url), "m", 4)
        with pytest.raises(RemoteError) as failure:
            encoder.vector("text", time.monotonic() + 5)
        encoder.close()
    assert failure.value.detail == "garbage"


def test_a_server_that_is_down_slow_or_angry_is_an_outcome(opened: Opened, tmp_path: Path) -> None:
    bundle = factorization_bundle(tmp_path / "m")
    with serving(wait) as server:
        engines = opened(policy(bundle, {"endpoint": server.url, "model": "m"}))
        answer = ask(engines, "text", seconds=0.1)
        assert (answer.outcome, answer.detail) == (Outcome.LATE, "deadline")
        server.over.set()
    engines = opened(policy(bundle, {"endpoint": server.url, "model": "m"}))
    answer = ask(engines, "text")
    assert (answer.outcome, answer.detail) == (Outcome.FAILED, "unreachable")
    with serving(respond(b"no", "429 Too Many Requests")) as server:
        engines = opened(policy(bundle, {"endpoint": server.url, "model": "m"}))
        assert ask(engines, "text").detail == "overloaded"


def test_a_text_for_a_server_is_cut_in_the_middle_by_its_bytes() -> None:
    prompt = plain_prompt(100, "last_user")(make_case(text="first " + "word " * 5000 + "last").request)
    assert prompt.startswith("first word")
    assert prompt.endswith("word last")
    assert len(prompt.encode()) <= 300


def test_a_cloud_server_is_never_told_of_a_local_only_request(tmp_path: Path) -> None:
    local = {**PROVIDERS, "acme": {**PROVIDERS["acme"], "location": "local"}}
    for location, asked in (("cloud", False), ("local", True)):
        embedding = {"endpoint": "http://embed/v1", "model": "m", "location": location}
        section = {"kind": "matrix_factorization", "embedding": embedding}
        judged = judged_policy("/models/m", engine=section, privacy=LOCAL_ONLY, providers=local)
        pipeline = Pipeline.compile(judged)
        assert (pipeline.asks(make_case(headers={"x-data-class": "restricted"})) is not None) is asked
        assert pipeline.asks(make_case()) is not None
