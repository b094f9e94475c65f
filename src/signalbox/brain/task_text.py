"""Tasks as texts: what of a name and a description is embedded, and what of a prompt only plays at being a task."""

from __future__ import annotations

import re
from collections.abc import Sequence

import re2

MOST_PARTS = 24
"""Parts of one description that are looked at on their own; the rest counts in the whole alone."""

_PARTS = re.compile(r"[:;,.!?()/\n•]|\band\b|\bor\b|\bsuch as\b|\bincluding\b", re.IGNORECASE)
_HUMPS = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NO_WORDS = re.compile(r"[\W\d_]+")
_WORD = re.compile(r"[^\W\d_]")


def words_of(name: str) -> str:
    """Return a name as words: `Hotels_2` -> `hotels`, `bugFixing` -> `bug fixing`; empty where it has none."""
    return " ".join(_NO_WORDS.sub(" ", _HUMPS.sub(" ", name)).split()).lower()


def whole_of(name: str, description: str) -> str:
    """Return name and description as one text; empty where neither has a word."""
    said = description.strip() if _WORD.search(description) else ""
    return ": ".join(part for part in (words_of(name), said) if part)


def parts_of(name: str, description: str) -> tuple[str, ...]:
    """Return the clauses and list items of a description, each once, and the name's words.

    A description lists what belongs to a task; one prompt is about one of these things, hardly ever about their mean.
    """
    parts = dict.fromkeys(part.strip() for part in _PARTS.split(description) if len(part.strip()) > 2)
    parts = {part: None for part in parts if _WORD.search(part)}
    kept = [*parts][:MOST_PARTS]
    name = words_of(name)
    return tuple([*kept, name] if name and name not in parts else kept) or (name,)


def words_once(text: bytes) -> bytes:
    """Return a text with each word where it stands first: said ten times is no more meant than said once.

    A vector is a mean of words, and a polite tail or a task's name over and over would outweigh a short request.
    """
    return b" ".join(dict.fromkeys(text.split()))


class Imitations:
    """Finds what a prompt says only to be routed: a task's name as the policy writes it, or after `task:` and the like.

    Words of a name in a sentence are no imitation: people do say "travel" when they travel.
    """

    def __init__(self, names: Sequence[str]) -> None:
        ordered = sorted(set(names), key=lambda name: (-len(name), name))
        every = "|".join(re2.escape(name) for name in ordered)
        # Names no sentence holds: with an underscore, a hyphen, a digit or a capital inside.
        written = "|".join(re2.escape(name) for name in ordered if re.search(r"[_\-.\d]|[a-z][A-Z]", name))
        said = rf"\b(?:route|router|routing|task|label|intent|category)s?\b[\s\"'>:=\-(is]{{1,12}}(?:{every})\b"
        pattern = said + (rf"|\b(?:{written})\b" if written else "")
        self._pattern = re2.compile(f"(?i){pattern}".encode())

    def without(self, text: bytes) -> bytes:
        """Return the text with each of them replaced by a space."""
        if self._pattern.search(text) is None:
            return text
        found: bytes = self._pattern.sub(b" ", text)
        return found
