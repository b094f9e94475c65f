"""The models that Router-R1 calls while it thinks, asked at the gateway: one question, a short answer.

A query is a request to the gateway like any other, for a model by its name: the gateway's keys, budgets, limits and
records apply to it, and the client's headers that the policy reads go along.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from signalbox.engines.deliberate.prompt import render_query
from signalbox.engines.deliberate.usage import Usage
from signalbox.engines.remote import DEADLINE, Remote, RemoteError

QUERY_ANSWER_TOKENS = 512  # as in training
INFORMATION_CHARACTERS = 1800  # training cut at 600 tokens
MAX_RESPONSE_BYTES = 256 * 1024

NO_INFORMATION = "API Request Error"
"""What the model was told in training when a call failed."""

_NOT_HANDED_ON = ("x-model-affinity",)  # a query is no turn of the client's session
_NOT_HANDED_ON_PREFIXES = (":", "x-signalbox-", "x-model-router-", "x-envoy-", "content-", "accept")


class Pool:
    """The gateway's models by name. Threads share one."""

    def __init__(self, gateway: Remote) -> None:
        self._gateway = gateway

    def ask(self, model: str, query: str, headers: Mapping[str, str], deadline: float, usage: Usage) -> str:
        """Return a model's answer to a query, cut where training cut it; what training said where there is none.

        headers: the client's. deadline: `time.monotonic()` seconds. usage: is told what it cost. Raises RemoteError
        when the deadline has passed.
        """
        body = {
            "model": model,
            "messages": [{"role": "user", "content": render_query(query)}],
            "max_tokens": QUERY_ANSWER_TOKENS,
            "stream": False,
        }
        handed_on = {
            name: value
            for name, value in headers.items()
            if name not in _NOT_HANDED_ON and not name.startswith(_NOT_HANDED_ON_PREFIXES)
        }
        try:
            found = self._gateway.fetch(
                "/chat/completions",
                json.dumps(body, ensure_ascii=False).encode(),
                deadline=deadline,
                max_bytes=MAX_RESPONSE_BYTES,
                more_headers=handed_on,
            )
            response = json.loads(found.body)
            usage.add(model, response, counted=found.by_gateway)
            text = response["choices"][0]["message"]["content"]
        except RemoteError as problem:
            if problem.detail == DEADLINE:
                raise
            return NO_INFORMATION
        except (ValueError, KeyError, IndexError, TypeError, RecursionError):
            return NO_INFORMATION
        return text[:INFORMATION_CHARACTERS] if isinstance(text, str) else NO_INFORMATION

    def close(self) -> None:
        self._gateway.close()
