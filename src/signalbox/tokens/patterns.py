"""Split patterns of byte-level vocabularies whose files hold tokens alone.

A vocabulary in tiktoken's format says nothing of how text is cut into words before its tokens are merged. The
compiled encoder knows the published patterns by name; these are the names a policy may use for them.
"""

from __future__ import annotations

from signalbox import core

PATTERNS: dict[str, str] = {**{name: name for name in core.PATTERNS}, "llama4": "o200k"}
"""Name in a policy -> name of the compiled pattern."""

NFC_PATTERNS = frozenset({"qwen2"})
"""Patterns whose tokenizers compose characters (Unicode NFC) before they cut."""
