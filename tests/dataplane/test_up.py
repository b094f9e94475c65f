"""`signalbox up`: one command, the printed requests do what they say, and Ctrl-C stops all of it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from signalbox.up.starter import KNOWN_PROVIDERS

from .stack import free_port, wait_until

pytestmark = pytest.mark.dataplane


class Up:
    """A running `signalbox up` and what it printed."""

    def __init__(self, directory: Path, *options: str, **environment: str) -> None:
        self.port, self.api_port = free_port(), free_port()
        self._output = directory / "up.out"
        clean = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
        command = [sys.executable, "-m", "signalbox", "up", "--port", str(self.port), "--api-port", str(self.api_port)]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, *options],
                stdout=output,
                stderr=output,
                env={**clean, **environment},
                start_new_session=True,
                # As a shell does with what it runs in the background; SIGINT must end it all the same.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait_up(self) -> None:
        wait_until(lambda: "Ctrl-C stops" in self.output or self.process.poll() is not None, "up", 40)
        assert self.process.poll() is None, self.output

    def curl(self, title: str) -> str:
        """Run the printed curl line below the comment that starts with `title`."""
        command = re.search(rf"^# {re.escape(title)}.*\n(curl .*)$", self.output, re.MULTILINE)
        assert command, self.output
        return subprocess.run(command[1], shell=True, capture_output=True, text=True, timeout=20, check=True).stdout

    def stop(self) -> None:
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGINT)
            self.process.wait(30)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    running = Up(tmp_path_factory.mktemp("up"))
    try:
        running.wait_up()
        yield running
    finally:
        running.stop()


def header(answer: str, name: str) -> str:
    found = re.search(rf"^{name}: (.*?)\r?$", answer, re.MULTILINE)
    return found[1] if found else ""


def test_the_simple_question_lands_on_the_cheap_model(demo: Up) -> None:
    assert header(demo.curl("a simple question"), "x-signalbox-model") == "acme-mini"


def test_the_hard_question_lands_on_the_strong_model(demo: Up) -> None:
    assert header(demo.curl("a hard one"), "x-signalbox-model") == "acme-large"


def test_the_streamed_request_streams(demo: Up) -> None:
    assert "data: [DONE]" in demo.curl("streamed")


def test_the_local_only_request_stays_local_even_when_the_local_provider_is_down(demo: Up) -> None:
    assert header(demo.curl("must stay here"), "x-signalbox-model") == "home-small"
    down = demo.curl("... and stays here when")
    assert down.startswith("HTTP/1.1 503")
    assert header(down, "x-signalbox-model") == "home-small"


def test_the_fallback_request_is_answered_by_the_third_provider(demo: Up) -> None:
    answer = demo.curl("acme answers 429")
    assert answer.startswith("HTTP/1.1 200")
    assert (header(answer, "x-signalbox-model"), header(answer, "x-signalbox-attempts")) == ("home-small", "3")


def test_models_and_metrics_are_there(demo: Up) -> None:
    assert '"router:everyday"' in demo.curl("models, aliases")
    wait_until(lambda: "signalbox_decisions_total{" in demo.curl("what happened so far"), "decisions counted", 5)


def test_ctrl_c_stops_everything_it_started(tmp_path: Path) -> None:
    running = Up(tmp_path)
    running.wait_up()
    group = subprocess.run(
        ["pgrep", "-f", str(running.port)], capture_output=True, text=True, check=False
    ).stdout.split()
    assert len(group) >= 2
    started = time.monotonic()
    running.stop()
    assert running.process.returncode == 0
    assert time.monotonic() - started < 15
    for port in (running.port, running.api_port):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert not [pid for pid in group if Path(f"/proc/{pid}").exists()]


def test_a_taken_port_is_named_with_the_way_out(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = subprocess.run(
            [sys.executable, "-m", "signalbox", "up", "--port", str(port)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert result.returncode == 1
    assert f"127.0.0.1:{port}" in result.stderr
    assert "--port" in result.stderr


def test_with_provider_keys_in_the_environment_the_real_providers_are_used(tmp_path: Path) -> None:
    keys = {known.variable: f"secret-of-{known.name}" for known in KNOWN_PROVIDERS}
    run_dir = tmp_path / "r"
    running = Up(tmp_path, "--run-dir", str(run_dir), **keys)
    try:
        running.wait_up()
        assert "the real providers" in running.output
        policy = (run_dir / "policy.yaml").read_text()
        assert "https://api.openai.com/v1" in policy
        everything = running.output + "".join(
            path.read_text(errors="replace")
            for path in run_dir.rglob("*")
            if path.is_file() and path.parent.name != "keys"
        )
        assert "secret-of-" not in everything
        assert oct((run_dir / "keys" / "openai").stat().st_mode & 0o777) == "0o600"
    finally:
        running.stop()
