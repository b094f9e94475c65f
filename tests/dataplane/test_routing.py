"""A request reaches the right provider with the right model, path, host and key, and nothing else changes."""

from __future__ import annotations

import hashlib
import json

import pytest

from .stack import HARD_QUESTION, Stack

pytestmark = pytest.mark.dataplane


def test_a_simple_question_lands_on_the_cheap_model(stack: Stack, test_id: str) -> None:
    answer = stack.chat("auto", "What is the capital of France?", x_test_id=test_id)
    assert answer.status_code == 200
    assert answer.headers["x-signalbox-model"] == "alpha-mini"
    assert answer.headers["x-model-router-selected-route"] == "simple"
    assert answer.headers["x-signalbox-reason"] == "complexity"
    assert answer.headers["x-signalbox-decision"].startswith("sb-")
    assert stack.providers_asked(test_id) == ["alpha"]


def test_a_hard_question_lands_on_the_strong_model(stack: Stack) -> None:
    answer = stack.chat("auto", HARD_QUESTION)
    assert (answer.status_code, answer.headers["x-signalbox-model"]) == (200, "alpha-large")


@pytest.mark.parametrize(
    "model", ["router:everyday", "router/everyday", "auto", "inference-router", "the-router", "gpt-5-nano"]
)
def test_every_way_to_name_the_router_reaches_it(stack: Stack, model: str) -> None:
    answer = stack.chat(model, "Hi")
    assert (answer.status_code, answer.headers["x-model-router-selected-route"]) == (200, "simple")


def test_a_known_model_is_itself(stack: Stack, test_id: str) -> None:
    answer = stack.chat("beta-large", x_test_id=test_id)
    assert answer.headers["x-signalbox-reason"] == "requested"
    (received,) = stack.received(test_id)
    assert received["provider"] == "beta"
    assert received["body"]["model"] == "beta/large-2"
    assert received["host"] == f"127.0.0.1:{stack.mocks['beta'].port}"
    assert received["path"] == "/v1/chat/completions"
    assert received["key"] == "key-of-beta"


def test_an_alias_names_a_model(stack: Stack) -> None:
    assert stack.chat("gpt-4o").headers["x-signalbox-model"] == "alpha-large"


def test_a_weighted_alias_keeps_a_session_on_one_model_and_shares_the_rest(stack: Stack) -> None:
    def model(session: str) -> str:
        return stack.chat("house", x_model_affinity=session).headers["x-signalbox-model"]

    assert len({model("one-session") for _ in range(10)}) == 1
    assert {model(f"session-{number}") for number in range(60)} == {"alpha-mini", "beta-large"}


def test_a_rule_on_a_keyword_and_one_on_a_header_decide_before_complexity(stack: Stack) -> None:
    keyword = stack.chat("auto", "I get a traceback, help")
    assert (keyword.headers["x-signalbox-reason"], keyword.headers["x-signalbox-model"]) == ("rule", "beta-large")
    header = stack.chat("auto", "Hi", x_tier="gold")
    assert (header.headers["x-signalbox-reason"], header.headers["x-signalbox-model"]) == ("rule", "alpha-large")


def test_only_the_models_value_changes_and_every_other_byte_arrives(stack: Stack, test_id: str) -> None:
    messages = '[{"role":"user","content":"h\\u00e9llo \U0001f389 \\ud83c"}]'
    body = f'{{ "temperature":0.10, "messages" : {messages},\t"x":1e400, "model":"beta-large" }}'
    answer = stack.post(body.encode(), x_test_id=test_id)
    assert answer.status_code == 200
    (received,) = stack.received(test_id)
    expected = body.replace('"beta-large"', '"beta/large-2"').encode()
    assert received["body_bytes"] == len(expected)
    assert received["sha256"] == hashlib.sha256(expected).hexdigest()


def test_keys_that_are_ours_do_not_reach_the_provider(stack: Stack, test_id: str) -> None:
    more = {"routing_preference": "balanced", "models": ["beta-large"], "temperature": 0}
    assert stack.chat("auto", more=more, x_test_id=test_id).headers["x-signalbox-model"] == "beta-large"
    (received,) = stack.received(test_id)
    assert set(received["body"]) == {"model", "messages", "temperature"}


def test_the_clients_own_credentials_and_cookies_stop_at_the_gateway(stack: Stack, test_id: str) -> None:
    stack.chat(
        "beta-large", authorization="Bearer client-secret", x_api_key="client-secret", cookie="a=b", x_test_id=test_id
    )
    (received,) = stack.received(test_id)
    assert received["key"] == "key-of-beta"
    assert "client-secret" not in json.dumps(received["headers"])
    assert "cookie" not in received["headers"]


def test_a_provider_without_a_key_gets_no_key_at_all(stack: Stack, test_id: str) -> None:
    stack.chat("local-small", authorization="Bearer client-secret", x_test_id=test_id)
    (received,) = stack.received(test_id)
    assert not received["key"]


def test_the_query_string_of_the_client_travels_on(stack: Stack, test_id: str) -> None:
    body = {"model": "beta-large", "messages": [{"role": "user", "content": "Hi"}]}
    assert stack.post(body, "/v1/chat/completions?api-version=7", x_test_id=test_id).status_code == 200
    assert stack.received(test_id)[0]["query"] == {"api-version": "7"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/v1/completions", {"prompt": "Once upon a time"}),
        ("/v1/responses", {"input": "Hi"}),
        ("/v1/messages", {"max_tokens": 64, "messages": [{"role": "user", "content": "Hi"}]}),
        ("/v1/embeddings", {"input": ["one", "two"]}),
    ],
)
def test_each_endpoint_reaches_the_same_endpoint_of_the_provider(
    stack: Stack, test_id: str, path: str, body: dict
) -> None:
    model = {"/v1/embeddings": "alpha-embed", "/v1/messages": "claude-large"}.get(path, "beta-large")
    answer = stack.post({"model": model, **body}, path, x_test_id=test_id)
    assert answer.status_code == 200, answer.text
    assert stack.received(test_id)[0]["path"] == path


def test_a_router_only_picks_models_that_answer_this_endpoint(stack: Stack, test_id: str) -> None:
    answer = stack.post(
        {"model": "auto", "max_tokens": 64, "messages": [{"role": "user", "content": "Hi"}]},
        "/v1/messages",
        x_test_id=test_id,
    )
    assert (answer.status_code, stack.providers_asked(test_id)) == (200, ["local"])


def test_an_anthropic_provider_gets_its_key_in_its_own_header(stack: Stack, test_id: str) -> None:
    body = {"model": "claude-large", "max_tokens": 64, "messages": [{"role": "user", "content": "Hi"}]}
    assert stack.post(body, "/v1/messages", authorization="Bearer mine", x_test_id=test_id).status_code == 200
    (received,) = stack.received(test_id)
    assert received["headers"]["x-api-key"] == "key-of-claude"
    assert "authorization" not in received["headers"]


def test_a_chunked_body_arrives_whole_and_with_its_length(stack: Stack, test_id: str) -> None:
    body = json.dumps({"model": "beta-large", "messages": [{"role": "user", "content": "Hi " * 50_000}]}).encode()
    pieces = [body[at : at + 7000] for at in range(0, len(body), 7000)]
    answer = stack.client.post("/v1/chat/completions", content=iter(pieces), headers={"x-test-id": test_id})
    assert answer.status_code == 200
    (received,) = stack.received(test_id)
    assert received["headers"]["content-length"] == str(received["body_bytes"])
    assert received["body_bytes"] == len(body) + len("beta/large-2") - len("beta-large")


def test_the_model_list_names_models_aliases_and_routers(stack: Stack) -> None:
    answer = stack.client.get("/v1/models")
    assert answer.headers["content-type"] == "application/json"
    names = {entry["id"] for entry in answer.json()["data"]}
    assert {"alpha-mini", "house", "router:everyday", "auto"} <= names
    one = stack.client.get("/v1/models/alpha-mini")
    assert (one.status_code, one.json()["id"]) == (200, "alpha-mini")


def test_one_message_each_way_and_the_rpc_is_over_before_the_response(stack: Stack) -> None:
    before = stack.envoy_stat("http.clients.ext_proc.stream_msgs_sent")
    stack.chat("auto")
    assert stack.envoy_stat("http.clients.ext_proc.stream_msgs_sent") == before + 1
    assert stack.envoy_stat("cluster.signalbox-workers.upstream_rq_active") == 0
