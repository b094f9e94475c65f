"""POST /v1/feedback over a real socket."""

from __future__ import annotations

import gzip
import json
from typing import Any

import aiohttp
import pytest
from access_log_entries import DECISION_ID, attempt_entry, decision, request_entry
from collector_bench import Bench
from test_collector_api import asked

from signalbox import record

SECRET = "sk-live-secret"


def post(bench: Bench, body: Any, **more: Any) -> tuple[int, Any]:
    """Send a body as it is if it is bytes, else as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": "application/json", **more}

    async def question(session: aiohttp.ClientSession) -> tuple[int, Any]:
        async with session.post("/v1/feedback", data=data, headers=headers) as answer:
            return answer.status, await answer.json()

    status, members = asked(bench, question)
    return status, members


def answered(bench: Bench) -> None:
    said = record.Record(
        id=DECISION_ID, router="coding", route="bug-fixing", chain=(record.Target("cloud", "gpt-large"),)
    )
    bench.attempts(attempt_entry())
    bench.requests(request_entry(metadata={**decision(), "record": record.encode(said).decode()}))


@pytest.mark.parametrize(
    "body",
    [
        {"decision_id": DECISION_ID, "score": 1},
        {"decision_id": DECISION_ID, "score": 0.75, "label": "well-done"},
        {"decision_id": DECISION_ID, "score": 0.5, "label": None},
    ],
)
def test_a_mark_is_taken_and_counted_for_the_model_that_answered(bench, body):
    answered(bench)

    assert post(bench, body) == (202, {"decision_id": DECISION_ID, "known": True})
    assert bench.value("signalbox_feedback_total", router="coding", model="gpt-large", verdict="good") == 1


def test_a_mark_for_a_decision_nobody_remembers_is_taken_too(bench):
    assert post(bench, {"decision_id": "sb-0123456789abcdef", "label": "slow"}) == (
        202,
        {"decision_id": "sb-0123456789abcdef", "known": False},
    )


ID = "x-signalbox-decision"


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        (b"", None, "JSON object"),
        (b"{", None, "JSON object"),
        (b"[]", None, "JSON object"),
        (b"null", None, "JSON object"),
        (b"\xff\xfe", None, "JSON object"),
        ({"score": 1}, "decision_id", ID),
        ({"decision_id": "", "score": 1}, "decision_id", ID),
        ({"decision_id": 7, "score": 1}, "decision_id", ID),
        ({"decision_id": None, "score": 1}, "decision_id", ID),
        ({"decision_id": SECRET + "!", "score": 1}, "decision_id", ID),
        ({"decision_id": "sb-1\n", "score": 1}, "decision_id", ID),
        ({"decision_id": "a" * 65, "score": 1}, "decision_id", ID),
        ({"decision_id": "sb-1"}, None, "a score, a label, or both"),
        ({"decision_id": "sb-1", "score": None, "label": None}, None, "a score, a label, or both"),
        ({"decision_id": "sb-1", "score": 1.01}, "score", "0 to 1"),
        ({"decision_id": "sb-1", "score": -0.1}, "score", "0 to 1"),
        ({"decision_id": "sb-1", "score": True}, "score", "0 to 1"),
        ({"decision_id": "sb-1", "score": "1"}, "score", "0 to 1"),
        (b'{"decision_id": "sb-1", "score": NaN}', None, "JSON object"),
        (b'{"decision_id": "sb-1", "score": 1e999}', "score", "0 to 1"),
        ({"decision_id": "sb-1", "label": SECRET.upper()}, "label", "1 to 32"),
        ({"decision_id": "sb-1", "label": ""}, "label", "1 to 32"),
        ({"decision_id": "sb-1", "label": "a" * 33}, "label", "1 to 32"),
        ({"decision_id": "sb-1", "label": "fine\n"}, "label", "1 to 32"),
        ({"decision_id": "sb-1", "label": ["fine"]}, "label", "1 to 32"),
        ({"decision_id": "sb-1", "score": 1, SECRET: 1}, None, "no members but decision_id, score, label"),
    ],
)
def test_what_is_wrong_with_a_mark_is_said_without_repeating_it(bench, body, param, words):
    status, members = post(bench, body)

    assert status == 400
    assert members["error"]["type"] == "invalid_request_error"
    assert members["error"]["code"] == "invalid_request"
    assert members["error"]["param"] == param
    assert words in members["error"]["message"]
    assert SECRET not in json.dumps(members)
    assert len(bench.collector.journal.feedback) == 0


def test_a_body_over_4_kib_is_refused(bench):
    fitting = json.dumps({"decision_id": "sb-1", "score": 1}).encode()

    status, members = post(bench, fitting.ljust(4097))
    assert (status, members["error"]["code"]) == (413, "body_too_large")
    assert post(bench, fitting.ljust(4096))[0] == 202


def test_a_small_body_that_unpacks_to_a_large_one_is_refused(bench):
    packed = gzip.compress(json.dumps({"decision_id": "sb-1", "score": 1}).encode().ljust(1_000_000))
    assert len(packed) < 4096

    assert post(bench, packed, **{"content-encoding": "gzip"})[0] == 413


def test_a_web_page_elsewhere_cannot_post_marks_without_being_asked(bench):
    status, members = post(bench, {"decision_id": "sb-1", "score": 0}, **{"content-type": "text/plain"})

    assert (status, members["error"]["code"]) == (415, "unsupported_media_type")


def test_feedback_is_only_posted(bench):
    async def question(session: aiohttp.ClientSession) -> tuple[int, str]:
        async with session.get("/v1/feedback") as answer:
            return answer.status, answer.headers["allow"]

    assert asked(bench, question) == (405, "POST")
