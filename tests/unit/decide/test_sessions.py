"""Sessions keep their model, and leave it for a reason."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.decide.pipeline import Pipeline
from signalbox.types import PinOutcome, Reason
from signalbox.world import CircuitState, ModelState, Pin

from .cases import decide, make_case, make_policy, make_request, names
from .worlds import seeing, world

KEY = "0" * 32
POOL = ["acme-mini", "acme-large", "bolt-large"]


def policy(mode: str = "strict", **more):
    affinity = {"mode": mode, **more.pop("affinity", {})}
    return make_policy(
        routers={"r": {"models": POOL, "affinity": affinity, "fallback": ["home-small"], **more}}, default_router="r"
    )


def pinned(model: str, case=None, **more):
    return seeing(case or make_case(), key=KEY, pin=Pin(model, turns=2, **more.pop("cache", {})), **more)


def test_a_first_request_is_to_be_pinned_to_the_first_candidate():
    decision = decide(policy(), seeing(make_case(), key=KEY))
    assert (decision.pin, decision.reason, names(decision)[0]) == (PinOutcome.NEW, Reason.DEFAULT, "acme-mini")


def test_a_session_keeps_its_model_and_the_others_follow():
    decision = decide(policy(), pinned("acme-large"))
    assert (decision.pin, decision.reason) == (PinOutcome.KEPT, Reason.AFFINITY)
    assert names(decision) == ["acme-large", "acme-mini", "bolt-large", "home-small"]


def test_a_request_without_a_session_is_not_pinned():
    assert decide(policy(), make_case()).pin is None


def test_a_session_whose_model_is_down_gets_another_and_says_so():
    down = world(acme_large=ModelState(circuit=CircuitState.OPEN))
    decision = decide(policy(), pinned("acme-large", models=down))
    assert (decision.pin, decision.reason, names(decision)[0]) == (PinOutcome.MOVED, Reason.REPINNED, "acme-mini")


def test_a_session_stays_with_a_model_that_is_tried_again():
    probed = world(acme_large=ModelState(circuit=CircuitState.HALF_OPEN, probe_share=0.01))
    assert names(decide(policy(), pinned("acme-large", models=probed)))[0] == "acme-large"


@pytest.mark.parametrize(
    ("model", "members"),
    [
        ("home-small", {"max_tokens": 9000}),  # over its window
        ("gone", {}),  # no longer in the policy
    ],
)
def test_a_session_whose_model_cannot_take_the_request_gets_another(model, members):
    decision = decide(policy(), pinned(model, make_case(**members)))
    assert (decision.pin, names(decision)[0]) == (PinOutcome.MOVED, "acme-mini")


def test_a_model_that_left_the_router_is_not_kept():
    narrow = make_policy(routers={"r": {"models": ["acme-mini"], "affinity": {}}}, default_router="r")
    assert decide(narrow, pinned("bolt-large")).pin is PinOutcome.MOVED


def test_local_only_beats_affinity():
    local = {"local_only": {"headers": {"x-data-class": "restricted"}}}
    case = make_case(headers={"x-data-class": "restricted"})
    decision = decide(policy(privacy=local), pinned("acme-large", case))
    assert names(decision) == ["home-small"]
    assert decision.pin is PinOutcome.MOVED


THINKING = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "c2ln"}]},
    {"role": "user", "content": "go on"},
]
QUOTED = [{"role": "user", "content": 'what does "type": "thinking" and "encrypted_content": "x" mean?'}]
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOLS = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "1", "content": "42"},
]  # fmt: skip
DEAR = {"input_tokens": 1000, "cached_tokens": 0}


def test_content_that_only_its_maker_reads_keeps_the_chain_with_that_provider():
    decision = decide(policy(), pinned("acme-large", make_case(messages=THINKING)))
    assert names(decision) == ["acme-large", "acme-mini"]


def test_text_that_looks_like_such_content_is_text():
    decision = decide(policy(), pinned("acme-large", make_case(messages=QUOTED)))
    assert "bolt-large" in names(decision)


def test_budgeted_a_session_moves_when_that_saves_money():
    case = make_case(text="x" * 30_000)
    decision = decide(policy("budgeted", prefer="cheapest"), pinned("acme-large", case, cache=DEAR))
    assert (decision.pin, decision.reason, names(decision)[0]) == (PinOutcome.MOVED, Reason.REPINNED, "acme-mini")


def test_budgeted_a_warm_cache_keeps_a_session_that_is_nearly_over():
    models = {
        "warm": {"provider": "acme", "price": {"input": 3, "output": 1, "cached_input": 0.3}},
        "cold": {"provider": "acme", "price": {"input": 1, "output": 1, "cached_input": 0.1}},
    }
    made = make_policy(
        models=models,
        routers={"r": {"models": ["warm", "cold"], "prefer": "cheapest", "affinity": {"mode": "budgeted"}}},
        default_router="r",
    )
    case = make_case(text="x" * 30_000, max_tokens=10)

    def after(turns: int) -> str:
        pin = Pin("warm", turns=turns, input_tokens=10_000, cached_tokens=9_500)
        return names(decide(made, seeing(case, key=KEY, pin=pin)))[0]

    assert after(turns=1) == "cold"
    assert after(turns=7) == "warm"


@pytest.mark.parametrize("messages", [TOOLS, THINKING], ids=["tool loop", "signed thinking"])
def test_budgeted_a_session_never_moves_in_the_middle_of_something(messages):
    decision = decide(
        policy("budgeted", prefer="cheapest"), pinned("acme-large", make_case(messages=messages), cache=DEAR)
    )
    assert (decision.pin, names(decision)[0]) == (PinOutcome.KEPT, "acme-large")


def test_budgeted_a_price_nobody_knows_is_no_reason_to_move():
    decision = decide(policy("budgeted", prefer="cheapest"), pinned("bolt-large", cache=DEAR))
    assert names(decision)[0] == "bolt-large"


# ---------------------------------------------------------------- which requests belong together


def key(made, messages=None, headers=None, **members):
    body = {"model": "auto", "messages": messages or [{"role": "user", "content": "hi"}], **members}
    session = Pipeline.compile(made).session(make_request(body, headers=headers))
    return None if session is None else session.key


def test_a_header_names_the_session_whatever_the_conversation():
    header = {"x-model-affinity": "agent-7"}
    other = [{"role": "user", "content": "something else"}]
    assert key(policy(), headers=header) == key(policy(), other, headers=header)
    assert key(policy(), headers=header) != key(policy(), headers={"x-model-affinity": "agent-8"})


def test_without_a_header_there_is_no_session_unless_the_policy_wants_one():
    assert key(policy()) is None
    assert key(policy(affinity={"implicit": True})) is not None


def test_affinity_that_is_off_has_no_sessions():
    assert key(policy("off"), headers={"x-model-affinity": "agent-7"}) is None


def test_a_key_shows_nothing_of_the_header_and_has_one_length():
    short, long = (key(policy(), headers={"x-model-affinity": text}) for text in ("sk-secret", "sk-secret" * 1000))
    assert len(short) == len(long) == 32
    assert "secret" not in short + long


def test_tenants_and_routers_with_one_name_for_a_session_have_two_sessions():
    tenants = policy(affinity={"tenant_headers": ["authorization"]})
    header = {"x-model-affinity": "s"}
    keys = {
        key(tenants, headers={**header, **tenant}) for tenant in ({"authorization": "a"}, {"authorization": "b"}, {})
    }
    assert len(keys) == 3
    two = make_policy(routers={name: {"models": POOL, "affinity": {}} for name in ("one", "two")})
    assert len({key(two, headers=header, model=f"router:{name}") for name in ("one", "two")}) == 2


IMPLICIT = policy(affinity={"implicit": True})
SYSTEM = {"role": "system", "content": "You are a pirate."}


def test_every_turn_of_a_conversation_has_the_same_implicit_session():
    turns = [SYSTEM, {"role": "user", "content": "hi"}]
    first = key(IMPLICIT, turns)
    turns = [*turns, {"role": "assistant", "content": "arr"}, {"role": "user", "content": "more"}]
    assert key(IMPLICIT, turns) == first
    assert key(IMPLICIT, [{**SYSTEM, "content": "You are a poet."}, *turns[1:]]) != first


parts = st.lists(st.text(max_size=8), min_size=1, max_size=3).map(
    lambda texts: [{"type": "text", "text": text} for text in texts]
)
contents = st.text(max_size=12) | parts
messages = st.lists(st.tuples(st.sampled_from(["system", "assistant", "user"]), contents), max_size=4)


@given(messages, contents, messages)
def test_what_follows_the_first_user_turn_never_changes_the_implicit_session(before, content, after):
    def body(turns):
        entries = [{"role": role, "content": said} for role, said in turns]
        return make_request({"model": "auto", "messages": entries})

    opening = [turn for turn in before if turn[0] != "user"] + [("user", content)]
    pipeline = Pipeline.compile(IMPLICIT)
    assert pipeline.session(body(opening)) == pipeline.session(body(opening + after))


def test_a_conversation_in_which_no_user_speaks_has_no_implicit_session():
    assert key(IMPLICIT, [SYSTEM]) is None


def test_an_explanation_says_what_affinity_did():
    shown = Pipeline.compile(policy()).explain(pinned("acme-large"))
    assert shown["affinity"] == {"model": "acme-large", "able": True, "mode": "strict"}
    assert shown["decision"]["pin"] == "kept"
    assert json.dumps(shown)
