"""Every metric, label value and log field Signalbox publishes, declared once and nowhere else.

Plain data: the collector turns it into Prometheus metrics (`collector.metrics`) and log lines
(`collector.log`). docs/metrics.md describes the same list for operators, and a test compares the two.
Names under `gen_ai_` and their buckets follow OpenTelemetry's semantic conventions for generative AI,
with dots as underscores.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

OTHER = "other"
"""Label value for a name the serving policy does not have: label values come from closed sets only."""


class AttemptOutcome(StrEnum):
    """How one attempt at one provider ended."""

    OK = "ok"  # 1xx to 3xx, and the body came through
    RATE_LIMITED = "rate_limited"  # 429
    CLIENT_ERROR = "client_error"  # any other 4xx: passed to the client, not retried
    SERVER_ERROR = "server_error"  # 5xx
    TIMEOUT = "timeout"  # headers too late, or silence in the middle of the body
    REFUSED = "refused"  # no connection, or no healthy host to connect to
    RESET = "reset"  # the connection broke before the response headers
    CUT = "cut"  # it broke after them: the client saw a broken answer
    DENIED = "denied"  # stopped by Envoy in the provider's cluster: privacy, key, wrong decision
    ABANDONED = "abandoned"  # the client left first
    UNKNOWN = "unknown"  # nothing in the access log says


class UndecidedCause(StrEnum):
    """Why Envoy answered a request that Signalbox neither routed nor refused."""

    NO_DECISION = "no_decision"  # a worker ended without an answer, or was never asked
    DECISION_LATE = "decision_late"  # message_timeout passed
    WORKER_FAILED = "worker_failed"  # no worker reachable, or it died with the request
    OVERLOADED = "overloaded"  # admission limit: too many decisions waiting or running
    BODY_TOO_LARGE = "body_too_large"  # over gateway.max_body_bytes
    UPLOAD_TIMEOUT = "upload_timeout"  # the client did not finish sending
    BAD_REQUEST = "bad_request"  # not HTTP, forbidden header, no body where one is needed
    UNKNOWN_PATH = "unknown_path"  # no such API call
    CLIENT_GONE = "client_gone"  # the client left before there was a decision
    OTHER = "other"


class TokenType(StrEnum):
    """`gen_ai.token.type`."""

    INPUT = "input"
    OUTPUT = "output"


class ReloadOutcome(StrEnum):
    APPLIED = "applied"
    REFUSED = "refused"


class WorkerState(StrEnum):
    WANTED = "wanted"
    READY = "ready"


class AccessLog(StrEnum):
    """Streams of Envoy's access log, by the `log_name` they announce."""

    REQUEST = "request"
    ATTEMPT = "attempt"
    OTHER = "other"


class SourceOutcome(StrEnum):
    """What came of asking somebody else: a Prometheus server, or a price list on the web."""

    UPDATED = "updated"  # a good answer, taken
    PARTIAL = "partial"  # taken, but for figures that make no sense
    EMPTY = "empty"  # well-formed, with nothing in it to take
    ABSURD = "absurd"  # well-formed, and nothing in it makes sense
    UNREACHABLE = "unreachable"  # no connection, or it broke
    TIMEOUT = "timeout"
    STATUS = "status"  # an HTTP status other than 200
    TOO_LARGE = "too_large"
    UNREADABLE = "unreadable"  # not JSON, or not of the expected shape
    NOT_KEPT = "not_kept"  # taken, but the file for the next start could not be written
    NO_TOKEN = "no_token"  # its token file cannot be read
    FAILED = "failed"  # anything else: a defect


class FeedbackVerdict(StrEnum):
    """What a mark says of an answer."""

    GOOD = "good"  # a score of 0.5 or more
    BAD = "bad"  # a score below
    NONE = "none"  # a label alone


class JournalOutcome(StrEnum):
    """What became of a line of the journal."""

    WRITTEN = "written"
    DROPPED = "dropped"  # too many were waiting: the disk was too slow
    FAILED = "failed"  # the disk was full, broken, or another process's


class PushOutcome(StrEnum):
    OK = "ok"
    FAILED = "failed"


class StoreFault(StrEnum):
    """Why the store gave no answer, as `store.base.StoreError` has it."""

    LATE = "late"  # over its time budget
    DOWN = "down"  # no connection, or resting after failures
    BROKEN = "broken"  # an answer nobody can read


class Event(StrEnum):
    """Lines of the collector about its own work; those about requests are `request`."""

    CIRCUIT = "circuit"
    SHIFT = "shift"
    ROLLOUT_STEP = "rollout_step"
    ROLLBACK = "rollback"
    THRESHOLD = "threshold"
    SOURCE_CHANGED = "source_changed"
    WORLD_UNWRITABLE = "world_unwritable"
    JOURNAL_FAILED = "journal_failed"
    METRICS_PUSH_FAILED = "metrics_push_failed"
    ACCESS_LOG_UNREADABLE = "access_log_unreadable"


OPERATION_BY_ENDPOINT = {
    "chat_completions": "chat",
    "completions": "text_completion",
    "responses": "chat",
    "messages": "chat",
    "embeddings": "embeddings",
}
"""Endpoint -> `gen_ai.operation.name`, in OpenTelemetry's words."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family. `buckets` are upper bounds in the unit of the name; histograms only."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


# Decisions take 50 microseconds to a few milliseconds; Envoy gives up at 300 ms.
DECISION_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1)

# Encoders take milliseconds, served models hundreds of them.
ENGINE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# The four below are OpenTelemetry's recommended boundaries.
TOKEN_BUCKETS = tuple(4.0**n for n in range(14))
DURATION_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST_TOKEN_BUCKETS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
PER_TOKEN_BUCKETS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)

GEN_AI_LABELS = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")

# ---------------------------------------------------------------- requests and decisions

REQUESTS = Metric(
    "counter",
    "signalbox_requests_total",
    "Requests that ended, whoever answered them.",
    ("endpoint", "model", "provider", "status_class"),
)
DECISIONS = Metric(
    "counter",
    "signalbox_decisions_total",
    "Requests Signalbox routed.",
    ("router", "route", "reason", "endpoint"),
)
REFUSALS = Metric(
    "counter",
    "signalbox_refusals_total",
    "Requests Signalbox answered itself, by error code.",
    ("code", "endpoint"),
)
UNDECIDED = Metric(
    "counter",
    "signalbox_undecided_total",
    "Requests Envoy answered with an error before Signalbox had decided.",
    ("cause",),
)
DECIDE_SECONDS = Metric(
    "histogram",
    "signalbox_decide_seconds",
    "Time a worker spent on one decision, by its own clock.",
    buckets=DECISION_BUCKETS,
)
EXT_PROC_SECONDS = Metric(
    "histogram",
    "signalbox_ext_proc_seconds",
    "Time Envoy waited for one decision: transport, queueing and the decision itself.",
    buckets=DECISION_BUCKETS,
)

ENGINE_ANSWERS = Metric(
    "counter",
    "signalbox_engine_answers_total",
    "Requests an engine was asked about before they were decided, by what came of it; engines of rules too.",
    ("engine", "outcome"),
)
ENGINE_LABELS = Metric(
    "counter",
    "signalbox_engine_labels_total",
    "Requests a shadow engine was asked about after they were decided, by what came of it.",
    ("engine", "outcome"),
)
ENGINE_SECONDS = Metric(
    "histogram",
    "signalbox_engine_seconds",
    "Time until an engine's answer was there, waiting included; of a late one, until it was given up.",
    ("engine",),
    ENGINE_BUCKETS,
)

ANSWER_TOKENS = Metric(
    "counter",
    "signalbox_answer_tokens_total",
    "Tokens that went into engines' own answers, by the model that used them; the engine's own under its name.",
    ("engine", "model", "type"),
)

# ---------------------------------------------------------------- attempts at providers

ATTEMPTS = Metric(
    "counter",
    "signalbox_attempts_total",
    "Attempts at providers, by how each ended.",
    ("provider", "model", "outcome"),
)
FALLBACKS = Metric(
    "counter",
    "signalbox_fallbacks_total",
    "Steps from one candidate of a chain to the next.",
    ("from_provider", "to_provider"),
)

# ---------------------------------------------------------------- what follows from what was measured

CIRCUIT_STATE = Metric(
    "gauge",
    "signalbox_circuit_state",
    "Whether a model takes requests: 0 closed, it does; 1 half open, a share tries it; 2 open, it rests.",
    ("model", "provider"),
)
CIRCUIT_TRANSITIONS = Metric(
    "counter", "signalbox_circuit_transitions_total", "Changes of circuits.", ("model", "provider", "to")
)
SHIFT_SHARE = Metric(
    "gauge",
    "signalbox_shift_share",
    "Share of a router's sessions that moves away from a model over its limits, 0 to 1.",
    ("router", "model"),
)
ROLLOUT_SHARE = Metric(
    "gauge",
    "signalbox_rollout_share",
    "Share of the sessions a router's rollout has reached, 0 to 1; 0 when it was rolled back.",
    ("router",),
)
ROLLBACKS = Metric(
    "counter", "signalbox_rollbacks_total", "Rollouts taken back, by the limit they broke.", ("router", "reason")
)

THRESHOLD = Metric(
    "gauge",
    "signalbox_threshold",
    "Threshold that a router's running share or budget has led to; infinite where no request is for the strong tier.",
    ("router",),
)
THRESHOLD_STATE = Metric(
    "gauge",
    "signalbox_threshold_state",
    "How it stands: 0 learning, 1 following, 2 held by its bounds, 3 frozen, for the scores have drifted.",
    ("router",),
)
STRONG_SHARE = Metric(
    "gauge",
    "signalbox_strong_share",
    "Share of a router's last requests whose score was at or above its running threshold, 0 to 1.",
    ("router",),
)

# ---------------------------------------------------------------- sessions, comparisons, feedback

AFFINITY = Metric(
    "counter",
    "signalbox_affinity_total",
    "Requests of sessions, by what affinity did.",
    ("router", "outcome"),
)
SHADOW_DECISIONS = Metric(
    "counter",
    "signalbox_shadow_decisions_total",
    "Decisions that a shadow made as well: the model decided for, and the shadow's.",
    ("router", "model", "shadow_model"),
)
LOCAL_ONLY = Metric(
    "counter",
    "signalbox_local_only_total",
    "Requests that stayed on the site, by what made them: `header`, a kind of personal data, `unreadable`, `failed`.",
    ("router", "by"),
)
IMAGES_ASKED = Metric(
    "counter",
    "signalbox_images_asked_total",
    "Requests for an image, by how they ask, and whether a model that makes images was there for them.",
    ("router", "asked", "served"),
)
STORE_FAULTS = Metric(
    "counter",
    "signalbox_store_faults_total",
    "Requests decided without an answer of the store.",
    ("kind",),
)
SETTLEMENTS_DROPPED = Metric(
    "counter",
    "signalbox_settlements_dropped_total",
    "What requests left for the store and it never took: it was away for too long.",
)
FEEDBACK = Metric(
    "counter",
    "signalbox_feedback_total",
    "Decisions that feedback was given to, by the first mark.",
    ("router", "model", "verdict"),
)
ALLOWANCE_REMAINING = Metric(
    "gauge",
    "signalbox_allowance_remaining",
    "What a provider said in the last minute that it will still take, by its rate limit headers.",
    ("provider", "model", "unit"),
)
ATTEMPTS_IN_FLIGHT = Metric(
    "gauge",
    "signalbox_attempts_in_flight",
    "Attempts that have a connection and have not ended; without a model while that is not known yet.",
    ("provider", "model"),
)

# ---------------------------------------------------------------- OpenTelemetry's names

TOKEN_USAGE = Metric(
    "histogram",
    "gen_ai_client_token_usage",
    "Tokens per request, as the provider reported them.",
    (*GEN_AI_LABELS, "gen_ai_token_type"),
    TOKEN_BUCKETS,
)
REQUEST_DURATION = Metric(
    "histogram",
    "gen_ai_server_request_duration_seconds",
    "Time from the request's first byte to the answer's last, all attempts included.",
    (*GEN_AI_LABELS, "error_type"),
    DURATION_BUCKETS,
)
TIME_TO_FIRST_TOKEN = Metric(
    "histogram",
    "gen_ai_server_time_to_first_token_seconds",
    "Streams that succeeded: time from sending the request to the provider to the first byte of its body.",
    GEN_AI_LABELS,
    FIRST_TOKEN_BUCKETS,
)
TIME_PER_OUTPUT_TOKEN = Metric(
    "histogram",
    "gen_ai_server_time_per_output_token_seconds",
    "Streams that succeeded: time per token after the first.",
    GEN_AI_LABELS,
    PER_TOKEN_BUCKETS,
)

# ---------------------------------------------------------------- Signalbox itself

BUILD_INFO = Metric("gauge", "signalbox_build_info", "Always 1; the label says which version runs.", ("version",))
POLICY_INFO = Metric(
    "gauge",
    "signalbox_policy_info",
    "Always 1; the label has the first 12 digits of the serving policy's SHA-256.",
    ("sha",),
)
POLICY_LAST_SUCCESS = Metric(
    "gauge",
    "signalbox_policy_last_success_timestamp_seconds",
    "When the serving policy was loaded, in seconds since the epoch.",
)
POLICY_RELOADS = Metric(
    "counter", "signalbox_policy_reloads_total", "Changes of the policy file, by what came of them.", ("outcome",)
)
WORKERS = Metric("gauge", "signalbox_workers", "Worker processes: wanted, and ready to decide.", ("state",))
WORKER_RESTARTS = Metric("counter", "signalbox_worker_restarts_total", "Workers that died and were started again.")
WORLD_AGE = Metric(
    "gauge",
    "signalbox_world_age_seconds",
    "Time since the collector published a snapshot of the world; workers let go of one older than a minute.",
)
ACCESS_LOG_ENTRIES = Metric(
    "counter", "signalbox_access_log_entries_total", "Entries received from Envoy's access log.", ("log",)
)
ACCESS_LOG_UNREADABLE = Metric(
    "counter",
    "signalbox_access_log_unreadable_total",
    "Access log messages or entries that could not be read; the ones after them were.",
)
LOG_LINES_DROPPED = Metric(
    "counter",
    "signalbox_log_lines_dropped_total",
    "Log lines lost because standard output was closed or too slow.",
)

# ---------------------------------------------------------------- what others measured

PROMETHEUS_QUERIES = Metric(
    "counter", "signalbox_prometheus_queries_total", "Queries sent to Prometheus, by what came of each.", ("outcome",)
)
PROMETHEUS_AGE = Metric(
    "gauge",
    "signalbox_prometheus_age_seconds",
    "Time since the stalest of the policy's queries was answered; infinite for one that never was.",
)
PRICE_SOURCE_UPDATES = Metric(
    "counter",
    "signalbox_price_source_updates_total",
    "Requests for a price list on the web, by what came of each.",
    ("source", "outcome"),
)

JOURNAL_ENTRIES = Metric(
    "counter", "signalbox_journal_entries_total", "Lines for the journal, by what became of them.", ("outcome",)
)
METRICS_PUSHES = Metric(
    "counter", "signalbox_metrics_pushes_total", "Pushes of the metrics to a Pushgateway.", ("outcome",)
)

METRICS: tuple[Metric, ...] = (
    REQUESTS,
    DECISIONS,
    REFUSALS,
    UNDECIDED,
    DECIDE_SECONDS,
    EXT_PROC_SECONDS,
    ENGINE_ANSWERS,
    ENGINE_LABELS,
    ENGINE_SECONDS,
    ANSWER_TOKENS,
    ATTEMPTS,
    FALLBACKS,
    CIRCUIT_STATE,
    CIRCUIT_TRANSITIONS,
    SHIFT_SHARE,
    ROLLOUT_SHARE,
    ROLLBACKS,
    THRESHOLD,
    THRESHOLD_STATE,
    STRONG_SHARE,
    AFFINITY,
    SHADOW_DECISIONS,
    LOCAL_ONLY,
    IMAGES_ASKED,
    STORE_FAULTS,
    SETTLEMENTS_DROPPED,
    FEEDBACK,
    ALLOWANCE_REMAINING,
    ATTEMPTS_IN_FLIGHT,
    TOKEN_USAGE,
    REQUEST_DURATION,
    TIME_TO_FIRST_TOKEN,
    TIME_PER_OUTPUT_TOKEN,
    BUILD_INFO,
    POLICY_INFO,
    POLICY_LAST_SUCCESS,
    POLICY_RELOADS,
    WORKERS,
    WORKER_RESTARTS,
    WORLD_AGE,
    ACCESS_LOG_ENTRIES,
    ACCESS_LOG_UNREADABLE,
    LOG_LINES_DROPPED,
    PROMETHEUS_QUERIES,
    PROMETHEUS_AGE,
    PRICE_SOURCE_UPDATES,
    JOURNAL_ENTRIES,
    METRICS_PUSHES,
)

LOG_FIELDS: dict[str, str] = {
    "time": "when the answer ended, RFC 3339, UTC",
    "level": "`info`; `warning` when the client got a 5xx, no answer, or only the beginning of one",
    "event": "always `request`",
    "id": "the decision's id, as in x-signalbox-decision",
    "request_id": "x-request-id, if it is made of hexadecimal digits and dashes",
    "endpoint": "API call",
    "router": "router that decided; absent when the client named a model",
    "route": "task, router or model that won, as in x-model-router-selected-route",
    "reason": "why, as in x-signalbox-reason",
    "rule": "rule that decided, if one did",
    "error": "code of Signalbox's refusal",
    "undecided": "why Envoy answered before there was a decision",
    "model": "model of the last attempt, by the policy's name",
    "provider": "provider of the last attempt",
    "attempts": "providers tried",
    "outcomes": "how each attempt ended, in order",
    "retry_after_s": "longest wait a provider asked for, seconds",
    "status": "HTTP status the client got",
    "details": "Envoy's response code details, from a fixed list",
    "ttft_ms": "last attempt: request sent to first byte of the body",
    "duration_ms": "first byte of the request to last byte of the answer",
    "decide_us": "the worker's own time for the decision",
    "ext_proc_us": "the time Envoy waited for it",
    "prompt_tokens": "Signalbox's estimate of the prompt",
    "complexity": "surface complexity of the request, 0 to 1",
    "engine": "engine that was asked",
    "engine_outcome": "what came of it",
    "engine_us": "the time until its answer was there, or was given up",
    "score": "the score it gave, 0 to 1",
    "threshold_state": "how the running threshold stood: `learning`, `following`, `bounded`, `frozen`",
    "input_tokens": "prompt tokens the provider reported",
    "cached_tokens": "of these, tokens from the provider's cache",
    "output_tokens": "completion tokens the provider reported",
    "reasoning_tokens": "of these, tokens spent on reasoning",
    "stream": "the client asked for a stream",
    "privacy": "`local` or `any`",
    "policy": "first 12 digits of the policy's SHA-256",
}
"""Fields of the request log line and what they say. Fields without a value are left out of a line."""
