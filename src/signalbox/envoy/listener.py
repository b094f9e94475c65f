"""The listener: what a request meets before it is routed."""

from __future__ import annotations

from ipaddress import ip_address

from signalbox.decide.headers import wanted_headers
from signalbox.envoy.access_log import BEGUN_LOG_OPTIONS, access_log, request_log
from signalbox.envoy.bootstrap import from_file
from signalbox.envoy.layout import (
    GATEWAY_SECRET,
    GATEWAY_SECRET_FILE,
    LISTENER,
    METADATA_NAMESPACE,
    ROUTE_CONFIG,
    ROUTES_FILE,
    STAT_PREFIX,
    WORKERS_CLUSTER,
    Layout,
)
from signalbox.envoy.replies import local_reply_config
from signalbox.envoy.resource import Resource, extension, typed
from signalbox.envoy.upstream import CREDENTIAL_HEADERS
from signalbox.policy.schema import Gateway, Policy

CONNECTION_BUFFER_BYTES = 1024 * 1024  # per connection; the buffer filter raises it for a stream that needs more
UPLOAD_SECONDS = 30  # without a limit a half-sent body would wait forever
REQUEST_HEADERS_SECONDS = 10
DECISION_SECONDS = (
    0.3  # beside the engine's deadline; two attempts at a decision fit in; the worker answers long before
)
MORE_TIME_SECONDS = 3  # how far a worker may extend its own time
INFLATE_RATIO = 100  # a body that grows more is not a prompt
READY_PATH, LIVE_PATH = "/ready", "/live"  # of the gateway itself; for kubelets and load balancers
WORKERS_NEEDED_PERCENT = 1  # any worker at all: the others are being started again
ROUTE_HEADER = "x-model-router-selected-route"
AFFINITY_HEADER = "x-model-affinity"


def listener(policy: Policy, layout: Layout, keep: Policy | None = None) -> Resource:
    """The gateway's listener. It hardly depends on the policy: a changed listener drains its connections."""
    gateway = policy.gateway
    chain: Resource = {"filters": [_connection_manager(policy, layout, keep)]}
    if gateway.tls is not None:
        chain = {"transport_socket": _tls(layout), **chain}
    return typed(
        "envoy.config.listener.v3.Listener",
        name=LISTENER,
        address={"socket_address": socket_address(gateway)},
        per_connection_buffer_limit_bytes=CONNECTION_BUFFER_BYTES,
        filter_chains=[chain],
    )


def socket_address(gateway: Gateway) -> Resource:
    """Where the gateway listens."""
    address: Resource = {"address": gateway.address, "port_value": gateway.port}
    if ip_address(gateway.address) == ip_address("::"):
        address["ipv4_compat"] = True  # everywhere means IPv4 too
    return address


def _tls(layout: Layout) -> Resource:
    return extension(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context={
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            # Through a secret file: a renewed certificate needs no restart.
            "tls_certificate_sds_secret_configs": [
                {"name": GATEWAY_SECRET, "sds_config": from_file(layout, GATEWAY_SECRET_FILE)}
            ],
        },
    )


def _connection_manager(policy: Policy, layout: Layout, keep: Policy | None) -> Resource:
    return extension(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=STAT_PREFIX,
        use_remote_address=True,
        generate_request_id=True,
        normalize_path=True,
        merge_slashes=True,
        common_http_protocol_options={"headers_with_underscores_action": "REJECT_REQUEST"},
        request_headers_timeout=f"{REQUEST_HEADERS_SECONDS}s",
        request_timeout=f"{UPLOAD_SECONDS}s",
        early_header_mutation_extensions=[_forget_forged_headers()],
        local_reply_config=local_reply_config(),
        access_log=[request_log()],
        access_log_options=BEGUN_LOG_OPTIONS,
        http_filters=_http_filters(policy, keep),
        rds={"route_config_name": ROUTE_CONFIG, "config_source": from_file(layout, ROUTES_FILE)},
    )


def _forget_forged_headers() -> Resource:
    """Before routing, so that nothing a client sends can look like something we decided.

    A route's request_headers_to_remove would be too late: the route is already chosen then.
    """
    return extension(
        "envoy.http.early_header_mutation.header_mutation",
        "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        mutations=[
            {"remove_on_match": {"key_matcher": {"prefix": "x-signalbox-"}}},
            {"remove_on_match": {"key_matcher": {"prefix": "x-envoy-"}}},
            {"remove": ROUTE_HEADER},
        ],
    )


def _http_filters(policy: Policy, keep: Policy | None) -> list[Resource]:
    gateway = policy.gateway
    by_header = gateway.mode == "cluster_header"
    # After ext_proc it holds the headers until the body is whole, so the router cannot pick a cluster
    # before the decision exists; and it restores content-length. Where ext_proc takes the headers first,
    # it holds them itself, but would buffer no more than a connection may: there the buffer comes first.
    buffer = extension(
        "envoy.filters.http.buffer",
        "envoy.extensions.filters.http.buffer.v3.Buffer",
        max_request_bytes=gateway.max_body_bytes,
    )
    ext_proc = _ext_proc(policy, keep)
    filters = [
        *probe_filters(),
        # A compressed body would be no JSON to the workers. Requests only.
        extension(
            "envoy.filters.http.decompressor",
            "envoy.extensions.filters.http.decompressor.v3.Decompressor",
            decompressor_library=extension(
                "gzip",
                "envoy.extensions.compression.gzip.decompressor.v3.Gzip",
                max_inflate_ratio=INFLATE_RATIO,
            ),
            response_direction_config={
                "common_config": {"enabled": {"default_value": False, "runtime_key": "signalbox.inflate_responses"}}
            },
        ),
        *((buffer, ext_proc) if by_header else (ext_proc, buffer)),
    ]
    if not by_header:
        filters.append(_token_usage())  # not in Envoy 1.39, which the other mode is for
    filters.append(
        extension(
            "envoy.filters.http.router",
            "envoy.extensions.filters.http.router.v3.Router",
            suppress_envoy_headers=True,
            # One entry per attempt: the request's own entry knows the last one only, so a 429's
            # retry-after would be lost exactly when the fallback worked.
            upstream_log_options={"flush_upstream_log_on_upstream_stream": True},
            upstream_log=[access_log("attempt")],
        )
    )
    return filters


def probe_filters() -> list[Resource]:
    """The filters that answer /ready and /live."""
    return [
        _health(READY_PATH, cluster_min_healthy_percentages={WORKERS_CLUSTER: {"value": WORKERS_NEEDED_PERCENT}}),
        _health(LIVE_PATH),
    ]


def _health(path: str, **fields: Resource) -> Resource:
    """Answers a probe before anything else sees it: 200, or 503 while Envoy drains or what `fields` ask for fails."""
    return extension(
        "envoy.filters.http.health_check",
        "envoy.extensions.filters.http.health_check.v3.HealthCheck",
        pass_through_mode=False,
        headers=[{"name": ":path", "string_match": {"exact": path}}],
        **fields,
    )


def request_attributes(policy: Policy, keep: Policy | None = None) -> list[str]:
    """CEL names of what a worker is told beside the body: path, id, and the headers that policies look at.

    Each header by its name, because the whole map arrives as useless text; and never a credential.
    """
    headers = {AFFINITY_HEADER, *wanted_headers(policy), *(wanted_headers(keep) if keep is not None else ())}
    wanted = sorted(headers - set(CREDENTIAL_HEADERS))
    return ["request.id", "request.path", *(f"request.headers['{name}']" for name in wanted)]


def _ext_proc(policy: Policy, keep: Policy | None) -> Resource:
    by_header = policy.gateway.mode == "cluster_header"
    return extension(
        "envoy.filters.http.ext_proc",
        "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
        # One message each way: the body with the attributes below. A header mutation needs the headers
        # to have been sent, which costs cluster_header mode a second message.
        processing_mode={
            "request_header_mode": "SEND" if by_header else "SKIP",
            "request_body_mode": "BUFFERED",
            "request_trailer_mode": "SKIP",
            "response_header_mode": "SKIP",
            "response_body_mode": "NONE",
            "response_trailer_mode": "SKIP",
        },
        request_attributes=request_attributes(policy, keep),
        metadata_options={"receiving_namespaces": {"untyped": [METADATA_NAMESPACE]}},
        mutation_rules=_mutation_rules(by_header),
        **({"forward_rules": {"allowed_headers": {"patterns": [{"exact": "content-type"}]}}} if by_header else {}),
        failure_mode_allow=False,
        status_on_error={"code": "ServiceUnavailable"},
        message_timeout=f"{decision_seconds(policy, keep):g}s",
        max_message_timeout=f"{MORE_TIME_SECONDS}s",
        grpc_service={
            "envoy_grpc": {"cluster_name": WORKERS_CLUSTER},
            "timeout": "0s",
            # Here, not inside envoy_grpc: that one is not honoured for this stream.
            "retry_policy": {
                "retry_on": "connect-failure,reset,unavailable",
                "num_retries": 2,
                "host_selection_retry_max_attempts": 5,
                "retry_host_predicate": [
                    extension(
                        "envoy.retry_host_predicates.previous_hosts",
                        "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
                    )
                ],
                "retry_back_off": {"base_interval": "0.002s", "max_interval": "0.02s"},
            },
        },
    )


def decision_seconds(policy: Policy, keep: Policy | None = None) -> float:
    """How long Envoy waits for a decision: what one takes, and as long as the slowest engines may."""
    return DECISION_SECONDS + max(_engine_ms(each) for each in (policy, keep) if each is not None) / 1000


def _engine_ms(policy: Policy) -> float:
    """The longest that engines may take. An engine off the site is asked only when those of guards have answered."""
    engines = {name: each for name, each in policy.known_engines.items() if not each.is_builtin}
    asked = {name: engines[name] for router in policy.routers.values() for name in router.engines if name in engines}
    ruled = [
        engines[rule.when.engine.name].deadline_ms
        for router in policy.routers.values()
        for rule in router.rules
        if rule.when.engine is not None and rule.when.engine.name in engines
    ]
    before = max(ruled, default=0.0) if any(engine.leaves_the_site for engine in asked.values()) else 0.0
    return before + max((engine.deadline_ms for engine in asked.values()), default=0.0)


def _mutation_rules(by_header: bool) -> Resource:
    """What a sidecar may do to headers, broken or not: say when to ask again, and perhaps where the request goes."""
    if not by_header:
        return {"disallow_all": True, "allow_expression": {"regex": "retry-after"}}
    # Envoy answers 500 to a body whose length is not the one in the header, so that must change with it.
    return {"disallow_all": True, "allow_expression": {"regex": "retry-after|x-signalbox-.*|content-length"}}


def _token_usage() -> Resource:
    """Reads `usage` out of JSON and SSE answers as they pass, for the access log.

    Envoy calls it work in progress and says so at start: telemetry, not billing.
    """
    return extension(
        "envoy.filters.http.ai_protocol_manager",
        "envoy.extensions.filters.http.ai_protocol_manager.v3.AiProtocolManager",
        response_handling={
            "token_usage": {"include_unconfigured_routes": True, "default_llm_protocol": "OPENAI_CHAT_COMPLETIONS"}
        },
    )
