"""The sidecar's HTTP API: metrics, health, readiness and the serving policy. docs/api.md describes it.

Read-only and without secrets. It answers from memory, so a scrape never waits for anything.
"""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from signalbox.collector.state import Collector, Readiness
from signalbox.errors import SetupError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

COLLECTOR = web.AppKey("collector", Collector)


def make_app(collector: Collector) -> web.Application:
    """Return the API as an aiohttp application."""
    app = web.Application(middlewares=[_errors_as_json])
    app[COLLECTOR] = collector
    app.router.add_get("/metrics", _metrics)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz)
    app.router.add_get("/v1/policy", _policy)
    return app


async def start_api(collector: Collector, host: str, port: int) -> tuple[web.AppRunner, int]:
    """Serve the API. Returns its runner and the port, which differs from `port` if that is 0.

    Raises SetupError if the address cannot be used.
    """
    runner = web.AppRunner(make_app(collector), access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as problem:
        await runner.cleanup()
        found = "is taken" if problem.errno == errno.EADDRINUSE else f"cannot be used: {problem.strerror}"
        raise SetupError(
            f"the HTTP API's address {host}:{port} {found}\n"
            "  expected: an address of this machine with a free port\n"
            "  fix: stop what listens there, or choose another port (--api-port for up, --api for serve)"
        ) from problem
    return runner, runner.addresses[0][1]


async def _metrics(request: web.Request) -> web.Response:
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    text = encode(request.app[COLLECTOR].metrics.registry)
    return web.Response(body=text, headers={"content-type": content_type})


async def _healthz(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def _readyz(request: web.Request) -> web.Response:
    readiness = request.app[COLLECTOR].readiness
    status = HTTPStatus.OK if readiness.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    return web.json_response(_readiness_members(readiness), status=status)


async def _policy(request: web.Request) -> web.Response:
    status = request.app[COLLECTOR].readiness.status
    if status is None:
        return _error(HTTPStatus.SERVICE_UNAVAILABLE, "no policy is known yet; see /readyz", "not_ready")
    return web.json_response(
        {"sha256": status.policy.sha256, "loaded_at": _rfc3339(status.policy.loaded_at), "error": status.policy.error}
    )


def _readiness_members(readiness: Readiness) -> dict[str, Any]:
    members: dict[str, Any] = {"ready": readiness.is_ready, "problems": list(readiness.problems)}
    status = readiness.status
    if status is not None and readiness.status_age_seconds is not None:
        members |= {
            "draining": status.draining,
            "workers": {
                "wanted": status.workers_wanted,
                "ready": status.workers_ready,
                "restarts": status.worker_restarts,
            },
            "policy": {
                "sha256": status.policy.sha256,
                "loaded_at": _rfc3339(status.policy.loaded_at),
                "error": status.policy.error,
            },
            "status_age_seconds": round(readiness.status_age_seconds, 3),
        }
    return members


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPNotFound:
        paths = sorted({resource.canonical for resource in request.app.router.resources()})
        return _error(HTTPStatus.NOT_FOUND, f"no such path; there are {', '.join(paths)}", "not_found")
    except web.HTTPMethodNotAllowed as problem:
        allowed = ", ".join(sorted(problem.allowed_methods))
        answer = _error(HTTPStatus.METHOD_NOT_ALLOWED, f"this path answers {allowed}", "method_not_allowed")
        answer.headers["allow"] = allowed
        return answer


def _error(status: HTTPStatus, message: str, code: str) -> web.Response:
    """The shape clients of this gateway know from its other errors."""
    kind = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    error = {"message": message, "type": kind, "param": None, "code": code}
    return web.json_response({"error": error}, status=status)


def _rfc3339(epoch_seconds: float) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
