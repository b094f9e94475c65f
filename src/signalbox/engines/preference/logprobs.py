"""How sure a served model was of the route it wrote, from the log-probabilities that its server reports.

A server reports, for each token it wrote, the most likely tokens of that place. Where the name of a route is written,
those say which names it might have been instead: at each token the probability divides among the names that each
alternative leads to, and everything that leads to no route is left out. Alternatives that were not reported count as
nothing, so this is a share among the routes the model considered at all.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Scores = tuple[tuple[str, float], ...]


class _Token(NamedTuple):
    """What was written, and what might have been in its place with which probability, itself included."""

    text: bytes
    options: Mapping[bytes, float]


def route_scores(reported: Any, content: str, at: int, labels: Sequence[str]) -> Scores:
    """Return label -> probability, best first; empty if the report is none or does not fit the content.

    reported: `choices[0].logprobs` of a chat completion. at: where the chosen name begins, in characters.
    labels: everything that may be written there.
    """
    tokens = _tokens(reported)
    written = content.encode("utf-8", "surrogatepass")
    if not b"".join(token.text for token in tokens).startswith(written) or not 0 < at < len(content):
        return ()
    quote = content[at - 1] if content[at - 1] in "'\"" else ""
    escapes = content.isascii()  # a model that was asked in escapes answers in them
    spelled = {label: (json.dumps(label, ensure_ascii=escapes)[1:-1] + quote).encode() for label in labels}
    return _divide(tokens, len(content[:at].encode("utf-8", "surrogatepass")), spelled)


def _divide(tokens: Iterable[_Token], name_start: int, spelled: Mapping[str, bytes]) -> Scores:
    shares = dict.fromkeys(spelled, 0.0)
    mass, prefix, end = 1.0, b"", 0
    for token in tokens:
        start, end = end, end + len(token.text)
        if end <= name_start:
            continue
        lead = token.text[: max(0, name_start - start)]  # a quote that is one token with the name's first letters
        paths = {}
        for option, probability in token.options.items():
            reached = prefix + option[len(lead) :]
            meant = [label for label, text in spelled.items() if text.startswith(reached) or reached.startswith(text)]
            if option.startswith(lead) and len(option) > len(lead) and meant:
                paths[option] = (probability, meant)
        if token.text not in paths:
            return ()
        total = sum(probability for probability, _ in paths.values())
        for option, (probability, meant) in paths.items():
            if option != token.text:
                for label in meant:
                    shares[label] += mass * probability / total / len(meant)
        probability, meant = paths[token.text]
        mass *= probability / total
        prefix += token.text[len(lead) :]
        if len(meant) == 1:
            shares[meant[0]] += mass
            return tuple(sorted(shares.items(), key=lambda share: -share[1]))
    return ()


def _tokens(reported: Any) -> list[_Token]:
    """The report as tokens; none if any part of it is not of the form OpenAI documents."""
    found = []
    try:
        for entry in reported["content"]:
            options = {_bytes(entry): _probability(entry)}
            for alternative in entry.get("top_logprobs") or ():
                options.setdefault(_bytes(alternative), _probability(alternative))
            found.append(_Token(_bytes(entry), options))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return []
    return found


def _bytes(entry: Mapping[str, Any]) -> bytes:
    """A token's bytes: it may end inside a character, which its text cannot show."""
    raw = entry.get("bytes")
    if raw is None:
        return str(entry["token"]).encode("utf-8", "surrogatepass")
    return bytes(list(raw))  # of a number, `bytes` would make that many zeros


def _probability(entry: Mapping[str, Any]) -> float:
    """Never 0, so that shares can be divided."""
    logprob = float(entry["logprob"])
    if math.isnan(logprob):
        raise ValueError("NaN")
    return max(math.exp(min(logprob, 0.0)), 1e-30)
