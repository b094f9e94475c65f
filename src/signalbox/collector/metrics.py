"""Prometheus metrics of one collector process, made from the declarations in `telemetry`.

The only place that counts. Children are looked up once per label set and kept: `.labels()` of the
client library takes a lock and builds strings, which is most of the cost of an increment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from math import inf
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

from signalbox import __version__, telemetry
from signalbox.collector.join import Exchange
from signalbox.collector.live.circuit import Transition
from signalbox.collector.live.rollout import RolledBack
from signalbox.collector.live.thresholds import Standing
from signalbox.collector.marks import Marks
from signalbox.collector.names import Labels, Names, close, error_type, status_class
from signalbox.collector.records import RequestRecord
from signalbox.label import Label
from signalbox.telemetry import (
    AccessLog,
    FeedbackVerdict,
    JournalOutcome,
    Metric,
    PushOutcome,
    ReloadOutcome,
    SourceOutcome,
    TokenType,
    UndecidedCause,
    WorkerState,
)
from signalbox.types import ThresholdState
from signalbox.world import CircuitState, RolloutState

_THRESHOLD_LEVELS = {state: level for level, state in enumerate(ThresholdState)}
_CIRCUIT_LEVELS = {CircuitState.CLOSED: 0, CircuitState.HALF_OPEN: 1, CircuitState.OPEN: 2}
_FACTORIES: dict[str, Any] = {"counter": Counter, "gauge": Gauge, "histogram": Histogram}


class Family:
    """A metric with labels, and its children by label values."""

    __slots__ = ("_children", "_metric")

    def __init__(self, metric: Any) -> None:
        self._metric = metric
        self._children: dict[tuple[str, ...], Any] = {}

    def at(self, *values: str) -> Any:
        """Return the child for `values`, in the order of the declaration."""
        child = self._children.get(values)
        if child is None:
            child = self._children[values] = self._metric.labels(*values)
        return child

    def clear(self) -> None:
        self._children.clear()
        self._metric.clear()


class Total:
    """A counter somebody else keeps: they tell the total, this adds what is new."""

    __slots__ = ("_child", "_seen")

    def __init__(self, child: Any) -> None:
        self._child = child
        self._seen = 0

    def set(self, total: int) -> None:
        if total > self._seen:
            self._child.inc(total - self._seen)
            self._seen = total


class Metrics:
    """All of `telemetry.METRICS` in a registry of their own, with the process's CPU and memory beside them."""

    def __init__(self) -> None:
        # Otherwise each child gets a second series that says when it was made.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        made = {metric.name: self._make(metric) for metric in telemetry.METRICS}

        def family(metric: Metric) -> Family:
            return Family(made[metric.name])

        self._requests = family(telemetry.REQUESTS)
        self._decisions = family(telemetry.DECISIONS)
        self._refusals = family(telemetry.REFUSALS)
        self._undecided = family(telemetry.UNDECIDED)
        self._attempts = family(telemetry.ATTEMPTS)
        self._fallbacks = family(telemetry.FALLBACKS)
        self._circuit_state = family(telemetry.CIRCUIT_STATE)
        self._circuit_transitions = family(telemetry.CIRCUIT_TRANSITIONS)
        self._shift_share = family(telemetry.SHIFT_SHARE)
        self._rollout_share = family(telemetry.ROLLOUT_SHARE)
        self._rollbacks = family(telemetry.ROLLBACKS)
        self._threshold = family(telemetry.THRESHOLD)
        self._threshold_state = family(telemetry.THRESHOLD_STATE)
        self._strong_share = family(telemetry.STRONG_SHARE)
        self._allowance = family(telemetry.ALLOWANCE_REMAINING)
        self._in_flight = family(telemetry.ATTEMPTS_IN_FLIGHT)
        self._world_age = made[telemetry.WORLD_AGE.name]
        self._decide_seconds = made[telemetry.DECIDE_SECONDS.name]
        self._ext_proc_seconds = made[telemetry.EXT_PROC_SECONDS.name]
        self._engine_answers = family(telemetry.ENGINE_ANSWERS)
        self._engine_seconds = family(telemetry.ENGINE_SECONDS)
        self._engine_labels = family(telemetry.ENGINE_LABELS)
        self._answer_tokens = family(telemetry.ANSWER_TOKENS)
        self._token_usage = family(telemetry.TOKEN_USAGE)
        self._request_duration = family(telemetry.REQUEST_DURATION)
        self._time_to_first_token = family(telemetry.TIME_TO_FIRST_TOKEN)
        self._time_per_output_token = family(telemetry.TIME_PER_OUTPUT_TOKEN)
        self._policy_info = family(telemetry.POLICY_INFO)
        self._policy_last_success = made[telemetry.POLICY_LAST_SUCCESS.name]
        self._workers = family(telemetry.WORKERS)
        self._entries = family(telemetry.ACCESS_LOG_ENTRIES)
        self._unreadable = made[telemetry.ACCESS_LOG_UNREADABLE.name]
        self.worker_restarts = Total(made[telemetry.WORKER_RESTARTS.name])
        self.log_lines_dropped = Total(made[telemetry.LOG_LINES_DROPPED.name])
        self.settlements_dropped = Total(made[telemetry.SETTLEMENTS_DROPPED.name])
        self._prometheus_queries = family(telemetry.PROMETHEUS_QUERIES)
        self._prometheus_age = made[telemetry.PROMETHEUS_AGE.name]
        self._price_source_updates = family(telemetry.PRICE_SOURCE_UPDATES)
        self.marks = Marks(family)
        self._feedback = family(telemetry.FEEDBACK)
        entries = family(telemetry.JOURNAL_ENTRIES)
        self.journal_entries = {outcome: Total(entries.at(outcome)) for outcome in JournalOutcome}
        pushes = family(telemetry.METRICS_PUSHES)
        self.pushes = {outcome: Total(pushes.at(outcome)) for outcome in PushOutcome}
        reloads = family(telemetry.POLICY_RELOADS)
        self.reloads = {outcome: Total(reloads.at(outcome)) for outcome in ReloadOutcome}
        self._shown_in_flight: set[tuple[str, str]] = set()
        made[telemetry.BUILD_INFO.name].labels(__version__).set(1)
        # A series that appears with its first increment hides that increment from rate().
        for cause in UndecidedCause:
            self._undecided.at(cause)
        for log in AccessLog:
            self._entries.at(log)

    def _make(self, metric: Metric) -> Any:
        more = {"buckets": metric.buckets} if metric.kind == "histogram" else {}
        return _FACTORIES[metric.kind](metric.name, metric.help, metric.labels, registry=self.registry, **more)

    def entry(self, log: AccessLog) -> None:
        """Count one entry of Envoy's access log."""
        self._entries.at(log).inc()

    def unreadable(self) -> None:
        self._unreadable.inc()

    def policy(self, sha256: str, loaded_at_seconds: float | None) -> None:
        """Show which policy serves."""
        self._policy_info.clear()
        self._policy_info.at(sha256[:12]).set(1)
        if loaded_at_seconds is not None:
            self._policy_last_success.set(loaded_at_seconds)

    def in_flight(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Show running attempts by provider and model; whatever is not there any more shows none."""
        for labels in self._shown_in_flight - counts.keys():
            self._in_flight.at(*labels).set(0)
        for labels, count in counts.items():
            self._in_flight.at(*labels).set(count)
        self._shown_in_flight = set(counts)

    def allowances(self, remaining: Iterable[tuple[str, str, int | None, int | None]]) -> None:
        """Show what providers will still take: provider, model, requests and tokens; None where nobody said."""
        self._allowance.clear()
        for provider, model, requests, tokens in remaining:
            for unit, left in (("requests", requests), ("tokens", tokens)):
                if left is not None:
                    self._allowance.at(provider, model, unit).set(left)

    def world_age(self, seconds: Callable[[], float]) -> None:
        """Show the snapshot's age, asked for whenever somebody scrapes: it grows while nothing else happens."""
        self._world_age.set_function(seconds)

    def workers(self, wanted: int, ready: int) -> None:
        self._workers.at(WorkerState.WANTED).set(wanted)
        self._workers.at(WorkerState.READY).set(ready)

    def circuits(self, states: Iterable[tuple[str, str, CircuitState, float]]) -> None:
        """Show all circuits: model, provider, state and share."""
        self._circuit_state.clear()
        for model, provider, state, _ in states:
            self._circuit_state.at(model, provider).set(_CIRCUIT_LEVELS[state])

    def circuit_changed(self, transition: Transition) -> None:
        """Count one change."""
        self._circuit_transitions.at(transition.model, transition.provider, transition.change.to).inc()

    def shifts(self, shares: Mapping[str, Mapping[str, float]]) -> None:
        """Show all shifts: router -> model -> share."""
        self._shift_share.clear()
        for router, models in shares.items():
            for model, share in models.items():
                self._shift_share.at(router, model).set(share)

    def thresholds(self, standings: Mapping[str, Standing]) -> None:
        """Show all running thresholds, by router."""
        for gauge in (self._threshold, self._threshold_state, self._strong_share):
            gauge.clear()
        for router, standing in standings.items():
            self._threshold.at(router).set(inf if standing.value is None else standing.value)
            self._threshold_state.at(router).set(_THRESHOLD_LEVELS[standing.state])
            self._strong_share.at(router).set(standing.strong_share)

    def rollouts(self, states: Mapping[str, RolloutState]) -> None:
        """Show all rollouts, by router."""
        self._rollout_share.clear()
        for router, state in states.items():
            self._rollout_share.at(router).set(state.share)

    def rolled_back(self, event: RolledBack) -> None:
        """Count one rollback."""
        self._rollbacks.at(event.router, event.reason).inc()

    def prometheus_query(self, outcome: SourceOutcome) -> None:
        """Count one query."""
        self._prometheus_queries.at(outcome).inc()

    def prometheus_age(self, seconds: Callable[[], float]) -> None:
        """Let the age be asked for whenever somebody reads the metrics."""
        self._prometheus_age.set_function(seconds)

    def price_source(self, place: int, outcome: SourceOutcome) -> None:
        """Count one request for a price list. place: in the policy's `prices.sources`."""
        self._price_source_updates.at(str(place), outcome).inc()

    def feedback(self, router: str, model: str, verdict: FeedbackVerdict) -> None:
        """Count one decision that was marked."""
        self._feedback.at(router, model, verdict).inc()

    def label(self, label: Label, names: Names) -> None:
        """Count what a shadow engine said."""
        self._engine_labels.at(*names.engine(label.engine, label.outcome)).inc()

    def exchange(self, exchange: Exchange, labels: Labels | None, names: Names) -> None:
        """Count one request with its attempts. `labels` belong to its request, if there is one."""
        for attempt in exchange.attempts:
            self._attempts.at(*names.target(attempt.target), attempt.outcome).inc()
        if exchange.request is not None and labels is not None:
            self._request(exchange.request, labels, names)

    def _request(self, record: RequestRecord, labels: Labels, names: Names) -> None:
        self._requests.at(labels.endpoint, labels.model, labels.provider, status_class(record.status)).inc()
        if record.ext_proc_us is not None:
            self._ext_proc_seconds.observe(record.ext_proc_us / 1e6)
        verdict = record.verdict
        if verdict is None:
            if labels.undecided:
                self._undecided.at(labels.undecided).inc()
            return
        if verdict.decide_us:
            self._decide_seconds.observe(verdict.decide_us / 1e6)
        for asked in verdict.asked:
            engine, outcome = names.engine(asked.engine, asked.outcome)
            self._engine_answers.at(engine, outcome).inc()
            self._engine_seconds.at(engine).observe(asked.microseconds / 1e6)
        if verdict.error:
            self._refusals.at(labels.error, labels.endpoint).inc()
            return
        if labels.engine:
            self._engine_answers.at(labels.engine, labels.engine_outcome).inc()
            self._engine_seconds.at(labels.engine).observe(verdict.engine_us / 1e6)
        for each in verdict.spent_on_answer:
            model = names.consulted(each.model, verdict.engine)
            for kind, tokens in ((TokenType.INPUT, each.input_tokens), (TokenType.OUTPUT, each.output_tokens)):
                self._answer_tokens.at(labels.engine, model, kind).inc(tokens)
        self._decisions.at(labels.router, labels.route, labels.reason, labels.endpoint).inc()
        tried = verdict.chain[: record.attempts]
        for left, taken in pairwise(tried):
            self._fallbacks.at(*(close(target.provider, names.providers) for target in (left, taken))).inc()
        if record.served is not None:
            self._generation(record, labels, is_stream=bool(verdict.stream))

    def _generation(self, record: RequestRecord, labels: Labels, *, is_stream: bool) -> None:
        """OpenTelemetry's metrics, for a request that reached a provider."""
        common = (labels.operation, labels.provider, labels.model)
        usage = record.usage
        if usage.input_tokens is not None:
            self._token_usage.at(*common, TokenType.INPUT).observe(usage.input_tokens)
        if usage.output_tokens is not None:
            self._token_usage.at(*common, TokenType.OUTPUT).observe(usage.output_tokens)
        if record.duration_seconds is not None:
            self._request_duration.at(*common, error_type(record.status)).observe(record.duration_seconds)
        # Without a stream the first byte is the whole answer: that is a duration, not a time to first token.
        if not is_stream or record.ttft_us is None or record.status is None or record.status >= 400:
            return
        self._time_to_first_token.at(*common).observe(record.ttft_us / 1e6)
        if record.body_seconds is not None and usage.output_tokens is not None and usage.output_tokens > 1:
            self._time_per_output_token.at(*common).observe(record.body_seconds / (usage.output_tokens - 1))
