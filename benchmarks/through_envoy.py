"""What does Signalbox cost on the way through Envoy?

    python -m benchmarks.through_envoy [--seconds S] [--sizes 1,16,220,1024] [--server core|aio]

Side by side in one run: an Envoy with Signalbox, and the same Envoy binary proxying plainly to the same
upstream. Each Envoy has one thread, the sidecar one worker. Needs wrk and h2load on PATH.

- CPU per request of sidecar and Envoy, and requests per second: wrk, four connections, closed loop.
- Added latency: h2load, open loop at half the rate that the closed loop reached with Signalbox.
- Streams: gaps between chunks with and without, and whether the bytes are the same.

Loopback only; every load is bounded in time and stops by itself.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template

import httpx

from benchmarks.environment import describe
from signalbox.envoy.binary import find_envoy
from signalbox.mock.running import running_mock
from tests.dataplane.stack import Stack, Started, free_port, wait_until

POLICY = Template("""
version: 1
gateway: {max_body_bytes: 8388608}
providers:
  upstream: {endpoint: "$upstream"}
  mock: {endpoint: "$mock"}
models:
  small: {provider: upstream, context_tokens: 2000000, price: {input: 0.1, output: 0.4}}
  large: {provider: upstream, context_tokens: 2000000, price: {input: 2, output: 8}}
  mocked: {provider: mock}
routers:
  everyday:
    tasks:
      - {name: simple, models: [small, large], prefer: cheapest}
      - {name: hard, models: [large, small]}
    rules:
      - {when: {keywords: [stack trace, traceback, segfault, core dump]}, task: hard}
      - {when: {keywords: [translate, summarize]}, task: simple}
    complexity: {threshold: 0.3, below: simple, above: hard}
    default_task: simple
default_router: everyday
""")

HTTP_CONNECTION_MANAGER = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
ROUTER = {
    "name": "envoy.filters.http.router",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
}
COLUMNS = (
    "body KiB", "req/s plain", "req/s with", "Envoy CPU plain", "Envoy CPU with", "sidecar CPU", "sidecar/Envoy",
    "collector CPU", "p50 plain", "p50 with", "added p50", "p99 plain", "p99 with", "added p99",
)  # fmt: skip
SENTENCE = "Please read the following notes and tell me which of the items should be done first and why. "


def chat_body(size_bytes: int) -> bytes:
    """A chat of several turns, exactly `size_bytes` long."""
    turns = max(1, min(20, size_bytes // 4096)) * 2 - 1
    messages = [{"role": "user" if turn % 2 == 0 else "assistant", "content": ""} for turn in range(turns)]
    body = {"model": "auto", "messages": [{"role": "system", "content": "You are helpful."}, *messages]}
    missing = size_bytes - len(json.dumps(body))
    share = missing // turns
    for message in messages:
        message["content"] = (SENTENCE * (share // len(SENTENCE) + 1))[:share]
    messages[-1]["content"] += "x" * (missing - share * turns)
    return json.dumps(body).encode()


def listener(port: int, routes: list[dict]) -> dict:
    manager = {
        "@type": HTTP_CONNECTION_MANAGER,
        "stat_prefix": "bench",
        "http_filters": [ROUTER],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {"name": f"port-{port}", "address": address, "filter_chains": [{"filters": filters}]}


def cluster(name: str, port: int) -> dict:
    endpoint = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]}
    return {"name": name, "connect_timeout": "1s", "load_assignment": assignment}


@contextmanager
def envoy(name: str, directory: Path, listeners: list[dict], clusters: list[dict]) -> Iterator[Started]:
    """An Envoy of one thread with a static configuration."""
    config = directory / f"{name}.json"
    config.write_text(json.dumps({"static_resources": {"listeners": listeners, "clusters": clusters}}))
    command = [str(find_envoy()), "-c", str(config), "--use-dynamic-base-id", "-l", "error", "--concurrency", "1"]
    started = Started(name, command, directory / f"{name}.log")
    try:
        yield started
    finally:
        started.stop()


def cpu_seconds(pids: list[int]) -> float:
    """User and system time of these processes so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Closed:
    """One closed-loop run."""

    rate: float
    cpu_us: dict[str, float]  # per request, by process group


def closed_loop(url: str, body_file: Path, seconds: float, groups: dict[str, list[int]]) -> Closed:
    script = body_file.with_suffix(".lua")
    script.write_text(
        f'wrk.method = "POST"\nwrk.headers["content-type"] = "application/json"\n'
        f'local file = io.open("{body_file}", "rb")\nwrk.body = file:read("*a")\nfile:close()\n'
    )
    before = {name: cpu_seconds(pids) for name, pids in groups.items()}
    output = subprocess.run(
        ["wrk", "-t1", "-c4", f"-d{seconds:.0f}s", "-s", str(script), url], capture_output=True, text=True, check=True
    ).stdout
    after = {name: cpu_seconds(pids) for name, pids in groups.items()}
    match = re.search(r"(\d+) requests in ([\d.]+)s", output)
    if match is None or "Non-2xx" in output:
        raise SystemExit(f"wrk against {url} failed:\n{output}")
    count = int(match[1])
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])  # type: ignore[index]
    return Closed(rate, {name: (after[name] - before[name]) / count * 1e6 for name in groups})


def open_loop(url: str, body_file: Path, seconds: float, rate: float) -> list[float]:
    """Latencies in milliseconds, sorted, of requests sent at a fixed rate over four connections."""
    log = body_file.with_suffix(".h2load")
    log.unlink(missing_ok=True)
    per_client = max(1, round(rate / 4))
    subprocess.run(
        ["h2load", "--h1", "-t1", "-c4", f"--rps={per_client}", f"-D{seconds:.0f}", f"--log-file={log}",
         "-H", "content-type: application/json", "-d", str(body_file), url],
        capture_output=True, check=True,
    )  # fmt: skip
    rows = [line.split("\t") for line in log.read_text().splitlines()]
    failed = [row for row in rows if row[1] != "200"]
    if failed:
        raise SystemExit(f"h2load against {url}: {len(failed)} of {len(rows)} requests failed")
    return sorted(int(row[2]) / 1000 for row in rows)


def quantile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]


def stream_gaps(url: str, model: str, streams: int, chunks: int, gap: float) -> tuple[list[float], str]:
    """Milliseconds between chunks of several streams, and a hash of the text they carried."""
    gaps, received = [], bytearray()
    headers = {"x-mock-chunks": str(chunks), "x-mock-gap": str(gap)}
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    with httpx.Client(timeout=60) as client:
        for _ in range(streams):
            with client.stream("POST", url, json=body, headers=headers) as answer:
                last = None
                for chunk in answer.iter_raw():
                    now = time.perf_counter()
                    received += chunk
                    if last is not None:
                        gaps.append((now - last) * 1000)
                    last = now
    # Every answer of the mock has an id and a time of its own.
    same = re.sub(rb'"(id|created)":("[^"]*"|\d+)', b"", bytes(received))
    return sorted(gaps), hashlib.sha256(same).hexdigest()[:12]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=6, help="length of each load")
    parser.add_argument("--sizes", default="1,16,220,1024", help="body sizes in KiB")
    parser.add_argument("--server", choices=("core", "aio"), default="core")
    options = parser.parse_args()
    for tool in ("wrk", "h2load"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is not on PATH (Debian packages: wrk, nghttp2-client)")
    print(describe())
    with ExitStack() as running:
        directory = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="sbx-bench-")))
        upstream_port, plain_port, mock_port = free_port(), free_port(), free_port()
        answer = {
            "id": "x",
            "object": "chat.completion",
            "choices": [],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1},
        }
        reply = {
            "match": {"prefix": "/"},
            "direct_response": {"status": 200, "body": {"inline_string": json.dumps(answer)}},
            "response_headers_to_add": [{"header": {"key": "content-type", "value": "application/json"}}],
        }
        running.enter_context(envoy("upstream", directory, [listener(upstream_port, [reply])], []))
        mock = running.enter_context(running_mock("mock"))
        plain = running.enter_context(
            envoy(
                "plain",
                directory,
                [
                    listener(
                        plain_port, [{"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "0s"}}]
                    ),
                    listener(mock_port, [{"match": {"prefix": "/"}, "route": {"cluster": "mock", "timeout": "0s"}}]),
                ],
                [cluster("upstream", upstream_port), cluster("mock", mock.port)],
            )
        )
        policy = POLICY.substitute(upstream=f"http://127.0.0.1:{upstream_port}/v1", mock=f"{mock.url}/v1")
        stack = running.enter_context(Stack(policy, {"mock": mock}, server=options.server, workers=1, envoy_threads=1))
        wait_until(lambda: stack.chat("auto").status_code == 200, "a routed request")
        groups = {
            "sidecar": stack.worker_pids(),
            "collector": stack.collector_pids(),
            "envoy": [stack.envoy.process.pid],
        }
        path = "/v1/chat/completions"
        print(f"\n{options.server} server, {options.seconds:.0f} s a run; CPU in us a request, latency in ms\n")
        print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
        for size in (int(word) for word in options.sizes.split(",")):
            file = directory / f"body-{size}"
            file.write_bytes(chat_body(size * 1024))
            plain_url, with_url = f"http://127.0.0.1:{plain_port}{path}", f"{stack.base_url}{path}"
            for url in (plain_url, with_url):
                closed_loop(url, file, 1, {})
            without = closed_loop(plain_url, file, options.seconds, {"envoy": [plain.process.pid]})
            routed = closed_loop(with_url, file, options.seconds, groups)
            rate = routed.rate / 2
            slow = open_loop(plain_url, file, options.seconds, rate)
            with_it = open_loop(with_url, file, options.seconds, rate)
            p = {share: (quantile(slow, share), quantile(with_it, share)) for share in (0.5, 0.99)}
            cells = [
                f"{size}", f"{without.rate:.0f}", f"{routed.rate:.0f}", f"{without.cpu_us['envoy']:.0f}",
                f"{routed.cpu_us['envoy']:.0f}", f"{routed.cpu_us['sidecar']:.0f}",
                f"{routed.cpu_us['sidecar'] / routed.cpu_us['envoy']:.2f}", f"{routed.cpu_us['collector']:.0f}",
            ]  # fmt: skip
            for share in (0.5, 0.99):
                cells += [f"{p[share][0]:.2f}", f"{p[share][1]:.2f}", f"{p[share][1] - p[share][0]:+.2f}"]
            print("| " + " | ".join(cells) + " |", flush=True)
        streams, chunks, gap = 5, 50, 0.02
        print(f"\nStreams: {streams} of {chunks} chunks, {gap * 1000:.0f} ms apart; gaps in ms\n")
        print("| | p50 | p99 | max | sha256 of the bytes |\n|---|---|---|---|---|")
        for name, url in (
            ("plain", f"http://127.0.0.1:{mock_port}{path}"),
            ("with Signalbox", f"{stack.base_url}{path}"),
        ):
            gaps, digest = stream_gaps(url, "mocked", streams, chunks, gap)
            print(
                f"| {name} | {statistics.median(gaps):.2f} | {quantile(gaps, 0.99):.2f} | {gaps[-1]:.2f} | {digest} |"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
