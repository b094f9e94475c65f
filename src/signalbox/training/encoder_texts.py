"""What the encoder is fitted to, as token ids: how much of each source, and how much of a text."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from signalbox.core import WordPiece
from signalbox.training import corpus, wordnet

Ids = list[list[int]]
"""Texts as token ids, without [CLS] and [SEP]."""

SEED = 7

MOST = {
    "banking77": 4000,
    "clinc150": 5000,
    "hwu64": 6000,
    "llm_tasks": 1000,
    "sgd_user": 6000,
    "sgd_assistant": 2000,
    "image_prompts": 3000,
    "presidio_synth": 600,
}
"""Texts of each source; MOST_PROMPTS of those that are not here. The teacher's time is what they cost."""

MOST_PROMPTS = 1500
COMBINATIONS = 4000
TOKENS, PROMPT_TOKENS = 62, 46
"""What is read of a text, and of a prompt: the beginning says what it is about."""


def read(data: Path, tokenizer: WordPiece, vocabulary: bytes) -> dict[str, Ids]:
    """Source -> its texts; those without tokens are left out. Raises SetupError for files that cannot be read."""
    sources: dict[str, Ids] = {}
    for name, texts in corpus.texts(data).items():
        most = MOST.get(name, MOST_PROMPTS)
        some = texts if len(texts) <= most else random.Random(SEED).sample(texts, most)
        sources[name] = [ids for ids in encoded(tokenizer, some, length(name)) if ids]
    sources["wordnet"] = encoded(tokenizer, wordnet.lines(), TOKENS)
    spelled = [token.rstrip().decode() for token in vocabulary.splitlines()]
    special = special_ids(vocabulary)
    sources["tokens"] = [[i] for i in range(len(spelled)) if i not in special]
    words = [i for i, token in enumerate(spelled) if len(token) > 1 and token.isascii() and token.isalpha()]
    dice = random.Random(SEED)
    sources["combinations"] = [dice.sample(words, dice.randint(2, 6)) for _ in range(COMBINATIONS)]
    return sources


def encoded(tokenizer: WordPiece, texts: Sequence[str], most: int) -> Ids:
    return [list(tokenizer.encode(text.encode())[:most]) for text in texts]


def length(source: str) -> int:
    """How many tokens are read of a text of a source."""
    return TOKENS if source in MOST else PROMPT_TOKENS


def special_ids(vocabulary: bytes) -> frozenset[int]:
    """Tokens such as [CLS] and [unused7]: no text has them, and their rows stay zero."""
    tokens = enumerate(token.rstrip() for token in vocabulary.splitlines())
    return frozenset(i for i, token in tokens if len(token) > 2 and token[:1] == b"[" and token[-1:] == b"]")
