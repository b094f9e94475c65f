"""A checkpoint as somebody published it: where it lies, what its config says, and whether it can be exported.

Nothing in a checkpoint is run: code that comes with one is refused, and weights are read as tensors only.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signalbox.errors import BundleError, SetupError

WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
_WANTED = ["*.json", "*.safetensors", "*.model", "*.txt", "README.md", "LICENSE*"]
_PICKLES = ["pytorch_model*.bin"]  # fetched where there is nothing safer, as they are as large again
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_MAX_CARD_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """source: the hub's name, or the name of the folder. revision: the hub's commit; empty for a folder."""

    folder: Path
    source: str
    revision: str
    config: dict[str, Any]
    licence: str

    @property
    def architecture(self) -> str:
        names = self.config.get("architectures") or [""]
        return str(names[0])

    def refuse(self, found: str, *, expected: str = "", fix: str = "", file: str = "config.json") -> BundleError:
        """Return the error for something in this checkpoint."""
        return BundleError.single(str(self.folder / file), found, expected=expected, fix=fix)

    def read_json(self, name: str) -> Any:
        """Return the content of a file beside config.json, None if there is none. Raises BundleError."""
        file = self.folder / name
        try:
            return json.loads(file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as problem:
            raise self.refuse(f"cannot be read: {problem}", expected="JSON", file=name) from problem


def open_checkpoint(source: str, revision: str = "") -> Checkpoint:
    """Open a folder, or fetch what the hub has under this name.

    Raises BundleError for what is not there or cannot be exported, SetupError without the hub's client.
    """
    folder = Path(source)
    name = folder.resolve().name
    if not folder.is_dir():
        if folder.exists() or not _HUB_NAME.fullmatch(source):
            raise BundleError.single(
                source, "no folder of this name", expected="the folder of a checkpoint, or OWNER/NAME on the hub"
            )
        folder, name = _fetch(source, revision), source
        revision = folder.name  # a snapshot's folder is named by its commit
    checkpoint = Checkpoint(folder, name, revision, {}, _licence(folder))
    config = checkpoint.read_json("config.json")
    if config is None:
        config = {}
        if (folder / "adapter_config.json").exists():
            raise checkpoint.refuse(
                "an adapter without its base model",
                expected="a whole checkpoint",
                fix="export the merged variant, or merge the adapter into its base with peft and export that",
                file="adapter_config.json",
            )
    if not isinstance(config, dict):
        raise checkpoint.refuse("not an object", expected="the config of a transformers model")
    checkpoint = Checkpoint(folder, name, revision, config, checkpoint.licence)
    _refuse_unusable(checkpoint)
    return checkpoint


def _refuse_unusable(checkpoint: Checkpoint) -> None:
    config = checkpoint.config
    if config.get("auto_map"):
        raise checkpoint.refuse(
            "auto_map: the model brings code of its own, which is never run",
            expected="an architecture that transformers has",
        )
    if config.get("quantization_config"):
        raise checkpoint.refuse(
            "quantization_config: the weights are quantised already",
            expected="float weights",
            fix="export the original, with --dtype int8 for a small one",
        )


def _fetch(name: str, revision: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as problem:
        raise missing("huggingface_hub") from problem
    try:
        folder = Path(snapshot_download(name, revision=revision or None, allow_patterns=_WANTED))
        if not any(folder.glob("*.safetensors")):
            folder = Path(snapshot_download(name, revision=folder.name, allow_patterns=_WANTED + _PICKLES))
        return folder
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as problem:
        said = str(problem).strip().splitlines() or [type(problem).__name__]
        raise BundleError.single(
            name,
            f"the hub did not give it: {said[0]}",
            expected="a public model, or one that the token in HF_TOKEN may read",
            fix="check name and revision; offline, copy the checkpoint here and name its folder",
        ) from problem


def missing(package: str) -> SetupError:
    """Return the error for a package that only exports need."""
    return SetupError(f"exporting needs the Python package `{package}`; fix: pip install 'signalbox[export]'")


def _licence(folder: Path) -> str:
    """Return what the model card's front matter states as licence; empty if it states none."""
    try:
        with (folder / "README.md").open(encoding="utf-8", errors="replace") as file:
            card = file.read(_MAX_CARD_BYTES)
    except OSError:
        return ""
    front = re.match(r"---\s*\n(.*?)\n---", card, re.DOTALL)
    if front is None:
        return ""
    stated = dict(re.findall(r"^(license|license_name):[ \t]*['\"]?([^'\"\n]+?)['\"]?[ \t]*$", front[1], re.MULTILINE))
    general, name = str(stated.get("license", "")), str(stated.get("license_name", ""))
    return name if name and general in ("", "other") else general
