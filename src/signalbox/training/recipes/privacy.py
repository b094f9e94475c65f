"""The model that finds names of people and street addresses: one logistic regression for each, over hashed words.

Examples are the labelled sentences of the data folder, our own sentences with made-up names, and plain ones: prompts
of the intent sets, and sentences full of capitalised words that name nobody. What a word's score has to be is set so
that of ordinary prompts, other than those trained on, the stated share is taken for one.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from signalbox.brain.artifact import write_manifest
from signalbox.brain.names import COLUMNS, KINDS, ROWS, VALUES, NameFinder, inputs
from signalbox.core import word_features
from signalbox.training import people
from signalbox.training.rows import read_rows

SEED = 30
RECIPE = 1
MADE = 10_000  # sentences of our own with names or addresses
PLAIN = 9_000  # and without
ADDRESSES = 90  # of each country
STRENGTH = 1.0  # inverse of the penalty
ITERATIONS = 120
FALSE_ALARMS = (0.03, 0.02)  # share of ordinary prompts, of each kind
TOKENS = re.compile(rb"[0-9A-Za-z\x80-\xff]+|[^ \t\r]")
SPANS = {"PERSON": 0, "STREET_ADDRESS": 1, "ORGANIZATION": 2}
NOT_SURE = {0: (1, 2)}
"""Kind -> words its model learns nothing from: streets and firms are called after people."""


class Example(NamedTuple):
    """A text, and (start, end, kind) in bytes of what it holds."""

    text: bytes
    spans: tuple[tuple[int, int, int], ...]
    about: tuple[int, ...] = (0, 1)  # kinds whose model learns from it


def build(data: Path, out: Path) -> None:
    """Write privacy.*.npy and privacy.json. data: folder with intents/ and privacy/."""
    random = np.random.default_rng(SEED)
    examples = [example for _, example in read_labelled(data)]
    lists = read_lists(data)
    weights, bias = fit(examples + made(random) + plain(data, "train", random), *lists)
    packed, scale, less = cut(weights, bias, plain_prompts(data, "valid"), *lists)
    files: dict[str, NDArray[Any]] = {
        "privacy.weights.npy": packed,
        "privacy.hashes.npy": lists[0],
        "privacy.lists.npy": lists[1],
    }
    for file, array in files.items():
        np.save(out / file, array)
    write_manifest(
        out,
        "privacy",
        list(files),
        kinds=[kind.value for kind in KINDS],
        scale=[float(each) for each in scale],
        bias=[float(each) for each in less],
        recipe=RECIPE,
        seed=SEED,
        false_alarms=list(FALSE_ALARMS),
    )


def fit(
    examples: Sequence[Example], hashes: NDArray[np.int32], lists: NDArray[np.int8]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weights (ROWS, kinds) and bias (kinds,)."""
    from scipy.sparse import csr_matrix
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    features = [inputs(example.text, hashes, lists) for example in examples]
    labels = np.concatenate([_labels(example) for example in examples])
    ids = np.concatenate(features)
    values = np.tile(VALUES, len(ids))
    starts = np.arange(0, ids.size + 1, COLUMNS)
    rows = csr_matrix((values, ids.ravel(), starts), shape=(len(ids), ROWS))
    weights, bias = np.zeros((ROWS, len(KINDS))), np.zeros(len(KINDS))
    for kind in range(len(KINDS)):
        chosen = np.concatenate([np.full(len(f), kind in e.about) for f, e in zip(features, examples, strict=True)])
        chosen &= ~np.isin(labels, NOT_SURE.get(kind, ()))
        model = LogisticRegression(C=STRENGTH, max_iter=ITERATIONS, tol=1e-4)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # stopped early, as much of a penalty as the other
            model.fit(rows[chosen], labels[chosen] == kind)
        weights[:, kind], bias[kind] = model.coef_[0], model.intercept_[0]
    return weights, bias


def cut(
    weights: NDArray[np.float64],
    bias: NDArray[np.float64],
    ordinary: Sequence[Example],
    hashes: NDArray[np.int32],
    lists: NDArray[np.int8],
) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.float32]]:
    """Return int8 weights with their scale, and the bias less what `FALSE_ALARMS` of ordinary prompts reach."""
    scale = (np.abs(weights).max(axis=0) / 127).astype(np.float32)
    packed = np.round(weights / scale).astype(np.int8)
    finder = NameFinder(packed, scale, bias.astype(np.float32), hashes, lists)
    best = np.array([finder.scores(example.text).max(axis=0, initial=-50.0) for example in ordinary])
    level = np.zeros(len(KINDS))
    for kind in range(len(KINDS)):
        seen = best[[kind in example.about for example in ordinary], kind]
        level[kind] = np.quantile(seen, 1 - FALSE_ALARMS[kind])
    return packed, scale, (bias - level - 1e-4).astype(np.float32)


def _labels(example: Example) -> NDArray[np.int8]:
    found = []
    for token in TOKENS.finditer(example.text):
        kinds = [kind for start, end, kind in example.spans if start < token.end() and token.start() < end]
        is_word = token[0][0] >= 0x80 or token[0].isalnum()
        found.append(kinds[0] if kinds and is_word else -1)
    return np.array(found, np.int8)


def read_lists(data: Path) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """Return hashes of the words on lists, in order, and which list each is on; see `brain.names.LISTS`."""
    names = people.names()
    capitalised = " ".join(people.FILLS.values()).lower().encode().split()
    common = Counter(dict.fromkeys(capitalised, 3))  # Paris and Sydney are more often no people
    common.update(word for example in plain_prompts(data, "train") for word in _SMALL.findall(example.text))
    found: dict[int, int] = {}
    for place, listed in ((2, names.last), (1, names.first)):  # who is on both counts as a first name
        for name in listed:
            rows = word_features(name.encode())
            for word, row in zip(_WORDS.findall(name.encode()), rows[rows[:, -1] >> 2 < 3], strict=False):
                if len(word) > 1:
                    found[int(row[-2])] = 3 if common[word.lower()] >= 3 else place
    hashes = np.array(sorted(found), np.int32)
    return hashes, np.array([found[word] for word in hashes.tolist()], np.int8)


_SMALL = re.compile(rb"(?<![A-Za-z])[a-z]+(?![A-Za-z])")
_WORDS = re.compile(rb"[A-Za-z\x80-\xff]+")


def read_labelled(data: Path) -> Iterator[tuple[int, Example]]:
    """Yield template and example of each labelled sentence."""
    for row in read_rows(data / "privacy" / "presidio_synth.jsonl.gz"):
        text: str = row["text"]
        spans = [
            (len(text[:start].encode()), len(text[:end].encode()), SPANS[kind])
            for start, end, kind in row["spans"]
            if kind in SPANS
        ]
        yield row["template"], Example(text.encode(), tuple(spans))


def made(random: np.random.Generator) -> list[Example]:
    """Return our own sentences with made-up names and addresses."""
    sentences = (*people.PERSON_SENTENCES, *people.ADDRESS_SENTENCES, *people.ADDRESS_SENTENCES)
    return [_filled(sentences[at % len(sentences)], random) for at in range(MADE)]


def plain(data: Path, split: str, random: np.random.Generator) -> list[Example]:
    """Return texts without names: ordinary prompts, and sentences of capitalised words."""
    prompts = plain_prompts(data, split)
    chosen = random.choice(len(prompts), min(PLAIN, len(prompts)), replace=False)
    sentences = [_filled(people.PLAIN_SENTENCES[at % len(people.PLAIN_SENTENCES)], random) for at in range(PLAIN)]
    return [prompts[at] for at in chosen] + sentences


def plain_prompts(data: Path, split: str) -> list[Example]:
    """Return ordinary prompts that hold no names, or hardly ever."""
    found = []
    known = frozenset(people.names().first)
    for name in ("banking77", "clinc150", "hwu64"):
        rows = read_rows(data / "intents" / f"{name}.jsonl.gz")
        found += [
            Example(_as_typed(row["text"], at).encode(), ()) for at, row in enumerate(rows) if row["split"] == split
        ]
    for name in ("evalperf", "zeroeval_crux", "zeroeval_math_l5"):  # the others are about people, too often
        rows = read_rows(data / "capability" / f"{name}.jsonl.gz")
        texts = [row["prompt"] for row in rows if row["split"] == split][:600]
        found += [Example(text.encode(), ()) for text in texts if known.isdisjoint(text.split())]
    for name in ("mmlu_pro", "reasoning_gym"):  # numbers and options galore, and people, but no addresses
        rows = read_rows(data / "capability" / f"{name}.jsonl.gz")
        texts = [row["prompt"] for row in rows if row["split"] == split][:400]
        found += [Example(text.encode(), (), (1,)) for text in texts]
    return found


def _as_typed(text: str, at: int) -> str:
    """Most of these sets are in small letters; people write capitals as well."""
    if at % 3 == 0:
        return text[:1].upper() + text[1:]
    return text.title() if at % 199 == 0 else text


def _filled(sentence: str, random: np.random.Generator) -> Example:
    text = ""
    spans = []
    small = random.random() < 0.12
    at = 0
    while at < len(sentence):
        if sentence[at] != "{":
            text += sentence[at]
            at += 1
            continue
        letter = sentence[at + 1]
        at += 3
        filled = _person(random) if letter == "p" else _address(random) if letter == "a" else _word(letter, random)
        if letter in "pa":
            spans.append((len(text.encode()), len((text + filled).encode()), "pa".index(letter)))
        text += filled
    return Example(
        (text.lower() if small and len(text.lower().encode()) == len(text.encode()) else text).encode(), tuple(spans)
    )


def _person(random: np.random.Generator) -> str:
    names = people.names()
    first, last = _name(names.first, random), _name(names.last, random)
    middle = chr(65 + int(random.integers(26)))
    last = last if random.random() < 0.85 else f"{last}-{_name(names.last, random)}"
    forms = (
        f"{first} {last}",
        first,
        f"{first} {middle}. {last}",
        f"{first} {middle} {last}",
        last,
        f"{last}, {first}",
    )
    name = forms[random.choice(len(forms), p=[0.5, 0.25, 0.05, 0.05, 0.1, 0.05])]
    return name.upper() if random.random() < 0.06 else name


def _name(names: Sequence[str], random: np.random.Generator) -> str:
    """A name, or something that nobody is called: so that not the names we know tell, but what stands around them."""
    one, other = names[int(random.integers(len(names)))], names[int(random.integers(len(names)))]
    if random.random() < 0.8:
        return one
    return (one[: 1 + len(one) // 2] + other[len(other) // 2 :].lower())[:14]


def _address(random: np.random.Generator) -> str:
    if random.random() < 0.5:
        known = people.addresses(SEED, ADDRESSES)
        return known[int(random.integers(len(known)))]
    form = people.STREET_FORMS[int(random.integers(len(people.STREET_FORMS)))]
    name = _name(people.STREETS if random.random() < 0.4 else people.names().last, random)
    for letter, low, high in (("n", 1, 99_999), ("m", 1, 999), ("z", 10_000, 99_999)):
        while "{" + letter + "}" in form:
            form = form.replace("{" + letter + "}", str(int(random.integers(low, high))), 1)
    return form.replace("{s}", name)


def _word(letter: str, random: np.random.Generator) -> str:
    return str(random.choice(people.FILLS[letter].split()))
