"""Which of a policy's key files have come since Envoy was told of them.

Envoy watches a key's folder for a rename and reads the file then. A kubelet that mounts a Secret renames its one link
first and makes the links of new files afterwards, so of a key that is new Envoy may be told too early, and never again.
Therefore the file is named to it anew once it is there. Where the sidecar cannot see the keys, nothing is different.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from signalbox.policy.schema import Policy


class KeyFiles:
    """Remembers which key files were missing at the last look, and which names Envoy has."""

    def __init__(self) -> None:
        self._missing: set[str] = set()
        self._anew: set[str] = set()

    def look(self, policies: Iterable[Policy]) -> frozenset[str]:
        """Look at the key files of `policies` and return those to be named in the other of two ways.

        A file goes in, or out again, when it is there after it was missing: only a name that differs from the one
        before makes Envoy read it.
        """
        files = {provider.key.file for policy in policies for provider in policy.providers.values() if provider.key}
        missing = {file for file in files if not Path(file).is_file()}
        self._anew ^= {file for file in self._missing - missing if file in files}
        self._anew &= files
        self._missing = missing
        return frozenset(self._anew)
