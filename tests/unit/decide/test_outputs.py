from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from signalbox.decide.pipeline import Pipeline
from signalbox.errors import RequestError
from signalbox.types import Answer, Case, Endpoint, EngineOutcome, ImageAsked, PinOutcome
from signalbox.world import Pin
from tests.unit.decide.cases import LOCAL_ONLY, MODELS, decide, make_case, make_policy, names
from tests.unit.decide.worlds import seeing

DRAW = "Draw me a picture of a cat wearing a hat"
IMAGE_TOOL = {"type": "image_generation", "size": "1024x1024"}
FUNCTION = {"type": "function", "name": "f", "description": "not image_generation", "parameters": {}}


def painting(*painters: str, alone: str = "", writers: tuple[str, ...] = (), **sections: Any) -> Any:
    """A policy over three models, of which some make images as well as text and one perhaps nothing else.

    writers: those of which it says that they write and do nothing else; of the rest it says nothing.
    """
    outputs = {name: {"outputs": ["text", "image"]} for name in painters} | {alone: {"outputs": ["image"]}}
    outputs |= {name: {"outputs": ["text"]} for name in writers}
    models = {name: {**facts, **outputs.get(name, {})} for name, facts in MODELS.items()}
    router = {"models": ["acme-large", "home-small"], "fallback": ["acme-mini"], **sections.pop("router", {})}
    return make_policy(models=models, routers={"r": router}, default_router="r", **sections)


@pytest.mark.parametrize("modalities", [["image"], ["text", "image"], ["image", "text"]])
def test_an_image_that_is_demanded_is_made_or_the_request_is_refused(modalities):
    case = make_case(text="a cat", modalities=modalities)
    decision = decide(painting("acme-mini"), case)
    assert names(decision) == ["acme-mini"]
    assert decision.removed == {"acme-large": "answers", "home-small": "answers"}
    assert (decision.image_asked, decision.image_served) == (ImageAsked.PARAMETERS, True)
    with pytest.raises(RequestError) as refusal:
        decide(painting(writers=tuple(MODELS)), case)
    assert (refusal.value.status, refusal.value.code) == (400, "no_candidate")
    assert str(refusal.value).endswith("It demands an image, and none of them makes any.")


def test_where_nobody_is_known_to_make_images_those_are_asked_of_which_the_policy_says_nothing():
    case = make_case(text="a cat", modalities=["image"])
    decision = decide(painting(writers=("acme-large",)), case)
    assert names(decision) == ["home-small", "acme-mini"]
    assert (decision.image_asked, decision.image_served) == (ImageAsked.PARAMETERS, False)
    assert decide(painting(), case).removed == {}


def test_a_model_of_images_alone_serves_those_who_want_no_text_beside_it():
    policy = painting("acme-mini", alone="home-small")
    assert names(decide(policy, make_case(modalities=["image"]))) == ["home-small", "acme-mini"]
    assert names(decide(policy, make_case(modalities=["text", "image"]))) == ["acme-mini"]


@pytest.mark.parametrize("modalities", [["text"], ["text", "audio"], [], None, "image", [["image"]], {"image": 1}, 7])
def test_other_modalities_demand_no_image(modalities):
    decision = decide(painting("acme-mini"), make_case(modalities=modalities))
    assert names(decision) == ["acme-large", "home-small", "acme-mini"]
    assert decision.image_asked is ImageAsked.NO


@pytest.mark.parametrize(
    ("members", "asked"),
    [
        ({"tools": [FUNCTION, IMAGE_TOOL]}, ImageAsked.PARAMETERS),
        ({"tools": [{**FUNCTION, "description": "x" * 100_000}, IMAGE_TOOL]}, ImageAsked.PARAMETERS),
        ({"tools": [IMAGE_TOOL], "tool_choice": "none"}, ImageAsked.NO),
        ({"tools": [FUNCTION]}, ImageAsked.NO),
        ({"tools": {"type": "image_generation"}}, ImageAsked.NO),
        ({"tools": ["image_generation", None]}, ImageAsked.NO),
    ],
)
def test_the_tool_that_makes_images_demands_one(members, asked):
    case = make_case(endpoint=Endpoint.RESPONSES, input="a cat", **members)
    assert decide(painting("acme-mini"), case).image_asked is asked
    assert decide(painting("acme-mini"), replace_endpoint(case)).image_asked is ImageAsked.NO


def replace_endpoint(case: Case) -> Case:
    """The same body sent to another API, to which that tool means nothing."""
    chat = make_case(tools=[{"type": "function", "function": {"name": "image_generation"}}])
    assert case.request.endpoint is not chat.request.endpoint
    return chat


def test_words_that_ask_for_an_image_lead_to_models_that_make_some():
    decision = decide(painting("acme-mini"), make_case(text=DRAW))
    assert names(decision) == ["acme-mini"]
    assert decision.removed == {"acme-large": "asked", "home-small": "asked"}
    assert (decision.image_asked, decision.image_served) == (ImageAsked.WORDS, True)


def test_words_alone_never_refuse_a_request_and_the_explanation_says_why():
    pipeline = Pipeline.compile(painting())
    decision = pipeline.decide(make_case(text=DRAW))
    assert names(decision) == ["acme-large", "home-small", "acme-mini"]
    assert (decision.image_asked, decision.image_served) == (ImageAsked.WORDS, False)
    explained = pipeline.explain(make_case(text=DRAW))
    assert explained["image"] == {
        "asked": "words",
        "served": False,
        "why": "no model left of this route makes images: the request goes on to one that writes",
    }
    assert explained["decision"]["image"] == {"asked": "words", "served": False}
    assert "image" not in pipeline.explain(make_case())


def test_a_request_that_must_stay_on_the_site_is_written_there_rather_than_painted_elsewhere():
    case = make_case(text=DRAW, headers={"x-data-class": "restricted"})
    assert names(decide(painting("acme-mini", privacy=LOCAL_ONLY), case)) == ["home-small"]


def test_a_painter_whose_window_is_too_small_leaves_the_request_to_the_others():
    case = make_case(text=DRAW + " on every page" * 4_000)
    assert names(decide(painting("home-small"), case)) == ["acme-large", "acme-mini"]


def test_a_model_of_images_alone_gets_no_request_for_text_that_another_can_answer():
    assert names(decide(painting(alone="acme-large"), make_case())) == ["home-small", "acme-mini"]
    assert names(decide(painting(alone="acme-large"), make_case("acme-large"))) == ["acme-large"]
    assert names(decide(painting(alone="acme-large"), make_case("acme-large", endpoint=Endpoint.EMBEDDINGS))) == [
        "acme-large"
    ]


@pytest.mark.parametrize(
    ("outcome", "scores", "asked"),
    [
        (EngineOutcome.RESULT, (("DIFFUSION", 0.6), ("AR", 0.4)), ImageAsked.ENGINE),
        (EngineOutcome.RESULT, (("AR", 0.4), ("DIFFUSION", 0.3), ("BOTH", 0.3)), ImageAsked.ENGINE),
        (EngineOutcome.RESULT, (("AR", 0.6), ("DIFFUSION", 0.4)), ImageAsked.NO),
        (EngineOutcome.UNSURE, (("DIFFUSION", 0.9), ("AR", 0.1)), ImageAsked.NO),
    ],
)
def test_an_engine_that_tells_kinds_of_answers_is_believed_when_it_is_sure(outcome, scores, asked):
    engines = {"head": {"kind": "modality", "bundle": "/models/head"}}
    rule = {"when": {"engine": {"name": "head", "labels": ["jailbreak"]}}, "models": ["acme-large"]}
    policy = painting("acme-mini", engines=engines, router={"rules": [rule]})
    case = make_case(text="a cat in the rain, oil on canvas")
    answers = {"head": Answer(outcome, scores[0][0], scores)}
    decision = decide(policy, replace(case, signals=replace(case.signals, answers=answers)))
    assert decision.image_asked is asked
    assert names(decision)[0] == ("acme-mini" if asked else "acme-large")


KEY = "0" * 32
TOOL_RESULT = [
    {"role": "user", "content": DRAW},
    {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": ""}}]},
    {"role": "tool", "tool_call_id": "1", "content": "done"},
]


def test_a_session_moves_to_a_model_that_makes_the_image_it_asks_for():
    policy = painting("acme-mini", router={"models": ["acme-large", "acme-mini"], "affinity": {"mode": "strict"}})
    asked = decide(policy, seeing(make_case(text=DRAW), key=KEY, pin=Pin("acme-large", turns=2)))
    assert (names(asked), asked.pin) == (["acme-mini"], PinOutcome.MOVED)
    talk = decide(policy, seeing(make_case(), key=KEY, pin=Pin("acme-mini", turns=3)))
    assert (names(talk)[0], talk.pin) == ("acme-mini", PinOutcome.KEPT)


def test_a_session_stays_where_nobody_makes_images_or_a_tool_loop_is_open():
    router = {"models": ["acme-large", "acme-mini"], "affinity": {"mode": "strict"}}
    asked = seeing(make_case(text=DRAW), key=KEY, pin=Pin("acme-mini", turns=2))
    decision = decide(painting(router=router), asked)
    assert (names(decision)[0], decision.pin) == ("acme-mini", PinOutcome.KEPT)
    loop = seeing(make_case(messages=TOOL_RESULT), key=KEY, pin=Pin("acme-large", turns=2))
    decision = decide(painting("acme-mini", router=router), loop)
    assert (names(decision)[0], decision.pin) == ("acme-large", PinOutcome.KEPT)
