"""Sections of the policy about the world: what is measured, what is kept between requests, and what follows from it."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from signalbox.policy.base import HeaderName, Name, Section

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


def _http_url(value: str) -> str:
    url = urlsplit(value)
    if url.scheme not in ("http", "https") or not url.hostname or url.username or url.password:
        raise ValueError("expected http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH], without user or password")
    return value


REDIS_URL_OPTIONS = {
    "redis": frozenset[str](),
    "rediss": frozenset({"ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname"}),
    "unix": frozenset({"db"}),
}
"""What may follow the `?`. The client would take much more from there, such as timeouts, which are ours to set."""


def _redis_url(value: str) -> str:
    url = urlsplit(value)
    if url.scheme not in REDIS_URL_OPTIONS or not (url.path if url.scheme == "unix" else url.hostname):
        raise ValueError("expected redis://HOST[:PORT][/DB], rediss:// for TLS, or unix:///PATH")
    if url.password:
        raise ValueError("no password is possible here; put it into a file and name that in `password_file`")
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    allowed = REDIS_URL_OPTIONS[url.scheme]
    if unknown := sorted(options.keys() - allowed):
        raise ValueError(f"unknown option {unknown[0]!r}; after {url.scheme}://…? come: {sorted(allowed) or 'none'}")
    database = options.get("db", "") if url.scheme == "unix" else url.path.removeprefix("/")
    if database and not re.fullmatch(r"[0-9]{1,5}", database):
        raise ValueError("expected a number as the database, for example redis://redis:6379/0")
    _ = url.port  # raises ValueError when it is none
    return value


HttpUrl = Annotated[str, AfterValidator(_http_url)]
RedisUrl = Annotated[str, AfterValidator(_redis_url)]

# ---------------------------------------------------------------- what is kept between requests


class Redis(Section):
    """A Redis or Valkey server that several sidecars share."""

    url: RedisUrl = Field(description="`redis://HOST[:PORT][/DB]`, `rediss://` for TLS, or `unix:///PATH`.")
    password_file: str | None = Field(default=None, description="File that holds the password and nothing else.")
    prefix: str = Field(
        default="signalbox:", pattern=r"^[A-Za-z0-9:_-]{1,64}$", description="What every key of ours begins with."
    )
    timeout_ms: float = Field(
        default=5, gt=0, le=100, description="Longest wait of one decision; later it goes on without an answer."
    )


class State(Section):
    """Where pins and budgets are kept. By default in the run directory: one pod, all its workers."""

    redis: Redis | None = Field(default=None, description="Kept there instead, for several pods.")


class Affinity(Section):
    """Whether a session keeps its model. A switch costs the cached prefix, and confuses agents."""

    mode: Literal["strict", "budgeted", "off"] = Field(
        default="strict",
        description="`strict`: while the model can serve; `budgeted`: until a switch is expected to save money.",
    )
    ttl_seconds: int = Field(default=3600, ge=1, le=604_800, description="A session unused for this long is forgotten.")
    headers: tuple[HeaderName, ...] = Field(
        default=("x-model-affinity",), description="Headers that name the session; the first that is there counts."
    )
    implicit: bool = Field(
        default=False, description="Without such a header, take the system prompt and first user turn as its name."
    )
    tenant_headers: tuple[HeaderName, ...] = Field(
        default=(), description="Headers whose values keep tenants apart, such as `authorization`; only hashed."
    )
    expected_turns: int = Field(
        default=8, ge=1, le=1000, description="`budgeted`: turns a session has; a switch must pay off in what remains."
    )


class Budget(Section):
    """A limit on what may be spent. Held before a request is sent, settled by the usage the provider reports."""

    usd_per_day: float | None = Field(default=None, gt=0, allow_inf_nan=False, description="USD a day, UTC.")
    usd_per_month: float | None = Field(default=None, gt=0, allow_inf_nan=False, description="USD a month, UTC.")
    tokens_per_day: int | None = Field(default=None, gt=0, description="Prompt and completion tokens a day, UTC.")
    tokens_per_month: int | None = Field(default=None, gt=0, description="Tokens a month, UTC.")
    header: HeaderName | None = Field(
        default=None,
        description="Each value of this header, such as `authorization`, has a budget of its own; only hashed.",
    )
    when_spent: Literal["cheapest", "local", "fallback", "reject"] = Field(
        default="reject",
        description="`reject`: 429 until it renews; `cheapest`, `local`, `fallback`: only such models, and go on.",
    )
    hold_seconds: int = Field(
        default=900, ge=1, le=86_400, description="A request nothing is heard of for this long holds nothing any more."
    )

    @model_validator(mode="after")
    def _limits_something(self) -> Budget:
        if not {"usd_per_day", "usd_per_month", "tokens_per_day", "tokens_per_month"} & self.model_fields_set:
            raise ValueError("a budget needs usd_per_day, usd_per_month, tokens_per_day or tokens_per_month")
        return self


# ---------------------------------------------------------------- what is measured elsewhere


class PrometheusQuery(Section):
    """One PromQL query and what its answer measures."""

    measure: Literal["ttft_seconds", "seconds_per_token", "queue_depth", "kv_usage"] = Field(
        description="What a sample says of a model: seconds, requests waiting, or used share of its cache."
    )
    query: str = Field(min_length=1, max_length=4096, description="Instant query with one sample for each model.")
    label: str = Field(
        default="model_name", pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", description="Label that names the model."
    )
    models: dict[str, Name] = Field(
        default_factory=dict,
        description="Label value to model. Default: a model's name, or what its provider calls it.",
    )


class Prometheus(Section):
    """A Prometheus server asked for what the whole fleet measured, and for local servers' queues."""

    endpoint: HttpUrl = Field(description="Base URL, for example `http://prometheus:9090`.")
    token_file: str | None = Field(default=None, description="File with a bearer token.")
    interval_seconds: float = Field(default=15, ge=0.2, le=3600, description="Time between two rounds of queries.")
    timeout_seconds: float = Field(default=5, gt=0, le=60, description="Longest wait for one answer.")
    max_age_seconds: float = Field(default=120, gt=0, le=86_400, description="Older samples count as unknown.")
    queries: tuple[PrometheusQuery, ...] = Field(min_length=1, description="What to ask.")


class PriceSource(Section):
    """A price list on the web, asked now and then. Its last good answer is kept."""

    url: HttpUrl = Field(description="Where it is.")
    format: Literal["models_dev", "digitalocean"] = Field(description="What its JSON looks like.")
    interval_seconds: float = Field(default=3600, ge=1, le=604_800, description="Time between two requests.")
    timeout_seconds: float = Field(default=10, gt=0, le=60, description="Longest wait for an answer.")
    max_age_seconds: float = Field(default=604_800, gt=0, description="Older answers count no more.")


class Prices(Section):
    """Where prices come from when a model has none: the policy, then `sources` in order, then the catalogue."""

    catalogue: bool = Field(default=True, description="Use the price list that ships with Signalbox.")
    sources: tuple[PriceSource, ...] = Field(default=(), description="Price lists on the web.")


# ---------------------------------------------------------------- what follows from it


class Ranking(Section):
    """How measurements become an order."""

    hysteresis: Share = Field(
        default=0.15, description="The model in front stays there until another is better by this share."
    )
    explore: Share = Field(default=0.02, description="Share of requests that try a model nothing recent is known of.")
    half_life_seconds: float = Field(
        default=120, gt=0, le=86_400, description="A measurement this old counts half as much as one of now."
    )


class Balance(Section):
    """Weights of `prefer: balanced`, relative to each other."""

    cost: float = Field(default=1, ge=0, le=1000, allow_inf_nan=False, description="Weight of the expected cost.")
    latency: float = Field(default=1, ge=0, le=1000, allow_inf_nan=False, description="Weight of the expected time.")

    @model_validator(mode="after")
    def _weighs_something(self) -> Balance:
        if self.cost == 0 == self.latency:
            raise ValueError("one of the two weights must be above 0")
        return self


class Circuit(Section):
    """When a model counts as down. It is then stepped over, and tried again with a few requests."""

    error_rate: float = Field(default=0.5, gt=0, le=1, allow_inf_nan=False, description="Failed share that opens it.")
    min_requests: int = Field(default=5, ge=1, le=10_000, description="Attempts needed before a share means anything.")
    window_seconds: float = Field(default=30, gt=0, le=3600, description="Attempts this old count half as much.")
    open_seconds: float = Field(
        default=10, gt=0, le=3600, description="Rest before it is tried again; doubled, up to 16x."
    )
    probe_share: float = Field(
        default=0.1, gt=0, le=1, allow_inf_nan=False, description="Share of requests that try it again."
    )
    max_retry_after_seconds: float = Field(
        default=900,
        ge=0,
        le=86_400,
        allow_inf_nan=False,
        description="Longest rest that a provider's Retry-After is granted; 0 takes no notice of the header.",
    )


class Slo(Section):
    """Limits above which a model's requests move on to the next in its router, gradually, and back."""

    ttft_p95_ms: float | None = Field(default=None, gt=0, description="95th percentile of the time to first token.")
    latency_p95_ms: float | None = Field(default=None, gt=0, description="95th percentile of the whole answer's time.")
    queue_depth: float | None = Field(default=None, gt=0, description="Requests waiting at the model's server.")
    acceptance_rate: Share | None = Field(
        default=None, description="Share of good marks among the feedback to a model's answers."
    )

    @model_validator(mode="after")
    def _limits_something(self) -> Slo:
        if not self.model_fields_set:
            raise ValueError("an slo needs ttft_p95_ms, latency_p95_ms, queue_depth or acceptance_rate")
        return self


class Rollback(Section):
    """What ends a rollout by itself: the new side must be worse with this confidence, by a sequential test."""

    error_rate: Share | None = Field(default=None, description="Failed share of its requests that is too high.")
    ttft_ratio: float | None = Field(default=None, gt=1, le=100, description="Slower than the others by this factor.")
    cost_ratio: float | None = Field(default=None, gt=1, le=100, description="Dearer than the others by this factor.")
    confidence: float = Field(
        default=0.99, gt=0.5, lt=1, allow_inf_nan=False, description="Of being right, however often it is looked at."
    )
    min_requests: int = Field(default=50, ge=10, description="Requests of the new side before anything is concluded.")

    @model_validator(mode="after")
    def _watches_something(self) -> Rollback:
        if not {"error_rate", "ttft_ratio", "cost_ratio"} & self.model_fields_set:
            raise ValueError("a rollback needs error_rate, ttft_ratio or cost_ratio")
        return self


class Rollout(Section):
    """A router for a share of the sessions; the others go where they went before."""

    percent: Percent | None = Field(default=None, description="Share of the sessions.")
    steps: tuple[Percent, ...] = Field(default=(), description="Shares one after the other instead, e.g. 10, 50, 100.")
    step_minutes: float = Field(default=60, gt=0, le=100_000, description="How long each step lasts.")
    otherwise: Name = Field(description="Model for the other sessions.")
    rollback: Rollback | None = Field(default=None, description="What sends every session there again, until reset.")

    @model_validator(mode="after")
    def _one_of_two(self) -> Rollout:
        if (self.percent is None) == (not self.steps):
            raise ValueError("a rollout names either `percent` or `steps`")
        if list(self.steps) != sorted(set(self.steps)):
            raise ValueError("steps must grow")
        return self


# ---------------------------------------------------------------- what is told


class Journal(Section):
    """One content-free record for each request, in rotated files; docs/journal.md specifies it."""

    directory: str = Field(min_length=1, description="Where the files go.")
    max_bytes: int = Field(default=64 * 1024 * 1024, ge=64 * 1024, description="Size at which a file is closed.")
    files: int = Field(default=8, ge=2, le=10_000, description="Files kept; the oldest goes first.")


class Push(Section):
    """A Prometheus Pushgateway, for places nothing can scrape."""

    url: HttpUrl = Field(description="Base URL of the gateway.")
    interval_seconds: float = Field(default=15, ge=1, le=3600, description="Time between two pushes.")
    job: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = Field(
        default="signalbox", description="Name of the job."
    )


class Telemetry(Section):
    """What Signalbox writes about itself, besides /metrics."""

    log_level: Literal["info", "warning", "error"] = Field(
        default="info", description="`warning` leaves out the line of a request that went well."
    )
    push: Push | None = Field(default=None, description="Also push the metrics.")
