"""The Envoy before sidecars that serve an Envoy elsewhere: workers and collector at one address, over gRPC.

    their Envoy ──ext_proc, health, access log over TCP──> front ──unix sockets──> workers, collector

It routes no request of a client and knows no provider. It is there so that workers stay on unix sockets, decisions are
spread over them one by one, and probes and drains are those of the gateway. Its port speaks plain HTTP/2: `gateway.tls`
is about clients.
"""

from __future__ import annotations

from signalbox.envoy.bootstrap import HEALTH_SERVICE, from_file
from signalbox.envoy.layout import (
    COLLECTOR_CLUSTER,
    LISTENER,
    ROUTE_CONFIG,
    ROUTES_FILE,
    STAT_PREFIX,
    WORKERS_CLUSTER,
    Layout,
)
from signalbox.envoy.listener import CONNECTION_BUFFER_BYTES, probe_filters, socket_address
from signalbox.envoy.resource import Resource, extension, typed
from signalbox.policy.schema import Policy

SERVICES = {
    HEALTH_SERVICE: WORKERS_CLUSTER,
    "grpc.health.v1.Health": WORKERS_CLUSTER,
    "envoy.service.accesslog.v3.AccessLogService": COLLECTOR_CLUSTER,
}


def front_listener(policy: Policy, layout: Layout) -> Resource:
    """The listener, on the gateway's address."""
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=STAT_PREFIX,
        stream_idle_timeout="0s",  # an access log may have nothing to say for hours
        http_filters=[
            *probe_filters(),
            extension("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router"),
        ],
        rds={"route_config_name": ROUTE_CONFIG, "config_source": from_file(layout, ROUTES_FILE)},
    )
    return typed(
        "envoy.config.listener.v3.Listener",
        name=LISTENER,
        address={"socket_address": socket_address(policy.gateway)},
        per_connection_buffer_limit_bytes=CONNECTION_BUFFER_BYTES,
        filter_chains=[{"filters": [manager]}],
    )


def front_routes() -> Resource:
    """One route for each gRPC service; nothing else is answered."""
    return typed(
        "envoy.config.route.v3.RouteConfiguration",
        name=ROUTE_CONFIG,
        virtual_hosts=[
            {
                "name": "front",
                "domains": ["*"],
                "routes": [
                    {
                        "name": service,
                        "match": {"prefix": f"/{service}/", "grpc": {}},
                        # No limit here: whoever asks has one.
                        "route": {"cluster": cluster, "timeout": "0s"},
                    }
                    for service, cluster in SERVICES.items()
                ],
            }
        ],
    )
