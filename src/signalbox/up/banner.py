"""What `signalbox up` says once everything runs: the address, and requests worth trying."""

from __future__ import annotations

from enum import Enum, auto
from pathlib import Path


class Backends(Enum):
    """Who answers the requests."""

    MOCKS = auto()
    REAL_PROVIDERS = auto()
    OWN_POLICY = auto()


SIMPLE = "What is the capital of France?"
HARD = (
    "Prove that the algorithm below is optimal, derive its worst-case complexity, and explain why it does not "
    "fail if 3 of 7 nodes are down: `def quorum(n): return n // 2 + 1`. Compare it with 2 alternatives."
)


def _curl(gateway: str, what: str, content: str, *, model: str = "auto", more: str = "", options: str = "-i") -> str:
    body = f'{{"model": "{model}", {more}"messages": [{{"role": "user", "content": "{content}"}}]}}'
    return (
        f"# {what}\ncurl -s {options} {gateway}/v1/chat/completions -H 'content-type: application/json' -d '{body}'\n"
    )


def banner(gateway: str, api_port: int, policy_file: Path, run_dir: Path, backends: Backends) -> str:
    """Return the text. Every line that starts with `curl` works as it is."""
    local = "-i -H 'x-data-class: restricted'"
    requests = [
        _curl(gateway, "a simple question: the cheap model (see x-signalbox-model and -reason)", SIMPLE),
        _curl(gateway, "a hard one: the strong model", HARD),
        _curl(gateway, "streamed, chunk by chunk", "Count to ten slowly.", more='"stream": true, ', options="-iN"),
    ]
    if backends is Backends.MOCKS:
        requests += [
            _curl(gateway, "must stay here: the local model", SIMPLE, options=local),
            _curl(
                gateway,
                "... and stays here when the local provider is down: an error, never a cloud",
                SIMPLE,
                options=f"{local} -H 'x-mock-fault-home: 503'",
            ),
            _curl(
                gateway,
                "acme answers 429, bolt 503: the client sees 200 from the third (x-signalbox-attempts)",
                HARD,
                options="-i -H 'x-mock-fault-acme: 429' -H 'x-mock-fault-bolt: 503'",
            ),
        ]
    requests += [
        f"# models, aliases and routers\ncurl -s {gateway}/v1/models\n",
        f"# what happened so far\ncurl -s http://127.0.0.1:{api_port}/metrics | grep ^signalbox_decisions_total\n",
    ]
    backed = {
        Backends.MOCKS: "mock providers on this machine (set OPENAI_API_KEY or another key to use real ones)",
        Backends.REAL_PROVIDERS: "the real providers whose keys are in the environment",
        Backends.OWN_POLICY: "the providers of your policy",
    }[backends]
    head = (
        f"\nSignalbox is up, over {backed}.\n\n"
        f"  gateway   {gateway}/v1   (an OpenAI base URL)\n"
        f"  API       http://127.0.0.1:{api_port}   /metrics /healthz /readyz\n"
        f"  policy    {policy_file}   (edit it: live within two seconds)\n"
        f"  logs      {run_dir}\n\nTry, in another terminal:\n\n"
    )
    return head + "\n".join(requests) + "\nCtrl-C stops all of it.\n"
