"""TLS to clients and to providers: names are checked, and a wrong one ends the attempt."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from signalbox.mock.running import running_mock

from .certificates import Authority
from .stack import Stack

pytestmark = pytest.mark.dataplane

POLICY = """
version: 1
gateway:
  first_byte_timeout_seconds: 2
  tls: {{certificate: "{gateway.certificate}", private_key: "{gateway.private_key}"}}
providers:
  right: {{endpoint: "https://localhost:{port}/v1", ca_file: "{authority}"}}
  wrong-name: {{endpoint: "https://localhost:{port}/v1", ca_file: "{authority}", sni: other.test}}
  wrong-authority: {{endpoint: "https://localhost:{port}/v1", ca_file: "{stranger}"}}
models:
  right: {{provider: right}}
  wrong-name: {{provider: wrong-name, fallback: [right]}}
  wrong-authority: {{provider: wrong-authority}}
"""


class TlsStack(Stack):
    @property
    def base_url(self) -> str:
        return f"https://localhost:{self.port}"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Path]]:
    directory = tmp_path_factory.mktemp("tls")
    (directory / "stranger").mkdir()
    authority, stranger = Authority(directory), Authority(directory / "stranger")
    pair = gateway = authority.sign("localhost")
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.load_cert_chain(pair.certificate, pair.private_key)
    with running_mock("secure", tls=shown) as mock:
        policy = POLICY.format(gateway=gateway, port=mock.port, authority=authority.file, stranger=stranger.file)
        with TlsStack(policy, {"secure": mock}) as stack:
            stack.client = httpx.Client(
                base_url=stack.base_url,
                verify=ssl.create_default_context(cafile=authority.file),
                http2=True,
                timeout=15,
            )
            yield stack, authority.file


def test_a_client_speaks_http2_over_tls_and_the_provider_is_reached_over_tls(tls, test_id: str) -> None:
    stack, _ = tls
    answer = stack.chat("right", x_test_id=test_id)
    assert (answer.status_code, answer.http_version) == (200, "HTTP/2")
    assert stack.received(test_id)[0]["host"] == f"localhost:{stack.mocks['secure'].port}"


def test_a_provider_with_another_name_in_its_certificate_is_not_spoken_to(tls, test_id: str) -> None:
    stack, _ = tls
    answer = stack.chat("wrong-name", x_test_id=test_id)
    assert (answer.status_code, answer.headers["x-signalbox-model"]) == (200, "right")
    assert len(stack.received(test_id)) == 1


def test_a_provider_signed_by_a_stranger_is_not_spoken_to(tls, test_id: str) -> None:
    stack, _ = tls
    answer = stack.chat("wrong-authority", x_test_id=test_id)
    assert answer.status_code == 503
    assert answer.json()["error"]["type"]
    assert stack.received(test_id) == []
