"""helm/signalbox/files/attach.json: parts of Envoy's configuration that the chart gives to somebody else's Envoy.

Rendered by the package, as for the gateway's own Envoy, so the two cannot differ: `python -m tests.chart.pieces` writes
the file. The chart puts the cluster's name and the policy's headers in.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from signalbox.envoy.layout import COLLECTOR_CLUSTER, WORKERS_CLUSTER, Layout
from signalbox.envoy.listener import listener
from signalbox.policy.schema import Policy

from .helm import CHART

FILE = CHART / "files" / "attach.json"


def pieces(policy: Policy | None = None) -> dict[str, Any]:
    """The parts, for a policy that asks for no header but the session's."""
    policy = policy or Policy.model_validate(
        {
            "version": 1,
            "gateway": {"mode": "cluster_header"},
            "providers": {"a": {"endpoint": "https://a.example/v1"}},
            "models": {"a": {"provider": "a"}},
        }
    )
    manager = listener(policy, Layout(run_dir=Path(".")))["filter_chains"][0]["filters"][0]["typed_config"]
    filters = {each["name"].rpartition(".")[2]: each for each in manager["http_filters"]}
    router = filters["router"]["typed_config"]
    text = json.dumps(
        {
            "buffer": filters["buffer"],
            "ext_proc": filters["ext_proc"],
            "connection_manager": {
                key: manager[key] for key in ("early_header_mutation_extensions", "access_log", "access_log_options")
            },
            "router": {key: router[key] for key in ("@type", "upstream_log_options", "upstream_log")},
        }
    )
    # Istio's cluster names have characters that no authority may have, and that is what Envoy would take for one.
    remote = json.dumps({"cluster_name": "SIDECARS", "authority": "HOST"})
    for cluster in (WORKERS_CLUSTER, COLLECTOR_CLUSTER):
        text = text.replace(json.dumps({"cluster_name": cluster}), remote)
    result: dict[str, Any] = json.loads(text)
    return result


if __name__ == "__main__":
    FILE.write_text(json.dumps(pieces(), indent=2) + "\n")
