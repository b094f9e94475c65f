"""`GET /v1/models`, answered by Envoy itself from the policy: models, aliases, routers and `auto`."""

from __future__ import annotations

import json
import re
from typing import Any

from signalbox.policy.schema import Policy

OWNER = "signalbox"  # `owned_by` of names that belong to no provider
CREATED = 0  # OpenAI's clients insist on a number; a policy has no dates


def model_entries(policy: Policy) -> list[dict[str, Any]]:
    """OpenAI's model objects for every name a client may put into `model`, in the order of the policy."""
    entries = [_entry(name, model.provider) for name, model in policy.models.items()]
    entries += [_entry(name, OWNER) for name in policy.aliases]
    entries += [_entry(f"router:{name}", OWNER, router.description) for name, router in policy.routers.items()]
    if policy.default_router is not None:
        entries.append(_entry("auto", OWNER, policy.routers[policy.default_router].description))
    return entries


def _entry(name: str, owner: str, description: str = "") -> dict[str, Any]:
    entry: dict[str, Any] = {"id": name, "object": "model", "created": CREATED, "owned_by": owner}
    return {**entry, "description": description} if description else entry


def model_list(policy: Policy) -> str:
    """OpenAI's list object, as JSON text."""
    return as_json({"object": "list", "data": model_entries(policy)})


def as_json(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))


# Characters of a name that clients may send percent-encoded; OpenAI's SDK encodes the slash.
ENCODED = {"/": "(?:/|%2[Ff])", ":": "(?::|%3[Aa])", "@": "(?:@|%40)"}


def path_matcher(path: str, name: str) -> dict[str, Any]:
    """A route match for `path`/`name` however the client spells the name in its URL."""
    if not any(character in name for character in ENCODED):
        return {"path": f"{path}/{name}"}
    spelled = "".join(ENCODED.get(character, re.escape(character)) for character in name)
    return {"safe_regex": {"regex": f"{path}/{spelled}"}}
