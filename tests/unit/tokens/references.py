"""What the families' own packages count for a chat body: nothing of Signalbox is in these numbers.

Each function takes the parsed body and returns the number of prompt tokens, or None where no package and no published
rule tells it; Signalbox must then say `estimated`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.published import (
    deepseek_tokenizer,
    llama3_format,
    mistral_tokenizer,
    module,
    qwen_tokenizer,
    tiktoken_encoding,
)
from tests.unit.tokens.bodies import PICTURE_OF

Body = dict[str, Any]
Count = Callable[[Body], int | None]


def is_plain(body: Body) -> bool:
    """Whether the body is text alone, in messages alone."""
    return "tools" not in body and all(isinstance(message["content"], str) for message in body["messages"])


def openai(encoding: str) -> Count:
    """tiktoken and the OpenAI Cookbook's rule; images by the examples on OpenAI's page."""

    def count(body: Body) -> int | None:
        encode = tiktoken_encoding(encoding).encode
        total = 3
        for message in body["messages"]:
            total += 3
            for key, value in message.items():
                parts = value if isinstance(value, list) else [{"type": "text", "text": value}]
                texts = [part["text"] for part in parts if part["type"] == "text"]
                total += sum(len(encode(text, disallowed_special=())) for text in texts) + (key == "name")
                images = [PICTURE_OF[json.dumps(part)] for part in parts if part["type"] == "image_url"]
                total += sum(picture.openai_tokens for picture in images)
        return None if "tools" in body else total

    return count


def qwen(default_system: str) -> Count:
    """dashscope's tokenizer over the whole ChatML text."""

    def count(body: Body) -> int | None:
        if not is_plain(body):
            return None
        messages = body["messages"]
        if messages[0]["role"] != "system" and default_system:
            messages = [{"role": "system", "content": default_system}, *messages]
        turns = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in messages)
        return len(qwen_tokenizer().encode(f"{turns}<|im_start|>assistant\n"))

    return count


def llama(preamble: str) -> Count:
    """llama-models' chat format, given what the published template makes of the texts."""

    def count(body: Body) -> int | None:
        if not is_plain(body):
            return None
        turns = [(message["role"], message["content"].strip()) for message in body["messages"]]
        if preamble:
            system = turns.pop(0)[1] if turns[0][0] == "system" else ""
            turns.insert(0, ("system", preamble + system))
        make = module("llama_models.datatypes").RawMessage
        return len(llama3_format().encode_dialog_prompt([make(role=role, content=text) for role, text in turns]).tokens)

    return count


def mistral(file: str | Path, *, sees: bool = False, system_apart: bool = True) -> Count:
    """mistral-common's own chat encoding, tools and, for a model that sees, images included.

    file: one of the package's, or a path. Where a system text is joined to a turn (v3), where an image stands in it
    decides how the text is cut; Signalbox then says `estimated`.
    """

    def count(body: Body) -> int | None:
        roles = [message["role"] for message in body["messages"]]
        has_images = any(isinstance(message["content"], list) for message in body["messages"])
        if has_images and (not sees or ("system" in roles and not system_apart)):
            return None
        request = module("mistral_common.protocol.instruct.request").ChatCompletionRequest
        asked = {key: body[key] for key in ("messages", "tools") if key in body}
        asked["messages"] = [{**message, "content": _chunks(message["content"])} for message in body["messages"]]
        tokenizer = mistral_tokenizer(file)
        with pytest.MonkeyPatch.context() as patch:  # the pixels, which need another library, are no tokens
            patch.setattr(module("mistral_common.tokens.tokenizers.image"), "transform_image", lambda *_: np.zeros(1))
            return len(tokenizer.encode_chat_completion(request.model_validate(asked)).tokens)

    return count


def _chunks(content: Any) -> Any:
    """Parts as mistral-common takes them: white pictures of the size that the headers in the corpus state."""
    if isinstance(content, str):
        return content
    chunk, pillow = module("mistral_common.protocol.instruct.chunk"), module("PIL.Image")
    return [
        part
        if part["type"] == "text"
        else chunk.ImageChunk(image=pillow.new("RGB", PICTURE_OF[json.dumps(part)].size, "white"))
        for part in content
    ]


def deepseek(body: Body) -> int | None:
    """DeepSeek's tokenizer.json over the whole text of its template."""
    if not is_plain(body):
        return None
    text = "<｜begin▁of▁sentence｜>"
    text += "\n\n".join(message["content"] for message in body["messages"] if message["role"] == "system")
    for message in body["messages"]:
        if message["role"] == "user":
            text += f"<｜User｜>{message['content']}"
        elif message["role"] == "assistant":
            text += f"<｜Assistant｜>{message['content']}<｜end▁of▁sentence｜>"
    return len(deepseek_tokenizer().encode(f"{text}<｜Assistant｜>", add_special_tokens=False).ids)


def unknown(body: Body) -> int | None:
    """No public tokenizer, or no published template."""
    return None


MODELS: dict[str, Count] = {
    "gpt-4o": openai("o200k"),
    "gpt-4": openai("cl100k"),
    "llama-3-8b-instruct": llama(""),
    "llama-3.1-8b-instruct": llama("Cutting Knowledge Date: December 2023\nToday Date: 21 Nov 2026\n\n"),
    "qwen2-7b-instruct": qwen("You are a helpful assistant."),
    "qwen2.5-7b-instruct": qwen("You are Qwen, created by Alibaba Cloud. You are a helpful assistant."),
    "qwen3-8b": qwen(""),
    "open-mistral-nemo": mistral("tekken_240718.json"),
    "pixtral-12b-2409": mistral("tekken_240911.json", sees=True, system_apart=False),
    "mistral-7b-instruct-v0.3": mistral("mistral_instruct_tokenizer_240323.model.v3"),
    "mistral-large-2411": mistral("mistral_instruct_tokenizer_241114.model.v7"),
    "pixtral-large-2411": mistral("mistral_instruct_tokenizer_241114.model.v7m1", sees=True),
    "deepseek-v3": deepseek,
    "claude-sonnet-4-5": unknown,
    "gemini-2.5-pro": unknown,
    "llama-4-scout": unknown,
    "mistral-small-2506": unknown,
    "house-7b": unknown,
}
"""Model, by the name its provider gives it -> its reference."""
