"""The `cluster_header` mode, for Envoy 1.39 and meshes that cannot take the cluster specifier."""

from __future__ import annotations

from collections.abc import Iterator
from string import Template

import pytest

from .stack import HARD_QUESTION, POLICY, Stack, running_stack
from .test_bad_input import REFUSED, assert_openai_error

pytestmark = pytest.mark.dataplane

HEADER_POLICY = Template(POLICY.template.replace("gateway: {", "gateway: {mode: cluster_header, ", 1))


@pytest.fixture(scope="module", params=["core", "aio"])
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    with running_stack(HEADER_POLICY, server=request.param) as running:
        yield running


def test_a_decision_sets_cluster_model_host_and_key(stack: Stack, test_id: str) -> None:
    answer = stack.chat("beta-large", "h\u00e9llo", x_test_id=test_id)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-signalbox-model"] == "beta-large"
    (received,) = stack.received(test_id)
    assert (received["provider"], received["body"]["model"]) == ("beta", "beta/large-2")
    assert (received["key"], received["path"]) == ("key-of-beta", "/v1/chat/completions")
    assert received["host"] == f"127.0.0.1:{stack.mocks['beta'].port}"
    assert not [name for name in received["headers"] if name.startswith("x-signalbox-")]


def test_complexity_routes_as_in_the_default_mode(stack: Stack) -> None:
    assert stack.chat("auto", "Hi").headers["x-signalbox-model"] == "alpha-mini"
    assert stack.chat("auto", HARD_QUESTION).headers["x-signalbox-model"] == "alpha-large"


def test_local_only_stays_local(stack: Stack, test_id: str) -> None:
    assert stack.chat("auto", x_data_class="restricted", x_test_id=test_id).status_code == 200
    answer = stack.chat("auto", x_data_class="restricted", x_test_id=test_id, x_mock_fault_local="503")
    assert answer.status_code == 503
    assert set(stack.providers_asked(test_id)) == {"local"}


def test_a_forged_cluster_header_goes_nowhere(stack: Stack, test_id: str) -> None:
    answer = stack.chat("nope", x_signalbox_cluster="alpha", x_signalbox_model="evil", x_test_id=test_id)
    assert answer.status_code == 404
    assert stack.received(test_id) == []


@pytest.mark.parametrize("name", ["not JSON", "no model", "an unknown model"])
def test_bad_input_is_refused_alike(stack: Stack, test_id: str, name: str) -> None:
    body, status = REFUSED[name]
    answer = stack.post(body, x_test_id=test_id)
    assert answer.status_code == status
    assert_openai_error(answer)
    assert stack.received(test_id) == []


def test_an_empty_body_is_refused_alike(stack: Stack, test_id: str) -> None:
    answer = stack.post(b"", x_test_id=test_id)
    assert 400 <= answer.status_code < 500
    assert stack.received(test_id) == []


def test_streams_pass(stack: Stack) -> None:
    answer = stack.chat("beta-large", more={"stream": True})
    assert "data: [DONE]" in answer.text


def test_without_workers_nothing_passes(test_id: str) -> None:
    with running_stack(HEADER_POLICY) as stack:
        stack.sidecar.stop()
        answer = stack.chat("auto", x_test_id=test_id)
        assert answer.status_code == 503
        assert_openai_error(answer)
        assert stack.received(test_id) == []
