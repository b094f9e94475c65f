"""What a line of the journal says of a request, and what it never does."""

from __future__ import annotations

import json

import msgspec
import pytest
from access_log_entries import DECISION_ID, attempt_entry, refusal, request_entry, unrouted_entry
from collector_bench import POLICY, Bench
from journal_records import a_record, one_request, said

from signalbox import record
from signalbox.collector.journal.entry import FeedbackEntry, RequestEntry, decode, encode
from signalbox.collector.journal.writer import JournalWriter
from signalbox.policy.schema import Policy
from signalbox.record import Asked
from signalbox.types import Spent

WITH_PRICES = {
    **POLICY,
    "models": {
        "gpt-large": {"provider": "cloud", "price": {"input": 2, "output": 8, "cached_input": 0.5}},
        "gpt-small": {"provider": "spare", "price": {"input": 0.2, "output": 0.8}},
        "qwen": {"provider": "local"},
    },
}


class Lines(JournalWriter):
    """A writer that keeps its lines."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[bytes] = []

    @property
    def is_on(self) -> bool:
        return True

    def write(self, line: bytes) -> None:
        self.lines.append(line)

    @property
    def entries(self) -> list[RequestEntry | FeedbackEntry]:
        return [decode(line) for line in self.lines]


@pytest.fixture
def lines(bench: Bench) -> Lines:
    bench.collector.journal.writer = Lines()
    bench.collector.apply_policy(Policy.model_validate(WITH_PRICES), "0123456789ab" + 52 * "0")
    return bench.collector.journal.writer


def test_an_entry_joins_the_decision_with_what_came_of_it(bench, lines):
    bench.attempts(attempt_entry("cloud", 429, retry_after="2"), attempt_entry("spare"))
    bench.requests(request_entry(metadata=said(), attempts=2, cluster="spare"))

    (entry,) = lines.entries
    assert entry == RequestEntry(
        v=1,
        ended_seconds=1_795_252_120.5,
        id=DECISION_ID,
        endpoint="chat_completions",
        policy="0123456789ab",
        router="coding",
        route="bug-fixing",
        reason="rule",
        rule="stack-trace",
        privacy="any",
        stream=True,
        chain=(("cloud", "gpt-large"), ("spare", "gpt-small"), ("local", "qwen")),
        tokens=(11, -12, -12),
        estimate_tokens=12,
        complexity=0.25,
        decide_us=41,
        expected_usd=0.000062,
        expected_output_tokens=5,
        session="9f86d081884c7d65",
        pin="kept",
        rollout="in",
        shadow=("bug-fixing", "gpt-small"),
        world=7,
        provider="spare",
        model="gpt-small",
        attempts=2,
        outcomes=("rate_limited", "ok"),
        status=200,
        details="via_upstream",
        ttft_ms=300.0,
        duration_ms=1500.0,
        retry_after_seconds=2.0,
        input_tokens=11,
        output_tokens=5,
        usd=round((11 * 0.2 + 5 * 0.8) / 1e6, 9),
        features=(12.0, -1.0, 0.25),
    )


def test_a_refusal_is_an_entry_without_a_model(bench, lines):
    refused = record.encode(a_record(error="model_not_found", chain=(), router="")).decode()
    bench.requests(
        unrouted_entry(404, "signalbox_model_not_found", metadata={**refusal(), "record": refused}),
    )

    (entry,) = lines.entries
    assert (entry.error, entry.model, entry.usd, entry.status) == ("model_not_found", "", None, 404)


def test_an_answer_of_the_engine_has_its_tokens_by_model_and_its_whole_cost(bench, lines):
    spent = (
        Spent("router-r1", 900, 60, counted=False),
        Spent("gpt-small", 100, 10, counted=True),
        Spent("gpt-large", 10, 1, counted=False),
    )
    metadata = said(reason="answered", engine="judge", spent_on_answer=spent)
    # Envoy reads the sum out of the answer: it is on the line by model already.
    bench.requests(request_entry(details="signalbox_answered", metadata=metadata, attempts=0, cluster="", ttft_us=None))

    (entry,) = lines.entries
    assert (entry.reason, entry.model, entry.attempts, entry.status) == ("answered", "", 0, 200)
    assert entry.spent_on_answer == (
        ("judge", 900, 60, False),
        ("gpt-small", 100, 10, True),
        ("gpt-large", 10, 1, False),
    )
    assert entry.input_tokens is None
    large = (10 * 2 + 1 * 8) / 1e6
    assert entry.usd == pytest.approx(large)
    assert entry.answer_usd == pytest.approx(large + (100 * 0.2 + 10 * 0.8) / 1e6)


def test_engines_asked_beside_the_one_that_counted_are_on_the_line(bench, lines):
    asked = (Asked("judge", "late", "deadline", 50_000), Asked("secret", "secret", "no word!", 1))
    one_request(bench, asked=asked)

    (entry,) = lines.entries
    assert entry.asked == (("judge", "late", "deadline", 50_000), ("other", "other", "", 1))


def test_what_nobody_decided_is_not_in_the_journal(bench, lines):
    bench.requests(unrouted_entry(503, "ext_proc_error_gRPC_error_14"), unrouted_entry(200, "direct_response"))

    assert lines.entries == []


@pytest.mark.parametrize("text", ["", "{", "null", '{"id": 7}', "[]", '"prompt"'])
def test_a_record_that_cannot_be_read_costs_its_entry_alone(bench, lines, text):
    metadata = {**said(), "record": text}
    bench.attempts(attempt_entry())
    bench.requests(request_entry(metadata=metadata))

    assert lines.entries == []
    assert [line["status"] for line in bench.log.lines] == [200]


def test_an_access_log_entry_that_comes_twice_is_one_line(bench, lines):
    one_request(bench)
    one_request(bench)
    one_request(bench, number=2, id="sb-another")

    assert [entry.id for entry in lines.entries] == [DECISION_ID, "sb-another"]


def test_nothing_but_names_of_the_policy_and_harmless_shapes_gets_into_a_line(bench, lines):
    secret = "Tell me, sk-live secret"
    texts = ("endpoint", "policy", "router", "route", "reason", "rule", "privacy", "session", "pin", "spent",
             "rollout", "store")  # fmt: skip
    changes = dict.fromkeys(texts, secret)
    one_request(bench, **changes, chain=((secret, secret),), shadow=(secret, secret))
    one_request(bench, number=1, id="sb-refused", error=secret)
    one_request(bench, number=2, id=secret)  # this one cannot even be read

    assert len(lines.lines) == 2
    assert b"secret" not in b"".join(lines.lines)
    samples = str([list(family.samples) for family in bench.collector.metrics.registry.collect()])
    assert "secret" not in samples


def test_a_line_is_one_json_object_that_names_its_version_and_leaves_out_what_it_does_not_know(bench, lines):
    one_request(bench, complexity=None, shadow=None, session="")

    (line,) = lines.lines
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    members = json.loads(line)
    assert (members["kind"], members["v"]) == ("request", 1)
    assert not {"complexity", "shadow", "session", "error", "retry_after_seconds"} & set(members)


def test_a_line_reads_back_as_what_was_written():
    marks = [FeedbackEntry(1, 5.0, "sb-1", 0.25, "too-long"), FeedbackEntry(1, 5.0, "sb-1", None, "good")]
    assert [decode(encode(mark)) for mark in marks] == marks


def test_members_of_a_later_release_under_the_same_version_are_passed_over():
    line = json.dumps({"kind": "request", "v": 1, "ended_seconds": 1.0, "id": "sb-1", "mood": "sunny"}).encode()
    assert decode(line).id == "sb-1"


@pytest.mark.parametrize("line", [b"", b"{}", b'{"kind":"request"}', b'{"kind":"dance","v":1}', b"\xff\n"])
def test_a_line_that_is_none_of_ours_is_an_error(line):
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        decode(line)


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        ((1_000_000, 500_000), 2 + 4),
        ((0, 0), 0.0),
        (None, None),
    ],
)
def test_the_cost_is_that_of_the_reported_usage_and_unknown_without(bench, lines, usage, usd):
    bench.attempts(attempt_entry())
    bench.requests(request_entry(metadata=said(), usage=usage))

    assert [entry.usd for entry in lines.entries] == [usd]


def test_a_model_without_a_price_costs_an_unknown_amount_and_not_nothing(bench, lines):
    bench.attempts(attempt_entry("cloud", 429), attempt_entry("spare", 429), attempt_entry("local"))
    bench.requests(request_entry(metadata=said(), attempts=3, cluster="local"))

    assert [(entry.model, entry.usd) for entry in lines.entries] == [("qwen", None)]
