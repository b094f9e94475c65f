"""One conversation into one budget: who stays, how much of it, and the cuts moved until the prompt fits.

Choosing adds up the counts of single messages; settling counts the prompt itself, because tokens merge across
every joint. The count of the finished prompt is the only one that is promised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from signalbox.core import Role
from signalbox.trim.conversation import Conversation, Message
from signalbox.trim.cut import ELLIPSIS, MAX_BYTES_PER_TOKEN, Cutter, cut_middle
from signalbox.trim.encoder import Encoder
from signalbox.trim.prompt import Frame, Piece

FIRST_TURN_SHARE = 0.25  # of the room, at most, is kept free for the first user turn while newer ones are taken
SMALLEST_CUT_TOKENS = 2  # a cut message shows something of both ends
ROUNDS = 8  # of settling for a better fit; two do for prose
GOOD_FIT = 0.99  # of the budget used: not worth another round
REFILLS = 6  # of choosing again with more room, where short messages cost less together than alone
FULL = 0.97  # of the budget used: not worth choosing again
JOINT_TOKENS = 3  # what two texts may save by being encoded as one: the tokens at the joint, and a dummy blank
SLACK_TOKENS = 64  # on top of the budget, before a conversation is called too long without having been counted


@dataclass(frozen=True, slots=True)
class Costs:
    """What the prompt's own parts cost in tokens; the same for every request.

    room: for the conversation, all labels, separators and cuts included. around: a message's label and separator.
    """

    room: int
    around: Mapping[Role, int]
    ellipsis: int

    @property
    def smallest_cut(self) -> int:
        """Of a message cut to the least worth showing."""
        return min(self.around.values(), default=0) + self.ellipsis + SMALLEST_CUT_TOKENS

    @classmethod
    def of(cls, frame: Frame, encoder: Encoder, budget: int) -> Costs:
        probe = b"a question"
        alone = encoder.count(probe)

        def around(role: Role) -> int:
            """Of a message among others: what a label and a separator cost is seen only where they meet."""
            few, many = (encoder.count(frame.render([(role, probe)] * messages)) for messages in (1, 9))
            return max(1, round((many - few) / 8) - alone)

        return cls(
            room=budget - encoder.count(frame.render([])) - frame.extra_tokens,
            around={role: around(role) for role in frame.labels},
            ellipsis=encoder.count(ELLIPSIS),
        )


@dataclass(slots=True)
class Part:
    """A message that stays: whole, or with about `tokens` tokens of its text.

    anchor: the newest or the first user turn, which go last when something has to.
    """

    message: Message
    anchor: bool
    tokens: int | None = None
    cutter: Cutter | None = None

    def cut(self, tokens: int, encoder: Encoder) -> None:
        """Keep about `tokens` tokens from now on."""
        if self.cutter is None or tokens > self.cutter.tokens:
            self.cutter = Cutter.of(self.message.text, encoder, tokens)
        self.tokens = tokens

    def hole(self) -> tuple[int, int]:
        """Bytes of the message's text that are cut out; start and end are equal if it is whole."""
        if self.tokens is None or self.cutter is None:
            return (0, 0)
        return self.cutter.keep(self.tokens)

    def piece(self) -> Piece:
        hole = self.hole()
        return Piece(
            turn=self.message.turn,
            role=self.message.role,
            text=cut_middle(self.message.text, *hole),
            ranges=self.message.ranges_around(*hole),
            cut_bytes=hole[1] - hole[0],
            harness_bytes=self.message.harness_bytes,
        )


@dataclass(slots=True)
class Fit:
    """The work on one conversation. Counts are remembered, since choosing asks again what was asked before."""

    encoder: Encoder
    frame: Frame
    costs: Costs
    budget: int
    conversation: Conversation
    counts: dict[int, int] = field(default_factory=dict)

    def parts(self) -> list[Part]:
        """Who stays, in the conversation's order; rendered, they are within the budget."""
        everything = self._everything()
        if everything is not None:
            return everything
        best: list[Part] = []
        fullest = -1
        room = self.costs.room
        for _ in range(REFILLS):
            parts = self._settle(self._choose(room))
            tokens = self.tokens(parts)
            if tokens > fullest:
                best, fullest = parts, tokens
            elif any(part.tokens is not None for part in parts):
                break  # what is cut has hardly any tokens to give
            if tokens >= FULL * self.budget or self.budget - tokens < self.costs.smallest_cut:
                break
            room += self.budget - tokens  # single messages added up to more than they cost together
        return best

    def render(self, parts: list[Part]) -> bytes:
        return self.frame.render([(part.message.role, cut_middle(part.message.text, *part.hole())) for part in parts])

    def tokens(self, parts: list[Part]) -> int:
        return self.encoder.count(self.render(parts)) + self.frame.extra_tokens

    # ---- everything fits ----

    def _everything(self) -> list[Part] | None:
        """All messages, if they fit whole. Gives up as soon as they clearly do not."""
        parts: list[Part] = []
        tokens = size_bytes = 0
        for message in self.conversation.newest_first():
            size_bytes += len(message.text)
            if size_bytes > MAX_BYTES_PER_TOKEN * (self.budget + SLACK_TOKENS):
                return None
            limit = self.budget + SLACK_TOKENS // 2 + JOINT_TOKENS * len(parts)
            counted = self._count(message, limit - tokens)
            if counted is None:
                return None
            tokens += counted
            parts.append(Part(message, anchor=True))
        parts.reverse()
        return parts if self.tokens(parts) <= self.budget else None

    def _count(self, message: Message, limit: int) -> int | None:
        """Tokens of a message's text, or None once they are clearly more than `limit`; encodes little beyond that."""
        if message.number in self.counts:
            return self.counts[message.number]
        text = message.text
        if limit < 0 or len(text) > MAX_BYTES_PER_TOKEN * (self.budget + SLACK_TOKENS):
            return None
        width = 2 * max(256, self.budget)
        tokens = at = chunks = 0
        while at < len(text):
            end = min(len(text), at + width)
            while end < len(text) and text[end] & 0xC0 == 0x80:
                end -= 1
            tokens += self.encoder.count(text[at:end])
            at = end
            if at < len(text) and tokens > limit + JOINT_TOKENS * chunks:
                return None
            chunks += 1
        self.counts[message.number] = tokens
        return tokens

    # ---- choosing ----

    def _choose(self, room: int) -> list[Part]:
        """Who stays and how much of it, by adding up to `room` tokens."""
        first = self.conversation.first_of(Role.USER)
        newest = self.conversation.last_of(Role.USER) or next(self.conversation.newest_first(), None)
        if newest is None:
            return []
        if first is not None and first.number == newest.number:
            first = None
        left = room
        reserve = 0
        if first is not None:
            share = int(FIRST_TURN_SHARE * left)
            whole = self._cost(first, share)
            reserve = share if whole is None else whole
        parts: dict[int, Part] = {}
        left -= reserve + self._take(parts, newest, left - reserve, anchor=True)
        for message in self.conversation.newest_first():
            if message is newest or message is first:
                continue
            left -= self._take(parts, message, left, anchor=False)
            if message.number not in parts or parts[message.number].tokens is not None:
                break
        if first is not None:
            self._take(parts, first, reserve + left, anchor=True)
        return [parts[number] for number in sorted(parts)]

    def _take(self, parts: dict[int, Part], message: Message, room: int, *, anchor: bool) -> int:
        """Take a message into `room` tokens, whole or cut, and return what it needs; 0 if a cut one needs more."""
        whole = self._cost(message, room)
        if whole is not None:
            parts[message.number] = Part(message, anchor)
            return whole
        tokens = room - self.costs.around[message.role] - self.costs.ellipsis
        if tokens < SMALLEST_CUT_TOKENS:
            return 0
        part = parts[message.number] = Part(message, anchor)
        part.cut(tokens, self.encoder)
        return room

    def _cost(self, message: Message, room: int) -> int | None:
        """Tokens of a whole message with its label and separator, or None if it does not fit into `room`."""
        around = self.costs.around[message.role]
        tokens = self._count(message, room - around)
        return None if tokens is None or tokens + around > room else tokens + around

    # ---- settling ----

    def _settle(self, parts: list[Part]) -> list[Part]:
        """Move the cuts until the prompt fits and is full."""
        best: tuple[int, list[tuple[int | None, Cutter | None]]] | None = None
        seen: set[int] = set()
        for _ in range(ROUNDS):
            tokens = self.tokens(parts)
            cuts = [(part.tokens, part.cutter) for part in parts]
            if tokens <= self.budget and (best is None or tokens > best[0]):
                best = (tokens, cuts)
            if GOOD_FIT * self.budget <= tokens <= self.budget or tokens in seen:
                break
            seen.add(tokens)
            if not self._move(parts, self.budget - tokens):
                break
        if best is None:
            return self._shrink(parts)
        for part, kept in zip(parts, best[1], strict=True):
            part.tokens, part.cutter = kept  # another cutter may cut elsewhere for the same number of tokens
        return parts

    def _move(self, parts: list[Part], tokens: int) -> bool:
        """Let one cut message keep `tokens` tokens more, or fewer if negative; False if none can."""
        for part in sorted(parts, key=lambda part: part.anchor):
            if part.tokens is None:
                continue
            start, end = part.hole()
            if start < end and (tokens > 0 or part.tokens > SMALLEST_CUT_TOKENS):
                # Never more than the budget: text that hardly costs tokens would ask for ever wider windows.
                wanted = min(self.budget, max(SMALLEST_CUT_TOKENS, part.tokens + tokens))
                if wanted != part.tokens:
                    part.cut(wanted, self.encoder)
                    return True
        return False

    def _shrink(self, parts: list[Part]) -> list[Part]:
        """Cut what is whole and drop what is cut until the prompt fits: the oldest first, but anchors last."""
        parts = list(parts)
        while parts and (excess := self.tokens(parts) - self.budget) > 0:
            if self._move(parts, -excess):
                continue
            part = min(parts, key=lambda part: part.anchor)
            if part.tokens is None and part.message.text:
                whole = self.encoder.count(part.message.text)
                part.cut(max(SMALLEST_CUT_TOKENS, whole - excess - self.costs.ellipsis), self.encoder)
            else:
                parts.remove(part)
        return parts
