"""What a Prometheus server says of each model: fleet-wide times, and the queues and caches of local servers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import aiohttp
import msgspec

from signalbox.collector.sources.fetch import get
from signalbox.collector.sources.loop import SourceError
from signalbox.policy.schema import Policy
from signalbox.policy.world import Prometheus, PrometheusQuery
from signalbox.telemetry import SourceOutcome

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_TOKEN_BYTES = 64 * 1024

MAX_SECONDS = 3600.0  # of a first token or between two: longer than any timeout lets an answer take
MAX_QUEUE = 1_000_000.0
NOTHING_OBSERVED = "NaN"

Clock = Callable[[], float]
Measure = Literal["ttft_seconds", "seconds_per_token", "queue_depth", "kv_usage"]


class Reading(NamedTuple):
    """One figure, and how long ago it was true."""

    value: float
    age_seconds: float


class FleetState(NamedTuple):
    """What Prometheus knows of one model; None: nothing, or nothing recent."""

    ttft_seconds: Reading | None = None
    seconds_per_token: Reading | None = None
    queue_depth: Reading | None = None
    kv_usage: Reading | None = None


NO_FLEET = FleetState()


class ModelNames:
    """Whom a label value means."""

    def __init__(self, policy: Policy, query: PrometheusQuery) -> None:
        self._listed = query.models
        self._models = frozenset(policy.models)
        self._upstream: dict[str, list[str]] = {}
        local = {name for name, model in policy.models.items() if policy.providers[model.provider].is_local}
        for name, model in policy.models.items():
            self._upstream.setdefault(model.name or name, []).append(name)
        for names in self._upstream.values():
            # A name that a local server and a cloud share: whoever scrapes a model server scrapes their own.
            if local & set(names):
                names[:] = [name for name in names if name in local]

    def of(self, label: str) -> Iterable[str]:
        """Return the policy's names: what the query lists, else a model's own name, else what its provider calls it."""
        if label in self._listed:
            return (self._listed[label],)
        return (label,) if label in self._models else self._upstream.get(label, ())

    def of_scalar(self) -> Iterable[str]:
        """Return whom an answer without labels means: the one model the query lists."""
        return tuple(self._listed.values()) if len(self._listed) == 1 else ()


class _Data(msgspec.Struct, rename="camel"):
    result_type: str
    result: msgspec.Raw


class _Answer(msgspec.Struct):
    status: str
    data: _Data


class _Sample(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class Measured(NamedTuple):
    """A sample that makes sense. at_seconds: since the epoch, by the clock of the Prometheus server."""

    model: str
    value: float
    at_seconds: float


def read_answer(
    body: bytes, query: PrometheusQuery, names: ModelNames, now_seconds: float, max_age_seconds: float
) -> tuple[list[Measured], int]:
    """Return the usable samples of an instant query about models of the policy, and how many made no sense.

    NaN is left out: it is how a quantile or a ratio says that nothing was observed, at night for example.
    Of several samples for one model the largest counts. A sample that is older than `max_age_seconds`, or as far in
    the future, makes no sense either. Raises SourceError when the body is not such an answer.
    """
    try:
        answer = msgspec.json.decode(body, type=_Answer)
        samples = list(_samples(answer.data, query, names))
    except (msgspec.MsgspecError, RecursionError) as problem:
        raise SourceError(SourceOutcome.UNREADABLE, f"not an instant query's answer: {problem}") from problem
    if answer.status != "success":
        raise SourceError(SourceOutcome.UNREADABLE, "its status is not success")
    worst: dict[str, Measured] = {}
    refused = 0
    for models, at_seconds, text in samples:
        if text == NOTHING_OBSERVED:
            continue
        value = _sensible(query.measure, text)
        if value is None or not abs(now_seconds - at_seconds) <= max_age_seconds:
            refused += 1
            continue
        for model in models:
            if model not in worst or worst[model].value < value:
                worst[model] = Measured(model, value, at_seconds)
    return list(worst.values()), refused


def _samples(data: _Data, query: PrometheusQuery, names: ModelNames) -> Iterator[tuple[Iterable[str], float, str]]:
    """Yield models, time and value of each sample that concerns us."""
    if data.result_type == "scalar":
        yield (names.of_scalar(), *msgspec.json.decode(data.result, type=tuple[float, str]))
        return
    if data.result_type != "vector":
        raise SourceError(SourceOutcome.UNREADABLE, "neither a vector nor a scalar; a range needs a function around it")
    for sample in msgspec.json.decode(data.result, type=list[_Sample]):
        models = names.of(sample.metric.get(query.label, ""))
        if models:
            yield (models, *sample.value)


def _sensible(measure: Measure, text: str) -> float | None:
    """Return the figure if a server can have measured it. A time of zero would look infinitely fast."""
    try:
        value = float(text)
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    if measure in ("ttft_seconds", "seconds_per_token"):
        return value if 0 < value <= MAX_SECONDS else None
    return value if 0 <= value <= (1.0 if measure == "kv_usage" else MAX_QUEUE) else None


class PrometheusQueryRunner:
    """The last good figures of one query.

    clock: seconds that never go back. wall: seconds since the epoch, which samples are dated with.
    """

    def __init__(
        self,
        settings: Prometheus,
        query: PrometheusQuery,
        names: ModelNames,
        session: aiohttp.ClientSession,
        clock: Clock = time.monotonic,
        wall: Clock = time.time,
    ) -> None:
        self.measure: Measure = query.measure
        self._settings = settings
        self._query = query
        self._names = names
        self._session = session
        self._clock = clock
        self._wall = wall
        self._url = f"{settings.endpoint.rstrip('/')}/api/v1/query"
        self._kept: dict[str, tuple[float, float]] = {}  # model -> value, and when it was true by our clock
        self._answered_seconds: float | None = None

    async def refresh(self) -> SourceOutcome:
        """Ask once and keep what is good. Raises SourceError, and then everything is as it was."""
        body = await get(
            self._session,
            self._url,
            params={"query": self._query.query},
            timeout_seconds=self._settings.timeout_seconds,
            max_bytes=MAX_BODY_BYTES,
            token=_token(self._settings.token_file),
        )
        wall, now = self._wall(), self._clock()
        found, refused = read_answer(body, self._query, self._names, wall, self._settings.max_age_seconds)
        if refused and not found:
            raise SourceError(SourceOutcome.ABSURD, "no figure in it makes sense")
        self._kept.update({each.model: (each.value, now - max(0.0, wall - each.at_seconds)) for each in found})
        self._answered_seconds = now
        if refused:
            return SourceOutcome.PARTIAL
        return SourceOutcome.UPDATED if found else SourceOutcome.EMPTY

    def readings(self) -> Mapping[str, Reading]:
        """Return what is recent enough, by model."""
        now = self._clock()
        ages = {model: (value, now - true_seconds) for model, (value, true_seconds) in self._kept.items()}
        return {
            model: Reading(value, age) for model, (value, age) in ages.items() if age <= self._settings.max_age_seconds
        }

    def age_seconds(self) -> float:
        """Return how long ago the query was last answered; infinite if it never was."""
        return math.inf if self._answered_seconds is None else self._clock() - self._answered_seconds


def fleet_states(queries: Iterable[PrometheusQueryRunner]) -> dict[str, FleetState]:
    """Return what all queries together know, by model. Where two have the same measure the later one counts."""
    states: dict[str, FleetState] = {}
    for query in queries:
        for model, reading in query.readings().items():
            states[model] = states.get(model, NO_FLEET)._replace(**{query.measure: reading})
    return states


def _token(file: str | None) -> str | None:
    """Read the token anew each time: whoever rotates it only replaces the file."""
    if file is None:
        return None
    try:
        with Path(file).open("rb") as stream:
            token = stream.read(MAX_TOKEN_BYTES).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise SourceError(SourceOutcome.NO_TOKEN, f"{file} cannot be read") from problem
    if not token or not all("!" <= character <= "~" for character in token):
        raise SourceError(SourceOutcome.NO_TOKEN, f"{file} holds no token")
    return token
