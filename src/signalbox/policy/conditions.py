"""Conditions on a request: what rules ask for, and what may be asked of a request elsewhere."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from signalbox.policy.base import HeaderName, HeaderValue, Section
from signalbox.policy.engines import EngineSays
from signalbox.types import Endpoint, InOut


class Range(Section):
    """Bounds, both inclusive."""

    min: int | None = Field(default=None, ge=0, description="At least this many.")
    max: int | None = Field(default=None, ge=0, description="At most this many.")

    @model_validator(mode="after")
    def _bounds(self) -> Range:
        if self.min is None and self.max is None:
            raise ValueError("a range needs `min`, `max` or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}: nothing can match")
        return self


class When(Section):
    """Conditions on a request. All that are given must hold."""

    keywords: tuple[Annotated[str, StringConstraints(min_length=1, max_length=256)], ...] = Field(
        default=(), description="Words or phrases, whole words, case ignored."
    )
    any: bool = Field(default=True, description="One keyword is enough; false asks for all of them.")
    regex: str | None = Field(default=None, max_length=4096, description="RE2 pattern searched for in the text.")
    scope: Literal["last_user", "conversation"] = Field(
        default="last_user", description="Text that `keywords` and `regex` look at."
    )
    headers: dict[HeaderName, HeaderValue] = Field(
        default_factory=dict, description="Header and value, case ignored; `*` asks only that it is there."
    )
    metadata: dict[str, str | bool | int] = Field(
        default_factory=dict, description="Members of the body's `metadata` object and their values."
    )
    endpoint: tuple[Endpoint, ...] = Field(default=(), description="API calls this is for.")
    prompt_tokens: Range | None = Field(default=None, description="Size of the prompt in tokens.")
    messages: Range | None = Field(default=None, description="Number of messages.")
    tools: bool | None = Field(default=None, description="The request carries tool definitions, or does not.")
    images: bool | None = Field(default=None, description="The request carries images, or does not.")
    turns: Range | None = Field(default=None, description="Number of turns of the user.")
    modality: tuple[InOut, ...] = Field(
        default=(), description="What goes in and is wanted out, as docs/features.md defines it."
    )
    reasoning: bool | None = Field(default=None, description="The request asks for reasoning, or does not.")
    engine: EngineSays | None = Field(
        default=None, description="What an engine says of the request; asked only if all else holds."
    )

    @model_validator(mode="after")
    def _not_empty(self) -> When:
        if not self.model_fields_set - {"any", "scope"}:
            raise ValueError("a rule without conditions would take every request; use `default_task` instead")
        return self
