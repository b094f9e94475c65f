from __future__ import annotations

import json
import math
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox import core
from signalbox.errors import RequestError
from signalbox.extproc import mutate
from signalbox.record import Record, Target, decode
from signalbox.types import (
    Candidate,
    Case,
    Decision,
    Edit,
    Endpoint,
    Features,
    Modality,
    ParsedRequest,
    Privacy,
    Reason,
    Refusal,
    Signals,
    TokenCount,
)

from .decisions import candidate
from .envoy_messages import chat, metadata, read, request_headers_set

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
candidates = st.builds(candidate, provider=texts, model=texts, upstream_model=st.text(max_size=40))
decisions = st.fixed_dictionaries(  # `builds` would invent the rest as well
    {
        "id": texts,
        "router": texts,
        "route": texts,
        "reason": st.sampled_from(Reason),
        "chain": st.lists(candidates, min_size=1, max_size=8).map(tuple),
        "privacy": st.sampled_from(Privacy),
        "rule": texts,
    }
).map(lambda members: Decision(**members))
edit_lists = st.lists(
    st.builds(Edit, at=st.integers(0, 2**32), length=st.integers(0, 2**32), text=st.none() | texts), max_size=5
).map(tuple)

FEATURES = Features(
    prompt_tokens=12,
    tokens_estimated=True,
    output_tokens=None,
    messages=1,
    turns=1,
    tools=0,
    images=0,
    json_schema=False,
    modalities=frozenset({Modality.TEXT}),
    complexity=0.25,
)


MODEL_EDIT = core.scan(chat(stream=False)).edits()


def case(*, stream: bool = False, endpoint: Endpoint = Endpoint.CHAT_COMPLETIONS) -> Case:
    body = chat(stream=stream)
    request = ParsedRequest(endpoint, body, core.scan(body), {})
    return Case(request, FEATURES, Signals("sb-1", 0.0, "sb-1"))


def decision(*chain: Candidate) -> Decision:
    return Decision(
        id="sb-0123456789abcdef01234567",
        router="main",
        route="bug-fixing",
        reason=Reason.RULE,
        chain=chain or (candidate(),),
        privacy=Privacy.ANY,
        rule="rule-1",
    )


def expected_candidates(chain: tuple[Candidate, ...]) -> list[dict[str, str]]:
    return [
        {"provider": entry.provider, "name": entry.model, "model": json.dumps(entry.upstream_model)} for entry in chain
    ]


def expected_edit(edit: Edit) -> dict[str, object]:
    numbers: dict[str, object] = {"at": edit.at, "len": edit.length}
    return numbers if edit.text is None else {**numbers, "text": edit.text}


@given(decisions, edit_lists, st.booleans(), st.sampled_from(Endpoint), texts, st.integers(0, 10**9))
def test_the_metadata_says_exactly_what_was_decided(
    made: Decision, edits: tuple[Edit, ...], stream: bool, endpoint: Endpoint, policy: str, decide_us: int
) -> None:
    answer = mutate.decided(made, case(stream=stream, endpoint=endpoint), edits, policy=policy, decide_us=decide_us)
    found = metadata(answer)
    record = decode(found.pop("record"))
    assert found == {
        "priority_groups": [{"name": entry.provider} for entry in made.chain],
        "candidates": expected_candidates(made.chain),
        "tries": len(made.chain),
        "edits": [expected_edit(edit) for edit in edits],
        "endpoint": endpoint.value,
        "privacy": made.privacy.value,
        "id": made.id,
        "route": made.route,
        "reason": made.reason.value,
    }
    assert record == Record(
        id=made.id,
        endpoint=endpoint.value,
        policy=policy,
        router=made.router,
        route=made.route,
        reason=made.reason.value,
        rule=made.rule,
        privacy=made.privacy.value,
        stream=stream,
        chain=tuple(Target(entry.provider, entry.model) for entry in made.chain),
        tokens=(-12,) * len(made.chain),
        estimate=12,
        complexity=0.25,
        decide_us=decide_us,
    )


def test_the_record_has_each_candidates_tokens_and_estimates_are_negative() -> None:
    chain = (candidate("cloud", "large"), candidate("house", "small"), candidate("house", "tiny"))
    counts = {"large": TokenCount(10, estimated=False), "small": TokenCount(11, estimated=True)}
    made = decision(*chain)._replace(counts=counts)
    answer = mutate.decided(made, case(), (), policy="p", decide_us=1)
    assert decode(metadata(answer)["record"]).tokens == (10, -11, -12)


def test_a_decision_leaves_the_body_alone_and_clears_the_route_cache() -> None:
    answer = read(mutate.decided(decision(), case(), (), policy="p", decide_us=1))
    assert answer.WhichOneof("response") == "request_body"
    common = answer.request_body.response
    assert common.clear_route_cache
    assert common.HasField("header_mutation"), "without one Envoy ignores clear_route_cache"
    assert not common.header_mutation.set_headers
    assert not common.HasField("body_mutation")


def test_two_chains_with_equal_names_and_other_upstream_models_are_kept_apart() -> None:
    for upstream_model in ("one", "two"):
        chain = (candidate(upstream_model=upstream_model),)
        answer = mutate.decided(decision(*chain), case(), (), policy="p", decide_us=1)
        assert metadata(answer)["candidates"] == expected_candidates(chain)


def test_a_complexity_that_could_not_be_computed_is_left_out() -> None:
    unknown = replace(case(), features=FEATURES._replace(complexity=math.nan))
    answer = mutate.decided(decision(), unknown, (), policy="p", decide_us=1)
    assert decode(metadata(answer)["record"]).complexity is None


def test_by_headers_the_request_carries_cluster_body_and_its_length() -> None:
    chain = (candidate("cloud", "large", "large-v2"), candidate("house", "small", "small-8b"))
    edited = chat("large-v2", stream=False)
    answer = mutate.decided_by_headers(decision(*chain), case(), MODEL_EDIT, policy="p", decide_us=1)
    assert request_headers_set(answer) == {
        "x-signalbox-cluster": "cloud",
        "x-signalbox-model": "large",
        "x-signalbox-route": "bug-fixing",
        "x-signalbox-reason": "rule",
        "x-signalbox-privacy": "any",
        "x-signalbox-decision": "sb-0123456789abcdef01234567",
        "content-length": str(len(edited)),
    }
    common = read(answer).request_body.response
    assert common.body_mutation.body == edited
    assert common.clear_route_cache


def test_by_headers_the_metadata_names_the_one_attempt_there_will_be() -> None:
    chain = (candidate("cloud", "large"), candidate("house", "small"))
    answer = mutate.decided_by_headers(decision(*chain), case(), (), policy="p", decide_us=1)
    found = metadata(answer)
    assert (found["tries"], found["priority_groups"], found["edits"]) == (1, [{"name": "cloud"}], [])
    assert found["candidates"] == expected_candidates(chain[:1])


@pytest.mark.parametrize("status", [400, 403, 404, 413, 429, 503])
def test_a_refusal_has_a_status_a_sentence_and_the_metadata_of_one(status: int) -> None:
    problem = RequestError("no model can take this", status=status, code=Refusal.NO_CANDIDATE)
    encoded = mutate.refused(problem, decision_id="sb-1", endpoint="messages", policy="abc")
    answer = read(encoded)
    assert answer.WhichOneof("response") == "immediate_response"
    assert answer.immediate_response.status.code == status
    assert answer.immediate_response.body == b"no model can take this"
    assert answer.immediate_response.details == "signalbox_no_candidate"
    found = metadata(encoded)
    assert decode(found.pop("record")) == Record(id="sb-1", error="no_candidate", endpoint="messages", policy="abc")
    assert found == {"id": "sb-1", "error": "no_candidate"}


@given(st.text(max_size=1200))
def test_a_sentence_is_utf8_on_one_short_line_whatever_it_quotes(text: str) -> None:
    line = mutate.one_line(text)
    assert len(line) <= mutate.MAX_SENTENCE_BYTES
    assert len(line.decode().splitlines()) <= 1
    assert not [character for character in line.decode() if unicodedata.category(character) == "Cc"]


def test_a_long_sentence_is_cut_between_characters() -> None:
    line = mutate.one_line("é" * 600).decode()
    assert line.endswith("…")
    assert set(line[:-1]) == {"é"}


def test_a_short_sentence_is_left_as_it_is() -> None:
    assert mutate.one_line("no model is called “gpt-9”") == "no model is called “gpt-9”".encode()
