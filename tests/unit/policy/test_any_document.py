"""Laws of loading: whatever a policy was changed into, it loads or says where it is wrong."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalbox.decide.resolve import compile_resolver
from signalbox.errors import PolicyError, Problem
from signalbox.policy.load import LoadedPolicy, load_text

from .policies import VALID

Place = tuple[str | int, ...]


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Every place below a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield (*at, key)
        yield from places(child, (*at, key))


NAMES = [
    "large",
    "mini",
    "house",
    "everyday",
    "simple",
    "acme",
    "auto",
    "router:x",
    "gpt-4.1",
    "nowhere",
    "",
    "a b",
    "é",
]
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(NAMES), st.text(max_size=8), st.dates(),
    st.binary(max_size=4),
)  # fmt: skip
keys = st.one_of(st.sampled_from([*NAMES, "models", "prefer", "key", "file", "headers"]), st.booleans(), st.integers())
values = st.recursive(
    scalars, lambda inside: st.lists(inside, max_size=3) | st.dictionaries(keys, inside, max_size=3), max_leaves=4
)


@st.composite
def mutated_policies(draw: st.DrawFn) -> dict[str, Any]:
    """The valid policy with one to three entries deleted, retyped, renamed or moved."""
    document = copy.deepcopy(VALID)
    for _ in range(draw(st.integers(1, 3))):
        every = list(places(document))
        if not every:
            break
        *parents, last = draw(st.sampled_from(every))
        owner: Any = document
        for part in parents:
            owner = owner[part]
        match draw(st.sampled_from(["delete", "retype", "rename", "move"])):
            case "delete":
                del owner[last]
            case "retype":
                owner[last] = draw(values)
            case "rename" if isinstance(owner, dict):
                owner[draw(keys)] = owner.pop(last)
            case _:
                owner[last] = copy.deepcopy(VALID[draw(st.sampled_from(sorted(VALID)))])
    return document


def outcome(text: bytes) -> tuple[LoadedPolicy | None, tuple[Problem, ...]]:
    """The policy, or None and why not. Anything but a PolicyError ends the test."""
    try:
        return load_text(text, "policy.yaml"), ()
    except PolicyError as refused:
        return None, refused.problems


def is_explained(problems: tuple[Problem, ...]) -> bool:
    """At least one error, in file order, each in one line per part."""
    lines = [problem.line or 0 for problem in problems]
    return (
        lines == sorted(lines)
        and any(problem.severity == "error" for problem in problems)
        and all(problem.found and "\n" not in problem.found + problem.expected + problem.fix for problem in problems)
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated_policies())
def test_a_mutated_policy_loads_and_can_be_decided_with_or_says_where_it_is_wrong(document: dict[str, Any]) -> None:
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode()
    loaded, problems = outcome(text)
    if loaded is None:
        assert is_explained(problems)
        assert all(problem.line is not None and problem.path for problem in problems)
    else:
        compile_resolver(loaded.policy)  # every reference that is left leads somewhere


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet="ab:- {}[]&*!#\"'\n\t?|>%@0.<", max_size=120).map(str.encode))
def test_any_bytes_load_or_are_refused(text: bytes) -> None:
    loaded, problems = outcome(text)
    assert loaded is not None or is_explained(problems)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2000), st.sampled_from(list("{}[]:#&*'\"\n\t- ,")))
def test_a_stray_character_anywhere_in_a_policy_is_no_crash(at: int, character: str) -> None:
    text = yaml.safe_dump(VALID)
    at %= len(text)
    loaded, problems = outcome((text[:at] + character + text[at:]).encode())
    assert loaded is not None or is_explained(problems)
