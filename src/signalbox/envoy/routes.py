"""Routes: which decision may go where, how often it may be tried, and what happens without one.

Envoy takes the first route that matches, once before the decision exists and again after it. Per
endpoint, in this order:

    contradicted   the client's header says local-only, the decision does not       503
    local-N        decided as local: only local groups, N attempts
    chain-N        decided: any group, N attempts
    method         not a POST                                                       405
    empty          no body, so the workers were never asked                         400
    undecided      anything else                                                    503
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from signalbox.envoy.layout import ATTEMPT_NAMESPACE, METADATA_NAMESPACE, NOWHERE_CLUSTER, NOWHERE_GROUP, ROUTE_CONFIG
from signalbox.envoy.models import as_json, model_entries, model_list, path_matcher
from signalbox.envoy.privacy import header_matchers
from signalbox.envoy.replies import EMPTY_BODY_STATUS, MODELS_PATH
from signalbox.envoy.resource import (
    IS_PRESENT,
    Resource,
    is_number,
    is_text,
    metadata,
    seconds,
    set_header,
    typed,
)
from signalbox.policy.schema import Gateway, Policy, Provider
from signalbox.types import Endpoint, Privacy

DIRECT_RESPONSE_LIMIT = 4096  # Envoy's default for the body of a direct response
CLUSTER_HEADER = "x-signalbox-cluster"  # set by the worker, never by a client: the listener removes it

# Where token usage is spelled otherwise than in chat completions, which the listener takes for granted.
USAGE_PROTOCOLS = {Endpoint.RESPONSES: "OPENAI_RESPONSES", Endpoint.MESSAGES: "ANTHROPIC_MESSAGES"}

ANSWER_HEADERS = {
    "x-model-router-selected-route": f"%DYNAMIC_METADATA({METADATA_NAMESPACE}:route)%",
    "x-signalbox-model": f"%DYNAMIC_METADATA({ATTEMPT_NAMESPACE}:model)%",
    "x-signalbox-decision": f"%DYNAMIC_METADATA({METADATA_NAMESPACE}:id)%",
    "x-signalbox-reason": f"%DYNAMIC_METADATA({METADATA_NAMESPACE}:reason)%",
    "x-signalbox-attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
}

RETRY_ON = "connect-failure,refused-stream,reset-before-request,reset,5xx,retriable-status-codes"
RETRIABLE_STATUSES = (429,)  # 400, 401, 403, 404 and 422 are about the request: another provider would agree

# Nothing of the request is wanted by the workers on these routes, and its body is nobody's business.
UNASKED: Resource = {
    "envoy.filters.http.ext_proc": typed("envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute", disabled=True),
    "envoy.filters.http.buffer": typed("envoy.extensions.filters.http.buffer.v3.BufferPerRoute", disabled=True),
}


def route_configuration(policy: Policy, keep: Policy | None = None) -> Resource:
    """The gateway's routes. Clusters, chain lengths and privacy headers of `keep` stay usable too."""
    policies = [policy] if keep is None else [policy, keep]
    models = model_list(policy)
    return typed(
        "envoy.config.route.v3.RouteConfiguration",
        name=ROUTE_CONFIG,
        max_direct_response_body_size_bytes=max(DIRECT_RESPONSE_LIMIT, len(models)),
        virtual_hosts=[
            {
                "name": "gateway",
                "domains": ["*"],
                "include_request_attempt_count": True,  # upstream.lua needs to know which attempt it is
                "routes": [
                    *(route for endpoint in Endpoint for route in _endpoint_routes(endpoint, policies)),
                    *_model_routes(policy, models),
                    _answer("unknown-path", {"prefix": "/"}, 404, typed_per_filter_config=UNASKED),
                ],
            }
        ],
    )


def _endpoint_routes(endpoint: Endpoint, policies: Sequence[Policy]) -> list[Resource]:
    exact: Resource = {"path": endpoint.path}
    contradicted = [
        metadata("tries", IS_PRESENT),
        {**metadata("privacy", is_text(Privacy.LOCAL.value)), "invert": True},
    ]
    return [
        *(
            _answer(f"{endpoint}-contradicted", {**exact, "headers": [matcher], "dynamic_metadata": contradicted}, 503)
            for matcher in header_matchers(policies)
        ),
        *_decided_routes(endpoint, policies),
        _answer(
            f"{endpoint}-method",
            {**exact, "headers": [{"name": ":method", "string_match": {"exact": "POST"}, "invert_match": True}]},
            405,
            response_headers_to_add=[set_header("allow", "POST")],
            typed_per_filter_config=UNASKED,
        ),
        # A request without a body never reaches ext_proc. With one, but without a length, it is chunked or
        # HTTP/2; only then is the missing decision the gateway's own fault.
        _answer(
            f"{endpoint}-empty",
            {
                **exact,
                "headers": [
                    {
                        "name": "content-length",
                        "string_match": {"safe_regex": {"regex": "0*[1-9][0-9]*"}},
                        "treat_missing_header_as_empty": True,  # without this a missing header never matches
                        "invert_match": True,
                    },
                    {"name": "transfer-encoding", "present_match": True, "invert_match": True},
                ],
            },
            EMPTY_BODY_STATUS,
        ),
        _answer(f"{endpoint}-undecided", exact, 503),
    ]


def _decided_routes(endpoint: Endpoint, policies: Sequence[Policy]) -> list[Resource]:
    gateway = policies[0].gateway
    everywhere = _providers(policies, local_only=False)
    inside = _providers(policies, local_only=True)
    if gateway.mode == "cluster_header":
        kinds = ((Privacy.LOCAL, inside), (Privacy.ANY, everywhere))
        return [_header_route(endpoint, privacy, names, gateway) for privacy, names in kinds if names]
    longest = max(policy.gateway.max_attempts for policy in policies)
    routes = []
    for privacy, names in ((Privacy.LOCAL, inside), (Privacy.ANY, everywhere)):
        if names:
            specifier = _by_decision(names, longest)
            routes += [_chain_route(endpoint, privacy, tries, specifier, gateway) for tries in range(1, longest + 1)]
    return routes


def _providers(policies: Sequence[Policy], *, local_only: bool) -> list[str]:
    """Names in the order of the policies. The first policy that knows a provider says whether it is local."""
    known: dict[str, Provider] = {}
    for policy in reversed(policies):
        known |= policy.providers
    return [name for name, provider in known.items() if provider.is_local or not local_only]


def _chain_route(endpoint: Endpoint, privacy: Privacy, tries: int, specifier: Resource, gateway: Gateway) -> Resource:
    """One route per chain length, because Envoy's num_retries is static."""
    name = "local" if privacy is Privacy.LOCAL else "chain"
    return {
        "name": f"{endpoint}-{name}-{tries}",
        "match": {
            "path": endpoint.path,
            "dynamic_metadata": [
                metadata("tries", is_number(tries)),
                metadata("privacy", is_text(privacy.value)),
                metadata("endpoint", is_text(endpoint.value)),
            ],
        },
        **_forwarded(endpoint, gateway),
        "route": {
            **_timeouts(gateway),
            "inline_cluster_specifier_plugin": specifier,
            "retry_policy": {
                "num_retries": tries - 1,
                "retry_on": RETRY_ON,
                "retriable_status_codes": list(RETRIABLE_STATUSES),
                "refresh_cluster_on_retry": True,  # without it every retry stays on the first provider
                # Until response headers; the stream after them is not bound by it.
                "per_try_timeout": seconds(gateway.first_byte_timeout_seconds),
                "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.02s"},
            },
        },
    }


def _by_decision(names: Iterable[str], longest: int) -> Resource:
    """Attempt n goes to the n-th group that the decision names.

    When entry n of the decision names no declared group, Envoy sends attempt n to the n-th group of this
    list. So as many groups without an endpoint come first as a chain can be long.
    """
    decoys = [(NOWHERE_GROUP.format(number), NOWHERE_CLUSTER) for number in range(1, longest + 1)]
    groups = [*decoys, *((name, name) for name in names)]
    return {
        "extension": {
            "name": "envoy.router.cluster_specifier_plugin.priority_group",
            "typed_config": typed(
                "envoy.extensions.router.cluster_specifiers.priority_group.v3.PriorityGroupClusterSpecifier",
                override_metadata_namespace=METADATA_NAMESPACE,
                priority_groups=[
                    {"name": group, "clusters": [{"cluster_name": cluster, "weight": 1}]} for group, cluster in groups
                ],
            ),
        }
    }


def _header_route(endpoint: Endpoint, privacy: Privacy, names: Iterable[str], gateway: Gateway) -> Resource:
    """`cluster_header` mode: the worker names one cluster.

    A retry stays on it, so only a connection that did not come about or was lost unused is tried again.
    """
    return {
        "name": f"{endpoint}-{'local' if privacy is Privacy.LOCAL else 'decided'}",
        "match": {
            "path": endpoint.path,
            "headers": [
                {"name": CLUSTER_HEADER, "string_match": {"safe_regex": {"regex": "|".join(names)}}},
                {"name": "x-signalbox-privacy", "string_match": {"exact": privacy.value}},
            ],
            "dynamic_metadata": [metadata("endpoint", is_text(endpoint.value))],
        },
        **_forwarded(endpoint, gateway),
        "route": {
            **_timeouts(gateway),
            "cluster_header": CLUSTER_HEADER,
            "retry_policy": {
                "num_retries": 1,
                "retry_on": "connect-failure,refused-stream,reset-before-request",
                "per_try_timeout": seconds(gateway.first_byte_timeout_seconds),
                "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.02s"},
            },
        },
    }


def _timeouts(gateway: Gateway) -> Resource:
    return {
        "timeout": "0s",  # none: this timer would cut long streams
        "idle_timeout": seconds(gateway.idle_timeout_seconds),
    }


def _forwarded(endpoint: Endpoint, gateway: Gateway) -> Resource:
    """What all forwarded responses have in common: headers that say what was decided, and how usage is read."""
    fields: Resource = {
        # An empty value sets no header and would leave a provider's own one in place.
        "response_headers_to_remove": list(ANSWER_HEADERS),
        "response_headers_to_add": [set_header(name, value) for name, value in ANSWER_HEADERS.items()],
    }
    protocol = USAGE_PROTOCOLS.get(endpoint)
    if protocol is not None and gateway.mode == "priority_group":
        fields["typed_per_filter_config"] = {
            "envoy.filters.http.ai_protocol_manager": typed(
                "envoy.extensions.filters.http.ai_protocol_manager.v3.AiProtocolManagerPerRoute",
                response={"llm_protocol": protocol},
            )
        }
    return fields


def _model_routes(policy: Policy, models: str) -> list[Resource]:
    """The model list and each of its entries; an unknown one is a 404 that names the list."""
    get: Resource = {"headers": [{"name": ":method", "string_match": {"exact": "GET"}}]}
    routes = [_json("models", {"path": MODELS_PATH, **get}, models)]
    routes += [
        _json("model", {**path_matcher(MODELS_PATH, entry["id"]), **get}, as_json(entry))
        for entry in model_entries(policy)
    ]
    routes.append(
        _answer(
            "models-method",
            {"prefix": MODELS_PATH, "headers": [{**get["headers"][0], "invert_match": True}]},
            405,
            response_headers_to_add=[set_header("allow", "GET")],
            typed_per_filter_config=UNASKED,
        )
    )
    return routes


def _json(name: str, match: Resource, body: str) -> Resource:
    return {
        "name": name,
        "match": match,
        "direct_response": {"status": 200, "body": {"inline_string": body}},
        "response_headers_to_add": [set_header("content-type", "application/json")],
        "typed_per_filter_config": UNASKED,
    }


def _answer(name: str, match: Resource, status: int, **fields: object) -> Resource:
    """A route that Envoy answers itself; the text comes from replies.py."""
    return {"name": name, "match": match, "direct_response": {"status": status}, **fields}
