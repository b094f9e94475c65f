"""Puts rendered files where Envoy looks: each one whole, in an order that never names what is not there yet."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from signalbox.envoy.layout import (
    BOOTSTRAP_FILE,
    CLUSTERS_FILE,
    LISTENERS_FILE,
    ROUTES_FILE,
    SECRETS_DIRECTORY,
)
from signalbox.envoy.render import Rendered

# Secrets are all the others. The bootstrap is last: whoever waits for it may then start Envoy.
ORDER = (CLUSTERS_FILE, ROUTES_FILE, LISTENERS_FILE, BOOTSTRAP_FILE)

FILE_MODE = 0o640  # Envoy may run as another user of the same group
DIRECTORY_MODE = 0o750


def write(rendered: Rendered, directory: Path) -> tuple[str, ...]:
    """Write what differs from the files in `directory`, and remove secrets that nobody uses any more.

    Each file is renamed into place, which is what Envoy watches for; a file written in place would go
    unnoticed, or be read half-written. Returns the names written, in that order.

    Raises OSError if the directory cannot be written.
    """
    _make(directory)
    _make(directory / SECRETS_DIRECTORY)
    written = []
    for name in sorted(rendered.files, key=_turn):
        if _replace(directory / name, rendered.files[name]):
            written.append(name)
    _remove_stale_secrets(directory, rendered.files)
    return tuple(written)


def _turn(name: str) -> tuple[int, str]:
    return (ORDER.index(name) if name in ORDER else -1, name)


def _make(directory: Path) -> None:
    directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)


def _replace(path: Path, text: str) -> bool:
    content = text.encode()
    try:
        if path.read_bytes() == content:
            return False
    except FileNotFoundError:
        pass
    # Same directory: a rename across file systems is a copy, and not atomic. Envoy ignores other names.
    draft = path.with_name(f".{path.name}.new")
    try:
        with draft.open("wb") as file:
            os.fchmod(file.fileno(), FILE_MODE)
            file.write(content)
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return True


def _remove_stale_secrets(directory: Path, names: Iterable[str]) -> None:
    wanted = {directory / name for name in names}
    for path in (directory / SECRETS_DIRECTORY).glob("*.yaml"):
        if path not in wanted:
            path.unlink(missing_ok=True)
