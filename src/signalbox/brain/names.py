"""Names of people and street addresses, word by word: a linear model on a word, its neighbours, and lists of names.

Neither has a form that could be checked, so both are guesses, with a rate of false alarms; docs/quality.md has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from signalbox.brain.artifact import open_artifact, refuse
from signalbox.core import word_features
from signalbox.core.word_buckets import WORD_BUCKETS, WORD_FEATURES
from signalbox.types import PersonalData

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

KINDS = (PersonalData.PERSON, PersonalData.STREET_ADDRESS)
"""In the order of the model's columns."""

PIECE_BYTES, OVERLAP_BYTES = 8_192, 256
"""A long text is read in pieces that fit a cache, each with the end of the one before it: no name is cut."""

LISTS = 4
"""What a word is by the lists: none of them, a first name, a last name, a name and a common word as well."""

SORTS = LISTS * 8
"""That, and the kind of its shape."""

COLUMNS = WORD_FEATURES + 3
ROWS = WORD_BUCKETS + SORTS + 2 * SORTS * SORTS
"""Weights: hashed features, then a word's sort, that with the sort before it, and with the one behind it."""


VALUES = np.array([0.6, 0.6, 0.6, 0.6, 1, 0.5, 0.5, 1, 0.4, 0.6, 0.6, 0.4, 2, 2, 2], np.float32)
"""How much each column counts: what a word is by the lists before what usually stands around it."""


class NameFinder:
    """Finds names and addresses. Threads may share it."""

    def __init__(self, weights: NDArray[np.int8], scale: Floats, bias: Floats, hashes: Ints, lists: NDArray[np.int8]):
        """weights: (ROWS, kinds), times scale: (kinds,). bias: (kinds,), less what a word needs to count.

        hashes: of the words on the lists, in order. lists: which list each is on, 1 to LISTS - 1.
        """
        self._weights, self._scale, self._bias = weights, scale, bias
        self._hashes, self._lists = hashes, lists

    @classmethod
    def load(cls, folder: Path | None = None) -> NameFinder:
        """Map the files that `privacy.json` names. folder: None for those that ship with the package.

        Raises SetupError.
        """
        artifact = open_artifact("privacy", folder)
        arrays = []
        for file, kind in (
            ("privacy.weights.npy", np.int8),
            ("privacy.hashes.npy", np.int32),
            ("privacy.lists.npy", np.int8),
        ):
            path = artifact.files.get(file)
            if path is None:
                raise refuse(artifact.files["manifest"], f"`files` lacks {file}", "the model's files")
            try:
                array = np.load(path, mmap_mode="r", allow_pickle=False)
            except (ValueError, EOFError) as problem:
                raise refuse(path, str(problem), "an array of numpy") from problem
            if array.dtype != kind:
                raise refuse(path, f"{array.dtype}", np.dtype(kind).name)
            arrays.append(array)
        weights, hashes, lists = arrays
        if weights.shape != (ROWS, len(KINDS)) or hashes.ndim != 1 or hashes.shape != lists.shape or not len(hashes):
            found = ", ".join(str(array.shape) for array in arrays)
            raise refuse(artifact.files["manifest"], f"files of shapes {found}", f"({ROWS}, {len(KINDS)}), (n,), (n,)")
        numbers = [artifact.manifest.get(key) for key in ("scale", "bias")]
        if not all(isinstance(each, list) and len(each) == len(KINDS) for each in numbers):
            raise refuse(artifact.files["manifest"], "`scale` or `bias` is missing", f"{len(KINDS)} numbers each")
        scale, bias = (np.array(each, np.float32) for each in numbers)
        return cls(weights, scale, bias, hashes, lists)

    def find(self, text: bytes) -> tuple[PersonalData, ...]:
        """Return the kinds a text holds. text: UTF-8, of any length."""
        best = np.full(len(KINDS), -np.inf, np.float32)
        for piece in _pieces(text):
            scores = self.scores(piece)
            if len(scores):
                best = np.maximum(best, scores.max(axis=0))
        return tuple([kind for kind, score in zip(KINDS, best, strict=True) if score > 0])

    def scores(self, text: bytes) -> Floats:
        """Return the scores of each token of a text: (tokens, kinds); above 0 it is one."""
        rows = self._weights[inputs(text, self._hashes, self._lists)]
        scores: Floats = np.einsum("tck,c->tk", rows, VALUES) * self._scale + self._bias
        return scores


def inputs(text: bytes, hashes: Ints, lists: NDArray[np.int8]) -> Ints:
    """Return which weights each token of a text has: (tokens, COLUMNS), each below ROWS."""
    words = word_features(text)
    out = np.empty((len(words), COLUMNS), np.int32)
    if not len(words):
        return out
    out[:, :WORD_FEATURES] = words[:, :WORD_FEATURES]
    places = np.minimum(np.searchsorted(hashes, words[:, WORD_FEATURES]), len(hashes) - 1)
    listed = np.where(hashes[places] == words[:, WORD_FEATURES], lists[places], 0)
    sorts = listed * 8 + (words[:, WORD_FEATURES + 1] >> 2)
    before, behind = np.zeros_like(sorts), np.zeros_like(sorts)
    before[1:], behind[:-1] = sorts[:-1], sorts[1:]
    out[:, -3] = WORD_BUCKETS + sorts
    out[:, -2] = WORD_BUCKETS + SORTS + before * SORTS + sorts
    out[:, -1] = WORD_BUCKETS + SORTS + SORTS * SORTS + sorts * SORTS + behind
    return out


def _pieces(text: bytes) -> Iterator[bytes]:
    for start in range(0, max(1, len(text)), PIECE_BYTES):
        end = start + PIECE_BYTES
        begin = start - OVERLAP_BYTES
        # Half a word is no word anybody knows, and would look like a name.
        yield text[max(0, _after_blank(text, begin)) : _after_blank(text, end)]


def _after_blank(text: bytes, at: int) -> int:
    """Where the first word starts at or behind `at`, or `at` if none does for a while."""
    if at <= 0:
        return at
    found = min(
        (place for place in (text.find(blank, at, at + 64) for blank in (b" ", b"\n")) if place >= 0), default=-1
    )
    return at if found < 0 else found + 1
