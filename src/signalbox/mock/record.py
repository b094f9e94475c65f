"""What a provider received, kept so that tests and people can look at facts.

The record holds keys and prompts: it belongs to a mock, which should never see real ones. It is
bounded, and costs next to nothing until somebody reads it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import parse_qsl

KEPT_BODY_BYTES = 64 * 1024
TEST_ID_HEADER = "x-test-id"
KEY_HEADERS = ("authorization", "x-api-key", "api-key")


def key_of(headers: Mapping[str, str]) -> str | None:
    """The API key a request carries, without `Bearer `; None when it carries none."""
    for name in KEY_HEADERS:
        value = headers.get(name)
        if value is not None:
            scheme, _, rest = value.partition(" ")
            return rest.strip() if scheme.lower() == "bearer" else value
    return None


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request as it arrived.

    headers: any case finds them; a repeated one is there once for each time in `headers.items()`.
    model, stream: from the body; None and False when it is no JSON object or does not say.
    body: the bytes, None when there were more than KEPT_BODY_BYTES.
    sha256: hex digest of the body; None for a body too large to keep, unless the request carries x-test-id
        or a record file is written: hashing every megabyte would slow a benchmark for nobody.
    """

    time_seconds: float
    provider: str
    method: str
    path: str
    query_string: str
    headers: Mapping[str, str]
    model: str | None
    stream: bool
    body_bytes: int
    body: bytes | None
    digest: str | None

    @property
    def host(self) -> str | None:
        return self.headers.get("host")

    @property
    def key(self) -> str | None:
        return key_of(self.headers)

    @property
    def test_id(self) -> str | None:
        return self.headers.get(TEST_ID_HEADER)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.query_string, keep_blank_values=True))

    @property
    def sha256(self) -> str | None:
        return hashlib.sha256(self.body).hexdigest() if self.body is not None else self.digest

    @property
    def json(self) -> Any:
        """The body, parsed; None when it was not kept or is no JSON."""
        if self.body is None:
            return None
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values; the shape of /__mock__/requests and of the record file."""
        return {
            "time_seconds": self.time_seconds,
            "provider": self.provider,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "host": self.host,
            "model": self.model,
            "key": self.key,
            "stream": self.stream,
            "test_id": self.test_id,
            "headers": [[name.lower(), value] for name, value in self.headers.items()],
            "body_bytes": self.body_bytes,
            "sha256": self.sha256,
            "body": self.json,
        }


class Record:
    """The newest requests of one provider, and totals since the start. Safe to read from any thread."""

    def __init__(self, limit: int, file: IO[str] | None = None) -> None:
        self._received: deque[ReceivedRequest] = deque(maxlen=limit)
        self._file = file
        self._lock = threading.Lock()
        self._totals: Counter[str] = Counter()

    def add(
        self,
        *,
        time_seconds: float,
        provider: str,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        parsed: Mapping[str, Any],
    ) -> None:
        """Keep one request. `target` is path and query as they stood in the request line."""
        path, _, query_string = target.partition("?")
        kept = len(body) <= KEPT_BODY_BYTES
        wanted = not kept and (self._file is not None or TEST_ID_HEADER in headers)
        model = parsed.get("model")
        received = ReceivedRequest(
            time_seconds=time_seconds,
            provider=provider,
            method=method,
            path=path,
            query_string=query_string,
            headers=headers,
            model=model if isinstance(model, str) else None,
            stream=parsed.get("stream") is True,
            body_bytes=len(body),
            body=body if kept else None,
            digest=hashlib.sha256(body).hexdigest() if wanted else None,
        )
        with self._lock:
            self._received.append(received)
        self.count("requests")
        self.count("request_bytes", len(body))
        if self._file is not None:
            self._file.write(json.dumps(received.to_dict()) + "\n")
            self._file.flush()

    def count(self, what: str, by: int = 1) -> None:
        self._totals[what] += by

    def requests(self, test_id: str | None = None) -> list[ReceivedRequest]:
        """Oldest first; only those whose x-test-id is `test_id` when it is given."""
        with self._lock:
            received = list(self._received)
        return received if test_id is None else [one for one in received if one.test_id == test_id]

    def totals(self) -> dict[str, int]:
        """Sums since the start or the last clear: requests, request_bytes, streams, status_NNN, fault_KIND."""
        return dict(self._totals)

    def clear(self) -> None:
        with self._lock:
            self._received.clear()
            self._totals = Counter()
