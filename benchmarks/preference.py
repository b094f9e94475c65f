"""What do more routes cost a preference model in this process, and what does it save to keep what they have in common?

    python -m benchmarks.preference [--rounds N]

A causal model with random weights (`benchmarks.decoder`), one thread, the prompt of Arch-Router as Plano sends it, a
chat of about 128 tokens, up to twenty everyday routes. Variants take turns on the same chats. "runs" are runs of the
model for one answer, the prompt's own included; "kept" is what the engine does; "from the start" reads the routes
again for every request; "likelihood" runs the model for every token of the answers; "written" lets the model write
twelve tokens instead, as a server does.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from benchmarks import decoder as synthetic
from benchmarks.environment import describe
from benchmarks.scanner import SENTENCES
from signalbox.core import Role
from signalbox.engines.base import Route
from signalbox.engines.preference.budget import PromptTokenizer
from signalbox.engines.preference.decoder import Decoder, Memory
from signalbox.engines.preference.local import LocalPreference, Prepared
from signalbox.engines.preference.prompts import ARCH_ROUTER_PLANO as FORM
from signalbox.engines.preference.scoring import Comparison
from signalbox.engines.runtime import open_network

NAMES = (
    "code-generation", "bug-fixing", "code-review", "code-explanation", "refactoring", "test-writing", "documentation",
    "data-analysis", "summarization", "translation", "creative-writing", "email-writing", "brainstorming", "math",
    "research", "question-answering", "information-extraction", "classification", "small-talk", "image-generation",
)  # fmt: skip
COUNTS = (2, 5, 10, 20)
CHAT_TOKENS = 128
COMPARISONS: tuple[Comparison, ...] = ("choices", "likelihood")
WRITTEN_TOKENS = 12


class Counting:
    """A decoder that counts its runs."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self.empty = decoder.empty
        self.runs = 0

    def run(self, ids: Sequence[int], memory: Memory, *, remember: bool = True) -> tuple[NDArray[np.float32], Memory]:
        self.runs += 1
        return self._decoder.run(ids, memory, remember=remember)


def small_tokenizer() -> PromptTokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=8000,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|im_start|>", "<|im_end|>"],
        show_progress=False,
    )
    texts = [path.read_text() for path in sorted(Path("docs").glob("*.md"))]
    tokenizer.train_from_iterator([*texts, *SENTENCES], trainer)
    return PromptTokenizer(str(tokenizer.to_str()))


def chat(tokenizer: PromptTokenizer, dice: random.Random) -> bytes:
    text = b""
    while tokenizer.count(text) < CHAT_TOKENS:
        text += dice.choice(SENTENCES).encode()
    return text


def routes_of(count: int) -> tuple[Route, ...]:
    return tuple(
        Route(name, f"Requests that ask for {name.replace('-', ' ')}, in one sentence") for name in NAMES[:count]
    )


@dataclass
class Variant:
    """One way to answer for some number of routes. times: CPU milliseconds of each answer."""

    name: str
    routes: tuple[Route, ...]
    answer: Callable[[str], object]
    runs: int = 0
    times: list[float] = field(default_factory=list)

    def run(self, text: bytes) -> None:
        content = FORM.render(self.routes, [(Role.USER, text)])
        began = time.thread_time()  # ONNX Runtime works on this thread, and a shared machine has other work
        self.answer(content)
        self.times.append((time.thread_time() - began) * 1000)

    @property
    def median(self) -> float:
        return statistics.median(self.times)


def variants(counting: Counting, tokenizer: PromptTokenizer, count: int) -> dict[str, Variant]:
    routes = routes_of(count)
    engines = {compare: LocalPreference(counting, tokenizer, FORM, compare=compare) for compare in COMPARISONS}  # type: ignore[arg-type]
    ready = {compare: engine.prepare(routes) for compare, engine in engines.items()}
    kept = ready["choices"]

    def ids(content: str) -> list[int]:
        return [*tokenizer.chat(FORM.chat, content), *kept.tree.tokens]

    def write(content: str) -> None:
        row, memory = counting.run(ids(content)[len(kept.prefix) :], kept.memory)
        for _ in range(WRITTEN_TOKENS):
            row, memory = counting.run([int(row.argmax())], memory)

    answers: dict[str, Callable[[str], object]] = {
        compare: partial(_score, engines[compare], ready[compare]) for compare in COMPARISONS
    }
    answers["start"] = lambda content: counting.run(ids(content), counting.empty)
    answers["written"] = write
    return {name: Variant(name, routes, answer) for name, answer in answers.items()}


def _score(engine: LocalPreference, prepared: Prepared, content: str) -> list[float]:
    return engine.scores(prepared, content, float("inf"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    shape = synthetic.Shape()
    tokenizer = small_tokenizer()
    dice = random.Random(1)
    print(describe("onnxruntime", "tokenizers", "numpy"))
    print(f"{shape.parameters / 1e6:.0f} million parameters a token, float32, one thread; milliseconds of CPU\n")
    with tempfile.TemporaryDirectory() as folder:
        synthetic.write(Path(folder) / "model.onnx", shape)
        counting = Counting(Decoder(open_network(Path(folder) / "model.onnx", device="cpu")))
    found = {count: variants(counting, tokenizer, count) for count in COUNTS}
    for _ in range(rounds):
        text = chat(tokenizer, dice)
        for each in [variant for by_name in found.values() for variant in by_name.values()]:
            counting.runs = 0
            each.run(text)
            each.runs = counting.runs
    print("| routes | prompt tokens | runs | kept | against 2 routes | from the start | likelihood (runs) | written |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    least = found[COUNTS[0]]["choices"].median
    for count, by_name in found.items():
        own = by_name["choices"]
        prompt = len(tokenizer.chat(FORM.chat, FORM.render(own.routes, [(Role.USER, text)])))
        print(
            f"| {count} | {prompt} | {own.runs} | {own.median:.0f} | {own.median / least:.2f} "
            f"| {by_name['start'].median:.0f} | {by_name['likelihood'].median:.0f} ({by_name['likelihood'].runs}) "
            f"| {by_name['written'].median:.0f} |"
        )


if __name__ == "__main__":
    main()
