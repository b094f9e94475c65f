"""`signalbox up`: Envoy, the sidecar and, if nothing better is there, mock providers, on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from signalbox.envoy.binary import find_envoy
from signalbox.policy.load import load_policy
from signalbox.up import starter
from signalbox.up.banner import Backends, banner
from signalbox.up.processes import Processes, require_free_port


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    policy_file: Path | None = None
    address: str = "127.0.0.1"
    port: int = 10000
    api_port: int = 10080
    workers: int = 2
    server: str = "core"
    run_dir: Path | None = None


def up(options: Options) -> int:
    """Start everything, say what to try, and wait for Ctrl-C. Returns the exit status.

    Raises SetupError when a port is taken, Envoy is missing or something ends by itself, and
    PolicyError when the policy cannot be used.
    """
    envoy = find_envoy()
    require_free_port(options.address, options.port, "gateway", "--port")
    require_free_port("127.0.0.1", options.api_port, "sidecar's HTTP API", "--api-port")
    if options.policy_file is not None:
        load_policy(options.policy_file)  # its problems first, before anything is started
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: a shell ignores it for what it runs in the background
        signal.signal(number, _interrupt)
    # Unix sockets have paths of at most 108 bytes, so the default is short.
    run_dir = (options.run_dir or Path(tempfile.mkdtemp(prefix="signalbox-"))).resolve()
    run_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
    try:
        with Processes(run_dir) as processes:
            _start(options, envoy, run_dir, processes)
            while True:
                processes.check_alive()
                time.sleep(0.2)
    except KeyboardInterrupt:
        print("\nstopped", flush=True)
        return 0
    finally:
        if options.run_dir is None:
            shutil.rmtree(run_dir, ignore_errors=True)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _start(options: Options, envoy: Path, run_dir: Path, processes: Processes) -> None:
    policy_file, backends = _policy(options, run_dir, processes)
    processes.start("sidecar", _serve_command(options, policy_file, run_dir), show_output=True)
    ready = f"http://127.0.0.1:{options.api_port}/readyz"
    processes.wait_until(lambda: _answers(ready), "the sidecar is not ready", 30)
    processes.start("envoy", _envoy_command(envoy, run_dir))
    gateway = f"http://{options.address}:{options.port}"
    tls = load_policy(policy_file).policy.gateway.tls is not None
    if tls:
        gateway = gateway.replace("http:", "https:")
    models = f"{gateway}/v1/models"
    processes.wait_until(lambda: _answers(models, connects_is_enough=tls), "Envoy does not answer", 30)
    print(banner(gateway, options.api_port, policy_file, run_dir, backends), flush=True)


def _policy(options: Options, run_dir: Path, processes: Processes) -> tuple[Path, Backends]:
    """The operator's policy; or one over real providers whose keys are here; or one over mocks."""
    if options.policy_file is not None:
        return options.policy_file, Backends.OWN_POLICY
    policy_file = run_dir / "policy.yaml"
    keys = starter.found_keys(os.environ)
    if keys:
        policy_file.write_text(starter.provider_policy(starter.write_keys(keys, run_dir / "keys")))
        return policy_file, Backends.REAL_PROVIDERS
    urls = _start_mocks(processes)
    policy_file.write_text(starter.mock_policy(urls, run_dir / "keys"))
    return policy_file, Backends.MOCKS


def _start_mocks(processes: Processes) -> dict[str, str]:
    names = [argument for name in starter.MOCKS for argument in ("--provider", f"{name}=0")]
    mocks = processes.start(
        "mocks", [sys.executable, "-m", "signalbox.mock", "--chunk-gap", "0.05", *names], pipe_output=True
    )
    assert mocks.stdout is not None
    urls = {}
    for _ in starter.MOCKS:
        line = mocks.stdout.readline()
        if not line:
            mocks.wait(5)
            processes.check_alive()
        listening = json.loads(line)
        urls[listening["provider"]] = listening["url"] + "/v1"
    return urls


def _serve_command(options: Options, policy_file: Path, run_dir: Path) -> list[str]:
    return [
        sys.executable, "-m", "signalbox", "serve", "--policy", str(policy_file), "--run-dir", str(run_dir),
        "--workers", str(options.workers), "--server", options.server,
        "--api", f"127.0.0.1:{options.api_port}", "--listen", f"{options.address}:{options.port}",
    ]  # fmt: skip


def _envoy_command(envoy: Path, run_dir: Path) -> list[str]:
    return [
        str(envoy), "-c", str(run_dir / "bootstrap.yaml"), "--use-dynamic-base-id", "--log-level", "warn",
        "--component-log-level", "misc:error",  # pages of it on the parsers of token usage, which are work in progress
        "--concurrency", str(max(1, len(os.sched_getaffinity(0)))),
    ]  # fmt: skip


def _answers(url: str, *, connects_is_enough: bool = False) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):
            return True
    except urllib.error.HTTPError:
        return False
    except urllib.error.URLError as problem:
        # A gateway certificate made for another name is the operator's choice, and no reason to wait.
        return connects_is_enough and "certificate" in str(problem.reason).lower()
    except OSError:
        return False
