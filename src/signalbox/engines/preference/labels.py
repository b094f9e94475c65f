"""The answers a model may give, as a tree of tokens: what all share, where they part, and where each one ends.

{"route": "bug_fixing"}         {"route": "  ┬ bug_fixing"}
{"route": "bug_report"}    =               ├ ...      a run of the model is needed only where it branches
{"route": "other"}                         └ other"}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from signalbox.errors import RouterError


@dataclass(slots=True)
class Node:
    """A place in the tree. tokens: that lead here from the node above. label: number of the answer that ends here."""

    tokens: tuple[int, ...] = ()
    children: list[Node] = field(default_factory=list)
    label: int | None = None

    @property
    def labels(self) -> list[int]:
        """Numbers of the answers that end at or below this node."""
        if self.label is not None:
            return [self.label]
        return [label for child in self.children for label in child.labels]

    @property
    def branches(self) -> int:
        """Nodes at or below this one where the model has a choice: the runs that a full walk needs."""
        return (len(self.children) > 1) + sum(child.branches for child in self.children)


def label_tree(answers: Sequence[Sequence[int]], *, every_token: bool = False) -> Node:
    """Return the tree of answers; the root's tokens are what all begin with.

    answers: token ids; no one the beginning of another. every_token: a node for each token, where by default tokens
    without an alternative belong to the node they lead to. Raises RouterError for answers that cannot be told apart.
    """
    return _grow([(tuple(answer), number) for number, answer in enumerate(answers)], every_token, shared=True)


def _grow(answers: list[tuple[tuple[int, ...], int]], every_token: bool, *, shared: bool = False) -> Node:
    """The node that these answers go through. shared: everything they have in common leads to it."""
    length = common_length([answer for answer, _ in answers])
    if every_token and not shared:
        length = min(length, 1)
    tokens = answers[0][0][:length]
    rest = [(answer[length:], number) for answer, number in answers]
    if len(rest) == 1 and (shared or not rest[0][0]):
        return Node(tokens + rest[0][0], label=rest[0][1])
    groups: dict[int, list[tuple[tuple[int, ...], int]]] = {}
    for answer, number in rest:
        if not answer:
            raise RouterError(
                "two routes are the same to the model, or one's answer is the beginning of another's; "
                "fix: names that differ"
            )
        groups.setdefault(answer[0], []).append((answer, number))
    return Node(tokens, [_grow(group, every_token) for group in groups.values()])


def common_length(sequences: Sequence[Sequence[int]]) -> int:
    """Return how many tokens all sequences begin with."""
    first = sequences[0]
    length = min(len(sequence) for sequence in sequences)
    for at in range(length):
        if any(sequence[at] != first[at] for sequence in sequences):
            return at
    return length
