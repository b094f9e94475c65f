"""A conversation cut down to the prompt of a router model, in that model's own tokens.

A router reads the newest turns, the first user turn and nothing a harness wrote, and never more than its
budget. What it reads is decided here; what it makes of it is the engine's.
"""

from __future__ import annotations

from signalbox.trim.encoder import Encoder, HuggingFaceEncoder, WordPieceEncoder, open_encoder
from signalbox.trim.prompt import Frame, Piece, Trimmed
from signalbox.trim.trimmer import Trimmer

__all__ = [
    "Encoder",
    "Frame",
    "HuggingFaceEncoder",
    "Piece",
    "Trimmed",
    "Trimmer",
    "WordPieceEncoder",
    "open_encoder",
]
