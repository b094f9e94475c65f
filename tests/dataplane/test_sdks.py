"""The official SDKs work through the gateway unchanged except for their base URL."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import openai
import pytest

from .stack import Stack

pytestmark = pytest.mark.dataplane


@pytest.fixture
def client(stack: Stack) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{stack.base_url}/v1", api_key="unused", max_retries=0) as made:
        yield made


@pytest.fixture
def claude(stack: Stack) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=stack.base_url, api_key="unused", max_retries=0) as made:
        yield made


USER = [{"role": "user", "content": "What is the capital of France?"}]


def test_openai_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="auto", messages=USER)
    assert answer.choices[0].message.content
    assert answer.usage.completion_tokens > 0


def test_openai_streamed_chat_with_usage(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="auto", messages=USER, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert chunks[-1].usage.completion_tokens > 0


def test_openai_tools(client: openai.OpenAI) -> None:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = {"type": "function", "function": {"name": "get_weather", "description": "Weather", "parameters": parameters}}
    answer = client.chat.completions.create(model="auto", messages=USER, tools=[tool], tool_choice="required")
    call = answer.choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert answer.model != "alpha-mini", "alpha-mini takes no tools"


def test_openai_image_parts(client: openai.OpenAI) -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
    ]
    answer = client.chat.completions.create(model="auto", messages=[{"role": "user", "content": parts}])
    assert answer.choices[0].message.content
    assert answer.model in ("beta/large-2", "alpha-large"), "only these take images"


def test_openai_responses(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="auto", input="What is the capital of France?")
    assert answer.output_text
    assert answer.usage.output_tokens > 0


def test_openai_streamed_responses(client: openai.OpenAI) -> None:
    events = list(client.responses.create(model="auto", input="Hi", stream=True))
    assert events[-1].type == "response.completed"


def test_openai_completions(client: openai.OpenAI) -> None:
    assert client.completions.create(model="beta-large", prompt="Once").choices[0].text


def test_openai_embeddings(client: openai.OpenAI) -> None:
    assert len(client.embeddings.create(model="alpha-embed", input=["one", "two"]).data) == 2


def test_openai_model_list(client: openai.OpenAI) -> None:
    assert "router:everyday" in {model.id for model in client.models.list()}
    assert client.models.retrieve("alpha-mini").id == "alpha-mini"


def test_openai_raises_its_own_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="alpha-large") as caught:
        client.chat.completions.create(model="alpha-larg", messages=USER)
    assert caught.value.code == "model_not_found"


def test_anthropic_messages(claude: anthropic.Anthropic) -> None:
    answer = claude.messages.create(model="claude-large", max_tokens=64, messages=USER)
    assert answer.content[0].text
    assert answer.usage.output_tokens > 0


def test_anthropic_streamed_messages(claude: anthropic.Anthropic) -> None:
    with claude.messages.stream(model="claude-large", max_tokens=64, messages=USER) as stream:
        assert "".join(stream.text_stream)
        assert stream.get_final_message().usage.output_tokens > 0


def test_anthropic_messages_through_a_router(claude: anthropic.Anthropic) -> None:
    answer = claude.messages.create(model="router:everyday", max_tokens=64, messages=USER, system="Be brief.")
    assert answer.content[0].text


def test_anthropic_raises_its_own_errors(claude: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError, match="claude-large"):
        claude.messages.create(model="claude-larg", max_tokens=64, messages=USER)
