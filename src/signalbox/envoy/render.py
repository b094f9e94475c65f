"""A policy in, Envoy's files out. Pure: the same policy and layout give the same bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from signalbox.envoy.bootstrap import bootstrap
from signalbox.envoy.clusters import clusters
from signalbox.envoy.front import front_listener, front_routes
from signalbox.envoy.layout import (
    BOOTSTRAP_FILE,
    CLUSTERS_FILE,
    GATEWAY_SECRET,
    GATEWAY_SECRET_FILE,
    LISTENERS_FILE,
    ROUTES_FILE,
    Layout,
    provider_secret_file,
)
from signalbox.envoy.listener import listener
from signalbox.envoy.resource import Resource, typed
from signalbox.envoy.routes import route_configuration
from signalbox.envoy.text import as_yaml
from signalbox.policy.schema import Policy

__all__ = ["Layout", "Rendered", "render"]

VERSION_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Rendered:
    """Envoy's configuration for one policy, or for two during a reload.

    files: text by name, relative to the run directory.
    versions: `version_info` by discovery service (`cds`, `rds`, `lds`), as Envoy's admin interface shows
        it once applied: a hash of the content.
    """

    files: Mapping[str, str]
    versions: Mapping[str, str]


def render(
    policy: Policy, layout: Layout, *, keep: Policy | None = None, anew: frozenset[str] = frozenset()
) -> Rendered:
    """Everything Envoy needs for `policy`.

    keep: the policy before it. What its decisions name stays usable, because some are still under way;
        where both know a provider, `policy` says what it is.
    anew: key files to be named by another spelling of their path, for Envoy to read them again.
    """
    services: dict[str, tuple[str, list[Resource]]] = {
        "cds": (CLUSTERS_FILE, [] if layout.front else clusters(policy, layout, keep)),
        "rds": (ROUTES_FILE, [front_routes() if layout.front else route_configuration(policy, keep)]),
        "lds": (LISTENERS_FILE, [front_listener(policy, layout) if layout.front else listener(policy, layout, keep)]),
    }
    versions = {service: _version(resources) for service, (_, resources) in services.items()}
    files = {name: as_yaml(secret) for name, secret in _secrets(policy, keep, anew).items()}
    for service, (name, resources) in services.items():
        files[name] = as_yaml({"version_info": versions[service], "resources": resources})
    files[BOOTSTRAP_FILE] = as_yaml(bootstrap(policy, layout))
    return Rendered(files, versions)


def _version(resources: Sequence[Resource]) -> str:
    return hashlib.sha256(json.dumps(resources, sort_keys=True).encode()).hexdigest()[:VERSION_DIGITS]


def _secrets(policy: Policy, keep: Policy | None, anew: frozenset[str]) -> dict[str, Resource]:
    """SDS files. They name the files that hold keys; the keys themselves are read by Envoy alone."""
    providers = {} if keep is None else dict(keep.providers)
    providers |= policy.providers
    secrets = {
        provider_secret_file(name): _secret(
            name, generic_secret={"secret": {"filename": _spelled(provider.key.file, anew)}}
        )
        for name, provider in providers.items()
        if provider.key is not None
    }
    if policy.gateway.tls is not None:
        secrets[GATEWAY_SECRET_FILE] = _secret(
            GATEWAY_SECRET,
            tls_certificate={
                "certificate_chain": {"filename": policy.gateway.tls.certificate},
                "private_key": {"filename": policy.gateway.tls.private_key},
            },
        )
    return secrets


def _spelled(file: str, anew: frozenset[str]) -> str:
    folder, _, name = file.rpartition("/")
    return f"{folder}/./{name}" if file in anew else file


def _secret(name: str, **content: Resource) -> Resource:
    return {"resources": [typed("envoy.extensions.transport_sockets.tls.v3.Secret", name=name, **content)]}
