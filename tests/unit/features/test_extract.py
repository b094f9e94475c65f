from __future__ import annotations

import json
import math
from typing import Any

import pytest

from signalbox.core import scan
from signalbox.features import extract as module
from signalbox.features.extract import extract
from signalbox.features.tokens import TOKENS_PER_IMAGE
from signalbox.types import Endpoint, Features, InOut, Modality, ParsedRequest


def features_of(body: dict[str, Any], endpoint: Endpoint = Endpoint.CHAT_COMPLETIONS) -> Features:
    raw = json.dumps({"model": "m", **body}, ensure_ascii=False).encode()
    return extract(ParsedRequest(endpoint, raw, scan(raw), {}))


def user(content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}]}


PROSE = "The committee met on Tuesday to discuss the budget and agreed to meet again in the spring. " * 40
CODE = "def total(rows):\n    return sum(row['amount'] for row in rows if row['ok'])\n" * 40
CHINESE = "我们需要在下周之前完成这个项目的设计文档,并且和团队讨论所有的技术细节。" * 40


@pytest.mark.parametrize(
    ("text", "tokens"),  # counted once with the o200k_base tokenizer
    [(PROSE, 721), (CODE, 800), (CHINESE, 1_000)],
)
def test_the_estimate_is_not_below_the_true_count_and_not_twice_as_high(text, tokens):
    estimated = features_of(user(text))
    assert estimated.tokens_estimated
    assert tokens <= estimated.prompt_tokens <= 2 * tokens


def test_tool_definitions_and_calls_in_the_history_count():
    tools = [{"type": "function", "function": {"name": "f", "description": "x" * 3_000}}]
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": json.dumps({"a": "y" * 3_000})}}
    plain = features_of(user("hello")).prompt_tokens
    with_tools = features_of({**user("hello"), "tools": tools}).prompt_tokens
    history = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": None, "tool_calls": [call]}]
    assert with_tools >= plain + 1_000
    assert features_of({"messages": history}).prompt_tokens >= plain + 1_000


def test_a_demanded_schema_counts():
    schema = {"type": "object", "properties": {f"field_{n}": {"type": "string"} for n in range(100)}}
    wanted = {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}}
    found = features_of({**user("hello"), **wanted})
    assert found.json_schema
    assert found.prompt_tokens > features_of(user("hello")).prompt_tokens + 1_000


def test_an_image_counts_as_one_however_large_its_data_is():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    found = features_of(user([{"type": "text", "text": "what is this?"}, image]))
    assert found.modalities == {Modality.TEXT, Modality.IMAGE}
    assert TOKENS_PER_IMAGE < found.prompt_tokens < TOKENS_PER_IMAGE + 100


def test_audio_and_files_are_modalities_too():
    parts = [
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_data": "AAAA", "filename": "a.pdf"}},
    ]
    assert features_of(user(parts)).modalities == {Modality.TEXT, Modality.AUDIO, Modality.FILE}


def test_a_prompt_of_token_ids_is_counted():
    found = features_of({"prompt": list(range(5_000))}, Endpoint.COMPLETIONS)
    assert 5_000 <= found.prompt_tokens < 5_100


def test_the_clients_own_limit_is_what_it_reserves_for_the_answer():
    assert features_of(user("hello")).output_tokens is None
    assert features_of({**user("hello"), "max_completion_tokens": 77}).output_tokens == 77


def test_complexity_is_that_of_the_last_user_turn():
    hard = "Prove the theorem if n is not prime, unless 3 divides 7. ```x = 1```"
    simple = [{"role": "user", "content": hard}, {"role": "user", "content": "hi"}]
    assert features_of({"messages": simple}).complexity < 0.01
    assert features_of({"messages": simple[::-1]}).complexity > 0.2


def test_a_score_that_fails_is_not_a_number_and_loses_nothing_else(monkeypatch):
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(module, "surface", fail)
    found = features_of(user("hello"))
    assert math.isnan(found.complexity)
    assert found.messages == 1


def test_a_conversation_is_counted_by_role_call_and_payload():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    sound = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    paper = {"type": "file", "file": {"file_data": "AAAA", "filename": "a.pdf"}}
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    found = features_of(
        {
            "messages": [
                {"role": "developer", "content": "be brief"},
                {"role": "user", "content": [image, image, sound, paper]},
                {"role": "assistant", "content": None, "tool_calls": [call, call]},
                {"role": "tool", "tool_call_id": "1", "content": "42"},
                {"role": "user", "content": "and now?"},
            ],
            "parallel_tool_calls": False,
        }
    )
    assert (found.system_messages, found.turns, found.assistant_messages, found.tool_messages) == (1, 2, 1, 1)
    assert (found.tool_calls, found.tool_results, found.parallel_tool_calls) == (2, 1, False)
    assert (found.images, found.audio, found.files) == (2, 1, 1)
    assert found.image_bytes == 2 * len(json.dumps(image))
    assert (found.audio_bytes, found.file_bytes) == (len(json.dumps(sound)), len(json.dumps(paper)))
    assert found.text_bytes == len("be brief42and now?")
    assert found.modality is InOut.MIXED


def test_the_last_turn_is_measured_in_shares_and_counts():
    text = "Why is this slow?\nFix it. Do not use 2 loops.\n```\nfor x in y: pass\n```\n"
    found = features_of(user(text))
    assert found.code_share == pytest.approx(25 / len(text))
    assert (found.questions, found.instructions, found.negations, found.numbers) == (1, 1, 1, 1)
    assert found.scripts == (("latin", 1.0),)
    assert found.maths_share == 0
    assert features_of(user("Solve 3 + 4 = 7")).maths_share == 1


def test_scripts_are_shares_of_the_letters_largest_first():
    assert features_of(user("да нет, ok")).scripts == (("cyrillic", 5 / 7), ("latin", 2 / 7))
    assert features_of(user("1 + 1")).scripts == ()
    assert features_of({"messages": []}).scripts == ()


@pytest.mark.parametrize(
    ("body", "modality"),
    [
        (user("hello"), "text"),
        (user([{"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}]), "image_in"),
        (user([{"type": "input_audio", "input_audio": {}}]), "audio_in"),
        (user([{"type": "file", "file": {}}]), "file_in"),
        (user("Draw a picture of a cat"), "image_out"),
        (user("Explain how diffusion models draw images"), "text"),
        ({**user("a cat"), "modalities": ["text", "image"]}, "image_out"),
        ({**user("a cat"), "modalities": "image"}, "text"),
        (user([{"type": "text", "text": "Make an image like this"}, {"type": "image_url", "image_url": {}}]), "mixed"),
    ],
)
def test_the_modality_says_what_goes_in_and_what_is_wanted_out(body, modality):
    assert features_of(body).modality == modality


@pytest.mark.parametrize(
    ("members", "reasoning"),
    [
        ({}, False),
        ({"reasoning_effort": "high"}, True),
        ({"reasoning_effort": "none"}, False),
        ({"reasoning": {"effort": "low"}}, True),
        ({"reasoning": {"effort": None, "summary": "auto"}}, False),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, True),
        ({"thinking": {"type": "disabled"}}, False),
        ({"thinking": True}, False),
        ({"reasoning": {"effort": "x" * 5000}}, False),
    ],
)
def test_reasoning_is_asked_for_by_parameters(members, reasoning):
    assert features_of({**user("hello"), **members}).reasoning is reasoning


def test_parameters_beat_words():
    text = user("Think step by step, in at most 100 words")
    assert features_of(text).reasoning
    assert not features_of({**text, "reasoning_effort": "none"}).reasoning
    assert features_of(text).answer_tokens_asked == 140
    assert features_of(user("hello")).answer_tokens_asked is None
