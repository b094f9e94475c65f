"""Files of the built-in models: each model is a manifest, NAME.json, and the files it names beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signalbox.errors import Problem, SetupError

MODELS = Path(__file__).parent / "models"
"""The models that ship with the package."""

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Artifact:
    """A model's manifest, and its files, found as the manifest says they are."""

    manifest: Mapping[str, Any]
    files: Mapping[str, Path]

    def number(self, key: str) -> int:
        """A whole number of the manifest, 1 or more. Raises SetupError."""
        value = self.manifest.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise refuse(self.files["manifest"], f"`{key}` is {value!r}", "a whole number, 1 or more")
        return value


def open_artifact(name: str, folder: Path | None = None) -> Artifact:
    """Find a model and check its files against the sums in its manifest.

    name: such as `encoder`. folder: where NAME.json is; None for the models of the package. Raises SetupError that
    names the file for one that is missing, of another format, or not the file that the manifest was written for.
    """
    place = (MODELS if folder is None else folder) / f"{name}.json"
    try:
        manifest = json.loads(place.read_bytes())
    except OSError as problem:
        raise refuse(place, problem.strerror or str(problem), "the manifest of a built-in model") from problem
    except ValueError as problem:
        raise refuse(place, f"it is not JSON ({problem})", "the manifest of a built-in model") from problem
    if not isinstance(manifest, dict) or manifest.get("kind") != name:
        raise refuse(place, "it is not the manifest of this model", f'an object with `"kind": "{name}"`')
    if manifest.get("format") != FORMAT:
        raise refuse(place, f"`format` is {manifest.get('format')!r}", f"{FORMAT}")
    sums = manifest.get("files")
    if not isinstance(sums, dict) or not sums:
        raise refuse(place, "`files` is missing", "an object: file name -> SHA-256 of the file")
    files = {"manifest": place}
    for file, expected in sums.items():
        path = place.parent / file
        try:
            found = sha256(path)
        except OSError as problem:
            raise refuse(path, problem.strerror or str(problem), "a file of a built-in model") from problem
        if found != expected:
            raise refuse(path, f"its SHA-256 is {found[:12]}…", f"{str(expected)[:12]}…, as {place.name} says")
        files[file] = path
    return Artifact(manifest, files)


def write_manifest(folder: Path, name: str, files: list[str], **says: Any) -> None:
    """Write NAME.json for files that lie in `folder`. The same files and words make the same bytes."""
    sums = {file: sha256(folder / file) for file in sorted(files)}
    manifest = {"format": FORMAT, "kind": name, **says, "files": sums}
    (folder / f"{name}.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


def sha256(path: Path) -> str:
    """Hexadecimal digits of a file's SHA-256. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def refuse(path: Path, found: str, expected: str) -> SetupError:
    fix = "install the package again, or build its models with `make default-models`"
    return SetupError(str(Problem(str(path), None, "", found, expected, fix)))
