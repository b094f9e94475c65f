"""Personal data keeps a request on the site, whatever asks for it, and nobody repeats what was found."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from pydantic import ValidationError

from signalbox.brain.personal_data import Finder
from signalbox.decide.pipeline import Pipeline
from signalbox.errors import RequestError
from signalbox.types import Answer, Endpoint, EngineOutcome, LocalBy, PersonalData, Privacy
from tests.unit.decide.cases import decide, make_case, make_policy, names

CARD = "4111 1111 1111 1111"
ROUTER = {"models": ["acme-large", "home-small"], "fallback": ["acme-mini"]}


def detecting(*kinds: str, router: dict | None = None, **sections):
    privacy = {"local_only": {"detect": list(kinds)}}
    return make_policy(routers={"r": {**ROUTER, **(router or {})}}, default_router="r", privacy=privacy, **sections)


def test_a_request_that_holds_personal_data_stays_on_the_site_and_says_which_kind():
    pipeline = Pipeline.compile(detecting("credit_card", "email"))
    case = make_case(text=f"my card {CARD} was refused, write to jane@example.com or call +44 20 7946 0958")
    decision = pipeline.decide(case)
    assert decision.privacy is Privacy.LOCAL
    assert names(decision) == ["home-small"]
    assert decision.removed == {"acme-large": "privacy", "acme-mini": "privacy"}
    assert (decision.local_by, decision.personal) == (
        LocalBy.DETECTED,
        (PersonalData.EMAIL, PersonalData.CREDIT_CARD),
    )
    explained = pipeline.explain(case)
    assert explained["privacy"] == {
        "privacy": "local",
        "by": "detected",
        "header": None,
        "kinds": ["email", "credit_card"],
    }
    assert explained["decision"]["local_only"] == {"by": "detected", "kinds": ["email", "credit_card"]}
    assert "1111" not in json.dumps(explained)
    assert "jane" not in json.dumps(explained)


def test_a_request_without_any_may_go_anywhere():
    decision = decide(detecting("credit_card", "email"), make_case(text="call +44 20 7946 0958"))
    assert (decision.privacy, decision.local_by, decision.personal) == (Privacy.ANY, LocalBy.NOTHING, ())
    assert names(decision)[0] == "acme-large"


def test_where_no_model_is_local_it_is_refused_naming_the_kind_and_not_the_text():
    with pytest.raises(RequestError) as refusal:
        decide(detecting("iban", router={"models": ["acme-large"]}), make_case(text="to GB82 WEST 1234 5698 7654 32"))
    assert (refusal.value.status, refusal.value.code) == (403, "no_candidate")
    assert str(refusal.value).endswith("It is local-only (it holds iban), and none of them is local.")
    assert "WEST" not in str(refusal.value)


LONG = "the quick brown fox said: it is 12 o'clock.\n" * 200
TOOL_CALL = {
    "role": "assistant",
    "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": "pay", "arguments": json.dumps({"card": CARD})}}
    ],
}


@pytest.mark.parametrize(
    "members",
    [
        {"messages": [{"role": "system", "content": CARD}, {"role": "user", "content": "hello"}]},
        {"messages": [{"role": "user", "content": CARD}, {"role": "user", "content": "hello"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": LONG + CARD + "\n" + LONG}]}]},
        {"messages": [{"role": "user", "content": "pay"}, TOOL_CALL]},
        {"messages": [{"role": "tool", "tool_call_id": "1", "content": f"paid with {CARD}"}]},
        {"metadata": {"note": CARD}},
        {"user": CARD},
    ],
)
def test_it_is_found_wherever_in_the_body_it_stands(members):
    assert decide(detecting("credit_card"), make_case(**members)).personal == (PersonalData.CREDIT_CARD,)


def test_a_prompt_that_is_sent_as_token_ids_cannot_be_read_and_stays():
    case = make_case(endpoint=Endpoint.COMPLETIONS, prompt=[1, 2, 3])
    decision = decide(detecting("email"), case)
    assert (names(decision), decision.local_by) == (["home-small"], LocalBy.UNREADABLE)
    assert decide(detecting_nothing(), case).privacy is Privacy.ANY


def detecting_nothing():
    headers = {"local_only": {"headers": {"x-data-class": "restricted"}}}
    return make_policy(routers={"r": ROUTER}, default_router="r", privacy=headers)


def test_a_finder_that_fails_keeps_the_request_on_the_site(monkeypatch):
    def fail(self, request):
        raise RuntimeError(CARD)

    monkeypatch.setattr(Finder, "find", fail)
    pipeline = Pipeline.compile(detecting("email"))
    decision = pipeline.decide(make_case())
    assert (names(decision), decision.privacy, decision.local_by) == (["home-small"], Privacy.LOCAL, LocalBy.FAILED)
    assert CARD not in json.dumps(pipeline.explain(make_case()))


def test_a_client_that_names_a_cloud_model_is_held_to_it_too():
    with pytest.raises(RequestError, match=r"It is local-only \(it holds ssn\)"):
        decide(detecting("ssn"), make_case("bolt-large", text="SSN 078-05-1120"))


def test_a_routers_own_kinds_are_added_to_the_policys():
    own = {"privacy": {"local_only": {"detect": ["phone"]}}}
    policy = detecting("email", router=own)
    for text, kind in (("jane@example.com", PersonalData.EMAIL), ("+44 20 7946 0958", PersonalData.PHONE)):
        assert decide(policy, make_case(text=text)).personal == (kind,)
    assert decide(policy, make_case("acme-large", text="+44 20 7946 0958")).privacy is Privacy.ANY


def test_what_is_local_only_for_one_goal_is_so_for_all():
    routers = {
        "leading": {"goals": {"complexity": {"threshold": 0.3, "below": "low", "above": "high"}}},
        "low": ROUTER,
        "high": {**ROUTER, "privacy": {"local_only": {"detect": ["phone"]}}},
    }
    policy = make_policy(routers=routers, default_router="leading")
    assert names(decide(policy, make_case(text="+44 20 7946 0958"))) == ["home-small"]


def test_an_engine_outside_the_site_is_not_asked_about_what_was_found():
    engine = {"kind": "preference", "endpoint": "https://far.test/v1", "model": "far"}
    router = {
        "tasks": [{"name": "a", "models": ["home-small"]}, {"name": "b", "models": ["acme-large"]}],
        "engine": "far",
    }
    pipeline = Pipeline.compile(detecting("email", router=router, engines={"far": engine}))
    assert pipeline.asks(make_case()) is not None
    assert pipeline.asks(make_case(text="jane@example.com")) is None


def test_a_request_is_read_once_however_often_it_is_asked_about(monkeypatch):
    reads = []
    monkeypatch.setattr(Finder, "find", lambda self, request: reads.append(1) or (PersonalData.EMAIL,))
    engine = {"kind": "preference", "endpoint": "http://near.test/v1", "model": "near", "location": "local"}
    pipeline = Pipeline.compile(detecting("email", router={"engine": "near"}, engines={"near": engine}))
    case = pipeline.judge_privacy(make_case())
    pipeline.asks(case)
    answers = {"near": Answer(EngineOutcome.LATE)}
    decision = pipeline.decide(replace(case, signals=replace(case.signals, answers=answers)))
    assert (decision.personal, len(reads)) == ((PersonalData.EMAIL,), 1)


@pytest.mark.parametrize("local_only", [{}, {"headers": {}}, {"detect": []}, {"detect": ["e-mail"]}])
def test_a_section_that_makes_nothing_local_only_is_refused(local_only):
    with pytest.raises(ValidationError):
        make_policy(privacy={"local_only": local_only})
