"""Volumes as a kubelet lays them out, and changes them."""

from __future__ import annotations

import base64
import itertools
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Files = Mapping[str, bytes]
_NUMBERS = itertools.count(1)


def project(folder: Path, files: Files, mode: int = 0o644) -> None:
    """Make `folder` hold exactly these files, as a kubelet does for ConfigMaps and Secrets: all of them at once.

    The files are in a folder with a name of its own, `..data` is a link to that, each visible name is a link through
    `..data`, and an update is one rename of that one link.
    """
    fresh = folder / f"..2026_11_21_{next(_NUMBERS):06d}"
    fresh.mkdir(parents=True)
    for name, content in files.items():
        (fresh / name).write_bytes(content)
        (fresh / name).chmod(mode)
    before = (folder / "..data").resolve() if (folder / "..data").is_symlink() else None
    link = folder / "..data_tmp"
    link.symlink_to(fresh.name)
    os.rename(link, folder / "..data")
    # In this order, and whoever watches the folder may be quicker than the links of new files.
    time.sleep(0.02)
    for name in files:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    for visible in folder.iterdir():
        if not visible.name.startswith("..") and visible.name not in files:
            visible.unlink()
    if before is not None:
        shutil.rmtree(before)


def content(manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of a ConfigMap or Secret."""
    data = manifest.get("data") or {}
    if manifest["kind"] == "Secret":
        return {name: base64.b64decode(text) for name, text in data.items()}
    return {name: text.encode() for name, text in data.items()}
