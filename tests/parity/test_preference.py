"""Preference models end to end: exported, opened as an engine, and held against torch on the chat as a whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from signalbox.engines.base import Outcome
from signalbox.engines.preference.local import LocalPreference
from signalbox.engines.preference.open import open_local
from signalbox.engines.preference.prompts import ARCH_ROUTER_CARD, PLANO_ORCHESTRATOR, PromptFormat
from signalbox.engines.preference.scoring import MIN_MASS, Comparison
from tests.parity import small
from tests.parity.test_export import exported
from tests.unit.engines.preference.questions import ROUTES, question

CHATS = (
    (("user", "Write a function that reverses a list."),),
    (("user", "hi"), ("assistant", 'What "now"?\n'), ("user", "请用三句话介绍一下长江。")),
    (("user", "for (int i = 0; i < n; i++) { sum += a[i]; }"), ("user", "🙂👩‍💻")),
)
LONG = 4096
Engine = tuple[LocalPreference, Path, PromptFormat, Comparison]


def _qwen2(folder: Path) -> Path:
    return small.qwen2(folder / "Arch-Router-1.5B", positions=LONG)


def _qwen3(folder: Path) -> Path:
    return small.qwen3(folder / "Plano-Orchestrator-4B", positions=LONG)


MODELS: dict[str, tuple[Callable[[Path], Path], PromptFormat]] = {
    "arch-router": (_qwen2, ARCH_ROUTER_CARD),
    "plano-orchestrator": (_qwen3, PLANO_ORCHESTRATOR),
}


@pytest.fixture(scope="module", params=MODELS)
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, PromptFormat]:
    """Checkpoint, bundle and prompt."""
    import torch

    torch.manual_seed(5)
    make, form = MODELS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    source = make(folder)
    return source, exported(source, folder / "bundle").path, form


@pytest.fixture(params=["choices", "likelihood"])
def engine(request: pytest.FixtureRequest, bundle: tuple[Path, Path, PromptFormat]) -> Engine:
    source, folder, form = bundle
    local, _, _ = open_local(folder, budget=3000, compare=request.param)
    local.prepare(ROUTES)
    return local, source, form, request.param


class Torch:
    """The checkpoint as transformers loads it, with its own tokenizer."""

    def __init__(self, source: Path) -> None:
        import transformers

        self.model = transformers.AutoModelForCausalLM.from_pretrained(source).eval()
        self.tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(source / "tokenizer.json"))

    def ids(self, text: str) -> list[int]:
        found: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    def rows(self, text: Sequence[int], answer: Sequence[int]) -> Any:
        """Log-probabilities before each token of the answer, (tokens, vocabulary)."""
        import torch

        with torch.inference_mode():
            logits = self.model(input_ids=torch.tensor([[*text, *answer]])).logits[0].double()
        return torch.log_softmax(logits, -1)[len(text) - 1 : -1].numpy()


def expected(
    checkpoint: Torch, form: PromptFormat, compare: str, chat: tuple[tuple[str, str], ...]
) -> dict[str, float]:
    """What the definitions say, over whole texts: no memory, no tree."""
    roles = {"user": 1, "assistant": 2}
    content = form.render(ROUTES, [(roles[role], text.encode()) for role, text in chat])  # type: ignore[misc]
    text = checkpoint.ids(form.chat.render(content))
    names = [route.name for route in ROUTES]
    answers = [checkpoint.ids(answer) for answer in (*map(form.answer, names), form.no_route)]
    shared = min(at for at in range(99) if len({tuple(answer[: at + 1]) for answer in answers}) > 1)
    scores = []
    for answer in answers:
        rows = checkpoint.rows(text, answer)
        if compare == "likelihood":
            scores.append(np.mean([rows[at, token] for at, token in enumerate(answer)][shared:]))
            continue
        total = 0.0
        for at, token in enumerate(answer):
            tokens = sorted({other[at] for other in answers if other[:at] == answer[:at]})
            allowed = rows[at, tokens]
            total += allowed[tokens.index(token)] - np.logaddexp.reduce(allowed)
        scores.append(total)
    shares = np.exp(scores)
    return dict(zip([*names, "other"], (shares / shares.sum()).tolist(), strict=True))


def test_scores_and_decision_are_those_of_torch(engine: Engine) -> None:
    local, source, form, compare = engine
    checkpoint = Torch(source)
    for chat in CHATS:
        answer = local.ask(question(*chat))
        wanted = expected(checkpoint, form, compare, chat)
        assert min(wanted.values()) > MIN_MASS  # every answer was looked into
        assert dict(answer.scores) == pytest.approx(wanted, abs=1e-5)
        best = max(wanted, key=lambda name: wanted[name])
        assert answer.scores[0][0] == best
        assert answer.route == (None if best == "other" else best)
        assert (answer.outcome is Outcome.RESULT) == (best != "other")


def test_int8_gives_the_same_prompt_the_same_scores_whatever_was_asked_before(
    bundle: tuple[Path, Path, PromptFormat], tmp_path: Path
) -> None:
    source, _, _ = bundle
    folder = exported(source, tmp_path / "int8", "--dtype", "int8", "--min-agreement", "0.001").path
    fresh, worked = (open_local(folder, budget=3000)[0] for _ in range(2))
    for chat in CHATS:
        fresh.ask(question(*chat))
    worked.prepare(ROUTES)
    for chat in (*CHATS[::-1], *CHATS):
        assert worked.ask(question(*chat)).scores == fresh.ask(question(*chat)).scores
