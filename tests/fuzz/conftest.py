from __future__ import annotations

from hypothesis import settings

# The first example trains the tokenizers; how long it takes says nothing about the law.
settings.register_profile("fuzz", deadline=None)
settings.load_profile("fuzz")
