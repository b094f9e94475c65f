"""The compiled core: what a request body says, found in C.

    bytes ──scan──> Scan ──.text, .edits, surface──> text, byte edits, counts

`reference` says the same in plain Python, slowly; the tests trust it. Nothing here falls back to it:
an installation without its compiled core is broken, and says so when it is imported.
"""

from __future__ import annotations

from signalbox.core.patterns import PATTERNS
from signalbox.core.spans import Role, Span
from signalbox.core.vocabulary import ASKING, HARD, INSTRUCTION, NEGATION, SCRIPTS, Surface
from signalbox.core.wrapper import Envelope

try:
    from signalbox.core.bpe import Bpe
    from signalbox.core.edits import apply_edits
    from signalbox.core.envelope import read_envelope
    from signalbox.core.scan import Scan, scan
    from signalbox.core.surface import Lexicon, surface
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
    "SCRIPTS",
    "Bpe",
    "Envelope",
    "Lexicon",
    "Role",
    "Scan",
    "Span",
    "Surface",
    "apply_edits",
    "read_envelope",
    "scan",
    "surface",
]
