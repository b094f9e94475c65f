"""Section of the policy about goals: a router that leaves decisions to others, one for each goal."""

from __future__ import annotations

from pydantic import Field, model_validator

from signalbox.policy.base import HeaderName, Name, Section
from signalbox.policy.conditions import When
from signalbox.types import InOut


class LatencySensitive(Section):
    """Requests that somebody waits for: they go past everything that takes time."""

    router: Name = Field(description="Router for them.")
    header: HeaderName | None = Field(
        default=None, description="Header with which a request says so: `true`, or `false` in spite of `when`."
    )
    when: When | None = Field(
        default=None, description="Conditions by which a request is one of them, unless its header says otherwise."
    )

    @model_validator(mode="after")
    def _by_something(self) -> LatencySensitive:
        if self.header is None and self.when is None:
            raise ValueError("needs `header`, `when` or both: what makes a request latency-sensitive")
        if self.when is not None and self.when.engine is not None:
            raise ValueError("`engine` takes the time that such requests do not have; ask it in a rule")
        return self


class GoalComplexity(Section):
    """Two routers and a threshold on the surface complexity of the last user turn."""

    threshold: float = Field(ge=0, le=1, allow_inf_nan=False, description="At or above it a request is complex.")
    below: Name = Field(description="Router for requests under the threshold.")
    above: Name = Field(description="Router for the others, and for those whose complexity is not known.")


class Goals(Section):
    """Which router decides: the first of these whose step applies, and that has a model able to serve and up."""

    modality: dict[InOut, Name] = Field(
        default_factory=dict, description="Router by what goes in and is wanted out, as docs/features.md defines it."
    )
    latency_sensitive: LatencySensitive | None = Field(
        default=None, description="Requests that somebody waits for. Default: none is."
    )
    described: Name | None = Field(
        default=None, description="Router with described tasks; asked first, and taken if its rules or engine decide."
    )
    complexity: GoalComplexity = Field(description="Two routers for everything else.")

    @property
    def routers(self) -> tuple[str, ...]:
        """Routers it names, each once, in the order of its steps."""
        named = list(self.modality.values())
        if self.latency_sensitive is not None:
            named.append(self.latency_sensitive.router)
        if self.described is not None:
            named.append(self.described)
        return tuple(dict.fromkeys([*named, self.complexity.below, self.complexity.above]))
