"""What thinking cost: the tokens that servers reported, summed by model."""

from __future__ import annotations

from typing import Any

from signalbox.types import Spent


class Usage:
    """Tokens of one deliberation. Not for several threads.

    is_known: every server that answered said what it used.
    """

    def __init__(self) -> None:
        self.is_known = True
        self._by_model: dict[tuple[str, bool], tuple[int, int]] = {}

    def add(self, model: str, response: Any, *, counted: bool) -> None:
        """Take what a server said. response: its parsed answer, in OpenAI's shape. counted: see `Spent`."""
        usage = response.get("usage") if isinstance(response, dict) else None
        if not isinstance(usage, dict):
            self.is_known = False
            return
        read, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
        if type(read) is not int or type(written) is not int or read < 0 or written < 0:
            self.is_known = False
            return
        before = self._by_model.get((model, counted), (0, 0))
        self._by_model[model, counted] = before[0] + read, before[1] + written

    @property
    def spent(self) -> tuple[Spent, ...]:
        """By model, in the order they were first asked."""
        return tuple([Spent(model, *tokens, counted) for (model, counted), tokens in self._by_model.items()])
