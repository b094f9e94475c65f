"""Where Envoy and the sidecar meet: the names of files, sockets and clusters that both sides must agree on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

METADATA_NAMESPACE = "signalbox"
"""Dynamic metadata of the decision. Written by the workers, read by routes, upstream filters and access log."""

ATTEMPT_NAMESPACE = "signalbox.attempt"
"""Dynamic metadata of the attempt that is under way. Written by upstream.lua."""

STAT_PREFIX = "clients"
"""Envoy's counters of the gateway are called `http.clients.*`."""

LISTENER = "gateway"
ROUTE_CONFIG = "gateway"
# A cluster of the bootstrap wins over a later one; no provider's name starts like these (policy.references).
WORKERS_CLUSTER = "signalbox-workers"
COLLECTOR_CLUSTER = "signalbox-collector"
GATEWAY_SECRET = "gateway"

# A provider's name begins with a letter or a digit, so these two cannot be one.
NOWHERE_CLUSTER = "_nowhere"
NOWHERE_GROUP = "_nowhere-{}"

BOOTSTRAP_FILE = "bootstrap.yaml"
CLUSTERS_FILE = "cds.yaml"
ROUTES_FILE = "rds.yaml"
LISTENERS_FILE = "lds.yaml"
SECRETS_DIRECTORY = "secrets"
GATEWAY_SECRET_FILE = f"{SECRETS_DIRECTORY}/gateway.tls.yaml"  # the dot keeps it apart from a provider called gateway

HEAP_SHARE = 0.85  # of a container's limit: stacks, code and what the allocator keeps are not in the heap

# Debian's comes first: it is also where Envoy's own images keep theirs. Envoy's `system_root_certs` would
# find them by itself, but is refused together with a check of the name.
CA_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


def system_ca_file() -> str:
    """File with the authorities this machine trusts; Debian's name for it where there is none."""
    return next((name for name in CA_FILES if Path(name).is_file()), CA_FILES[0])


def provider_secret_file(provider: str) -> str:
    """File below the run directory that tells Envoy where a provider's key is."""
    return f"{SECRETS_DIRECTORY}/{provider}.yaml"


@dataclass(frozen=True, slots=True)
class Layout:
    """One run directory, as Envoy and the sidecar share it.

    run_dir: made absolute by callers, unless Envoy is started inside of it; `.` is possible then.
    workers: number of worker sockets, one endpoint each.
    max_connections: clients connected at once; more are closed at once.
    max_heap_bytes: Envoy refuses requests just below it, rather than being killed above it.
    ca_file: authorities that providers' certificates are checked against, if the policy names no others.
    front: whether this Envoy serves the workers to an Envoy elsewhere, instead of being the gateway.
    sidecars: host and port of such a front, for the Envoy elsewhere; None: the workers are in this directory.
    """

    run_dir: Path
    workers: int = 1
    max_connections: int = 10_000
    max_heap_bytes: int = 2 * 1024**3
    ca_file: str = field(default_factory=system_ca_file)
    front: bool = False
    sidecars: tuple[str, int] | None = None

    @classmethod
    def within(cls, run_dir: Path, workers: int, memory_bytes: int | None) -> Layout:
        """A layout whose Envoy stays within `memory_bytes`, its container's limit; None for the usual limit."""
        if memory_bytes is None:
            return cls(run_dir=run_dir, workers=workers)
        return cls(run_dir=run_dir, workers=workers, max_heap_bytes=int(memory_bytes * HEAP_SHARE))

    def path(self, name: str) -> str:
        """A file of the run directory as Envoy is told of it.

        Envoy refuses to watch a path without a slash, which is what Path would make of `./lds.yaml`.
        """
        return f"{self.run_dir}/{name}"

    def worker_socket(self, number: int) -> Path:
        return self.run_dir / f"worker-{number}.sock"

    @property
    def collector_socket(self) -> Path:
        return self.run_dir / "collector.sock"

    @property
    def admin_socket(self) -> Path:
        return self.run_dir / "admin.sock"
