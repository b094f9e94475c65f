"""The policy file changes while traffic flows: new decisions within two seconds, and nothing fails."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator

import pytest

from .stack import Stack, running_stack, wait_until

pytestmark = pytest.mark.dataplane


@pytest.fixture
def own_stack() -> Iterator[Stack]:
    with running_stack() as running:
        yield running


class Load:
    """About 100 requests a second from four threads; remembers what failed and which models answered."""

    def __init__(self, stack: Stack, model: str = "auto") -> None:
        self._stack, self._model = stack, model
        self._done = threading.Event()
        self.failures: list[str] = []
        self.answers: list[tuple[float, str]] = []
        self._threads = [threading.Thread(target=self._run) for _ in range(4)]

    def _run(self) -> None:
        while not self._done.wait(0.04):
            answer = self._stack.chat(self._model)
            if answer.status_code == 200:
                self.answers.append((time.monotonic(), answer.headers["x-signalbox-model"]))
            else:
                self.failures.append(f"{answer.status_code} {answer.text}")

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()


def test_a_new_policy_is_live_within_two_seconds_without_a_failed_request(own_stack: Stack) -> None:
    def swap_the_cheap_models(policy: dict) -> None:
        policy["routers"]["everyday"]["tasks"][0]["models"] = ["beta-large"]

    with Load(own_stack) as load:
        time.sleep(0.5)
        changed = time.monotonic()
        own_stack.edit_policy(swap_the_cheap_models)
        time.sleep(7)  # past the moment when the old configuration is dropped
    assert load.failures == []
    before = {model for moment, model in load.answers if moment < changed}
    after = {model for moment, model in load.answers if moment > changed + 2}
    assert (before, after) == ({"alpha-mini"}, {"beta-large"})


def test_a_provider_added_to_the_policy_serves_without_restarting_envoy(own_stack: Stack) -> None:
    pid = own_stack.envoy.process.pid

    def add_gamma(policy: dict) -> None:
        policy["providers"]["gamma"] = dict(policy["providers"]["beta"])
        policy["models"]["gamma-1"] = {"provider": "gamma", "name": "g1"}

    assert own_stack.chat("gamma-1").status_code == 404
    own_stack.edit_policy(add_gamma)
    wait_until(lambda: own_stack.chat("gamma-1").status_code == 200, "the new model answers", 3)
    assert own_stack.chat("gamma-1").headers["x-signalbox-model"] == "gamma-1"
    assert (own_stack.envoy.process.pid, own_stack.envoy.process.poll()) == (pid, None)
    assert "gamma-1" in own_stack.client.get("/v1/models").text


def test_a_provider_taken_away_under_load_fails_nothing_and_a_stream_on_it_ends_in_peace(own_stack: Stack) -> None:
    def drop_alpha(policy: dict) -> None:
        del policy["providers"]["alpha"]
        policy["models"] = {name: model for name, model in policy["models"].items() if model["provider"] != "alpha"}
        policy["aliases"] = {}
        policy["routers"] = {"everyday": {"models": ["beta-large"], "fallback": ["local-small"]}}

    body = {"model": "alpha-large", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    headers = {"x-mock-chunks": "45", "x-mock-gap": "0.2"}
    with Load(own_stack) as load:
        with own_stack.client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
            lines = answer.iter_lines()
            next(lines)
            own_stack.edit_policy(drop_alpha)
            rest = list(lines)  # nine seconds: well past the moment the cluster is gone
        assert "data: [DONE]" in rest
    assert load.failures == []
    assert {model for _, model in load.answers[-20:]} == {"beta-large"}
    assert own_stack.envoy_stat("cluster.alpha.upstream_rq_total") == 0


def test_a_broken_policy_changes_nothing_and_says_what_is_wrong(own_stack: Stack) -> None:
    serving = own_stack.policy_in_use()
    with Load(own_stack) as load:
        own_stack.edit_policy(lambda policy: policy["routers"]["chain"].update(models=["alpha-largee"]))
        wait_until(lambda: "alpha-largee" in (own_stack.api("/readyz") or ""), "/readyz names the problem", 3)
        time.sleep(0.5)
    assert load.failures == []
    assert own_stack.policy_in_use() == serving
    assert own_stack.metric("signalbox_policy_reloads_total", outcome="refused") == 1
    log = (own_stack.directory / "sidecar.log").read_text()
    assert "did you mean" in log
    own_stack.edit_policy(lambda policy: policy["routers"]["chain"].update(models=["beta-large"]))
    wait_until(lambda: own_stack.chat("router:chain").headers.get("x-signalbox-model") == "beta-large", "mended", 3)
    assert json.loads(own_stack.api("/readyz"))["policy"]["error"] is None


def test_a_run_directory_that_cannot_be_written_costs_the_reload_and_not_the_service(own_stack: Stack) -> None:
    routes = own_stack.run_dir / "rds.yaml"
    routes.rename(own_stack.run_dir / "rds.kept")
    routes.mkdir()
    serving = own_stack.policy_in_use()
    own_stack.edit_policy(lambda policy: policy["routers"]["chain"].update(models=["beta-large"]))
    wait_until(lambda: own_stack.metric("signalbox_policy_reloads_total", outcome="refused") == 1, "refused", 3)
    assert own_stack.policy_in_use() == serving
    assert own_stack.chat("router:chain").headers["x-signalbox-model"] == "alpha-large"
    routes.rmdir()
    (own_stack.run_dir / "rds.kept").rename(routes)
    own_stack.edit_policy(lambda policy: policy["routers"]["chain"].update(models=["beta-any"]))
    wait_until(lambda: own_stack.chat("router:chain").headers.get("x-signalbox-model") == "beta-any", "mended", 4)


@pytest.mark.parametrize("text", ["", "version: 1", "][", "version: 2\n", "\x00", "a: &a [*a]"])
def test_any_nonsense_in_the_file_leaves_the_old_policy_serving(own_stack: Stack, text: str) -> None:
    serving = own_stack.policy_in_use()
    own_stack.replace_policy(text)
    wait_until(lambda: own_stack.metric("signalbox_policy_reloads_total", outcome="refused") == 1, "refused", 3)
    assert own_stack.policy_in_use() == serving
    assert own_stack.chat("auto").status_code == 200


def test_a_mounted_configmap_swaps_its_data_link_and_the_change_is_seen(own_stack: Stack) -> None:
    """As kubelet does it: policy.yaml -> ..data/policy.yaml, and ..data is swapped by rename."""
    folder = own_stack.policy_file.parent
    text = own_stack.policy_file.read_text()
    for name, content in (("..one", text), ("..two", text.replace("threshold: 0.3", "threshold: 0.0"))):
        (folder / name).mkdir()
        (folder / name / "policy.yaml").write_text(content)
    (folder / "..data").symlink_to("..one")
    link = folder / "link.tmp"
    link.symlink_to("..data/policy.yaml")
    os.replace(link, own_stack.policy_file)
    time.sleep(1)
    assert own_stack.chat("auto").headers["x-signalbox-model"] == "alpha-mini"
    fresh = folder / "..data_tmp"
    fresh.symlink_to("..two")
    os.replace(fresh, folder / "..data")
    wait_until(lambda: own_stack.chat("auto").headers["x-signalbox-model"] == "alpha-large", "the swapped policy", 3)


def test_a_restarted_worker_gets_the_policy_that_serves_and_not_the_broken_file(own_stack: Stack) -> None:
    own_stack.replace_policy("version: 1")
    wait_until(lambda: own_stack.metric("signalbox_policy_reloads_total", outcome="refused") == 1, "refused", 3)
    for pid in own_stack.worker_pids():
        os.kill(pid, 9)
    wait_until(lambda: len(own_stack.worker_pids()) == 2, "workers are back", 10)
    wait_until(lambda: own_stack.chat("auto").status_code == 200, "served by the new workers", 10)


def test_a_renamed_key_file_is_used_for_the_next_request(own_stack: Stack, test_id: str) -> None:
    import yaml

    key = yaml.safe_load(own_stack.policy_file.read_text())["providers"]["beta"]["key"]["file"]
    fresh = f"{key}.new"
    with open(fresh, "w", encoding="utf-8") as file:
        file.write("rotated")
    os.replace(fresh, key)

    def rotated() -> bool:
        own_stack.chat("beta-large", x_test_id=test_id)
        return own_stack.received(test_id)[-1]["key"] == "rotated"

    wait_until(rotated, "the new key", 3)
