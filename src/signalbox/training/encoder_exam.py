"""How good text vectors are, beside the teacher's: on texts of the validation splits, which nothing is fitted to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from signalbox.core import WordPiece
from signalbox.training import corpus, student
from signalbox.training.encoder_texts import TOKENS, Ids, encoded, length

Floats = NDArray[np.float32]

SETS = {"clinc150_domains": "domain", "clinc150": "label", "banking77": "label", "hwu64_scenarios": "scenario"}
"""Sets of described labels -> the field of the records that has the label."""

MOST = 1000
"""Texts of an intent set that are looked at; a tenth of that of the other sources, for the teacher's sake."""

PAIRS, RESAMPLES = 50_000, 1000


@dataclass(frozen=True)
class Labelled:
    """Texts with the number of their described label, -1 for one that none describes, and the descriptions."""

    source: str
    labels: NDArray[np.int64]
    descriptions: Ids
    taught: Floats  # descriptions, by the teacher


@dataclass(frozen=True)
class Exam:
    """Texts that nothing was fitted to. sources: name -> token ids; taught: the teacher's vectors of them."""

    sources: Mapping[str, Ids]
    taught: Mapping[str, Floats]
    sets: Mapping[str, Labelled]


def read(data: Path, tokenizer: WordPiece, teach: Callable[[str, Ids], Floats]) -> Exam:
    """Read the validation splits. teach: the teacher's vectors of texts, by a name to keep them under."""
    sources, taught, sets = {}, {}, {}
    for name, texts in corpus.texts(data, "valid").items():
        if len(texts) < 2:
            continue  # no pairs
        most = MOST if name in corpus.INTENTS else MOST // 10
        sources[name] = encoded(tokenizer, texts[:most], length(name))
        taught[name] = teach(f"valid-{name}", sources[name])
    described = json.loads((data / "intents/descriptions.json").read_bytes())
    for name, field in SETS.items():
        source = name.split("_")[0]
        label_of = {
            row["text"]: row[field] for row in corpus.records(data / f"intents/{source}.jsonl.gz") if field in row
        }
        names = list(described[name])
        texts = corpus.texts_of(data / f"intents/{source}.jsonl.gz", "text", "valid")[:MOST]
        labels = [names.index(label_of[text]) if label_of.get(text) in names else -1 for text in texts]
        ids = encoded(tokenizer, list(described[name].values()), TOKENS)
        sets[name] = Labelled(source, np.array(labels), ids, teach(f"descriptions-{name}", ids))
    return Exam(sources, taught, sets)


def marks(paper: Exam, vectors: Callable[[Ids], Floats]) -> dict[str, Any]:
    """The figures of an encoder: by source, the rank correlation of its cosines with the teacher's; by set of labels,
    the share of texts nearest to their own description (zero-shot), and to the mean of half the texts of their label
    (centroid), with the teacher's share and the 95 % interval of the difference.
    """
    found = {name: vectors(ids) for name, ids in paper.sources.items()}
    agreement = {name: round(agrees(found[name], paper.taught[name]), 3) for name in found}
    zero_shot, centroid = {}, {}
    for name, labelled in paper.sets.items():
        known = labelled.labels >= 0
        own, taught = found[labelled.source], paper.taught[labelled.source]
        pairs = [(own, vectors(labelled.descriptions)), (taught, labelled.taught)]
        zero_shot[name] = compared(
            *((texts @ by.T).argmax(axis=1)[known] == labelled.labels[known] for texts, by in pairs)
        )
        centroid[name] = compared(*(by_centroid(texts, labelled.labels) for texts in (own, taught)))
    return {"agreement_with_teacher": agreement, "zero_shot": zero_shot, "centroid": centroid}


def agrees(own: Floats, taught: Floats) -> float:
    """Spearman's rank correlation of the cosines of pairs of texts."""
    one, other = np.random.default_rng(0).integers(0, len(own), (2, PAIRS))
    one, other = one[one != other], other[one != other]
    return float(
        spearmanr(np.sum(own[one] * own[other], axis=1), np.sum(taught[one] * taught[other], axis=1)).statistic
    )


def by_centroid(texts: Floats, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether every second text is nearest to the mean of the others of its label; labels without others are out."""
    shown = np.arange(len(labels)) % 2 == 0
    kept = sorted({int(label) for label in labels[shown] if label >= 0})
    means = np.stack([texts[shown & (labels == label)].mean(axis=0) for label in kept])
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    asked = ~shown & np.isin(labels, kept)
    return np.asarray(np.array(kept)[(texts[asked] @ means.T).argmax(axis=1)] == labels[asked])


def compared(own: NDArray[np.bool_], taught: NDArray[np.bool_]) -> dict[str, Any]:
    """Shares of hits, and the interval of their difference by a paired bootstrap."""
    gains = own.astype(np.float64) - taught
    draws = np.random.default_rng(0).integers(0, len(gains), (RESAMPLES, len(gains)))
    low, high = np.quantile(gains[draws].mean(axis=1), [0.025, 0.975])
    return {"own": share(own.mean()), "teacher": share(taught.mean()), "gain": [share(low), share(high)]}


def share(value: Any) -> float:
    return round(float(value), 3)


def of_rows(rows: Floats) -> Callable[[Ids], Floats]:
    """Texts to vectors by a table of token vectors."""

    def vectors(texts: Ids) -> Floats:
        sums = student.counts(texts, len(rows)) @ rows
        return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9), np.float32)

    return vectors
