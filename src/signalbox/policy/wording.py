"""How problems spell places, values and names. Secrets never get through here.

A policy holds no keys, but people paste them into one by mistake; the report about that mistake ends
up in terminals, CI logs and /readyz. So every value and every key name that a problem quotes passes
through `mask`.
"""

from __future__ import annotations

import difflib
import heapq
import json
import re
from collections.abc import Iterable, Sequence
from itertools import takewhile

Loc = tuple[str | int, ...]
"""Where something is in the document: keys and list positions from the top."""

SHOWN_CHARS = 60  # enough to recognise a value, short enough for one line
SHOWN_NAMES = 12
COMPARED_NAMES = 24

_BARE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_SECRET = re.compile(
    r"""
      (?i:\b(?:bearer|basic)\s+)\S+                                       # a whole Authorization value
    | \b(?:sk|pk|rk|xai|gsk|hf|ghp|gho|glpat|xox[abps]|nvapi)[-_][A-Za-z0-9_-]{6,}
    | \b(?:AKIA|AIza|eyJ)[A-Za-z0-9_-]{12,}                               # AWS, Google, JWT
    | (?<=://)[^/\s@]*@                                                   # user and password of a URL
    | \b(?=\w*[0-9])(?=\w*[A-Za-z])\w{32,}                                # what else looks random
    """,
    re.VERBOSE,
)
_QUERY = re.compile(r"(://[^\s?]*\?)\S+")
_MASK = "[hidden]"


def mask(text: str) -> str:
    """`text` with everything that looks like a credential replaced by `[hidden]`."""
    return _QUERY.sub(rf"\1{_MASK}", _SECRET.sub(_MASK, text))


def shortened(text: str) -> str:
    text = mask(text)
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 1] + "…"


def quoted(text: str) -> str:
    """`text` in double quotes, on one line, masked and shortened."""
    return json.dumps(shortened(text), ensure_ascii=False)


def kind_of(value: object) -> str:
    """What a value is, in the words of YAML rather than Python's."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    for kind, words in ((str, "text"), (int, "a whole number"), (float, "a number"), (dict, "a mapping")):
        if isinstance(value, kind):
            return words
    return "a list"


def shown(value: object) -> str:
    """A value as a problem quotes it: scalars themselves, containers by their kind."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    return kind_of(value)


def path_text(loc: Loc) -> str:
    """`routers.code.tasks[2].models[0]`; keys with dots or other marks in brackets, `models["gpt-4.1"]`."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _BARE_KEY.fullmatch(part) and mask(part) == part:
            text += f".{part}" if text else part
        else:
            text += f"[{quoted(part)}]"
    return text


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, if one is alike at all."""
    wanted = name.lower()
    candidates = {candidate.lower(): candidate for candidate in known}
    # difflib needs 40 us a pair: seconds for a policy with hundreds of models and one section misspelt.
    likely = heapq.nlargest(COMPARED_NAMES, candidates, key=lambda candidate: _shared_ends(wanted, candidate))
    close = difflib.get_close_matches(wanted, likely, n=1, cutoff=0.6)
    return candidates[close[0]] if close else None


def _shared_ends(one: str, other: str) -> int:
    """Characters two names have in common at their beginnings and ends."""
    forwards = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    backwards = takewhile(lambda pair: pair[0] == pair[1], zip(reversed(one), reversed(other), strict=False))
    return sum(1 for _ in forwards) + sum(1 for _ in backwards)


def listed(names: Iterable[str]) -> str:
    """Names in a row, the rest counted: `a, b, c and 4 more`."""
    every = [shortened(name) for name in names]
    rest = len(every) - SHOWN_NAMES
    return ", ".join(every) if rest <= 0 else f"{', '.join(every[:SHOWN_NAMES])} and {rest} more"


def joined(words: Sequence[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    return " or ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)
