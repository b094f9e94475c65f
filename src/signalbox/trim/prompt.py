"""The values of trimming: the frame of a prompt, the pieces in it, the finished prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from signalbox.core import Role


@dataclass(frozen=True, slots=True)
class Frame:
    """The prompt a router model reads, around the conversation. Bytes are UTF-8.

    before, after: the scaffold, routes included, as one text with the conversation.
    labels: what stands in front of each message, by role. Roles without one carry no intent and are left out.
    separator: stands between two messages.
    extra_tokens: what the engine adds and the encoder does not see, such as special tokens.
    """

    before: bytes = b""
    after: bytes = b""
    labels: Mapping[Role, bytes] = field(default_factory=lambda: {Role.USER: b"User: ", Role.ASSISTANT: b"Assistant: "})
    separator: bytes = b"\n"
    extra_tokens: int = 0

    def render(self, said: Sequence[tuple[Role, bytes]]) -> bytes:
        """Return the whole prompt."""
        return self.before + self.separator.join(self.labels[role] + text for role, text in said) + self.after


@dataclass(frozen=True, slots=True)
class Piece:
    """One message as it stands in the prompt.

    ranges: which bytes of the message's own text (unescaped, its parts joined by newlines) are in the prompt;
    the rest was a harness's or was cut out.
    """

    turn: int
    role: Role
    text: bytes  # with the ellipsis, if cut
    ranges: tuple[tuple[int, int], ...]
    cut_bytes: int  # cut out of the middle; 0 if the message is whole
    harness_bytes: int


@dataclass(frozen=True, slots=True)
class Trimmed:
    """A prompt within its budget. `pieces` are in the conversation's order."""

    prompt: bytes
    pieces: tuple[Piece, ...]
    tokens: int  # of the prompt, the frame's extra tokens included; exact
    budget: int
    dropped_messages: int  # of the frame's roles, not in the prompt at all
