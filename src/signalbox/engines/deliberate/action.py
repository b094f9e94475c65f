"""What one round of thinking came to: a call of a model, an answer, or nothing that can be used."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from signalbox.engines.deliberate.prompt import (
    ANSWER,
    ANSWER_END,
    ANSWER_PLACEHOLDER,
    PLACEHOLDER,
    SEARCH,
    SEARCH_END,
)

ANSWERED = "answered"  # it answers the question itself and calls nobody
NO_ACTION = "no_action"  # it neither calls nor answers
UNKNOWN_MODEL = "unknown_model"
PLACEHOLDER_COPIED = "placeholder"  # it repeats the prompt's pattern
NO_QUERY = "no_query"  # it calls a model and asks it nothing


class Action(NamedTuple):
    """A call of a route with a query, or what is said instead of one. answer: the model's own, if it has one."""

    route: str | None
    query: str = ""
    detail: str = ""
    answer: str = ""


def read_action(said: str, routes: Collection[str]) -> Action:
    """Return what a round's text asks for. Only known names are called; case and blanks around them do not matter.

    said: up to its end tag, which a server that stops there leaves out. Never raises for any text.
    """
    answer, search = said.rfind(ANSWER), said.rfind(SEARCH)
    if answer > search:
        text = said[answer + len(ANSWER) :].partition(ANSWER_END)[0].strip()
        if text == ANSWER_PLACEHOLDER:
            return Action(None, detail=PLACEHOLDER_COPIED)
        if text:
            return Action(None, detail=ANSWERED, answer=text)
    if search < 0:
        return Action(None, detail=NO_ACTION)
    call = said[search + len(SEARCH) :].partition(SEARCH_END)[0].strip()
    return _call(call, routes)


def _call(call: str, routes: Collection[str]) -> Action:
    # By the known names, longest first: a name may have a colon, and so may a query.
    for name in sorted(routes, key=len, reverse=True):
        if call[: len(name)].casefold() != name.casefold():
            continue
        rest = call[len(name) :].lstrip()
        if rest.startswith(":"):
            query = rest[1:].strip()
            if query == "Your-Query":
                return Action(None, detail=PLACEHOLDER_COPIED)
            return Action(name, query) if query else Action(None, detail=NO_QUERY)
        if not rest:
            return Action(None, detail=NO_QUERY)
    return Action(None, detail=PLACEHOLDER_COPIED if call.startswith(PLACEHOLDER) else UNKNOWN_MODEL)
