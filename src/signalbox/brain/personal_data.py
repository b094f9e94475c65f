"""Kinds of personal data in a request: those that have a form, found in its body as it came.

The whole body is read, not only its messages: what a tool is told, and what stands in `user` or `metadata`, leaves the
site as well. Images, recordings and documents are not looked into.
"""

from __future__ import annotations

from collections.abc import Collection

from signalbox.core import PERSONAL_KINDS, find_personal
from signalbox.types import ParsedRequest, PersonalData

_BITS = {PersonalData(kind): 1 << place for place, kind in enumerate(PERSONAL_KINDS)}


def find(text: bytes | memoryview, wanted: Collection[PersonalData]) -> tuple[PersonalData, ...]:
    """Return which of the wanted kinds a text holds; of UTF-8, or of a body's JSON as it is."""
    found = find_personal(text, sum({_BITS[kind] for kind in wanted}))
    return tuple([kind for kind, bit in _BITS.items() if found & bit])


class Finder:
    """Looks for some kinds in requests. Threads may share it."""

    def __init__(self, kinds: Collection[PersonalData]) -> None:
        self.kinds = frozenset(kinds)

    def find(self, request: ParsedRequest) -> tuple[PersonalData, ...]:
        """Return the kinds a request holds, in the order of `PersonalData`."""
        return find(request.body, self.kinds)
