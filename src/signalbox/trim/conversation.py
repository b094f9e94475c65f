"""The messages of a request that a router may read, newest first, each unescaped only when it is asked for."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from signalbox.core import Passage, Role
from signalbox.trim.harness import kept_ranges


class Passages(Protocol):
    """What trimming needs of a scan."""

    @property
    def passages(self) -> tuple[Passage, ...]: ...

    def passage_text(self, first: int, end: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Message:
    """What one role says in one turn, without what a harness wrote there.

    kept: which bytes of the message's own text, its parts joined by newlines, `text` is made of.
    """

    number: int  # place among the conversation's messages
    turn: int  # as in the scan's spans
    role: Role
    text: bytes
    text_bytes: int  # before the harness's text went
    kept: tuple[tuple[int, int], ...]

    @property
    def harness_bytes(self) -> int:
        return self.text_bytes - sum(end - start for start, end in self.kept)

    def ranges_around(self, hole_start: int, hole_end: int) -> tuple[tuple[int, int], ...]:
        """`kept` without bytes [hole_start, hole_end) of `text`."""
        if hole_start == hole_end:
            return self.kept
        ranges = []
        at = 0  # where the range starts in `text`: one newline stands between two
        for start, end in self.kept:
            shift = start - at
            for low, high in ((start, min(end, hole_start + shift)), (max(start, hole_end + shift), end)):
                if low < high:
                    ranges.append((low, high))
            at += end - start + 1
        return tuple(ranges)


@dataclass(slots=True)
class Conversation:
    """Messages of the wanted roles, in order. Those with nothing to say are skipped wherever one is asked for."""

    scan: Passages
    groups: Sequence[Sequence[Passage]]
    read: dict[int, Message | None] = field(default_factory=dict)

    @classmethod
    def of(cls, scan: Passages, roles: Container[Role]) -> Conversation:
        groups: list[list[Passage]] = []
        for passage in scan.passages:
            if passage.role not in roles:
                continue
            if groups and groups[-1][0].turn == passage.turn and groups[-1][0].role == passage.role:
                groups[-1].append(passage)  # one message, interrupted by a tool's result
            else:
                groups.append([passage])
        return cls(scan, groups)

    def newest_first(self) -> Iterator[Message]:
        return filter(None, map(self._message, reversed(range(len(self.groups)))))

    def first_of(self, role: Role) -> Message | None:
        """The oldest message of a role that has something to say."""
        numbers = (number for number, group in enumerate(self.groups) if group[0].role == role)
        return next(filter(None, map(self._message, numbers)), None)

    def last_of(self, role: Role) -> Message | None:
        """The newest message of a role that has something to say."""
        numbers = (number for number in reversed(range(len(self.groups))) if self.groups[number][0].role == role)
        return next(filter(None, map(self._message, numbers)), None)

    def _message(self, number: int) -> Message | None:
        if number not in self.read:
            self.read[number] = self._read(number)
        return self.read[number]

    def _read(self, number: int) -> Message | None:
        group = self.groups[number]
        if not any(passage.text_bytes for passage in group):
            return None
        whole = b"\n".join(self.scan.passage_text(passage.first, passage.end) for passage in group)
        kept = tuple(kept_ranges(whole))
        if not kept:
            return None
        text = whole if kept == ((0, len(whole)),) else b"\n".join(whole[start:end] for start, end in kept)
        return Message(number, group[0].turn, group[0].role, text, len(whole), kept)
