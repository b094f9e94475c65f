"""Vectors of a sentence encoder's bundle, for comparison: all texts at once, each run once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from signalbox.bundles import Kind, Pooling, open_bundle
from signalbox.bundles.session import open_session, run
from signalbox.errors import BundleError

Floats = NDArray[np.float32]


class BundleVectors:
    """Texts to unit vectors by a bundle of kind `encoder`; what was asked once is kept."""

    def __init__(self, path: Path) -> None:
        """Raises BundleError for a bundle that is broken or of another kind."""
        from tokenizers import Tokenizer

        bundle = open_bundle(path)
        if bundle.manifest.kind is not Kind.ENCODER:
            raise BundleError.single(
                str(path), f"a bundle of kind {bundle.manifest.kind}", expected="one of kind encoder"
            )
        self._pooling = bundle.manifest.pooling
        self._tokenizer = Tokenizer.from_file(str(bundle.tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(bundle.manifest.max_tokens)
        self._session = open_session(bundle.model)
        self._known: dict[str, Floats] = {}

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Return (texts, dims), each of length one."""
        return np.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> Floats:
        known = self._known.get(text)
        if known is None:
            ids = np.array([self._tokenizer.encode(text).ids], np.int64)
            states = run(self._session, ids)["last_hidden_state"][0]
            first = {Pooling.CLS: states[0], Pooling.LAST: states[-1]}
            pooled = first[self._pooling] if self._pooling in first else states.mean(axis=0)
            known = self._known[text] = (pooled / np.linalg.norm(pooled)).astype(np.float32)
        return known
