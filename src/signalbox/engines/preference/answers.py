"""What a served preference model wrote, read for the one thing it may say: a route of the prompt, or that none fits.

Models answer with JSON as they were trained to, and with what looks like it: in fences, in Python's quotes, with an
apostrophe that ends a string too early, cut off behind the name, a list for a name or a name for a list. All that is
read, because the names are known: a value is compared with them before its quotes are believed. What remains doubtful
is never guessed: two different routes, a name that nobody described or an answer without one decide nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from signalbox.engines.preference.prompts import OTHER

MAX_ANSWER_CHARACTERS = 8192
MAX_MENTIONS = 16  # of the key in one answer; a model in a loop repeats itself more often

NO_ROUTE = "no_route"  # it says that none fits
UNKNOWN_ROUTE = "unknown_route"  # it says a name that is none of the routes
AMBIGUOUS = "ambiguous"  # it says several things
UNREADABLE = "unreadable"  # it says nothing of the kind

_KEY = re.compile(r"""(["'])route\1\s*:\s*""")
_FENCE = re.compile(r"```[A-Za-z0-9]*[ \t]*\n?(.*?)(?:```|\Z)", re.DOTALL)
_BLANKS = re.compile(r"\s*")
_NULL = re.compile(r"(?:null|None)\b")
_BEHIND = ",]}"  # what follows a value; so does the end of a text that was cut off
_REASONED = "</think>"


class Reading(NamedTuple):
    """A route and where its name begins in the text, in characters; or why there is none."""

    route: str | None
    detail: str = ""
    at: int = -1


class _Item(NamedTuple):
    """A string in an answer. name: None if it is no route's; "" stands for none."""

    name: str | None
    at: int
    end: int


def read_answer(text: str, routes: Collection[str]) -> Reading:
    """Return the route that a model's text chooses. Linear in the text; never raises for any text."""
    if len(text) > MAX_ANSWER_CHARACTERS:
        return Reading(None, UNREADABLE)
    start = text.rfind(_REASONED) + len(_REASONED) if _REASONED in text else 0
    reader = _Reader(text, _Names.of(routes))
    mentions = list(reader.mentions(start))
    if not mentions:
        return reader.bare(start)
    if len(mentions) > MAX_MENTIONS:
        return Reading(None, AMBIGUOUS)
    return _agreed(mentions)


def _agreed(mentions: list[Reading]) -> Reading:
    """What all mentions come to. Examples with a name that nobody described are no contradiction."""
    chosen = [mention for mention in mentions if mention.route is not None]
    refused = any(mention.detail == NO_ROUTE for mention in mentions)
    if len({mention.route for mention in chosen}) + refused > 1:
        return Reading(None, AMBIGUOUS)
    if chosen:
        return chosen[-1]
    details = {mention.detail for mention in mentions}
    return Reading(None, next(detail for detail in (NO_ROUTE, UNKNOWN_ROUTE, UNREADABLE) if detail in details))


@dataclass(frozen=True, slots=True)
class _Names:
    """How each route's name may be spelled between quotes, longest spelling first; "" stands for no route."""

    spellings: tuple[tuple[str, str], ...]
    names: Collection[str]

    @classmethod
    def of(cls, routes: Collection[str]) -> _Names:
        found = {"": ""} if OTHER in routes else {"": "", OTHER: ""}
        for name in routes:
            found |= dict.fromkeys(
                (
                    name,
                    json.dumps(name)[1:-1],
                    json.dumps(name, ensure_ascii=False)[1:-1],
                    name.replace("\\", "\\\\").replace("'", "\\'"),
                ),
                name,
            )
        return cls(tuple(sorted(found.items(), key=lambda pair: -len(pair[0]))), routes)


@dataclass(frozen=True, slots=True)
class _Reader:
    text: str
    names: _Names

    def mentions(self, start: int) -> Iterator[Reading]:
        """What is said wherever the key stands; one more mention than anybody needs at most."""
        for number, key in enumerate(_KEY.finditer(self.text, start)):
            yield self.value(key.end())
            if number >= MAX_MENTIONS:
                return

    def bare(self, start: int) -> Reading:
        """An answer without the key: a name or a list, quoted or not, fenced or not."""
        fence = _FENCE.search(self.text, start)
        low, high = (fence.start(1), fence.end(1)) if fence else (start, len(self.text))
        inside = self.text[low:high]
        low += len(inside) - len(inside.lstrip())
        inside = inside.strip()
        for dressed in (inside, inside.strip("`*\"' .")):
            if dressed and dressed in self.names.names:
                return Reading(dressed, "", low + inside.index(dressed))
            if dressed == OTHER:
                return Reading(None, NO_ROUTE)
        if inside == "{}":
            return Reading(None, NO_ROUTE)
        if inside[:1] in ("[", '"', "'"):
            found = self.value(low)
            return found if found.route is not None or found.detail == NO_ROUTE else Reading(None, UNREADABLE)
        return Reading(None, UNREADABLE)

    def value(self, at: int) -> Reading:
        """The value that begins at `at`: a string, a list of them, or null."""
        if _NULL.match(self.text, at):
            return Reading(None, NO_ROUTE)
        if not self.text.startswith("[", at):
            item = self.string(at)
            return Reading(None, UNREADABLE) if item is None else _first([item])
        items: list[_Item] = []
        at = self.skip(at + 1)
        while not self.text.startswith("]", at):
            item = self.string(at)
            if item is None:
                # Cut off within the list: the first name stands all the same.
                return _first(items) if items else Reading(None, UNREADABLE)
            items.append(item)
            at = self.skip(item.end)
            if self.text.startswith(",", at):
                at = self.skip(at + 1)
            elif not self.text.startswith("]", at):
                return _first(items)
        return _first(items)

    def string(self, at: int) -> _Item | None:
        """The string that begins at `at`, by the known names if it is one of them; None if there is none."""
        quote = self.text[at : at + 1]
        if quote not in ("'", '"'):
            return None
        at += 1
        for spelling, name in self.names.spellings:
            end = at + len(spelling)
            if self.text.startswith(spelling, at) and self.text.startswith(quote, end) and self.ends(end + 1):
                return _Item(name, at, end + 1)
        end = self.text.find(quote, at)
        while end >= 0 and not self.ends(end + 1):
            end = self.text.find(quote, end + 1)
        return None if end < 0 else _Item(None, at, end + 1)

    def ends(self, at: int) -> bool:
        """Whether a value may end at `at`."""
        at = self.skip(at)
        return at == len(self.text) or self.text[at] in _BEHIND or self.text.startswith("```", at)

    def skip(self, at: int) -> int:
        match = _BLANKS.match(self.text, at)
        return at if match is None else match.end()


def _first(items: list[_Item]) -> Reading:
    """What a list comes to: its first route. Several are several intents, of which a request is sent to one."""
    for item in items:
        if item.name:
            return Reading(item.name, "", item.at)
    if all(item.name == "" for item in items):
        return Reading(None, NO_ROUTE)
    return Reading(None, UNKNOWN_ROUTE)
