"""A conversation cut to what a preference model's prompt has room for, its routes counted in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from signalbox.core import Role
from signalbox.engines.base import Route
from signalbox.engines.preference.prompts import Chat, PromptFormat, Said
from signalbox.errors import RouterError
from signalbox.trim import Encoder, Frame, HuggingFaceEncoder, Trimmer

READ_ROLES = (Role.USER, Role.ASSISTANT)
"""The published models were never shown a system prompt, a tool's call or its result."""

LEAD = "user\n"
"""What a chat template writes between the start of the user's turn and its content, as one text with that."""

BYTES_PER_TOKEN = 3  # an estimate on the high side for most text; rows of numbers have one token a digit


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFrame(Frame):
    """A preference model's prompt around the conversation, as trimming counts it.

    lead: what is counted in front of the prompt, since its tokens may merge with the prompt's first.
    """

    form: PromptFormat
    routes: tuple[Route, ...]
    lead: str = ""

    def render(self, said: Said) -> bytes:
        return (self.lead + self.form.render(self.routes, said)).encode()


def trimmer(
    form: PromptFormat,
    routes: Sequence[Route],
    encoder: Encoder,
    budget: int,
    *,
    lead: str = "",
    extra_tokens: int = 0,
) -> Trimmer:
    """Return what cuts conversations so that the finished prompt has at most `budget` tokens.

    extra_tokens: of the chat template. Raises RouterError if the routes leave no room for a conversation.
    """
    frame = PromptFrame(
        labels=dict.fromkeys(READ_ROLES, b""), extra_tokens=extra_tokens, form=form, routes=tuple(routes), lead=lead
    )
    return Trimmer(encoder, budget, frame)


class EstimatingEncoder:
    """An `Encoder` for a served model whose tokenizer is not at hand: three bytes a token."""

    def count(self, text: bytes) -> int:
        return -(-len(text) // BYTES_PER_TOKEN)

    def ends(self, text: bytes) -> Sequence[int]:
        return [*range(BYTES_PER_TOKEN, len(text), BYTES_PER_TOKEN), len(text)] if text else []


class PromptTokenizer(HuggingFaceEncoder):
    """A causal model's tokenizer.json for prompts that hold other people's text.

    Special tokens spelled out in a text are text: nobody who writes `<|im_end|>` into a chat ends the router's prompt.
    """

    def __init__(self, tokenizer_json: str) -> None:
        super().__init__(tokenizer_json)
        self._tokenizer.encode_special_tokens = True

    @classmethod
    def read(cls, path: Path) -> PromptTokenizer:
        """Read a tokenizer.json. Raises RouterError if it cannot be used."""
        try:
            return cls(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as problem:
            raise RouterError(f"{path}: cannot be read: {problem}") from problem
        except RouterError as problem:
            raise RouterError(f"{path}: {problem}") from problem

    @property
    def vocabulary(self) -> int:
        """How many tokens there are, special ones left out."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=False))

    def ids(self, text: str) -> list[int]:
        """Return the tokens of a text. Gives the GIL away while it works."""
        [encoding] = self._tokenizer.encode_batch_fast([text], add_special_tokens=False)
        return list(encoding.ids)

    def text(self, ids: Sequence[int]) -> str:
        """Return what tokens spell, special ones as they are written."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))

    def special(self, token: str) -> int:
        """Return a special token's id. Raises RouterError if the vocabulary lacks it."""
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise RouterError(
                f"the vocabulary has no token {token}, which this prompt's chat template needs; "
                "fix: the tokenizer.json that the model was published with, or another prompt format"
            )
        return int(found)

    def chat(self, chat: Chat, content: str) -> list[int]:
        """Return the tokens of a chat whose one user message is `content`, up to where the model's answer starts."""
        start, end = self.special(chat.start), self.special(chat.end)
        ids = []
        for text, after in chat.turns(content):
            ids += [start, *self.ids(text)]
            if after is not None:
                ids += [end, *self.ids(after)]
        return ids

    def chat_trimmer(self, form: PromptFormat, routes: Sequence[Route], budget: int) -> Trimmer:
        """Return a trimmer that counts what `chat` makes of a prompt, token for token. Raises RouterError."""
        around = len(self.chat(form.chat, "")) - len(self.ids(LEAD))
        return trimmer(form, routes, self, budget, lead=LEAD, extra_tokens=around)
