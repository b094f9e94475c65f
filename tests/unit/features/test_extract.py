from __future__ import annotations

import json
import math
from typing import Any

import pytest

from signalbox.core import scan
from signalbox.features import extract as module
from signalbox.features.extract import extract
from signalbox.features.tokens import TOKENS_PER_IMAGE
from signalbox.types import Endpoint, Features, Modality, ParsedRequest


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
