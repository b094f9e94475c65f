"""Header conditions: what the policy asks of request headers, and which ones it needs to see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from signalbox.policy.schema import Policy
from signalbox.policy.schema import Privacy as PrivacySection

ANY_VALUE = "*"

HeaderPairs = tuple[tuple[str, str], ...]
"""(name, wanted value) pairs, both lower-case."""


def lower_pairs(pairs: Iterable[tuple[str, str]]) -> HeaderPairs:
    """Return the pairs as `header_says` and `matching_header` expect them."""
    return tuple((name.lower(), value.strip().lower()) for name, value in pairs)


def header_says(value: str | None, wanted: str) -> bool:
    """Return whether a header carries `wanted` (lower-case), alone or inside a comma-joined list.

    Envoy joins a header given twice with commas, and so may any proxy before it (RFC 9110 section 5.3):
    a client must not escape a condition by sending the header a second time.
    """
    if value is None:
        return False
    value = value.strip().lower()
    return value == wanted or ("," in value and wanted in (part.strip() for part in value.split(",")))


def matching_header(headers: Mapping[str, str], pairs: HeaderPairs) -> str | None:
    """Return the name of the first header that says what a pair wants, or None."""
    for name, wanted in pairs:
        if name in headers and header_says(headers[name], wanted):
            return name
    return None


def local_only_pairs(*sections: PrivacySection | None) -> HeaderPairs:
    """Return the headers that make a request local-only, over the policy's section and a router's."""
    pairs: list[tuple[str, str]] = []
    for section in sections:
        if section is not None and section.local_only is not None:
            pairs += section.local_only.headers.items()
    return lower_pairs(dict.fromkeys(pairs))


def wanted_headers(policy: Policy) -> tuple[str, ...]:
    """Return the request headers decisions look at, sorted; nothing else has to leave Envoy."""
    names = {name for name, _ in local_only_pairs(policy.privacy, *(r.privacy for r in policy.routers.values()))}
    for router in policy.routers.values():
        for rule in router.rules:
            names.update(rule.when.headers)
        if router.judge is not None and router.judge.dial is not None:
            names.add(router.judge.dial)
        haste = None if router.goals is None else router.goals.latency_sensitive
        if haste is not None:
            names.update(
                () if haste.header is None else (haste.header,), () if haste.when is None else haste.when.headers
            )
    names.update(_session_headers(policy), _budget_headers(policy))
    return tuple(sorted(names))


def _session_headers(policy: Policy) -> set[str]:
    names: set[str] = set()
    for section in (policy.affinity, *(router.affinity for router in policy.routers.values())):
        if section is not None and section.mode != "off":
            names.update(section.headers, section.tenant_headers)
    return names


def _budget_headers(policy: Policy) -> set[str]:
    sections = (policy.budget, *(router.budget for router in policy.routers.values()))
    return {section.header for section in sections if section is not None and section.header is not None}
