"""A small client of Envoy's admin interface: which configuration does Envoy have?"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from signalbox.envoy.layout import ROUTE_CONFIG, STAT_PREFIX

# Prefix of the statistics of each discovery service.
SERVICES = {
    "cds": "cluster_manager.cds",
    "rds": f"http.{STAT_PREFIX}.rds.{ROUTE_CONFIG}",
    "lds": "listener_manager.lds",
}
WARMING = ("cluster_manager.warming_clusters", "listener_manager.total_listeners_warming")
FILTER = r"(\.version_text|\.update_rejected|\.warming_clusters|\.total_listeners_warming)$"
ACTIVE_REQUESTS = f"http.{STAT_PREFIX}.downstream_rq_active"
TIMEOUT_SECONDS = 1.0
POLL_SECONDS = 0.01  # Envoy needs about as long to apply a renamed file


class Applied(StrEnum):
    """What became of a configuration."""

    APPLIED = "applied"  # all of it is in use
    REJECTED = "rejected"  # Envoy refused some of it; its log says why
    UNKNOWN = "unknown"  # no Envoy, an Envoy that could not be asked, or one still warming up


@dataclass(frozen=True, slots=True)
class State:
    """One look at Envoy. `versions` and `rejected` are by discovery service: `cds`, `rds`, `lds`.

    versions: `version_info` of what is in use; empty before the first.
    rejected: updates refused since Envoy started.
    warming: clusters and listeners that wait for their secrets, addresses or first health check.
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    warming: int = 0


class AdminClient:
    """Asks one Envoy. Blocking, with a timeout; not for use by two threads at once."""

    def __init__(self, admin_socket: Path) -> None:
        self._socket = admin_socket
        self._known: State | None = None

    def state(self) -> State | None:
        """What Envoy has now; None if it cannot be asked."""
        body = self._ask("GET", f"/stats?format=json&filter={FILTER.replace('|', '%7C')}")
        if body is None:
            return None
        try:
            stats = {entry["name"]: entry["value"] for entry in json.loads(body)["stats"] if "name" in entry}
        except (ValueError, KeyError):
            return None
        return State(
            {service: str(stats.get(f"{prefix}.version_text", "")) for service, prefix in SERVICES.items()},
            {service: int(stats.get(f"{prefix}.update_rejected", 0)) for service, prefix in SERVICES.items()},
            sum(int(stats.get(name, 0)) for name in WARMING),
        )

    def fail_health_checks(self) -> bool:
        """Let /ready and /live answer 503 from now on, and connections end with their next answer.

        New connections are still taken: others learn only later that this gateway is leaving. False if there is no
        Envoy to ask.
        """
        return self._ask("POST", "/healthcheck/fail") is not None

    def pass_health_checks(self) -> bool:
        """Let /ready and /live say how things are again. False if there is no Envoy to ask."""
        return self._ask("POST", "/healthcheck/ok") is not None

    def active_requests(self) -> int | None:
        """Requests of clients that have not ended, streams among them; None if Envoy cannot be asked."""
        body = self._ask("GET", f"/stats?format=json&filter=^{ACTIVE_REQUESTS}$")
        try:
            entries = [] if body is None else json.loads(body)["stats"]
            return next((int(entry["value"]) for entry in entries if entry.get("name") == ACTIVE_REQUESTS), None)
        except (ValueError, KeyError):
            return None

    def versions(self) -> Mapping[str, str]:
        """`version_info` in use by discovery service; empty if Envoy cannot be asked."""
        state = self.state()
        return {} if state is None else state.versions

    def mark(self) -> bool:
        """Remember how much Envoy has refused so far; False if there is no Envoy to ask.

        Call it before writing, or an early refusal goes unseen.
        """
        self._known = self.state()
        return self._known is not None

    def wait_applied(self, expected: Mapping[str, str], seconds: float) -> Applied:
        """Wait until Envoy uses `expected` (Rendered.versions), refuses it, or `seconds` have passed.

        Refusals count from the last `mark` or the end of the last wait. Without either they count from
        the first answer, and one that came before it reads as UNKNOWN.
        """
        deadline = time.monotonic() + seconds
        state: State | None = None
        try:
            while True:
                state = self.state()
                if state is not None:
                    if self._known is None:
                        self._known = state
                    if state.warming == 0 and all(state.versions.get(s) == v for s, v in expected.items()):
                        return Applied.APPLIED
                    if any(state.rejected[s] > self._known.rejected[s] for s in state.rejected):
                        return Applied.REJECTED
                if time.monotonic() >= deadline:
                    return Applied.UNKNOWN
                time.sleep(POLL_SECONDS)
        finally:
            if state is not None:
                self._known = state

    def _ask(self, method: str, target: str) -> bytes | None:
        connection = _UnixConnection(self._socket)
        try:
            connection.request(method, target)
            answer = connection.getresponse()
            return answer.read() if answer.status == http.client.OK else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket, which http.client has no class for."""

    def __init__(self, path: Path) -> None:
        super().__init__("envoy", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.sock.connect(str(self._path))
