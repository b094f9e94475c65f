"""Local-only, as Envoy enforces it: a second lock that does not trust the decision it was handed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from signalbox.envoy.resource import Resource, extension, is_text, metadata
from signalbox.policy.schema import Policy
from signalbox.types import Privacy


def header_matchers(policies: Iterable[Policy]) -> list[Resource]:
    """A HeaderMatcher for each header value that makes any request local-only, without duplicates."""
    pairs = dict.fromkeys(pair for policy in policies for pair in policy.privacy_headers)
    return [{"name": name, "string_match": {"safe_regex": {"regex": in_list(value)}}} for name, value in pairs]


def in_list(value: str) -> str:
    """RE2 pattern for a header that holds `value` anywhere in its comma-separated list, case ignored.

    Envoy joins repeated headers with commas before it matches (RFC 9110, section 5.3), so a second
    header of the same name cannot hide the first.
    """
    return rf"(?is)(?:.*,)?\s*{re.escape(value.strip())}\s*(?:,.*)?"


def deny_local_only(policies: Sequence[Policy]) -> Resource:
    """The first upstream filter of a cluster outside the trust boundary: 403 for what must stay inside.

    It runs per attempt, so it holds on fallbacks too, and the provider is not called.
    """
    decided = {"sourced_metadata": {"metadata_matcher": metadata("privacy", is_text(Privacy.LOCAL.value))}}
    asked = [{"header": matcher} for matcher in header_matchers(policies)]
    if policies[0].gateway.mode == "cluster_header":
        asked.append({"header": {"name": "x-signalbox-privacy", "string_match": {"exact": Privacy.LOCAL.value}}})
    return extension(
        "envoy.filters.http.upstream_rbac",
        "envoy.extensions.filters.http.rbac.v3.RBAC",
        rules={
            "action": "DENY",
            "policies": {
                "local-only": {
                    "principals": [{"any": True}],
                    "permissions": [{"or_rules": {"rules": [decided, *asked]}}],
                }
            },
        },
    )


def privacy_header_names(policies: Iterable[Policy]) -> set[str]:
    """Headers that speak of privacy in a policy or one of its routers. Providers have no use for them."""
    sections = [
        section
        for policy in policies
        for section in (policy.privacy, *(router.privacy for router in policy.routers.values()))
        if section is not None and section.local_only is not None
    ]
    return {name for section in sections if section.local_only is not None for name in section.local_only.headers}
