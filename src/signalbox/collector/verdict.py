"""What the sidecar said about a request, as it arrives in the access log: dynamic metadata of the stream.

The other end of `extproc.mutate`. Whatever has the wrong type is None, and the rest stays readable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_DECISION_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_POLICY_ID = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Target:
    """A model at a provider, by the policy's names. `model` None: the log does not say."""

    provider: str
    model: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the sidecar said about a request: a decision, or a refusal if `error` is set.

    decide_us: the worker's own time, microseconds. chain: candidates, best first.
    Strings are as they came; whether a policy knows them is for the reader to check.
    """

    id: str | None = None
    endpoint: str | None = None
    router: str | None = None
    route: str | None = None
    reason: str | None = None
    rule: str | None = None
    policy: str | None = None
    privacy: str | None = None
    error: str | None = None
    stream: bool | None = None
    prompt_tokens: int | None = None
    complexity: float | None = None
    decide_us: int | None = None
    chain: tuple[Target, ...] = ()


def read_verdict(fields: Mapping[str, Any]) -> Verdict:
    """Read the members of the metadata namespace `signalbox`; docs/architecture.md lists them."""
    # One pass over what is there: asking a protobuf map for a missing key would add it.
    found = dict(fields.items())
    return Verdict(
        id=match(_DECISION_ID, text_of(found.get("id"))),
        endpoint=text_of(found.get("endpoint")),
        router=text_of(found.get("router")),
        route=text_of(found.get("route")),
        reason=text_of(found.get("reason")),
        rule=text_of(found.get("rule")),
        policy=match(_POLICY_ID, text_of(found.get("policy"))),
        privacy=text_of(found.get("privacy")),
        error=text_of(found.get("error")),
        stream=_flag(found.get("stream")),
        prompt_tokens=_count(found.get("prompt_tokens")),
        complexity=_number(found.get("complexity")),
        decide_us=_count(found.get("decide_us")),
        chain=_chain(found.get("candidates")),
    )


def _chain(value: Any) -> tuple[Target, ...]:
    if value is None or value.WhichOneof("kind") != "list_value":
        return ()
    return tuple(_target(dict(item.struct_value.fields.items())) for item in value.list_value.values)


def _target(fields: Mapping[str, Any]) -> Target:
    # `model` is what the provider calls it and goes nowhere; `name` is the policy's.
    return Target(text_of(fields.get("provider")) or "", text_of(fields.get("name")))


def text_of(value: Any) -> str | None:
    """Return the text of a protobuf Value; None if it holds anything else, or nothing."""
    return value.string_value or None if value is not None and value.WhichOneof("kind") == "string_value" else None


def _flag(value: Any) -> bool | None:
    return value.bool_value if value is not None and value.WhichOneof("kind") == "bool_value" else None


def _number(value: Any) -> float | None:
    if value is None or value.WhichOneof("kind") != "number_value":
        return None
    number: float = value.number_value
    return number if 0 <= number < 1e15 else None  # nan compares false and goes as well


def _count(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def match(shape: re.Pattern[str], text: str | None) -> str | None:
    """Return `text` if it has the shape from beginning to end."""
    return text if text and shape.fullmatch(text) else None
