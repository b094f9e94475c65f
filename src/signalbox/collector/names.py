"""The closed sets that metric labels and log fields come from: enums, and the names of a policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from signalbox.collector.details import undecided_cause
from signalbox.collector.records import RequestRecord
from signalbox.policy.schema import Policy
from signalbox.record import Record, Target
from signalbox.telemetry import OPERATION_BY_ENDPOINT, OTHER
from signalbox.types import Endpoint, EngineOutcome, Privacy, Reason, Refusal, ThresholdState

_ENDPOINTS = frozenset(Endpoint)
_REASONS = frozenset(Reason)
_REFUSALS = frozenset(Refusal)
_ENGINE_OUTCOMES = frozenset(EngineOutcome)
_THRESHOLD_STATES = frozenset(ThresholdState)
_PRIVACY = frozenset(Privacy)
_STATUSES = frozenset(status.value for status in HTTPStatus)
_NO_VERDICT = Record(id="")


@dataclass(frozen=True, slots=True)
class Labels:
    """What one request may be called in a metric or a log line. Empty: does not apply."""

    endpoint: str
    operation: str
    router: str
    route: str
    reason: str
    rule: str
    error: str
    undecided: str
    privacy: str
    provider: str
    model: str
    engine: str = ""
    engine_outcome: str = ""
    goal: str = ""
    threshold_state: str = ""


@dataclass(frozen=True, slots=True)
class Names:
    """Names the serving policy has, and the one before it: its streams may still be running."""

    models: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    routers: frozenset[str] = frozenset()
    routes: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()
    engines: frozenset[str] = frozenset()

    @classmethod
    def of(cls, policy: Policy) -> Names:
        routers = policy.routers
        tasks = (task.name for router in routers.values() for task in router.tasks)
        return cls(
            models=frozenset(policy.models),
            providers=frozenset(policy.providers),
            routers=frozenset(routers),
            routes=frozenset((*tasks, *routers, *policy.models, *policy.aliases)),
            rules=frozenset(_rule_names(policy)),
            engines=frozenset(policy.known_engines),
        )

    def __or__(self, other: Names) -> Names:
        return Names(
            self.models | other.models,
            self.providers | other.providers,
            self.routers | other.routers,
            self.routes | other.routes,
            self.rules | other.rules,
            self.engines | other.engines,
        )

    def labels(self, record: RequestRecord) -> Labels:
        """Return what `record` may be called: names of the policy as they are, anything else `other`."""
        verdict = record.verdict or _NO_VERDICT
        endpoint = close(record.endpoint, _ENDPOINTS) or OTHER
        provider, model = self.target(record.served)
        return Labels(
            endpoint=endpoint,
            operation=OPERATION_BY_ENDPOINT.get(endpoint, OTHER),
            router=close(verdict.router, self.routers),
            route=close(verdict.route, self.routes),
            reason=close(verdict.reason, _REASONS),
            rule=close(verdict.rule, self.rules),
            error=close(verdict.error, _REFUSALS),
            undecided=_undecided(record),
            privacy=close(verdict.privacy, _PRIVACY),
            provider=provider,
            model=model,
            engine=close(verdict.engine, self.engines),
            engine_outcome=close(verdict.engine_outcome, _ENGINE_OUTCOMES),
            goal=close(verdict.goal, self.routers),
            threshold_state=close(verdict.cut, _THRESHOLD_STATES),
        )

    def target(self, target: Target | None) -> tuple[str, str]:
        """Return provider and model of `target`, each closed; both empty without one."""
        if target is None:
            return "", ""
        return close(target.provider, self.providers) or OTHER, close(target.model, self.models) or OTHER

    def engine(self, engine: str, outcome: str) -> tuple[str, str]:
        """Return an engine and how it went, each closed."""
        return close(engine, self.engines) or OTHER, close(outcome, _ENGINE_OUTCOMES) or OTHER

    def consulted(self, model: str, engine: str) -> str:
        """Return the name of a model that an engine's own answer came from; the engine's for one that is its own."""
        return model if model in self.models else close(engine, self.engines) or OTHER

    def counts(self, by_target: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
        """Return counts by provider and model, each name closed."""
        closed: dict[tuple[str, str], int] = {}
        for (provider, model), count in by_target.items():
            labels = close(provider, self.providers), close(model, self.models)
            closed[labels] = closed.get(labels, 0) + count
        return closed


def close(value: str | None, allowed: frozenset[str]) -> str:
    """Return `value` if it is allowed, `other` if it is not, nothing if there is none."""
    if not value:
        return ""
    return value if value in allowed else OTHER


def status_class(status: int | None) -> str:
    """Return `2xx` and its like; `none` when the client got no status."""
    return f"{status // 100}xx" if status is not None and 100 <= status < 600 else "none"


def error_type(status: int | None) -> str:
    """Return OpenTelemetry's `error.type`: the status of a failure, nothing for a success."""
    if status is None:
        return "none"
    if status < 400:
        return ""
    return str(status) if status in _STATUSES else OTHER


def _undecided(record: RequestRecord) -> str:
    if record.verdict is not None:
        return ""
    return undecided_cause(record.details, record.status, client_gone=record.client_gone) or ""


def _rule_names(policy: Policy) -> Iterable[str]:
    for router in policy.routers.values():
        for number, rule in enumerate(router.rules, start=1):
            yield rule.name or f"rule-{number}"
