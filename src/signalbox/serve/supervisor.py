"""`signalbox serve`: keeps Envoy's files, the workers and the collector in step with one policy file.

A reload is make-before-break:

    read, check ──> files for Envoy, old and new together ──> Envoy has them ──> workers ──> collector
                                                                                   └─ later: new files alone

A policy that is wrong, or that Envoy refuses, changes nothing: the old one serves on, and the problem
is in the log, on /readyz and in signalbox_policy_reloads_total.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from signalbox.control import DRAINED, DRAINING, Message
from signalbox.envoy.admin import AdminClient, Applied
from signalbox.envoy.files import write
from signalbox.envoy.render import Layout, Rendered, render
from signalbox.errors import PolicyError, SetupError
from signalbox.policy.load import LoadedPolicy, load_policy, load_text
from signalbox.policy.schema import Policy
from signalbox.policy.watch import PolicyWatcher
from signalbox.prices.resolve import resolve, to_message
from signalbox.serve.children import Child, ChildState
from signalbox.serve.cores import usable_cores
from signalbox.serve.keys import KeyFiles
from signalbox.types import Price

log = logging.getLogger("signalbox.supervisor")

WATCH_SECONDS = 0.25  # a change must be live within two seconds; reading a small file costs nothing
STATUS_SECONDS = 1.0
ENVOY_SECONDS = 5.0  # Envoy applies a renamed file within milliseconds, but a new name has to resolve first
NO_ENVOY_SECONDS = 0.5  # nobody answers on the admin socket: started later, or not ours to ask
ACKNOWLEDGE_SECONDS = 2.0
ENGINES_SECONDS = 60.0  # more, for a policy whose engines have to be loaded: gigabytes come from a disk
KEEP_SECONDS = 5.0  # decisions made with the old policy may still be retrying their old names
READY_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    policy_file: Path
    run_dir: Path
    workers: int
    server: str = "core"
    api_host: str = "127.0.0.1"
    api_port: int = 10080
    port: int | None = None  # overrides gateway.port
    address: str | None = None  # overrides gateway.address
    envoy_memory_bytes: int | None = None  # limit of Envoy's container
    front: bool = False  # for an Envoy elsewhere


@dataclass(frozen=True, slots=True)
class Active:
    """The policy that serves, with the gateway's listener as the command line wants it."""

    loaded: LoadedPolicy
    policy: Policy
    loaded_at: float  # seconds since the epoch
    prices: Mapping[str, Price]  # of each model whose price is known; looked up here, once for all children

    @property
    def message(self) -> Message:
        """What children are told."""
        return {
            "type": "policy",
            "sha256": self.loaded.sha256,
            "file": self.loaded.file,
            "text": self.loaded.text.decode(),
            "prices": to_message(self.prices),
        }


class Supervisor:
    """Owns the policy file, the run directory and every child process."""

    def __init__(self, options: Options) -> None:
        self._options = options
        layout = Layout.within(options.run_dir, options.workers, options.envoy_memory_bytes)
        self._layout = replace(layout, front=options.front)
        self._admin = AdminClient(self._layout.admin_socket)
        loaded = load_policy(options.policy_file, check_files=True, priced=resolve)
        self._active = self._activate(loaded, resolve(loaded.policy))  # what a worker that starts now is told
        self._serving = self._active  # what all workers decide by: opening engines takes them seconds
        self._watcher = PolicyWatcher(options.policy_file, seen=self._active.loaded.text)
        self._workers = [self._worker(number) for number in range(options.workers)]
        self._collector = Child(
            "collector",
            "signalbox.collector",
            ["--socket", str(self._layout.collector_socket), "--api", f"{options.api_host}:{options.api_port}"],
            greeting=lambda: [self._active.message, self._status()],
            heard=self._heard,
        )
        self._acknowledged: dict[str, str] = {}  # worker -> sha256 it uses
        self._reloads = {"applied": 0, "refused": 0}
        self._problem: str | None = None
        self._draining = False
        self._keys = KeyFiles()
        self._written: tuple[Policy, ...] = ()  # what Envoy's files were made of
        self._anew: frozenset[str] = frozenset()
        self._changed = asyncio.Event()
        self._cleanup: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------ life

    async def run(self) -> int:
        """Serve until SIGTERM or SIGINT. Returns the exit status."""
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        # A container that is started again finds what its predecessor left: a drain that was meant for that one.
        for name in (DRAINING, DRAINED):
            (self._options.run_dir / name).unlink(missing_ok=True)
        await asyncio.to_thread(self._admin.pass_health_checks)
        self._write(self._active.policy)

        children = [asyncio.create_task(child.run()) for child in (*self._workers, self._collector)]
        duties = [asyncio.create_task(self._report_forever())]
        try:
            await self._wait_ready(stopping)
            log.info("serving", extra={"facts": self._facts(workers=self._options.workers)})
            duties += [asyncio.create_task(self._watch_forever()), asyncio.create_task(_wait(stopping))]
            done, _ = await asyncio.wait([*duties, *children], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # nothing but the signal ends here by itself: what else did is worth dying of
        finally:
            await self._stop(children, duties)
        return 0

    async def _stop(self, children: list[asyncio.Task[None]], duties: list[asyncio.Task[None]]) -> None:
        for duty in duties:
            duty.cancel()
        if self._cleanup is not None:
            self._cleanup.cancel()
        self._draining = True
        self._collector.send(self._status())
        for worker in self._workers:
            worker.stop()
        await asyncio.gather(*children[:-1], return_exceptions=True)
        self._collector.stop()  # last, so that it hears how the last requests ended
        await asyncio.gather(*children, return_exceptions=True)
        log.info("stopped")

    async def _wait_ready(self, stopping: asyncio.Event) -> None:
        seconds = READY_SECONDS + (ENGINES_SECONDS if self._active.policy.engines else 0.0)
        deadline = time.monotonic() + seconds
        children = (*self._workers, self._collector)
        while any(child.state is not ChildState.READY for child in children) and not stopping.is_set():
            fatal = next((child.fatal for child in children if child.fatal), None)
            if fatal is not None:
                raise SetupError(fatal)
            if time.monotonic() > deadline:
                late = ", ".join(child.name for child in children if child.state is not ChildState.READY)
                raise SetupError(f"not ready after {seconds:.0f} s: {late}; its own output above says why")
            await asyncio.sleep(0.02)

    # ------------------------------------------------------------------ children

    def _worker(self, number: int) -> Child:
        socket, run_dir = str(self._layout.worker_socket(number)), str(self._options.run_dir)
        workers = self._options.workers
        cores = max(1, -(-usable_cores() // workers))
        machine = ["--cores", str(cores), "--workers", str(workers)]
        return Child(
            f"worker-{number}",
            "signalbox.serve.worker",
            ["--socket", socket, "--run-dir", run_dir, "--server", self._options.server, *machine],
            greeting=lambda: [self._active.message],
            heard=self._heard,
        )

    def _heard(self, child: Child, message: Message) -> None:
        if message["type"] == "policy":
            self._acknowledged[child.name] = message["sha256"]
            self._changed.set()
        elif message["type"] == "policy_failed":
            log.error("child refused a policy", extra={"facts": {"child": child.name, "problem": message["error"]}})
        elif message["type"] == "label":
            self._collector.send(message)
        elif message["type"] == "store_failed":
            log.error("child has no store", extra={"facts": {"child": child.name, "problem": message["error"]}})
        elif message["type"] == "ready":
            log.info("child ready", extra={"facts": {"child": child.name, "pid": child.pid}})

    async def _report_forever(self) -> None:
        while True:
            self._collector.send(self._status())
            await asyncio.sleep(STATUS_SECONDS)

    def _status(self) -> Message:
        return {
            "type": "status",
            "workers": {
                "wanted": len(self._workers),
                "ready": sum(worker.state is ChildState.READY for worker in self._workers),
                "restarts": sum(worker.restarts for worker in self._workers),
            },
            "policy": {
                "sha256": self._serving.loaded.sha256,
                "loaded_at": self._serving.loaded_at,
                "error": self._problem or (str(self._watcher.problem) if self._watcher.problem else None),
                "reloads": dict(self._reloads),
            },
            "draining": self._draining or (self._options.run_dir / DRAINING).exists(),
        }

    def _facts(self, **more: object) -> dict[str, object]:
        return {"policy": self._active.loaded.sha256[:12], **more}

    # ------------------------------------------------------------------ policy

    def _activate(self, loaded: LoadedPolicy, prices: Mapping[str, Price]) -> Active:
        for warning in loaded.warnings:
            log.warning("policy warning", extra={"facts": {"problem": str(warning)}})
        gateway = {"port": self._options.port, "address": self._options.address}
        changes = {key: value for key, value in gateway.items() if value is not None}
        policy = loaded.policy
        if changes:
            policy = policy.model_copy(update={"gateway": policy.gateway.model_copy(update=changes)})
        return Active(loaded, policy, time.time(), prices)

    async def _watch_forever(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            text = self._watcher.poll()
            if text is not None:
                await self._reload(text)
            self._name_new_keys()

    async def _reload(self, text: bytes) -> None:
        started = time.monotonic()
        try:
            # In a thread: a large policy full of mistakes takes a second, and children want to be heard.
            new = self._activate(*await asyncio.to_thread(_load, text, str(self._options.policy_file)))
            if new.loaded.sha256 == self._active.loaded.sha256:
                self._problem = None  # somebody put the serving policy back
                return
            self._refuse_what_needs_a_restart(new)
            await self._bring_in(new)
        except (PolicyError, OSError) as problem:  # OSError: the run directory cannot be written
            self._problem = str(problem)
            self._reloads["refused"] += 1
            log.error("policy refused, the old one serves on", extra={"facts": self._facts(problem=self._problem)})
        else:
            self._problem = None
            self._reloads["applied"] += 1
            seconds = round(time.monotonic() - started, 3)
            log.info("policy in use", extra={"facts": self._facts(seconds=seconds)})
        self._collector.send(self._status())

    def _write(self, policy: Policy, keep: Policy | None = None) -> Rendered:
        """Write Envoy's files; what is the same already is left alone."""
        policies = (policy,) if keep is None else (policy, keep)
        anew = self._keys.look(policies)
        rendered = render(policy, self._layout, keep=keep, anew=anew)
        write(rendered, self._options.run_dir)
        self._written, self._anew = policies, anew
        return rendered

    def _name_new_keys(self) -> None:
        """Let Envoy read key files that have come since it was told of them."""
        if self._keys.look(self._written) != self._anew:
            try:
                self._write(*self._written)
            except OSError as problem:  # the next look tries again
                log.error("new keys not named to Envoy", extra={"facts": self._facts(problem=str(problem))})

    async def _bring_in(self, new: Active) -> None:
        """Envoy first, then the workers: no decision may name what Envoy does not have yet."""
        if self._cleanup is not None:
            self._cleanup.cancel()
        old = self._active
        patience = ENVOY_SECONDS if await asyncio.to_thread(self._admin.mark) else NO_ENVOY_SECONDS
        together = self._write(new.policy, keep=old.policy)
        applied = await asyncio.to_thread(self._admin.wait_applied, together.versions, patience)
        if applied is Applied.REJECTED:
            self._write(old.policy)
            raise PolicyError.single(new.loaded.file, "Envoy refused the configuration made from this policy")
        self._active = new
        await self._tell_workers(new)
        self._serving = new
        self._collector.send(new.message)
        self._cleanup = asyncio.create_task(self._forget_old(new))

    async def _tell_workers(self, new: Active) -> None:
        for worker in self._workers:
            worker.send(new.message)
        deadline = time.monotonic() + ACKNOWLEDGE_SECONDS + (ENGINES_SECONDS if new.policy.engines else 0.0)
        while self._waiting_for(new) and time.monotonic() < deadline:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), timeout=max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                break
        for worker in self._waiting_for(new):
            # It cannot take a policy that the supervisor could load: its successor will be greeted with it.
            log.error("worker did not take the policy and is replaced", extra={"facts": {"child": worker.name}})
            worker.kill()

    def _waiting_for(self, new: Active) -> list[Child]:
        return [
            worker
            for worker in self._workers
            if worker.state is ChildState.READY and self._acknowledged.get(worker.name) != new.loaded.sha256
        ]

    async def _forget_old(self, new: Active) -> None:
        await asyncio.sleep(KEEP_SECONDS)
        try:
            self._write(new.policy)
        except OSError as problem:  # harmless: Envoy knows more than it needs, until the next reload
            log.error("old configuration not removed", extra={"facts": self._facts(problem=str(problem))})

    def _refuse_what_needs_a_restart(self, new: Active) -> None:
        was, now = self._active.policy.gateway, new.policy.gateway
        for key in ("mode", "admission_limit"):
            if getattr(was, key) != getattr(now, key):
                raise PolicyError.single(
                    new.loaded.file,
                    f"gateway.{key} changes from {getattr(was, key)!r} to {getattr(now, key)!r}",
                    expected="the value that is serving; it is part of Envoy's bootstrap",
                    fix="restart Signalbox and Envoy to change it",
                )


def _load(text: bytes, file: str) -> tuple[LoadedPolicy, Mapping[str, Price]]:
    loaded = load_text(text, file, check_files=True, priced=resolve)
    return loaded, resolve(loaded.policy)


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


class JsonLines(logging.Formatter):
    """One JSON object per line, as the collector's request log."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line.update(getattr(record, "facts", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def serve(options: Options) -> int:
    """Run the supervisor until it is told to stop. Returns the exit status.

    Raises PolicyError if the first policy cannot be used, SetupError if a child cannot start or the run
    directory cannot be written.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    try:
        options.run_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
        return asyncio.run(Supervisor(options).run())
    except OSError as problem:
        raise SetupError(
            f"--run-dir {options.run_dir}: {problem.strerror or problem}\n  fix: make it writable"
        ) from problem
