"""The sidecar's HTTP API: metrics, health, readiness, drains, the serving policy, feedback. docs/api.md describes it.

Without secrets, and feedback is all it takes. It answers from memory, so a scrape never waits for anything.
"""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import msgspec
from aiohttp import web
from prometheus_client.exposition import choose_encoder

from signalbox.collector.journal.entry import DECISION_ID
from signalbox.collector.state import Collector, Readiness
from signalbox.control import DRAINED, DRAINING
from signalbox.errors import SetupError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MAX_BODY_BYTES = 4096  # of feedback, the only thing anybody sends here

BEGIN_SECONDS = 5.0  # a kubelet runs all hooks of a pod at once, and a process takes a moment to start
LOOK_SECONDS = 0.1

STOPPING = web.AppKey("stopping", asyncio.Event)
RUN_DIR = web.AppKey("run_dir", Path)
COLLECTOR = web.AppKey("collector", Collector)


class Feedback(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /v1/feedback."""

    decision_id: Annotated[str, msgspec.Meta(pattern=rf"\A{DECISION_ID.pattern}\Z")]
    score: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    label: Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9_-]{0,31}\Z")] | None = None


FEEDBACK_MEMBERS = {
    "decision_id": "the value of an answer's x-signalbox-decision header",
    "score": "a number from 0 to 1, or null",
    "label": "1 to 32 of a-z, 0-9, _ and -, beginning with a letter or digit, or null",
}


def make_app(collector: Collector, run_dir: Path) -> web.Application:
    """Return the API as an aiohttp application. run_dir: where a drain leaves its files."""
    app = web.Application(middlewares=[_errors_as_json], client_max_size=MAX_BODY_BYTES)
    app[COLLECTOR], app[RUN_DIR], app[STOPPING] = collector, run_dir, asyncio.Event()
    app.on_shutdown.append(_stop_waiting)
    app.router.add_get("/metrics", _metrics)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz)
    app.router.add_get("/drained", _drained)
    app.router.add_get("/v1/policy", _policy)
    app.router.add_get("/v1/thresholds", _thresholds)
    app.router.add_post("/v1/feedback", _feedback)
    return app


async def start_api(collector: Collector, host: str, port: int, run_dir: Path) -> tuple[web.AppRunner, int]:
    """Serve the API. Returns its runner and the port, which differs from `port` if that is 0.

    Raises SetupError if the address cannot be used.
    """
    runner = web.AppRunner(make_app(collector, run_dir), access_log=None, handle_signals=False)
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


async def _drained(request: web.Request) -> web.Response:
    """Answer once a drain is over, or when none has begun: what Envoy's container waits for before it ends."""
    run_dir, stopping = request.app[RUN_DIR], request.app[STOPPING]
    begin_until = time.monotonic() + BEGIN_SECONDS
    drained = False
    while not (drained or stopping.is_set()):
        drained = (run_dir / DRAINED).exists()
        if not (run_dir / DRAINING).exists() and time.monotonic() > begin_until:
            break
        await asyncio.sleep(0 if drained else LOOK_SECONDS)
    return web.json_response({"drained": drained})


async def _stop_waiting(app: web.Application) -> None:
    app[STOPPING].set()


async def _policy(request: web.Request) -> web.Response:
    status = request.app[COLLECTOR].readiness.status
    if status is None:
        return _error(HTTPStatus.SERVICE_UNAVAILABLE, "no policy is known yet; see /readyz", "not_ready")
    return web.json_response(
        {"sha256": status.policy.sha256, "loaded_at": _rfc3339(status.policy.loaded_at), "error": status.policy.error}
    )


async def _thresholds(request: web.Request) -> web.Response:
    standings = request.app[COLLECTOR].thresholds
    return web.json_response(
        {
            "thresholds": [
                {
                    "router": router,
                    "state": standing.state.value,
                    "threshold": standing.value,
                    "strong_share": round(standing.strong_share, 4),
                }
                for router, standing in sorted(standings.items())
            ]
        }
    )


async def _feedback(request: web.Request) -> web.Response:
    # A page in somebody's browser can post anything but this type to another origin without being asked.
    if request.content_type != "application/json":
        return _error(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected content-type: application/json", "unsupported_media_type"
        )
    try:
        feedback = _FEEDBACK_DECODER.decode(await request.read())
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        return _bad_feedback(str(problem))
    if feedback.score is None and feedback.label is None:
        return _error(HTTPStatus.BAD_REQUEST, "expected a score, a label, or both", "invalid_request")
    known = request.app[COLLECTOR].journal.mark(feedback.decision_id, feedback.score, feedback.label or "")
    return web.json_response({"decision_id": feedback.decision_id, "known": known}, status=HTTPStatus.ACCEPTED)


def _bad_feedback(problem: str) -> web.Response:
    """Answer with the member that is wrong and what is expected there; nothing of what was sent."""
    for member, expected in FEEDBACK_MEMBERS.items():
        if f"$.{member}`" in problem or f"field `{member}`" in problem:
            return _error(HTTPStatus.BAD_REQUEST, f"{member}: expected {expected}", "invalid_request", param=member)
    members = ", ".join(FEEDBACK_MEMBERS)
    return _error(HTTPStatus.BAD_REQUEST, f"expected a JSON object with no members but {members}", "invalid_request")


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
    except web.HTTPRequestEntityTooLarge:
        message = f"the body is too large; expected {MAX_BODY_BYTES} bytes at most"
        return _error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message, "body_too_large")
    except web.HTTPMethodNotAllowed as problem:
        allowed = ", ".join(sorted(problem.allowed_methods))
        answer = _error(HTTPStatus.METHOD_NOT_ALLOWED, f"this path answers {allowed}", "method_not_allowed")
        answer.headers["allow"] = allowed
        return answer


def _error(status: HTTPStatus, message: str, code: str, *, param: str | None = None) -> web.Response:
    """The shape clients of this gateway know from its other errors."""
    kind = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    error = {"message": message, "type": kind, "param": param, "code": code}
    return web.json_response({"error": error}, status=status)


def _rfc3339(epoch_seconds: float) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_FEEDBACK_DECODER = msgspec.json.Decoder(Feedback)
