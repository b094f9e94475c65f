"""What a bundle is, for people and for programs: every member of its manifest, its files, its graph, its problems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from signalbox.bundles.bundle import open_bundle
from signalbox.bundles.manifest import MODEL, Manifest, read_manifest
from signalbox.bundles.onnx_file import Graph, Port, read_graph
from signalbox.errors import BundleError, Problem


@dataclass(frozen=True, slots=True)
class Description:
    """A bundle as it was found. manifest, graph: None where they cannot be read. sizes: bytes; None if missing."""

    folder: Path
    manifest: Manifest | None
    graph: Graph | None
    sizes: dict[str, int | None]
    problems: tuple[Problem, ...]

    @property
    def exit_status(self) -> int:
        """0 for a bundle that can be used."""
        return 1 if self.problems else 0

    def as_json(self) -> dict[str, Any]:
        """Return what `signalbox models inspect --json` prints; docs/models.md names the members."""
        return {
            "folder": str(self.folder),
            "usable": not self.problems,
            "problems": [
                {"file": problem.file, "member": problem.path, "found": problem.found, "expected": problem.expected}
                for problem in self.problems
            ],
            "manifest": None if self.manifest is None else msgspec.to_builtins(self.manifest),
            "bytes": self.sizes,
            "graph": None
            if self.graph is None
            else {
                "opsets": {domain or "ai.onnx": version for domain, version in self.graph.opsets.items()},
                "nodes": self.graph.nodes,
                "inputs": [_port_json(port) for port in self.graph.inputs],
                "outputs": [_port_json(port) for port in self.graph.outputs],
                "external_tensors": len(self.graph.externals),
            },
        }

    @property
    def text(self) -> str:
        """The same for people, several lines."""
        rows = [("folder", str(self.folder)), *self._manifest_rows(), *self._graph_rows()]
        lines = [f"{name:<13}{value}" for name, value in rows]
        if self.problems:
            lines += ["", f"cannot be used: {len(self.problems)} problem{'s'[: len(self.problems) > 1]}"]
            lines += [str(problem) for problem in self.problems]
        else:
            lines.append("every file is what router.json says")
        # A bundle is somebody else's file: nothing in it may steer the terminal.
        return "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in "\n".join(lines))

    def _manifest_rows(self) -> list[tuple[str, str]]:
        manifest = self.manifest
        if manifest is None:
            return []
        rows = [("kind", str(manifest.kind)), ("architecture", manifest.architecture), ("dtype", str(manifest.dtype))]
        if manifest.labels:
            each = " for each token" if manifest.per_token else ""
            rows.append(("labels", f"{len(manifest.labels)}{each}: {_listed(manifest.labels)}"))
        if manifest.max_tokens:
            rows.append(("max tokens", str(manifest.max_tokens)))
        if manifest.window is not None:
            rows.append(("window", f"{manifest.window.tokens} tokens, stride {manifest.window.stride}"))
        texts = {"prompt": manifest.prompt, "pooling": str(manifest.pooling), "embedding": manifest.embedding}
        texts |= {"source": manifest.source, "revision": manifest.revision, "licence": manifest.licence or "not stated"}
        texts |= {"providers": ", ".join(manifest.providers)}
        rows += [(name, value) for name, value in texts.items() if value]
        if manifest.parity is not None:
            rows.append(("parity", f"float32 graph within {manifest.parity:.1e} of the checkpoint"))
        if manifest.agreement is not None:
            agreement = manifest.agreement
            worst = "" if agreement.worst is None else f", worst difference {agreement.worst:.3g}"
            alike = f" ({agreement.alike})" if agreement.alike else ""
            kept = f", {agreement.kept_float32} products in float32" if agreement.kept_float32 else ""
            rows.append(("agreement", f"{agreement.share:.1%} of {agreement.n} texts as float32{alike}{worst}{kept}"))
        if manifest.made_with:
            rows.append(("made with", ", ".join(f"{name} {version}" for name, version in manifest.made_with.items())))
        for name, digest in manifest.files.items():
            size = self.sizes[name]
            rows.append(("file", f"{name}  {'missing' if size is None else readable(size)}  sha256 {digest[:12]}…"))
        return rows

    def _graph_rows(self) -> list[tuple[str, str]]:
        graph = self.graph
        if graph is None:
            return []
        opsets = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in graph.opsets.items())
        return [
            ("opset", f"{opsets}; {graph.nodes} nodes"),
            *(("input", _port_text(port)) for port in _few(graph.inputs)),
            *(("output", _port_text(port)) for port in _few(graph.outputs)),
        ]


def describe(folder: Path) -> Description:
    """Read a bundle, however broken, and check it whole. Raises BundleError only where there is no manifest at all."""
    manifest: Manifest | None = None
    graph: Graph | None = None
    problems: Sequence[Problem] = ()
    try:
        bundle = open_bundle(folder)
        folder, manifest, graph = bundle.path, bundle.manifest, bundle.graph
    except BundleError as refusal:
        problems = refusal.problems
        if not folder.is_dir():
            raise
        try:
            manifest = read_manifest(folder)
            graph = read_graph(folder / MODEL) if MODEL in manifest.files else None
        except (BundleError, ValueError, OSError):
            pass  # `problems` says so already
    sizes = {name: _size(folder / name) for name in (manifest.files if manifest is not None else ())}
    return Description(folder, manifest, graph, sizes, tuple(problems))


def readable(size: int) -> str:
    """Return bytes as people read them, in powers of ten: `22.9 MB`."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} B"


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None


def _port_json(port: Port) -> dict[str, Any]:
    return {"name": port.name, "dtype": port.dtype, "shape": list(port.shape)}


def _port_text(port: Port) -> str:
    return f"{port.name}  {port.dtype} [{', '.join(str(length) or '?' for length in port.shape)}]"


def _few(ports: list[Port]) -> list[Port]:
    """The key/value pairs of the first layer stand for those of all."""
    kept = [port for port in ports if not port.name.startswith(("past_key_values.", "present."))]
    pairs = [port for port in ports if port not in kept]
    layers = len(pairs) // 2
    first = [port._replace(name=f"{port.name} (of {layers} layers)") for port in pairs[:2]]
    return kept + first


def _listed(labels: tuple[str, ...]) -> str:
    shown = ", ".join(labels[:40])
    return f"{shown}, … ({len(labels) - 40} more)" if len(labels) > 40 else shown
