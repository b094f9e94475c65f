"""Clusters: one per provider. It alone knows the provider's address, name, authorities and health."""

from __future__ import annotations

from ipaddress import ip_address

from signalbox.envoy.layout import Layout
from signalbox.envoy.resource import Resource, extension, http_options, seconds, typed
from signalbox.envoy.upstream import upstream_filters
from signalbox.policy.schema import Policy, Provider

# Three concurrent retries is Envoy's default, so an outage would throttle its own fallback; and an
# overflow ends the chain instead of moving on. Admission belongs to the sidecar, not to these.
ROOMY: Resource = {
    "thresholds": [
        {
            "max_connections": 10_000,
            "max_requests": 10_000,
            "max_pending_requests": 10_000,
            "retry_budget": {"budget_percent": {"value": 100.0}, "min_retry_concurrency": 1000},
        }
    ]
}

# For providers with several addresses: step around one that fails by itself. Half of them stay at any
# rate, so a provider with a single address is never left without one: an empty cluster ends the chain.
# 500 does not count, for it may be about the request.
EJECT_SINGLE_ADDRESSES: Resource = {
    "split_external_local_origin_errors": True,
    "consecutive_local_origin_failure": 3,
    "consecutive_gateway_failure": 5,
    "enforcing_consecutive_gateway_failure": 100,
    "enforcing_consecutive_5xx": 0,
    "enforcing_success_rate": 0,
    "enforcing_local_origin_success_rate": 0,
    "interval": "2s",
    "base_ejection_time": "5s",
    "max_ejection_percent": 50,
}

IDLE_CONNECTION_SECONDS = 30  # below what providers keep, so that we rarely send on a connection being closed
HEALTH_TIMEOUT_SECONDS = 5.0


def clusters(policy: Policy, layout: Layout, keep: Policy | None = None) -> list[Resource]:
    """A cluster for each provider of `policy`, and for those of `keep` that it has no more."""
    policies = [policy] if keep is None else [policy, keep]
    providers = {} if keep is None else dict(keep.providers)
    providers |= policy.providers
    return [
        typed("envoy.config.cluster.v3.Cluster", **_cluster(name, provider, policies, layout))
        for name, provider in providers.items()
    ]


def _cluster(name: str, provider: Provider, policies: list[Policy], layout: Layout) -> Resource:
    cluster: Resource = {
        "name": name,
        **_discovery(provider),
        "connect_timeout": "2s",
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [
                {
                    "lb_endpoints": [
                        {
                            "endpoint": {
                                "address": {"socket_address": {"address": provider.host, "port_value": provider.port}}
                            }
                        }
                    ]
                }
            ],
        },
        "circuit_breakers": ROOMY,
        "outlier_detection": EJECT_SINGLE_ADDRESSES,
        "typed_extension_protocol_options": http_options(
            common_http_protocol_options={"idle_timeout": seconds(IDLE_CONNECTION_SECONDS)},
            **_protocol(provider),
            http_filters=upstream_filters(name, provider, policies, layout),
        ),
    }
    if provider.tls:
        cluster["transport_socket"] = _tls(provider, layout)
    if provider.health is not None:
        cluster["health_checks"] = [_health_check(provider, provider.health.path, provider.health.interval_seconds)]
    return cluster


def is_ip(host: str) -> bool:
    """Whether a host is an address, so that there is nothing to look up and no name to check."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _discovery(provider: Provider) -> Resource:
    if is_ip(provider.host):
        return {"type": "STATIC"}
    return {
        "cluster_type": extension(
            "envoy.cluster.dns",
            "envoy.extensions.clusters.dns.v3.DnsCluster",
            respect_dns_ttl=True,
            dns_refresh_rate="30s",  # where an answer has no TTL
            dns_failure_refresh_rate={"base_interval": "1s", "max_interval": "10s"},
            dns_lookup_family="V4_PREFERRED",  # by default AAAA wins, also where there is no IPv6 route
        )
    }


def _protocol(provider: Provider) -> Resource:
    """Over TLS the provider chooses by ALPN; in plain text HTTP/1.1 is what everything speaks."""
    if not provider.tls:
        return {"explicit_http_config": {"http_protocol_options": {}}}
    keepalive = {"interval": "30s", "timeout": "10s"}
    return {"auto_config": {"http2_protocol_options": {"connection_keepalive": keepalive}}}


def _tls(provider: Provider, layout: Layout) -> Resource:
    name = provider.sni or provider.host
    # Authorities alone would accept any certificate of theirs, a name alone is refused by Envoy.
    validation: Resource = {
        "trusted_ca": {"filename": provider.ca_file or layout.ca_file},
        "match_typed_subject_alt_names": [
            {"san_type": "IP_ADDRESS" if is_ip(name) else "DNS", "matcher": {"exact": name}}
        ],
    }
    context: Resource = {
        "common_tls_context": {
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "validation_context": validation,
        }
    }
    if not is_ip(name):
        context = {"sni": name, **context}  # an address is no server name (RFC 6066, section 3)
    return extension(
        "envoy.transport_sockets.tls", "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", **context
    )


def _health_check(provider: Provider, path: str, interval_seconds: float) -> Resource:
    interval = seconds(interval_seconds)
    return {
        "timeout": seconds(min(interval_seconds, HEALTH_TIMEOUT_SECONDS)),
        "interval": interval,
        "no_traffic_interval": interval,  # a minute by default, which is how long a new model would wait
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        "http_health_check": {"host": provider.authority, "path": path},
    }
