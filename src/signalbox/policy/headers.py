"""Which headers a policy may look at and which it may set.

Envoy drops some before Signalbox is asked, owns others, and never shows credentials to the sidecar. A rule
on such a header would be accepted and never match, which is worse than an error: a privacy rule that
never matches sends everything to the cloud.
"""

from __future__ import annotations

from collections.abc import Iterator

from signalbox.errors import Problem
from signalbox.policy.document import Document
from signalbox.policy.references import entries, mapping, sections
from signalbox.policy.wording import Loc, mask, quoted

CREDENTIALS = frozenset(("authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"))
"""Headers that carry somebody's key: never shown to the sidecar, never written into a policy."""

INTERNAL_PREFIXES = ("x-signalbox-", "x-envoy-", "x-model-router-")
"""Headers Envoy removes from every request, so that no client can forge what the parts tell each other."""

_CONNECTION = frozenset(
    ("host", "content-length", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect")
)


def header_problems(document: Document) -> list[Problem]:
    """Headers of rules and privacy that can never match, and headers of providers that must not be set."""
    return [*_looked_at(document), *_set(document)]


def _looked_at(document: Document) -> Iterator[Problem]:
    places: list[Loc] = [("privacy", "local_only", "headers")]
    for name, router in sections(document.data, "routers"):
        places.append(("routers", name, "privacy", "local_only", "headers"))
        places += [("routers", name, "rules", index, "when", "headers") for index, _ in entries(router.get("rules"))]
        places.append(("routers", name, "goals", "latency_sensitive", "when", "headers"))
    for place in places:
        value: object = document.data
        for part in place:
            value = value[part] if isinstance(part, int) and isinstance(value, list) else mapping(value).get(str(part))
        for name in mapping(value):
            yield from _never_matches(document, (*place, name), name)
    for name, router in sections(document.data, "routers"):
        for place in (("engine", "dial"), ("goals", "latency_sensitive", "header")):
            value = router
            for key in place:
                value = mapping(value).get(key)
            if isinstance(value, str):
                yield from _never_matches(document, ("routers", name, *place), value)


def _never_matches(document: Document, loc: Loc, name: str) -> Iterator[Problem]:
    header = name.lower()
    found = f"the header {quoted(header)} can never match"
    if header in CREDENTIALS:
        fix = "use a header of your own; credentials never reach the sidecar"
    elif header.startswith(INTERNAL_PREFIXES):
        fix = "use another name; Envoy removes these from every request, so that nobody can forge them"
    elif header in _CONNECTION or header.startswith(":"):
        fix = "use a header of your own; this one belongs to the connection"
    else:
        return
    yield document.problem(loc, found, "a header that clients set", fix)


def _set(document: Document) -> Iterator[Problem]:
    for provider, content in sections(document.data, "providers"):
        loc: Loc = ("providers", provider)
        key = mapping(content.get("key"))
        key_header = key.get("header") if isinstance(key.get("header"), str) else None
        for name, value in mapping(content.get("headers")).items():
            header, place = name.lower(), (*loc, "headers", name)
            if header in CREDENTIALS or header == key_header:
                fix = "keys are read from files: `key: {file: ..., header: " + header + "}`"
                yield document.problem(place, f"{quoted(header)} carries a key", "any other header", fix)
            elif header == "accept-encoding":
                fix = "remove it; token usage cannot be read out of compressed answers"
                yield document.problem(place, f"{quoted(header)} is removed", "any other header", fix)
            elif reason := _not_to_be_set(header):
                yield document.problem(place, f"{quoted(header)} {reason}", "any other header", "remove it")
            elif isinstance(value, str) and mask(value) != value:
                found, fix = "the value looks like a key (not shown)", "read keys from files: `key: {file: ...}`"
                yield document.problem(place, found, "a value that is no secret", fix, severity="warning")
        for option, example in (("prefix", '"Bearer "'), ("header", "x-api-key")):
            if isinstance(value := key.get(option), str) and mask(value) != value:
                found = "looks like a key itself (not shown)"
                yield document.problem((*loc, "key", option), found, f"such as {example}", "put the key into `file`")
        if key_header is not None and (reason := _not_to_be_set(key_header.lower())):
            found = f"{quoted(key_header)} {reason}"
            yield document.problem((*loc, "key", "header"), found, "a header that can carry a key", "leave it out")


def _not_to_be_set(header: str) -> str:
    if header.startswith(INTERNAL_PREFIXES):
        return "is removed before a request leaves"
    return "is set by Envoy itself" if header in _CONNECTION or header.startswith(":") else ""
