"""Answers of Prometheus: what is believed, and what is kept when it fails."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.collector.sources import prometheus
from signalbox.collector.sources.loop import Refresher, SourceError
from signalbox.collector.sources.prometheus import (
    FleetState,
    ModelNames,
    PrometheusQueryRunner,
    Reading,
    fleet_states,
    read_answer,
)
from signalbox.policy.world import PrometheusQuery
from signalbox.telemetry import SourceOutcome

from .servers import Clock, Told, policy, with_server

NOW = 1_000_000.0


def vector(*samples: tuple[str, Any], at: float = NOW, label: str = "model_name") -> bytes:
    result = [{"metric": {label: name}, "value": [at, value]} for name, value in samples]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


def scalar(value: Any) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": "scalar", "result": [NOW, value]}}).encode()


class Asking:
    """One query, asked as the loop does it."""

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        *,
        measure: str = "queue_depth",
        models: dict[str, str] | None = None,
        token_file: Path | None = None,
        timeout_seconds: float = 5,
    ) -> None:
        self.clock, self.wall = Clock(5000), Clock(NOW)
        query = {"measure": measure, "query": 'some_metric{a="b"}', "models": models or {}}
        whole = policy(
            prometheus={
                "endpoint": f"{url}/prefix/",
                "queries": [query],
                "timeout_seconds": timeout_seconds,
                "max_age_seconds": 120,
                **({"token_file": str(token_file)} if token_file else {}),
            }
        )
        settings = whole.prometheus
        assert settings is not None
        names = ModelNames(whole, settings.queries[0])
        self.query = PrometheusQueryRunner(settings, settings.queries[0], names, session, self.clock, self.wall)
        self._refresher = Refresher(
            self.query.refresh,
            lambda outcome: None,
            interval_seconds=15,
            timeout_seconds=timeout_seconds,
            dice=lambda: 0.5,
        )

    async def once(self) -> SourceOutcome:
        return await self._refresher.once()

    @property
    def small(self) -> Reading | None:
        return self.query.readings().get("small")


def test_a_query_is_asked_as_it_is_written_and_its_samples_are_taken() -> None:
    async def test(told: Told, url: str, session: aiohttp.ClientSession) -> None:
        asking = Asking(url, session)
        assert math.isinf(asking.query.age_seconds())
        told.body = vector(("small", "7"), ("somebody-else", "9"), at=NOW - 20)
        assert await asking.once() == SourceOutcome.UPDATED
        assert told.asked[0].path_qs.startswith("/prefix/api/v1/query?")
        assert told.asked[0].query["query"] == 'some_metric{a="b"}'
        assert asking.query.readings() == {"small": Reading(7, 20)}
        asking.clock.seconds += 30
        assert asking.query.readings() == {"small": Reading(7, 50)}
        assert asking.query.age_seconds() == 30

    with_server(test)


BAD: dict[str, tuple[dict[str, Any], SourceOutcome]] = {
    "down": ({"drop": True}, SourceOutcome.UNREACHABLE),
    "slow": ({"delay_seconds": 5}, SourceOutcome.TIMEOUT),
    "query refused": ({"status": 400, "body": b'{"status":"error"}'}, SourceOutcome.STATUS),
    "overloaded": ({"status": 503}, SourceOutcome.STATUS),
    "a redirect": ({"status": 302, "headers": {"location": "/elsewhere"}}, SourceOutcome.STATUS),
    "a login page": ({"body": b"<html>"}, SourceOutcome.UNREADABLE),
    "empty body": ({"body": b""}, SourceOutcome.UNREADABLE),
    "wrong type": ({"body": b"[]"}, SourceOutcome.UNREADABLE),
    "an error in a 200": (
        {"body": vector(("small", "1")).replace(b"success", b"error")},
        SourceOutcome.UNREADABLE,
    ),
    "a range": ({"body": vector(("small", "1")).replace(b'"vector"', b'"matrix"')}, SourceOutcome.UNREADABLE),
    "a number that is none": ({"body": vector(("small", "many"))}, SourceOutcome.ABSURD),
    "a value of the wrong type": ({"body": vector(("small", {"a": 1}))}, SourceOutcome.UNREADABLE),
    "NaN": ({"body": vector(("small", "NaN"))}, SourceOutcome.EMPTY),
    "infinite": ({"body": vector(("small", "+Inf"))}, SourceOutcome.ABSURD),
    "negative": ({"body": vector(("small", "-1"))}, SourceOutcome.ABSURD),
    "far too much": ({"body": vector(("small", "1e30"))}, SourceOutcome.ABSURD),
    "no sample": ({"body": vector()}, SourceOutcome.EMPTY),
    "stale": ({"body": vector(("small", "99"), at=NOW - 121)}, SourceOutcome.ABSURD),
    "from the future": ({"body": vector(("small", "99"), at=NOW + 121)}, SourceOutcome.ABSURD),
    "huge": ({"body": b" " * (prometheus.MAX_BODY_BYTES + 1)}, SourceOutcome.TOO_LARGE),
    "nested without end": ({"body": b"[" * 1_000_000}, SourceOutcome.UNREADABLE),
}


@pytest.mark.parametrize("fault", BAD)
def test_an_answer_that_is_no_good_leaves_the_last_good_figure_until_that_is_too_old(fault: str) -> None:
    behaviour, outcome = BAD[fault]

    async def test(told: Told, url: str, session: aiohttp.ClientSession) -> None:
        asking = Asking(url, session, timeout_seconds=0.3 if fault == "slow" else 5)
        told.body = vector(("small", "7"))
        await asking.once()
        vars(told).update(behaviour)
        assert await asking.once() == outcome
        asking.clock.seconds += 120
        assert asking.small == Reading(7, 120)
        asking.clock.seconds += 1
        assert asking.small is None

    with_server(test)


def test_one_senseless_sample_costs_only_itself() -> None:
    async def test(told: Told, url: str, session: aiohttp.ClientSession) -> None:
        asking = Asking(url, session)
        told.body = vector(("small", "3"), ("large", "-3"))
        assert await asking.once() == SourceOutcome.PARTIAL
        assert asking.query.readings() == {"small": Reading(3, 0)}

    with_server(test)


def test_a_clock_that_jumps_neither_ages_nor_renews_what_was_read() -> None:
    async def test(told: Told, url: str, session: aiohttp.ClientSession) -> None:
        asking = Asking(url, session)
        told.body = vector(("small", "3"))
        await asking.once()
        for jump in (-1e9, 1e9, math.nan):
            asking.wall.seconds = NOW + jump
            assert await asking.once() == SourceOutcome.ABSURD
            assert asking.small == Reading(3, 0)

    with_server(test)


def test_the_token_is_read_anew_and_sent_as_a_bearer(tmp_path: Path) -> None:
    file = tmp_path / "token"

    async def test(told: Told, url: str, session: aiohttp.ClientSession) -> None:
        asking = Asking(url, session, token_file=file)
        told.body = vector(("small", "3"))
        for token in ("first", "second"):
            file.write_text(f"{token}\n")
            assert await asking.once() == SourceOutcome.UPDATED
            assert told.asked[-1].headers["authorization"] == f"Bearer {token}"

    with_server(test)


@pytest.mark.parametrize("content", [None, b"", b"\n", b"two\nlines", b"\xff", b"sp ace"])
def test_without_a_usable_token_nothing_is_sent(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)

    async def test(told: Told, url: str, session: aiohttp.ClientSession) -> None:
        assert await Asking(url, session, token_file=file).once() == SourceOutcome.NO_TOKEN
        assert told.asked == []

    with_server(test)


# ---------------------------------------------------------------- whom a sample means


def names(models: dict[str, str] | None = None, measure: str = "queue_depth") -> tuple[PrometheusQuery, ModelNames]:
    query = PrometheusQuery(measure=measure, query="x", models=models or {})
    return query, ModelNames(policy(), query)


def read(body: bytes, models: dict[str, str] | None = None, measure: str = "queue_depth") -> dict[str, float]:
    query, known = names(models, measure)
    return {each.model: each.value for each in read_answer(body, query, known, NOW, 120)[0]}


def test_a_label_means_what_the_query_lists_then_a_model_then_what_a_provider_calls_it():
    assert read(vector(("10.0.0.7:80", "1")), {"10.0.0.7:80": "small"}) == {"small": 1}
    assert read(vector(("large", "1")), {"large": "small"}) == {"small": 1}
    assert read(vector(("large", "1"), ("acme/large-1", "2"))) == {"large": 2}
    assert read(vector(("nobody", "1"))) == {}


def test_a_name_that_a_local_server_shares_with_a_cloud_means_the_local_one():
    assert read(vector(("open/weights", "4"))) == {"small": 4}


def test_samples_without_the_label_mean_the_model_listed_for_nothing():
    assert read(vector(("x", "4"), label="job"), {"": "small"}) == {"small": 4}
    assert read(vector(("x", "4"), label="job")) == {}


def test_a_scalar_means_the_one_model_that_is_listed():
    assert read(scalar("4"), {"any": "small"}) == {"small": 4}
    assert read(scalar("4")) == {}
    assert read(scalar("4"), {"a": "small", "b": "large"}) == {}


def test_of_several_samples_for_one_model_the_largest_counts():
    assert read(vector(("small", "4"), ("small", "9"), ("small", "2"))) == {"small": 9}


@pytest.mark.parametrize(
    ("measure", "good", "bad"),
    [
        ("ttft_seconds", ["0.001", "3600"], ["0", "3601"]),
        ("seconds_per_token", ["0.001", "10"], ["0", "3601"]),
        ("queue_depth", ["0", "1e6"], ["1000001"]),
        ("kv_usage", ["0", "0.5", "1"], ["1.01", "87"]),
    ],
)
def test_each_measure_has_its_bounds(measure, good, bad):
    assert [read(vector(("small", text)), measure=measure) for text in good] == [{"small": float(x)} for x in good]
    assert [read(vector(("small", text)), measure=measure) for text in (*bad, "-0.1", "Inf")] == [{}] * (len(bad) + 2)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
answers = st.one_of(
    json_values,
    st.fixed_dictionaries(
        {
            "status": st.sampled_from(["success", "error"]),
            "data": st.fixed_dictionaries(
                {"resultType": st.sampled_from(["vector", "scalar", "matrix", "string"]), "result": json_values}
            ),
        }
    ),
)


@given(answers)
def test_any_answer_is_read_or_refused(answer):
    query, known = names({"": "small"})
    try:
        found, _ = read_answer(json.dumps(answer).encode(), query, known, NOW, 120)
    except SourceError as problem:
        found = []
        outcome = problem.outcome
    else:
        outcome = SourceOutcome.UPDATED
    assert outcome in (SourceOutcome.UPDATED, SourceOutcome.UNREADABLE)
    assert all(0 <= each.value <= prometheus.MAX_QUEUE for each in found)


# ---------------------------------------------------------------- what becomes of it


def test_measures_of_one_model_come_together() -> None:
    async def test(told: Told, url: str, session: aiohttp.ClientSession) -> None:
        queue, first, second = (Asking(url, session, measure=m) for m in ("queue_depth", "kv_usage", "kv_usage"))
        for asking, value in ((queue, "4"), (first, "0.1"), (second, "0.9")):
            told.body = vector(("small", value))
            await asking.once()
        states = fleet_states([queue.query, first.query, second.query])
        assert states == {"small": FleetState(queue_depth=Reading(4, 0), kv_usage=Reading(0.9, 0))}

    with_server(test)
