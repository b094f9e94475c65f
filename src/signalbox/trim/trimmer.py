"""Trimming as engines use it: made once for a tokenizer, a frame and a budget, applied to every request."""

from __future__ import annotations

from signalbox.errors import RouterError
from signalbox.trim.conversation import Conversation, Passages
from signalbox.trim.encoder import Encoder
from signalbox.trim.fit import Costs, Fit
from signalbox.trim.prompt import Frame, Trimmed

MIN_ROOM_TOKENS = 64  # what two messages of a few characters need, cut, in a vocabulary that knows only bytes


class Trimmer:
    """Trims conversations to a budget of tokens, frame included.

    Keeps nothing of a request; threads may share one if they may share the encoder.
    """

    def __init__(self, encoder: Encoder, budget: int, frame: Frame | None = None) -> None:
        """budget: tokens of the finished prompt, `frame.extra_tokens` included.

        Raises RouterError if the frame leaves fewer than 64 tokens to the conversation.
        """
        self.encoder = encoder
        self.budget = budget
        self.frame = Frame() if frame is None else frame
        self._costs = Costs.of(self.frame, encoder, budget)
        room = self._costs.room
        if room < MIN_ROOM_TOKENS:
            raise RouterError(
                f"a budget of {budget} tokens leaves {room} to the conversation after scaffold and routes; expected at "
                f"least {MIN_ROOM_TOKENS}; fix: a budget of {budget - room + MIN_ROOM_TOKENS}, or shorter routes"
            )

    def trim(self, scan: Passages) -> Trimmed:
        """Return the prompt for one request. The same request always gives the same bytes.

        If everything fits, everything stays. Otherwise the newest user turn comes first, then a share for the
        first one, then the others from the newest on; whatever does not fit is cut in the middle, and what is
        older still is dropped.
        """
        conversation = Conversation.of(scan, self.frame.labels)
        draft = Fit(self.encoder, self.frame, self._costs, self.budget, conversation).draft()
        return Trimmed(
            prompt=draft.prompt,
            pieces=tuple(part.piece() for part in draft.parts),
            tokens=draft.tokens,
            budget=self.budget,
            dropped_messages=len(conversation.groups) - len(draft.parts),
        )
