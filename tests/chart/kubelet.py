"""A kubelet for one pod, as far as the chart relies on one: order of starts, probes, restarts, hooks, order of ends.

Containers are processes of this machine (container.py) with the volumes, files, environment, commands and user of the
rendered manifest. What a kubelet would refuse, this refuses; what it does not know, it does not ignore.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from .container import __file__ as CONTAINER
from .volumes import Files, project

Manifest = dict[str, Any]
LOOK_SECONDS = 0.05
# Libraries, devices and certificates of this machine; no program of it.
SYSTEM = ["/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ssl", "/proc", "/dev", "/sys"]
SYSTEM += [each for each in ("/lib", "/lib64") if not Path(each).is_symlink()]
SUFFIXES = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "": 1}
KNOWN_OF_CONTAINERS = {
    "name", "image", "imagePullPolicy", "restartPolicy", "command", "args", "env", "ports", "startupProbe",
    "readinessProbe", "livenessProbe", "lifecycle", "securityContext", "resources", "volumeMounts",
}  # fmt: skip


class Image:
    """What a container's file system holds, and how it is started: the machine's libraries and what is given."""

    def __init__(self, mounts: Mapping[str, Path], entrypoint: Sequence[str], environment: Mapping[str, str]) -> None:
        self.mounts, self.entrypoint, self.environment = mounts, list(entrypoint), dict(environment)


class Container:
    """One container of the pod: its process, and what its probes say."""

    def __init__(self, pod: Pod, manifest: Manifest) -> None:
        assert set(manifest) <= KNOWN_OF_CONTAINERS, set(manifest) - KNOWN_OF_CONTAINERS
        self.pod, self.manifest, self.name = pod, manifest, str(manifest["name"])
        self.process: subprocess.Popen[bytes] | None = None
        self.restarts = 0
        self.started = self.ready = False
        self.log = pod.folder / f"{self.name}.log"

    # ------------------------------------------------------------------ its process

    def run(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a process in the container; `words` are its whole command line."""
        image = self.pod.image_of(self.manifest)
        own = {**self.pod.security, **self.manifest["securityContext"]}
        assert own["readOnlyRootFilesystem"] is True
        assert own["runAsNonRoot"] is True
        mounts = [{"source": each, "target": each, "writable": False} for each in SYSTEM if Path(each).exists()]
        for mount in self.manifest.get("volumeMounts", []):
            source = self.pod.volumes[mount["name"]]
            mounts.append(
                {"source": str(source), "target": mount["mountPath"], "writable": not mount.get("readOnly", False)}
            )
        # Last: where the image lies on this machine may be below one of the volumes.
        mounts += [{"source": str(path), "target": at, "writable": False} for at, path in image.mounts.items()]
        environment = {**image.environment, **self._environment()}
        root = Path(tempfile.mkdtemp(prefix="root-", dir=self.pod.folder))
        spec = {
            "root": str(root), "user": own["runAsUser"], "group": own["runAsGroup"], "mounts": mounts,
            "links": {each: os.readlink(each) for each in ("/lib", "/lib64") if Path(each).is_symlink()},
            "hosts": self.pod.hosts, "environment": environment,
            "command": [_expanded(word, environment) for word in words],
        }  # fmt: skip
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", CONTAINER, json.dumps(spec)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def command(self) -> list[str]:
        """The command line of its main process."""
        command = self.manifest.get("command") or self.pod.image_of(self.manifest).entrypoint
        return [*command, *self.manifest.get("args", [])]

    def _environment(self) -> dict[str, str]:
        values = {}
        for each in self.manifest.get("env", []):
            if "value" in each:
                values[each["name"]] = each["value"]
            else:
                asked = each["valueFrom"]["resourceFieldRef"]
                values[each["name"]] = str(
                    _bytes_of(self.pod.container(asked["containerName"]).manifest, asked["resource"])
                )
        return values

    def start(self) -> None:
        self.started = self.ready = False
        self.process = self.run(self.command())
        self.pod.note(f"{self.name} started")

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, number: int) -> None:
        if self.is_running:
            assert self.process is not None
            self.process.send_signal(number)

    def bury(self) -> None:
        """End what its main process left behind: a container's processes all end with it."""
        if self.process is not None:
            self.process.wait()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    # ------------------------------------------------------------------ its probes

    def probe(self, kind: str) -> bool:
        """Ask once."""
        asked = self.manifest[f"{kind}Probe"]["httpGet"]
        scheme, port = asked.get("scheme", "HTTP").lower(), self.port(asked["port"])
        try:
            seconds = self.manifest[f"{kind}Probe"].get("timeoutSeconds", 1)
            with httpx.Client(verify=False, timeout=seconds) as client:
                return 200 <= client.get(f"{scheme}://127.0.0.1:{port}{asked['path']}").status_code < 400
        except httpx.HTTPError:
            return False

    def port(self, name: str | int) -> int:
        if isinstance(name, int):
            return name
        (number,) = (port["containerPort"] for port in self.manifest["ports"] if port["name"] == name)
        return int(number)


class Pod:
    """A pod, from the spec of a Deployment's template or of a Pod."""

    def __init__(
        self,
        name: str,
        spec: Manifest,
        images: Mapping[str, Image],
        objects: Mapping[tuple[str, str], Files],
        hosts: Mapping[str, str] | None = None,
    ) -> None:
        """images: by the beginning of a reference. objects: files of ConfigMaps and Secrets, by kind and name."""
        # Short: a unix socket's path ends at 108 bytes, and the run directory lies in here.
        self.folder = Path(tempfile.mkdtemp(prefix=f"sbx-{name}-"))
        self.name, self.spec, self._images = name, spec, images
        self.security = dict(spec["securityContext"])
        self.hosts = "".join(
            f"{address} {host}\n" for host, address in {"localhost": "127.0.0.1", **(hosts or {})}.items()
        )
        self.events: list[tuple[float, str]] = []
        self.terminating = False
        self.volumes: dict[str, Path] = {}
        for volume in spec.get("volumes", []):
            self._lay_out(volume, objects)
        self.init = [Container(self, each) for each in spec.get("initContainers", [])]
        self.main = [Container(self, each) for each in spec["containers"]]
        self._threads: list[threading.Thread] = []

    def _lay_out(self, volume: Manifest, objects: Mapping[tuple[str, str], Files]) -> None:
        folder = self.folder / "volumes" / volume["name"]
        folder.mkdir(parents=True)
        self.volumes[volume["name"]] = folder
        if "emptyDir" in volume:
            folder.chmod(0o777)
            return
        kind, name = (
            ("Secret", volume["secret"]["secretName"])
            if "secret" in volume
            else ("ConfigMap", volume["configMap"]["name"])
        )
        files = objects.get((kind, name))
        if files is None:
            assert volume["secret"].get("optional"), f"{kind} {name} does not exist: the pod would wait for it"
            files = {}
        project(folder, files, 0o440 if kind == "Secret" else 0o644)

    def image_of(self, manifest: Manifest) -> Image:
        (image,) = (image for start, image in self._images.items() if manifest["image"].startswith(start))
        return image

    def container(self, name: str) -> Container:
        (found,) = (each for each in (*self.init, *self.main) if each.name == name)
        return found

    @property
    def is_ready(self) -> bool:
        return not self.terminating and all(each.ready for each in (*self._sidecars, *self.main))

    @property
    def _sidecars(self) -> list[Container]:
        return [each for each in self.init if each.manifest.get("restartPolicy") == "Always"]

    def note(self, what: str) -> None:
        self.events.append((time.monotonic(), what))

    def order(self) -> list[str]:
        """What happened, in order."""
        return [what for _, what in self.events]

    # ------------------------------------------------------------------ life

    def start(self) -> None:
        """Start the containers in their order; returns when all of them are ready."""
        for container in self.init:
            container.start()
            if container in self._sidecars:
                self._wait_started(container)
            else:
                assert container.process is not None
                assert container.process.wait(120) == 0, container.log.read_text()
                self.note(f"{container.name} ended")
        for container in self.main:
            container.start()
            self._wait_started(container)
        for container in (*self._sidecars, *self.main):
            thread = threading.Thread(target=self._watch, args=(container,), name=f"{self.name} {container.name}")
            thread.start()
            self._threads.append(thread)
        wait_until(lambda: self.is_ready, f"{self.name} is ready", 60)
        self.note("ready")

    def _wait_started(self, container: Container) -> None:
        probe = container.manifest.get("startupProbe")
        if probe is None:
            container.started = True
            return
        for _ in range(probe["failureThreshold"]):
            if container.probe("startup"):
                container.started = True
                self.note(f"{container.name} is up")
                return
            assert container.is_running, f"{container.name} ended:\n{container.log.read_text()}"
            time.sleep(probe["periodSeconds"])
        raise AssertionError(f"{container.name} did not start:\n{container.log.read_text()}")

    def _watch(self, container: Container) -> None:
        """Probe a container and start it again when it ends or is not live; until the pod ends."""
        failures = {"readiness": 0, "liveness": 0}
        due = dict.fromkeys(failures, 0.0)
        while not self.terminating:
            if not container.is_running:
                container.ready = False
                container.bury()
                container.restarts += 1
                self.note(f"{container.name} died")
                container.start()
                self._wait_started(container)
            for kind in failures:
                probe = container.manifest.get(f"{kind}Probe")
                if probe is None or time.monotonic() < due[kind]:
                    continue
                due[kind] = time.monotonic() + probe["periodSeconds"]
                good = container.probe(kind)
                failures[kind] = 0 if good else failures[kind] + 1
                if kind == "readiness":
                    self._is_ready_now(container, good, failures[kind] >= probe["failureThreshold"])
                elif failures[kind] >= probe["failureThreshold"] and not self.terminating:
                    self.note(f"{container.name} is not live")
                    container.signal(signal.SIGKILL)
                    failures[kind] = 0
            time.sleep(LOOK_SECONDS)

    def _is_ready_now(self, container: Container, good: bool, failed_enough: bool) -> None:
        if good and not container.ready:
            container.ready = True
            self.note(f"{container.name} ready")
        elif failed_enough and container.ready:
            container.ready = False
            self.note(f"{container.name} not ready")

    def run_to_completion(self, seconds: float) -> int:
        """Run a pod that ends by itself; returns the status of its only container."""
        (container,) = self.main
        container.start()
        assert container.process is not None
        return container.process.wait(seconds)

    def terminate(self) -> None:
        """End the pod as a kubelet does: all hooks at once, then the main containers, then the sidecars."""
        self.terminating = True
        self.note("terminating")
        deadline = time.monotonic() + self.spec["terminationGracePeriodSeconds"]
        mains_gone = threading.Event()
        ends = [
            threading.Thread(target=self._end, args=(each, deadline, None if each in self.main else mains_gone))
            for each in (*self._sidecars, *self.main)
        ]
        for thread in ends:
            thread.start()
        for thread in ends[len(self._sidecars) :]:
            thread.join()
        mains_gone.set()
        for thread in (*ends, *self._threads):
            thread.join()

    def _end(self, container: Container, deadline: float, turn: threading.Event | None) -> None:
        hook = container.manifest.get("lifecycle", {}).get("preStop", {})
        left = max(0.1, deadline - time.monotonic())
        if "exec" in hook:
            status = container.run(hook["exec"]["command"]).wait(left)
            self.note(f"{container.name} hook ended with {status}")
        elif "httpGet" in hook:
            # A kubelet's client has no timeout of its own here: the grace period is the only limit.
            port = container.port(hook["httpGet"]["port"])
            answer = httpx.get(f"http://127.0.0.1:{port}{hook['httpGet']['path']}", timeout=left)
            self.note(f"{container.name} hook answered {answer.status_code}")
        if turn is not None:
            turn.wait(max(0.1, deadline - time.monotonic()))
        container.signal(signal.SIGTERM)
        assert container.process is not None
        try:
            container.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            container.process.kill()
            self.note(f"{container.name} had to be killed")
        container.bury()
        self.note(f"{container.name} ended")

    def remove(self) -> None:
        """End whatever is left, at once, and take the files away."""
        self.terminating = True
        for thread in self._threads:
            thread.join()
        for container in (*self.main, *self.init):
            container.signal(signal.SIGKILL)
            container.bury()
        shutil.rmtree(self.folder, ignore_errors=True)

    def logs(self) -> str:
        """The ends of all logs, for a test that failed."""
        parts = [f"----- {self.name}: {', '.join(self.order())}"]
        for container in (*self.init, *self.main):
            text = container.log.read_text(errors="replace") if container.log.exists() else ""
            parts += [f"----- {self.name} {container.name}", "\n".join(text.splitlines()[-40:])]
        return "\n".join(parts)


def wait_until(holds: Any, what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"gave up after {seconds:.0f} s: {what}"
        time.sleep(LOOK_SECONDS)


def _expanded(word: str, environment: Mapping[str, str]) -> str:
    return re.sub(r"\$\(([A-Z0-9_]+)\)", lambda found: environment[found[1]], word)


def _bytes_of(manifest: Manifest, resource: str) -> int:
    section, _, name = resource.partition(".")
    number, suffix = re.fullmatch(r"(\d+)([A-Z]i)?", manifest["resources"][section][name]).groups()  # type: ignore[union-attr]
    return int(number) * SUFFIXES[suffix or ""]
