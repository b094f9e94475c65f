"""Router models as folders: the format, its checks, and the export of published checkpoints into it.

Reading needs nothing but this package and numpy. Exporting needs the extra `export` and happens where a person
runs `signalbox models export`, never in a process that serves.
"""

from __future__ import annotations

from signalbox.bundles.bundle import Bundle, open_bundle
from signalbox.bundles.manifest import Agreement, Dtype, Kind, Manifest, Pooling, Window

__all__ = ["Agreement", "Bundle", "Dtype", "Kind", "Manifest", "Pooling", "Window", "open_bundle"]
