"""A real Prometheus server that scrapes what a test serves."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

READY_SECONDS = 30
SCRAPE_INTERVAL = "200ms"
STARTS = 3  # the port was free when it was looked for, and may not be any more


def find_prometheus() -> str:
    """Return the binary on PATH. Without one the test is skipped, which in CI is a failure."""
    binary = shutil.which("prometheus")
    if binary is None:
        say = "no `prometheus` on PATH; Debian: apt-get install prometheus"
        if os.environ.get("CI") == "true":
            pytest.fail(say)
        pytest.skip(say)
    return binary


@contextmanager
def running_prometheus(targets: Sequence[int], directory: Path) -> Iterator[str]:
    """Run a server that scrapes these ports of this machine five times a second; gives its base URL."""
    binary = find_prometheus()
    config = directory / "prometheus.yml"
    addresses = ", ".join(f'"127.0.0.1:{port}"' for port in targets)
    config.write_text(
        f"global: {{scrape_interval: {SCRAPE_INTERVAL}, scrape_timeout: {SCRAPE_INTERVAL}}}\n"
        f"scrape_configs: [{{job_name: models, static_configs: [{{targets: [{addresses}]}}]}}]\n"
    )
    process, url = _start(binary, config, directory)
    try:
        yield url
    finally:
        process.terminate()
        process.wait(20)


def _start(binary: str, config: Path, directory: Path) -> tuple[subprocess.Popen[bytes], str]:
    log = directory / "prometheus.log"
    for attempt in range(STARTS):
        port = _free_port()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    binary,
                    f"--config.file={config}",
                    f"--storage.tsdb.path={directory / f'data-{attempt}'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                    "--log.level=warn",
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        url = f"http://127.0.0.1:{port}"
        if _is_ready(process, url):
            return process, url
        process.kill()
        process.wait(20)
    raise AssertionError(f"Prometheus did not start:\n{log.read_text()}")


def _is_ready(process: subprocess.Popen[bytes], url: str) -> bool:
    deadline = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=1):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False


def _free_port() -> int:
    with socket.socket() as finder:
        finder.bind(("127.0.0.1", 0))
        return int(finder.getsockname()[1])
