"""What every section of the policy is made of: its base class, and the strings that are names."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$")]
"""What a model, alias, router or task may be called. It appears in headers, metrics and URLs."""

ProviderName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
"""What a provider may be called. It is also the name of an Envoy cluster, a file and a metric label."""

HeaderName = Annotated[str, StringConstraints(to_lower=True, pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
"""A header, lower-case. Underscores are refused: Envoy rejects requests that carry them."""

HeaderValue = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[\x20-\x7e]+$")]


class Section(BaseModel):
    """A mapping of the policy: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
