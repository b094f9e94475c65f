"""What a router has to beat: counting, and what a few lines of scikit-learn learn from labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from signalbox.evaluation.folds import Fold
from signalbox.evaluation.records import NEEDS_STRONG, NEITHER, Records
from signalbox.evaluation.routers import Said, Verdicts, features_of, nobody

Floats = NDArray[np.float64]

WORD_COUNT, COMPOSITE, TFIDF, NEIGHBOURS = "word count", "surface composite", "TF-IDF + ridge", "k-NN"
MIN_LABELS = 10
"""Labelled rows, of two classes, below which nothing is fitted."""

MOST_TERMS = 50_000
RIDGE = 1.0
K = 20
NEIGHBOURS_AT_ONCE = 512  # rows whose similarities to all others are in memory


def counted(records: Records) -> list[Verdicts]:
    """Return the baselines that nothing was fitted for: words, and the fixed composite of features.complexity."""
    features = features_of(records.prompts)
    words = np.array([each.words for each in features], dtype=np.float64)
    composite = np.nan_to_num(np.array([each.complexity for each in features]), nan=0.0)
    return [Verdicts(WORD_COUNT, words), Verdicts(COMPOSITE, composite)]


def fitted(records: Records, folds: Sequence[Fold], said: Said = nobody) -> list[Verdicts]:
    """Return the baselines that learn from labels, each row scored by what was fitted without it.

    TF-IDF over words and pairs of words with a ridge regression on needs_strong against weak_ok, and the mean label of
    the twenty most similar prompts by the same TF-IDF, weighted by similarity. A fold with too few labels to learn from
    scores all its rows alike, and a note says so. Raises ImportError without scikit-learn.
    """
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
    from sklearn.linear_model import Ridge

    try:
        counts = CountVectorizer(ngram_range=(1, 2), dtype=np.float64).fit_transform(records.prompts)
    except ValueError:  # no prompt has a word
        counts = csr_matrix((len(records), 1))
    ridge_scores, neighbour_scores = np.zeros(len(records)), np.zeros(len(records))
    without: list[str] = []
    for number, (name, train, test) in enumerate(folds):
        labelled = train[records.labels[train] != NEITHER]
        labels = (records.labels[labelled] == NEEDS_STRONG).astype(np.float64)
        if len(labels) < MIN_LABELS or labels.min() == labels.max():
            without.append(name)
        else:
            terms = _terms(counts[train])
            weigh = TfidfTransformer(sublinear_tf=True).fit(counts[train][:, terms])
            known, asked = (weigh.transform(counts[rows][:, terms]) for rows in (labelled, test))
            ridge = Ridge(alpha=RIDGE, solver="lsqr", tol=1e-4).fit(known, labels)
            ridge_scores[test] = ridge.predict(asked)
            neighbour_scores[test] = _neighbours(known, labels, asked)
        said(number + 1)
    told: tuple[str, ...] = ()
    if without:
        told = (
            f"{TFIDF} and {NEIGHBOURS} score all rows of {', '.join(without)} alike: fewer than {MIN_LABELS} labels, "
            "or labels of one class, are too few to learn from",
        )
    return [Verdicts(TFIDF, ridge_scores, notes=told), Verdicts(NEIGHBOURS, neighbour_scores, notes=told)]


def _terms(counts: Any) -> NDArray[np.intp]:
    """Return the columns a fold looks at: terms of at least two of its own rows, the most frequent ones."""
    terms = np.flatnonzero(counts.getnnz(axis=0) > 1)
    often = np.asarray(counts.sum(axis=0)).ravel()[terms]
    return terms[np.sort(np.argsort(-often, kind="stable")[:MOST_TERMS])] if len(terms) else np.zeros(1, dtype=np.intp)


def _neighbours(known: Any, labels: Floats, asked: Any) -> Floats:
    """Return the mean label of the most similar rows. known, asked: sparse, (rows, terms), of unit length."""
    scores = np.full(asked.shape[0], labels.mean())
    count = min(K, len(labels))
    for start in range(0, asked.shape[0], NEIGHBOURS_AT_ONCE):
        similar = (asked[start : start + NEIGHBOURS_AT_ONCE] @ known.T).toarray()
        nearest = np.argpartition(-similar, count - 1, axis=1)[:, :count]
        weights = np.take_along_axis(similar, nearest, axis=1)
        total = weights.sum(axis=1)
        means = (weights * labels[nearest]).sum(axis=1)
        found = total > 0
        scores[start : start + len(similar)][found] = means[found] / total[found]
    return scores


def best_single(records: Records, rows: NDArray[np.intp]) -> tuple[str, float] | None:
    """Return the model with the best mean score over some rows, and that score; None where no model has all of them.

    Chosen with hindsight. Models without a score on a twentieth of the rows or more are not compared: theirs would be
    the mean of other prompts.
    """
    sums: dict[str, list[float]] = {}
    for row in rows:
        for name, score in records.scores[int(row)].items():
            sums.setdefault(name, []).append(score)
    means = {name: float(np.mean(found)) for name, found in sums.items() if len(found) > 0.95 * len(rows)}
    if not means:
        return None
    name = max(sorted(means), key=means.__getitem__)
    return name, means[name]
