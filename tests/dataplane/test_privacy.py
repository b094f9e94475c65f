"""Local-only content never reaches a cloud cluster: not by decision, not by fallback, not by mistake."""

from __future__ import annotations

import pytest

from .stack import Stack

pytestmark = pytest.mark.dataplane


def test_the_header_keeps_a_request_local(stack: Stack, test_id: str) -> None:
    answer = stack.chat("auto", x_data_class="restricted", x_test_id=test_id)
    assert (answer.status_code, answer.headers["x-signalbox-model"]) == (200, "local-small")
    assert stack.providers_asked(test_id) == ["local"]


@pytest.mark.parametrize("value", ["Restricted", "public, restricted", "RESTRICTED,public"])
def test_spelling_and_lists_do_not_open_the_door(stack: Stack, test_id: str, value: str) -> None:
    assert stack.chat("auto", x_data_class=value, x_test_id=test_id).status_code == 200
    assert stack.providers_asked(test_id) == ["local"]


def test_a_header_sent_twice_counts_when_one_of_them_says_so(stack: Stack, test_id: str) -> None:
    headers = [("x-data-class", "public"), ("x-data-class", "restricted"), ("x-test-id", test_id)]
    body = {"model": "auto", "messages": [{"role": "user", "content": "Hi"}]}
    assert stack.client.post("/v1/chat/completions", json=body, headers=headers).status_code == 200
    assert stack.providers_asked(test_id) == ["local"]


@pytest.mark.parametrize("fault", ["503", "429", "reset", "hang"])
def test_it_stays_local_when_the_local_provider_is_down(stack: Stack, test_id: str, fault: str) -> None:
    answer = stack.chat("auto", x_data_class="restricted", x_test_id=test_id, x_mock_fault_local=fault)
    assert answer.status_code >= 429
    assert set(stack.providers_asked(test_id)) == {"local"}


def test_a_cloud_model_asked_for_by_name_is_refused_with_the_reason(stack: Stack, test_id: str) -> None:
    answer = stack.chat("alpha-large", x_data_class="restricted", x_test_id=test_id)
    assert answer.status_code in (400, 403)
    assert "privacy" in answer.json()["error"]["message"]
    assert stack.providers_asked(test_id) == []


def test_a_routers_own_privacy_header_works_for_that_router_only(stack: Stack, test_id: str) -> None:
    assert stack.chat("router:guarded", x_team="legal").headers["x-signalbox-model"] == "local-small"
    assert stack.chat("router:guarded").headers["x-signalbox-model"] == "alpha-large"
    assert stack.chat("router:chain", x_team="legal").headers["x-signalbox-model"] == "alpha-large"
