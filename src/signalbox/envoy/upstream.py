"""Upstream filters: what happens to a request inside a provider's cluster, once per attempt, in this order.

upstream_rbac         cloud only: local-only requests stop here
lua                   model, path and host of this provider; 503 if the decision is not for it
header_mutation       what concerns nobody outside goes, the provider's own headers come
credential_injector   the provider's key, last: no request that failed above ever carries it
upstream_codec        sends
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from signalbox.envoy.bootstrap import from_file
from signalbox.envoy.layout import Layout, provider_secret_file
from signalbox.envoy.privacy import deny_local_only, privacy_header_names
from signalbox.envoy.resource import Resource, extension, literal, set_header
from signalbox.policy.headers import CREDENTIALS
from signalbox.policy.schema import Policy, Provider

# The client's own credentials must not travel on, whichever API they are for.
CREDENTIAL_HEADERS = (*sorted(CREDENTIALS), "openai-organization", "openai-project")

# x-forwarded-*: a provider has no business knowing our clients' addresses.
INTERNAL_PREFIXES = ("x-envoy-", "x-signalbox-", "x-forwarded-")

# accept-encoding: token usage cannot be read out of compressed answers.
INTERNAL_HEADERS = ("x-model-affinity", "accept-encoding")

LUA_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/.:-_[]~")


def upstream_filters(name: str, provider: Provider, policies: Sequence[Policy], layout: Layout) -> list[Resource]:
    """The filters of one provider's cluster. `policies`: the one that serves, and the one before it."""
    filters = [] if provider.is_local else [deny_local_only(policies)]
    filters += [_point_at(name, provider, policies[0].gateway.mode), _headers(provider, policies)]
    if provider.key is not None:
        filters.append(_credential(name, provider, layout))
    filters.append(
        extension("envoy.filters.http.upstream_codec", "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec")
    )
    return filters


def _point_at(name: str, provider: Provider, mode: str) -> Resource:
    paths = {endpoint.value: provider.base_path + endpoint.suffix for endpoint in sorted(provider.endpoints)}
    if mode == "cluster_header":
        source = _facts_in_lua(name, provider.authority, paths) + _script("upstream_cluster_header.lua")
        context: Resource = {}
    else:
        source = _script("upstream.lua")
        context = {"filter_context": {"provider": name, "authority": provider.authority, "paths": paths}}
    return extension(
        "envoy.filters.http.lua",
        "envoy.extensions.filters.http.lua.v3.Lua",
        # Inline, not by file name: Envoy reads a named file once, and would not notice a newer script.
        default_source_code={"inline_string": source},
        **context,
    )


def _script(name: str) -> str:
    return files("signalbox.envoy").joinpath(name).read_text(encoding="utf-8")


def _facts_in_lua(name: str, authority: str, paths: dict[str, str]) -> str:
    table = ", ".join(f"{endpoint} = {lua_string(path)}" for endpoint, path in paths.items())
    return f"local PROVIDER, AUTHORITY = {lua_string(name)}, {lua_string(authority)}\nlocal PATHS = {{{table}}}\n"


def lua_string(text: str) -> str:
    """A Lua string literal. Whatever could end it or begin an escape is written as its byte's number."""
    return '"' + "".join(chr(byte) if byte in LUA_PLAIN else f"\\{byte:03d}" for byte in text.encode()) + '"'


def _headers(provider: Provider, policies: Sequence[Policy]) -> Resource:
    """Clean-up, then the provider's own headers.

    Envoy keeps what one attempt did to the headers for the next one. So every cluster removes what any
    provider sets: one provider's organisation or key must not reach another after a fallback.
    """
    everyone = [each for policy in policies for each in policy.providers.values()]
    removed = {
        *CREDENTIAL_HEADERS,
        *INTERNAL_HEADERS,
        *privacy_header_names(policies),
        *(each.key_header for each in everyone),
        *(name for each in everyone for name in each.headers),
    }
    requests: list[Resource] = [_remove_prefix(prefix) for prefix in INTERNAL_PREFIXES]
    requests += [{"remove": name} for name in sorted(removed)]
    requests += [{"append": set_header(name, literal(value))} for name, value in provider.headers.items()]
    return extension(
        "envoy.filters.http.header_mutation",
        "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
        mutations={
            "request_mutations": requests,
            # What clients read under this name was said by the gateway, never by a provider.
            "response_mutations": [_remove_prefix("x-signalbox-")],
        },
    )


def _remove_prefix(prefix: str) -> Resource:
    return {"remove_on_match": {"key_matcher": {"prefix": prefix}}}


def _credential(name: str, provider: Provider, layout: Layout) -> Resource:
    generic: Resource = {
        "credential": {"name": name, "sds_config": from_file(layout, provider_secret_file(name))},
        "header": provider.key_header,
        "header_value_prefix": provider.key_prefix,
    }
    return extension(
        "envoy.filters.http.credential_injector",
        "envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
        overwrite=True,
        credential=extension(
            "envoy.http.injected_credentials.generic",
            "envoy.extensions.http.injected_credentials.generic.v3.Generic",
            **generic,
        ),
    )
