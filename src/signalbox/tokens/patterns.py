"""How text is cut, for vocabularies whose files hold tokens alone.

A vocabulary in tiktoken's format says nothing of how text is cut into words before its tokens are merged, and a
vocab.txt nothing of case. The compiled encoders know the published ways; these are the names a policy may use for them.
"""

from __future__ import annotations

from signalbox import core

PATTERNS: dict[str, str] = {**{name: name for name in core.PATTERNS}, "llama4": "o200k"}
"""Name in a policy -> name of the compiled pattern."""

NFC_PATTERNS = frozenset({"qwen2"})
"""Patterns whose tokenizers compose characters (Unicode NFC) before they cut."""

BERT_PATTERNS: dict[str, bool] = {"bert-uncased": True, "bert-cased": False}
"""Name in a policy, for a vocab.txt -> whether text is lowered and loses its accents."""
