"""Kinds of personal data in a request: those that have a form, and those that only a model can guess at.

What has a form is looked for in the whole body as it came, not only in its messages: what a tool is told, and what
stands in `user` or `metadata`, leaves the site as well. Names and addresses are looked for in the text of all messages,
where words stand among words. Images, recordings and documents are not looked into.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from signalbox.brain.names import KINDS, NameFinder
from signalbox.core import PERSONAL_KINDS, find_personal
from signalbox.types import ParsedRequest, PersonalData

_BITS = {PersonalData(kind): 1 << place for place, kind in enumerate(PERSONAL_KINDS)}

FORMS = frozenset(_BITS)
"""Kinds that have a form."""

NAMES = frozenset(KINDS)
"""Kinds that a model guesses at."""


def find(text: bytes | memoryview, wanted: Collection[PersonalData]) -> tuple[PersonalData, ...]:
    """Return which of the wanted kinds a text holds. text: UTF-8; for kinds with a form, also a body's JSON as it is.

    Raises SetupError if the model is wanted and cannot be loaded.
    """
    found = find_personal(text, sum({_BITS[kind] for kind in wanted if kind in FORMS}))
    kinds = [kind for kind, bit in _BITS.items() if found & bit]
    if not NAMES.isdisjoint(wanted):
        kinds += [kind for kind in load_names().find(bytes(text)) if kind in wanted]
    return tuple(kinds)


@lru_cache(maxsize=1)
def load_names() -> NameFinder:
    """Return the model in the package, loaded once for the process. Raises SetupError."""
    return NameFinder.load()


class Finder:
    """Looks for some kinds in requests. Threads may share it."""

    def __init__(self, kinds: Collection[PersonalData]) -> None:
        """Raises SetupError if a model is needed and cannot be loaded."""
        self.kinds = frozenset(kinds)
        self._forms, self._names = self.kinds & FORMS, self.kinds & NAMES
        if self._names:
            load_names()

    def find(self, request: ParsedRequest) -> tuple[PersonalData, ...]:
        """Return the kinds a request holds, in the order of `PersonalData`."""
        found = find(request.body, self._forms) if self._forms else ()
        if self._names:
            found += find(request.scan.text(), self._names)
        return found
