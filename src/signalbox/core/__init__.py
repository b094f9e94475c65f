"""The compiled core: what a request body says, found in C.

    bytes ──scan──> Scan ──.text, .edits, surface──> text, byte edits, counts
    text ──embed──> vector; token ids ──EmbeddingTable.pool──> vector
    vector ──dots, cosines, win_rate──> scores ──softmax, topk──> ranked

`reference` says the same in plain Python, slowly; the tests trust it. Nothing here falls back to it:
an installation without its compiled core is broken, and says so when it is imported.
"""

from __future__ import annotations

from signalbox.core.factorization import Factorization
from signalbox.core.patterns import PATTERNS
from signalbox.core.personal_kinds import PERSONAL_KINDS
from signalbox.core.spans import Passage, Role, Span
from signalbox.core.table_file import write_table
from signalbox.core.vocabulary import ASKING, HARD, INSTRUCTION, NEGATION, SCRIPTS, Surface
from signalbox.core.wrapper import Envelope

try:
    from signalbox.core.bpe import Bpe
    from signalbox.core.edits import apply_edits
    from signalbox.core.embed import embed
    from signalbox.core.envelope import read_envelope
    from signalbox.core.personal import find_personal
    from signalbox.core.scan import Scan, scan
    from signalbox.core.score import cosines, dots, normalize, sigmoid, softmax, topk, win_rate
    from signalbox.core.surface import Lexicon, surface
    from signalbox.core.table import EmbeddingTable
    from signalbox.core.wordpiece import WordPiece
    from signalbox.core.wordpiece_file import wordpiece_of, wordpiece_of_list
    from signalbox.core.words import word_features
except ImportError as problem:
    raise ImportError(
        f"the compiled core cannot be loaded ({problem}); build it with `pip install .`, or `make build` in a checkout"
    ) from problem

__all__ = [
    "ASKING",
    "HARD",
    "INSTRUCTION",
    "NEGATION",
    "PATTERNS",
    "PERSONAL_KINDS",
    "SCRIPTS",
    "Bpe",
    "EmbeddingTable",
    "Envelope",
    "Factorization",
    "Lexicon",
    "Passage",
    "Role",
    "Scan",
    "Span",
    "Surface",
    "WordPiece",
    "apply_edits",
    "cosines",
    "dots",
    "embed",
    "find_personal",
    "normalize",
    "read_envelope",
    "scan",
    "sigmoid",
    "softmax",
    "surface",
    "topk",
    "win_rate",
    "word_features",
    "wordpiece_of",
    "wordpiece_of_list",
    "write_table",
]
