"""The built-in encoder: a text's vector in microseconds, from a table of token vectors that workers share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from signalbox.brain.artifact import open_artifact, refuse
from signalbox.core import EmbeddingTable, WordPiece, embed, wordpiece_of_list

Floats = NDArray[np.float32]

MOST_BYTES = 8192
"""A longer text is cut in the middle: some 2,000 tokens say what it is about, and more would cost more."""

HEAD_BYTES = MOST_BYTES * 6 // 10
TAIL_BYTES = MOST_BYTES - HEAD_BYTES - 1


class Encoder:
    """Texts to vectors of unit length whose dot products say how near they are in meaning. Threads may share it."""

    def __init__(self, tokenizer: WordPiece, table: EmbeddingTable, version: str) -> None:
        self._tokenizer, self._table = tokenizer, table
        self.dims = int(table.dims)
        self.version = version
        """First digits of the table's SHA-256: vectors of two versions are not to be compared."""

    @classmethod
    def load(cls, folder: Path | None = None) -> Encoder:
        """Map `encoder.table`, as `encoder.json` describes it. folder: None for the one that ships with the package.

        Raises SetupError for files that are missing or do not belong together.
        """
        artifact = open_artifact("encoder", folder)
        for file in ("encoder.table", "encoder.vocab"):
            if file not in artifact.files:
                raise refuse(artifact.files["manifest"], f"`files` lacks {file}", "encoder.table and encoder.vocab")
        table = EmbeddingTable.open(artifact.files["encoder.table"])
        if table.dims != artifact.number("dims"):
            raise refuse(artifact.files["encoder.table"], f"{table.dims} dims", f"{artifact.number('dims')}")
        vocabulary = artifact.files["encoder.vocab"]
        try:
            tokenizer = wordpiece_of_list(vocabulary.read_bytes(), lowercase=True)
        except ValueError as problem:
            raise refuse(vocabulary, str(problem), "a WordPiece vocabulary") from problem
        if len(tokenizer) > table.rows:
            raise refuse(vocabulary, f"{len(tokenizer)} tokens", f"at most {table.rows}, the rows of the table")
        return cls(tokenizer, table, artifact.manifest["files"]["encoder.table"][:12])

    def vector(self, text: bytes) -> Floats:
        """The vector of a text of any bytes: (dims,), unit length; all 0 where no token of it is known."""
        if len(text) > MOST_BYTES:
            text = text[:HEAD_BYTES] + b" " + text[-TAIL_BYTES:]
        return embed(self._tokenizer, self._table, text)

    def vectors(self, texts: Sequence[bytes]) -> Floats:
        """The vectors of texts: (len(texts), dims)."""
        out = np.empty((len(texts), self.dims), np.float32)
        for row, text in enumerate(texts):
            out[row] = self.vector(text)
        return out
