"""A sequence classifier as an engine, over tiny models with real graphs and real tokenizers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from signalbox.engines.base import Outcome, Question
from signalbox.engines.classifier import Classifier, over_windows, strong_labels
from signalbox.engines.reading import Reader
from signalbox.engines.runtime import Network, Pace, open_network
from signalbox.errors import RouterError
from signalbox.features.extract import extract
from signalbox.types import ParsedRequest
from tests.unit.decide.cases import make_request

from . import tiny

THREE = ("LABEL_0", "LABEL_1", "LABEL_2")
WEIGHTS = {"proof": (3, 0, 0), "theorem": (3, 0, 0), "hi": (0, 0, 3), "thanks": (0, 3, 3)}
LONG = 10_000.0


def asked(text: str, *, seconds: float = LONG, **members: Any) -> Question:
    request = make_request({"model": "auto", "messages": [{"role": "user", "content": text}], **members})
    return question(request, seconds)


def question(request: ParsedRequest, seconds: float = LONG) -> Question:
    return Question(request, extract(request), (), time.monotonic() + seconds)


def engine(folder: Path, *, labels: tuple[str, ...] = THREE, max_tokens: int = 256, **options: Any) -> Classifier:
    model = tiny.classifier(folder / "model.onnx", WEIGHTS, len(labels))
    reader = Reader(tiny.tokenizer(folder), max_tokens)
    return Classifier(open_network(model, device="cpu"), reader, labels, **options)


def test_the_chance_of_needing_the_strong_model_leaves_out_ties(tmp_path: Path) -> None:
    judge = engine(tmp_path, strong=("LABEL_0",))
    answer = judge.ask(asked("proof thanks"))
    logits = np.array([3, 3, 3]) * 10 / 4  # four tokens, two of them special
    expected = np.exp(logits[0]) / np.exp(logits).sum()
    assert answer.outcome is Outcome.RESULT
    assert dict(answer.scores)["strong"] == pytest.approx(expected, rel=1e-5)
    assert dict(answer.scores)["strong"] + dict(answer.scores)["weak"] == 1.0


def test_hard_words_ask_for_the_strong_tier_and_small_talk_does_not(tmp_path: Path) -> None:
    judge = engine(tmp_path, strong=("LABEL_0",))
    assert judge.ask(asked("proof of the theorem")).route == "strong"
    assert judge.ask(asked("hi hi")).route == "weak"


def test_labels_are_the_answer_of_a_model_without_tiers(tmp_path: Path) -> None:
    judge = engine(tmp_path, labels=("maths", "chat", "manners"))
    answer = judge.ask(asked("proof"))
    assert answer.route == "maths"
    assert answer.scores[0][0] == "maths"
    assert sum(score for _, score in answer.scores) == pytest.approx(1.0, abs=1e-6)


def test_both_ends_of_a_long_prompt_are_read(tmp_path: Path) -> None:
    judge = engine(tmp_path, labels=("maths", "chat", "manners"), max_tokens=128)
    filler = "word " * 2000
    assert judge.ask(asked(f"{filler} proof theorem proof theorem")).route == "maths"
    assert judge.ask(asked(f"proof theorem proof theorem {filler}")).route == "maths"


def test_never_more_tokens_than_the_model_takes(tmp_path: Path) -> None:
    reader = Reader(tiny.tokenizer(tmp_path), 128)
    for count in (1, 100, 126, 127, 128, 5000):
        request = asked("word " * count).request
        found = len(reader.ids(reader.prompt(request)))
        assert found == count + 2 if count <= 126 else 120 <= found <= 128


def test_only_the_last_user_turn_is_read_unless_the_engine_reads_conversations(tmp_path: Path) -> None:
    messages = [
        {"role": "user", "content": "proof"},
        {"role": "assistant", "content": "secret"},
        {"role": "user", "content": "why"},
    ]
    request = make_request({"model": "auto", "messages": messages})
    file = tiny.tokenizer(tmp_path)
    assert Reader(file, 128).prompt(request) == "why"
    assert Reader(file, 128, "conversation").prompt(request) == "proof\nwhy"


def test_truncation_and_padding_of_a_published_tokenizer_are_switched_off(tmp_path: Path) -> None:
    reader = Reader(tiny.tokenizer(tmp_path, truncation=8), 128)
    assert len(reader.ids("word " * 20)) == 22


def test_a_request_without_text_is_unsure(tmp_path: Path) -> None:
    answer = engine(tmp_path).ask(asked(""))
    assert (answer.outcome, answer.detail) == (Outcome.UNSURE, "no_text")


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_are_a_failure(tmp_path: Path, weight: float) -> None:
    model = tiny.classifier(tmp_path / "model.onnx", {"proof": (weight, 0, 0)}, 3)
    judge = Classifier(open_network(model, device="cpu"), Reader(tiny.tokenizer(tmp_path), 128), THREE)
    answer = judge.ask(asked("proof"))
    assert (answer.outcome, answer.detail) == (Outcome.FAILED, "not_finite")


def test_a_run_that_cannot_end_in_time_is_not_begun(tmp_path: Path) -> None:
    class Unrunnable(Network):
        def run(self, *_: object, **__: object) -> Any:
            raise AssertionError("a run was begun")

    model = tiny.classifier(tmp_path / "model.onnx", WEIGHTS, 3)
    network = open_network(model, device="cpu")
    network.__class__ = Unrunnable
    judge = Classifier(network, Reader(tiny.tokenizer(tmp_path), 128), THREE, pace=Pace(((64, 0.5), (128, 1.0))))
    answer = judge.ask(asked("proof " * 62, seconds=0.2))
    assert (answer.outcome, answer.detail) == (Outcome.LATE, "too_slow")


def test_windows_read_what_stands_anywhere_in_a_text(tmp_path: Path) -> None:
    model = tiny.classifier(tmp_path / "model.onnx", {"secret": (-9, 9)}, 2, bias=(2, 0))
    reader = Reader(tiny.tokenizer(tmp_path), 128)
    guard = Classifier(open_network(model, device="cpu"), reader, ("benign", "leak"), window=(64, 48))
    filler = "word " * 700
    for text in (f"secret secret {filler}", f"{filler} secret secret", f"{filler} secret secret {filler}"):
        assert guard.ask(asked(text)).route == "leak"
    assert guard.ask(asked(filler)).route == "benign"


@pytest.mark.parametrize("count", [1, 61, 62, 63, 110, 111, 500])
def test_windows_leave_no_token_out(tmp_path: Path, count: int) -> None:
    words = tuple(f"w{number}" for number in range(500))
    reader = Reader(tiny.tokenizer(tmp_path, words), 128)
    windows = list(reader.windows(asked(" ".join(words[:count])).request, 64, 48))
    assert all(len(window) <= 64 and window[0] == 2 and window[-1] == 3 for window in windows)
    seen = {token for window in windows for token in window[1:-1]}
    assert seen == set(range(4, 4 + count))
    assert len(windows) == max(1, -(-(count - 14) // 48))


def test_labels_of_tokens_count_as_far_as_any_token_has_them(tmp_path: Path) -> None:
    model = tiny.classifier(tmp_path / "model.onnx", {"secret": (-1, 1)}, 2, bias=(2, 0), per_token=True)
    network = open_network(model, device="cpu")
    finder = Classifier(
        network, Reader(tiny.tokenizer(tmp_path), 128), ("O", "SECRET"), per_token=True, window=(64, 48)
    )
    assert finder.ask(asked("the word of a secret")).route == "SECRET"
    assert finder.ask(asked("the word of a theorem")).route == "O"


def test_the_ordinary_label_counts_as_far_as_every_window_has_it() -> None:
    rows = np.array([[0.9, 0.1, 0.0], [0.2, 0.1, 0.7]], dtype=np.float32)
    assert over_windows(rows).tolist() == pytest.approx([0.2, 0.1, 0.7])
    assert over_windows(rows[:1]).tolist() == pytest.approx([0.9, 0.1, 0.0])


def test_a_model_with_other_logits_than_labels_has_failed(tmp_path: Path) -> None:
    judge = engine(tmp_path)
    model = tiny.classifier(tmp_path / "two.onnx", {"proof": (1, 0)}, 2)
    judge._network = open_network(model, device="cpu")
    answer = judge.ask(asked("proof"))
    assert (answer.outcome, answer.detail) == (Outcome.FAILED, "run")


def test_a_run_out_of_its_table_has_failed(tmp_path: Path) -> None:
    judge = engine(tmp_path)
    judge._reader = Reader(tiny.tokenizer(tmp_path, [f"w{number}" for number in range(99)]), 128)
    answer = judge.ask(asked("w98"))
    assert (answer.outcome, answer.detail) == (Outcome.FAILED, "run")


@pytest.mark.parametrize(
    ("labels", "wanted", "strong"),
    [
        (THREE, (), ("LABEL_0",)),
        (("strong", "tie", "weak"), (), ("strong",)),
        (("law", "maths", "chat"), (), ()),
        (("law", "maths", "chat"), ("law", "maths"), ("law", "maths")),
        (("LABEL_0", "LABEL_1"), (), ()),
    ],
)
def test_which_labels_ask_for_the_strong_tier(
    labels: tuple[str, ...], wanted: tuple[str, ...], strong: tuple[str, ...]
) -> None:
    assert strong_labels(labels, wanted) == strong


def test_a_strong_label_the_model_does_not_have_is_an_error_that_names_those_it_has() -> None:
    with pytest.raises(RouterError, match="no label 'lwa'; it has law, maths"):
        strong_labels(("law", "maths"), ("lwa",))


def test_a_text_of_megabytes_is_tokenized_as_its_windows_are_asked_for(tmp_path: Path) -> None:
    reader = Reader(tiny.tokenizer(tmp_path), 128)
    request = asked("word " * 400_000 + "secret").request
    assert len(next(iter(reader.windows(request, 64, 62)))) == 64
    began = time.monotonic()
    next(iter(reader.windows(request, 64, 62)))
    first = time.monotonic() - began
    began = time.monotonic()
    windows = list(reader.windows(request, 64, 62))
    assert first < (time.monotonic() - began) / 4
    assert sum(len(window) - 2 for window in windows) == 400_001
    assert tiny.WORDS.index("secret") + 4 in windows[-1]
