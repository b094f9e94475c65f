"""`signalbox ask`, against a server that answers as a gateway does, and one that does not."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from signalbox.cli import main


class Gateway(BaseHTTPRequestHandler):
    statuses: list[int]
    decided = True

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        status = self.statuses.pop(0) if self.statuses else 200
        said = f"{asked['model']}: {asked['messages'][0]['content']}"
        good = {"choices": [{"message": {"content": said}}]}
        body = json.dumps(good if status == 200 else {"error": {"message": "no decision"}}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        if self.decided and status == 200:
            self.send_header("x-signalbox-model", "gpt-5-mini")
            self.send_header("x-signalbox-decision", "sb-1")
            self.send_header("x-model-router-selected-route", "simple")
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def url() -> Iterator[str]:
    Gateway.statuses, Gateway.decided = [], True
    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


def test_it_says_what_was_decided_and_shows_the_answer_only_when_asked(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", "What is up?", "--url", url]) == 0
    said = capsys.readouterr().out
    assert json.loads(said)["model"] == "gpt-5-mini"
    assert json.loads(said)["route"] == "simple"
    assert "What is up" not in said
    assert main(["ask", "What is up?", "--url", url, "--show-answer"]) == 0
    assert json.loads(capsys.readouterr().out)["answer"] == "auto: What is up?"


def test_an_answer_nobody_decided_is_a_failure(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    Gateway.decided = False
    assert main(["ask", "Hi", "--url", url]) == 1
    assert json.loads(capsys.readouterr().out)["status"] == 200


def test_it_asks_again_while_a_gateway_is_not_ready_and_no_longer_than_it_was_told(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Gateway.statuses = [503]
    assert main(["ask", "Hi", "--url", url, "--wait", "20"]) == 0
    Gateway.statuses = [503]
    assert main(["ask", "Hi", "--url", url]) == 1
    assert '"status": 503' in capsys.readouterr().out


def test_a_gateway_that_is_not_there_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
        assert main(["ask", "Hi", "--url", address]) == 1
    assert "fix: correct --url" in capsys.readouterr().err
