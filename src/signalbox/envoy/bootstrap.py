"""What Envoy reads once, at its start: who it is, its limits, the sidecar's sockets, and where the rest is."""

from __future__ import annotations

from signalbox.envoy.layout import (
    CLUSTERS_FILE,
    COLLECTOR_CLUSTER,
    LISTENERS_FILE,
    NOWHERE_CLUSTER,
    WORKERS_CLUSTER,
    Layout,
)
from signalbox.envoy.resource import Resource, extension, pipe_cluster, remote_cluster
from signalbox.policy.schema import Policy

HEALTH_SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor"
OWNER_ONLY = 384  # 0600: Envoy refuses octal
HEAP_SHRINK, HEAP_REFUSE = 0.9, 0.97  # shares of Layout.max_heap_bytes


def bootstrap(policy: Policy, layout: Layout) -> Resource:
    """The bootstrap. A change of it needs a restart of Envoy, so only what cannot come by xDS is in it."""
    return {
        "node": {"id": "signalbox", "cluster": "signalbox"},  # secrets from files need both
        "admin": {"address": {"pipe": {"path": str(layout.admin_socket), "mode": OWNER_ONLY}}},
        "overload_manager": _overload_manager(layout),
        "dynamic_resources": {
            "lds_config": from_file(layout, LISTENERS_FILE),
            "cds_config": from_file(layout, CLUSTERS_FILE),
        },
        "static_resources": {
            "clusters": [
                _workers(policy, layout),
                _collector(layout),
                # Where attempts of a wrong decision end: it has no endpoints.
                {"name": NOWHERE_CLUSTER, "type": "STATIC", "connect_timeout": "1s"},
            ]
        },
    }


def from_file(layout: Layout, name: str) -> Resource:
    """A ConfigSource for one file of the run directory. Envoy watches its directory for a rename onto it."""
    return {"path_config_source": {"path": layout.path(name)}, "resource_api_version": "V3"}


def _overload_manager(layout: Layout) -> Resource:
    def above(share: float) -> list[Resource]:
        return [{"name": "envoy.resource_monitors.fixed_heap", "threshold": {"value": share}}]

    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            extension(
                "envoy.resource_monitors.global_downstream_max_connections",
                "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                max_active_downstream_connections=layout.max_connections,
            ),
            extension(
                "envoy.resource_monitors.fixed_heap",
                "envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig",
                max_heap_size_bytes=layout.max_heap_bytes,
            ),
        ],
        "actions": [
            {"name": "envoy.overload_actions.shrink_heap", "triggers": above(HEAP_SHRINK)},
            {"name": "envoy.overload_actions.stop_accepting_requests", "triggers": above(HEAP_REFUSE)},
        ],
    }


def _workers(policy: Policy, layout: Layout) -> Resource:
    """The routing workers, one endpoint per process.

    A dead worker has no active requests, so least_request would prefer it. The health check, the
    ejection here and the retry in the ext_proc filter each cover for the other two.
    """
    limit = policy.gateway.admission_limit
    fields: Resource = {
        "load_balancing_policy": {
            "policies": [
                {
                    "typed_extension_config": extension(
                        "envoy.load_balancing_policies.least_request",
                        "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest",
                        selection_method="FULL_SCAN",  # exact with few endpoints; the default samples two
                    )
                }
            ]
        },
        "health_checks": [
            {
                "timeout": "0.5s",
                "interval": "0.5s",
                "no_traffic_interval": "0.5s",
                "unhealthy_threshold": 1,
                "healthy_threshold": 1,
                "grpc_health_check": {"service_name": HEALTH_SERVICE},
            }
        ],
        "outlier_detection": {
            "split_external_local_origin_errors": True,
            "consecutive_local_origin_failure": 1,
            "interval": "1s",
            "base_ejection_time": "1s",
            "max_ejection_percent": 50,
        },
        # Decisions waiting or running, all workers together. The limit means that only because a worker
        # ends the RPC with its answer; a held RPC would count open streams instead.
        "circuit_breakers": {
            "thresholds": [
                {"max_requests": limit, "max_pending_requests": limit, "max_retries": 100, "track_remaining": True}
            ]
        },
    }
    if layout.sidecars is not None:
        return remote_cluster(WORKERS_CLUSTER, *layout.sidecars, **fields)
    sockets = [layout.worker_socket(number) for number in range(layout.workers)]
    return pipe_cluster(WORKERS_CLUSTER, sockets, **fields)


def _collector(layout: Layout) -> Resource:
    if layout.sidecars is not None:
        return remote_cluster(COLLECTOR_CLUSTER, *layout.sidecars)
    return pipe_cluster(COLLECTOR_CLUSTER, [layout.collector_socket])
