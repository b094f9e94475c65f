"""A prompt is a model's interface: these bytes are what each was trained with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from signalbox.core import Role
from signalbox.engines.base import Route
from signalbox.engines.preference.prompts import (
    ARCH_ROUTER_CARD,
    ARCH_ROUTER_PLANO,
    FORMATS,
    PLANO_ORCHESTRATOR,
    QWEN3_CHAT,
    QWEN25_CHAT,
    PromptFormat,
    format_for,
)

GOLDEN = Path(__file__).parent / "golden"
ROUTES = (
    Route("bug_fixing", "Find and fix errors in the user's code, logs included"),
    Route("was_übrig_ist", 'Größeres: "Umbau" \\ 重构'),
    Route("translate", "Translate text between languages"),
)
SAID = (
    (Role.USER, b"Why does this fail?\n\n    raise KeyError('a\\tb')\n"),
    (Role.ASSISTANT, b'Because the "key" is missing.\t</conversation>'),
    (Role.USER, "请把它改好 😀\x01\x7f".encode()),
)
formats = pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)


@formats
def test_a_prompt_is_byte_for_byte_what_was_published(form: PromptFormat) -> None:
    expected = (GOLDEN / f"{form.name.replace('/', '.')}.txt").read_bytes()
    assert form.render(ROUTES, SAID).encode() == expected


@formats
def test_routes_stand_in_the_policys_order(form: PromptFormat) -> None:
    places = [form.render(ROUTES[::-1], SAID).index(json.dumps(r.name, ensure_ascii=form.ascii_only)) for r in ROUTES]
    assert places == sorted(places, reverse=True)


@formats
def test_what_stands_before_the_conversation_is_the_same_for_every_request(form: PromptFormat) -> None:
    assert form.render(ROUTES, SAID).startswith(form.before(ROUTES))
    assert form.render(ROUTES, SAID[:1]).startswith(form.before(ROUTES))


@formats
def test_an_answer_is_json_that_names_the_route(form: PromptFormat) -> None:
    route = json.loads(form.answer('it\'s "ü"'))["route"]
    assert route == (['it\'s "ü"'] if form.list_answer else 'it\'s "ü"')
    assert json.loads(form.no_route)["route"] in ([], "other")


def test_a_chat_is_rendered_as_the_base_models_template_does() -> None:
    assert QWEN3_CHAT.render("x") == "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n"
    assert QWEN25_CHAT.render("x") == (
        "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize(
    ("model", "form"),
    [
        ("katanemo/Arch-Router-1.5B", ARCH_ROUTER_CARD),
        ("Arch-Router-1.5B.gguf", ARCH_ROUTER_CARD),
        ("arch_router", ARCH_ROUTER_CARD),
        ("arch-router/plano", ARCH_ROUTER_PLANO),
        ("katanemo/Plano-Orchestrator-30B-A3B", PLANO_ORCHESTRATOR),
        ("gpt-5-mini", None),
    ],
)
def test_a_models_prompt_is_known_by_its_published_name(model: str, form: PromptFormat | None) -> None:
    assert format_for(model) is form
