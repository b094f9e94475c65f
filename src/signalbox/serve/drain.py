"""`signalbox drain`: the requests of a gateway end in their own time, and then somebody may stop it.

    draining ──> /readyz, /ready and /live say 503; each answer ends its connection
    settle       load balancers take a few seconds to hear of it: new requests are served as ever
    wait         until no request is left for a moment, or the time is up
    drained  ──> GET /drained of the HTTP API answers

A pod calls this in the sidecar's preStop hook and `/drained` in Envoy's, because Envoy itself ends at once when it is
told to.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from signalbox.control import DRAINED, DRAINING
from signalbox.envoy.admin import AdminClient
from signalbox.envoy.layout import Layout
from signalbox.errors import SetupError

LOOK_SECONDS = 0.1
QUIET_SECONDS = 0.5  # a client between two requests of one connection; and the access log's last entries


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a drain came to. open_requests: those it did not wait for; None without an Envoy."""

    seconds: float
    open_requests: int | None

    @property
    def exit_status(self) -> int:
        """1 when requests were still open: a kubelet makes an event of it."""
        return 1 if self.open_requests else 0

    def as_json(self) -> dict[str, object]:
        """The outcome as the command prints it."""
        return {"event": "drained", "seconds": round(self.seconds, 1), "open_requests": self.open_requests}


def drain(run_dir: Path, seconds: float, settle_seconds: float) -> Outcome:
    """Drain the gateway of `run_dir`, for `seconds` at most. A second call takes over from the first.

    Raises SetupError if the directory cannot be written.
    """
    started = time.monotonic()
    admin = AdminClient(Layout(run_dir=run_dir).admin_socket)
    try:
        (run_dir / DRAINED).unlink(missing_ok=True)
        (run_dir / DRAINING).touch()
    except OSError as problem:
        raise SetupError(
            f"--run-dir {run_dir}: {problem.strerror or problem}\n  fix: name the directory of `signalbox serve`"
        ) from problem
    try:
        left: int | None = None
        if admin.fail_health_checks():
            time.sleep(min(settle_seconds, seconds))
            left = _wait_quiet(admin, started + seconds)
        return Outcome(time.monotonic() - started, left)
    finally:
        (run_dir / DRAINED).touch()  # whatever happened here, nobody shall wait for it


def _wait_quiet(admin: AdminClient, deadline: float) -> int | None:
    """Wait until nothing is under way for a moment. Returns the requests left; None once Envoy is gone."""
    quiet_since: float | None = None
    while True:
        left, now = admin.active_requests(), time.monotonic()
        if left is None:
            return None
        if left:
            quiet_since = None
        elif quiet_since is None:
            quiet_since = now
        if now >= deadline or (quiet_since is not None and now - quiet_since >= QUIET_SECONDS):
            return left
        time.sleep(LOOK_SECONDS)
