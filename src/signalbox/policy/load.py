"""Bytes of a policy file in, one frozen Policy out, or every reason why not.

The order of the work: `document` reads YAML with positions, `shape` checks each value, `references`,
`headers` and `facts` check what values say about each other. All of them run, whatever the others found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from signalbox.errors import PolicyError, Problem
from signalbox.policy.document import MAX_POLICY_BYTES, read_document
from signalbox.policy.facts import fact_problems
from signalbox.policy.files import file_problems
from signalbox.policy.headers import header_problems
from signalbox.policy.references import reference_problems
from signalbox.policy.schema import Policy
from signalbox.policy.shape import validated

Priced = Callable[[Policy], Collection[str]]
"""Which models of a policy have a price on some list, by name."""


def no_list(policy: Policy) -> Collection[str]:
    return ()


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A policy that can be used, with the bytes it came from."""

    policy: Policy
    sha256: str  # of `text`, 64 hex digits
    text: bytes
    file: str  # as the operator named it
    warnings: tuple[Problem, ...]  # in file order


def load_policy(path: Path, *, check_files: bool = False, priced: Priced = no_list) -> LoadedPolicy:
    """Read and check a policy file.

    check_files: also warn about key and certificate files that are not in order on this machine.
    priced: asked for models that need no price in the policy.
    Raises PolicyError, with every problem, when the file cannot be read or used.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_POLICY_BYTES + 1)
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        raise PolicyError.single(str(path), f"cannot be read: {reason}", expected="a readable file") from problem
    return load_text(text, str(path), check_files=check_files, priced=priced)


def load_text(text: bytes, file: str, *, check_files: bool = False, priced: Priced = no_list) -> LoadedPolicy:
    """Check a policy's bytes.

    file: name for error texts; nothing is read from it. priced: as for `load_policy`.
    Raises PolicyError with every problem of the text, errors and warnings, in file order.
    """
    document = read_document(text, file)
    policy, shape = validated(document)
    dangling = reference_problems(document)
    on_lists = () if policy is None or dangling else priced(policy)
    problems = _in_file_order(
        [
            *document.problems,
            *shape,
            *dangling,
            *header_problems(document),
            *fact_problems(document, on_lists),
            *(file_problems(document) if check_files else ()),
        ]
    )
    if policy is None or any(problem.severity == "error" for problem in problems):
        raise PolicyError(problems)
    return LoadedPolicy(policy, hashlib.sha256(text).hexdigest(), text, file, problems)


def _in_file_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """One problem a place, the first check's: later checks only see what that one has reported."""
    by_place: dict[tuple[int, str], list[Problem]] = {}
    for problem in problems:
        same_place = by_place.setdefault((problem.line or 0, problem.path), [])
        if not same_place or problem.severity == "warning" == same_place[0].severity:
            same_place.append(problem)
    return tuple(problem for place in sorted(by_place, key=lambda place: place[0]) for problem in by_place[place])
