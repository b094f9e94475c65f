"""One conversation into one budget: all of it if that fits, else the fullest selection that does.

    room, in tokens ──select: counts of single messages, added up──> parts ──draft: render and count──> fits, or not

Tokens merge across every joint, so counts of single messages only propose; the count of the finished prompt decides.
What is promised rests on it alone: a draft fits or it does not, a conversation that fits is kept as it is, and
therefore whatever comes out of here, put in again, comes out unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from signalbox.core import Role
from signalbox.trim.conversation import Conversation, Message
from signalbox.trim.cut import ELLIPSIS, FIRST_BYTES_PER_TOKEN, MAX_BYTES_PER_TOKEN, Cutter, cut_middle, window_end
from signalbox.trim.encoder import Encoder
from signalbox.trim.prompt import Frame, Piece

FIRST_TURN_SHARE = 0.25  # of the room, at most, is kept free for the first user turn while newer ones are taken
SMALLEST_CUT_TOKENS = 2  # a cut message shows something of both ends
FULL = 0.97  # of the budget used: not worth another draft
ALIGNED_DRAFTS = 3  # drafts whose error tells where to look next, before halving, which is sure to end, takes over
CUTTER_STEPS = 8  # in a budget
MIN_CHUNK_BYTES = 512  # of a message counted in one call


@dataclass(frozen=True, slots=True)
class Costs:
    """What the prompt's own parts cost in tokens; the same for every request.

    room: for the conversation, all labels, separators and cuts included. around: a message's label and separator.
    """

    room: int
    around: Mapping[Role, int]
    ellipsis: int

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


@dataclass(frozen=True, slots=True)
class Part:
    """A message that stays. hole: bytes of its text that are cut out; start and end are equal if it is whole."""

    message: Message
    hole: tuple[int, int] = (0, 0)

    @property
    def text(self) -> bytes:
        return cut_middle(self.message.text, *self.hole)

    @property
    def is_cut(self) -> bool:
        return self.hole[0] < self.hole[1]

    def piece(self) -> Piece:
        return Piece(
            turn=self.message.turn,
            role=self.message.role,
            text=self.text,
            ranges=self.message.ranges_around(*self.hole),
            cut_bytes=self.hole[1] - self.hole[0],
            harness_bytes=self.message.harness_bytes,
        )


@dataclass(frozen=True, slots=True)
class Draft:
    """A selection as a prompt, counted.

    spare: tokens of the budget left over, or the bytes left over at 16 a token if that is less; negative when it does
    not fit. One with too many bytes is not counted, and has no prompt.
    """

    parts: Sequence[Part]
    prompt: bytes
    tokens: int
    spare: int

    @property
    def fits(self) -> bool:
        return self.spare >= 0


@dataclass(slots=True)
class Tally:
    """The tokens of a message's text, counted from the start as far as somebody has asked."""

    tokens: int = 0
    counted_bytes: int = 0


@dataclass(slots=True)
class Fit:
    """The work on one conversation. Counts and cutters are remembered, since one selection follows another."""

    encoder: Encoder
    frame: Frame
    costs: Costs
    budget: int
    conversation: Conversation
    tallies: dict[int, Tally] = field(default_factory=dict)
    cutters: dict[tuple[int, int], Cutter] = field(default_factory=dict)

    def draft(self) -> Draft:
        """The prompt: it fits. All messages if they fit, else as many as `fullest` finds room for."""
        everything = self._everything()
        return self.fullest()[1] if everything is None else everything

    # ---- drafts ----

    def drafted(self, parts: Sequence[Part]) -> Draft:
        """Render and count. Whether a conversation fits depends on the texts of its messages and nothing else."""
        said = [(part.message.role, part.text) for part in parts]
        spare_bytes = MAX_BYTES_PER_TOKEN * self.budget - sum(len(text) for _, text in said)
        if spare_bytes < 0:
            return Draft(parts, b"", 0, spare_bytes // MAX_BYTES_PER_TOKEN)
        prompt = self.frame.render(said)
        tokens = self.encoder.count(prompt) + self.frame.extra_tokens
        return Draft(parts, prompt, tokens, min(self.budget - tokens, spare_bytes // MAX_BYTES_PER_TOKEN))

    def _everything(self) -> Draft | None:
        """All messages, or None if they do not fit. No message is read past what a prompt can hold."""
        parts = []
        left = MAX_BYTES_PER_TOKEN * self.budget
        for message in self.conversation.newest_first():
            left -= len(message.text)
            if left < 0:
                return None
            parts.append(Part(message))
        draft = self.drafted(parts[::-1])
        return draft if draft.fits else None

    def fullest(self) -> tuple[int, Draft]:
        """The room and the draft of a selection that fits: full, or with one token more of room it would not fit.

        Only for conversations that do not fit whole. Room 0 is nobody's, which fits, and some room holds everything,
        which does not; the search keeps one of either kind and draws them together.
        """
        fits, best = 0, self.drafted(())
        over: int | None = None
        room, step, drafts = self.costs.room, 0, 0
        while True:
            parts = self.select(room)
            draft = best if parts == best.parts else self.drafted(parts)
            if draft.fits:
                fits, best = room, draft
                if draft.spare <= (1 - FULL) * self.budget:
                    return fits, best
            else:
                over = room
            drafts += 1
            if over is None:
                step = max(draft.spare, 2 * step)  # one by one, messages cost more than together
                room += step
            elif over - fits == 1:
                return fits, best
            elif drafts <= ALIGNED_DRAFTS:
                room = min(max(room + draft.spare, fits + 1), over - 1)
            else:
                room = (fits + over) // 2

    # ---- selections ----

    def select(self, room: int) -> list[Part]:
        """Who stays and how much of it, in the conversation's order, by adding up to `room` tokens.

        The first and the newest user turn always show both ends, however little room there is; in a room of one
        token the newest is alone, and with none nobody is there.
        """
        first = self.conversation.first_of(Role.USER)
        newest = self.conversation.last_of(Role.USER) or next(self.conversation.newest_first(), None)
        if newest is None or room < 1:
            return []
        if first is newest or room < 2:
            first = None
        reserve = 0
        if first is not None:
            share = int(FIRST_TURN_SHARE * room)
            whole = self._cost(first, share)
            reserve = share if whole is None else whole
        part, cost = self._fit(newest, room - reserve)
        parts = {newest.number: part}
        left = room - reserve - cost
        for message in self.conversation.newest_first():
            if message is newest or message is first:
                continue
            if self._cost(message, left) is None and self._cut_tokens(message, left) < SMALLEST_CUT_TOKENS:
                break
            part, cost = self._fit(message, left)
            parts[message.number] = part
            left -= cost
            if part.is_cut:
                break
        if first is not None:
            parts[first.number], _ = self._fit(first, reserve + left)
        return [parts[number] for number in sorted(parts)]

    def _fit(self, message: Message, room: int) -> tuple[Part, int]:
        """A message in `room` tokens, whole or cut, and what it needs; more than `room` if both its ends do."""
        whole = self._cost(message, room)
        if whole is not None:
            return Part(message), whole
        tokens = max(SMALLEST_CUT_TOKENS, self._cut_tokens(message, room))
        return Part(message, self._cutter(message, tokens).keep(tokens)), room

    def _cutter(self, message: Message, tokens: int) -> Cutter:
        """One that knows `tokens` tokens, in steps, so that the next selection seldom needs another.

        Which one depends on the text and `tokens` alone: windows of other widths may cut elsewhere, and the same room
        must give the same selection whatever was tried before.
        """
        step = -(-self.budget // CUTTER_STEPS)
        known = step * -(-min(tokens, 1 + len(message.text) // FIRST_BYTES_PER_TOKEN) // step)
        cutter = self.cutters.get((message.number, known))
        if cutter is None:
            cutter = self.cutters[message.number, known] = Cutter.of(message.text, self.encoder, known)
        return cutter

    def _cut_tokens(self, message: Message, room: int) -> int:
        """What is left for its text when a message is cut."""
        return room - self.costs.around[message.role] - self.costs.ellipsis

    def _cost(self, message: Message, room: int) -> int | None:
        """Tokens of a whole message with its label and separator, or None if it does not fit into `room`.

        A text costs its tokens, or one for every 16 bytes if those are more. Counted in chunks, so that little is
        encoded of what does not fit; the sum may be a few tokens off.
        """
        text = message.text
        limit = room - self.costs.around[message.role]
        least = -(-len(text) // MAX_BYTES_PER_TOKEN)
        if least > limit:
            return None
        tally = self.tallies.setdefault(message.number, Tally())
        width = max(MIN_CHUNK_BYTES, 2 * self.budget)
        while tally.tokens <= limit and tally.counted_bytes < len(text):
            end = window_end(text, tally.counted_bytes + width)
            tally.tokens += self.encoder.count(text[tally.counted_bytes : end])
            tally.counted_bytes = end
        return None if tally.tokens > limit else max(tally.tokens, least) + self.costs.around[message.role]
