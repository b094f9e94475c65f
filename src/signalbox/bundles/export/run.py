"""One export from beginning to end. A bundle appears whole, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

import msgspec

from signalbox.bundles.bundle import digest, open_bundle
from signalbox.bundles.export import quantise
from signalbox.bundles.export.calibration import texts_of
from signalbox.bundles.export.checkpoint import Checkpoint, open_checkpoint
from signalbox.bundles.export.model import check_environment, load, made_with, write_graph
from signalbox.bundles.export.parity import cases, check_parity, expected
from signalbox.bundles.export.plan import Family, Plan, plan
from signalbox.bundles.export.request import Request
from signalbox.bundles.export.tensors import write_tensors
from signalbox.bundles.export.tokenizer import write_tokenizer
from signalbox.bundles.manifest import MANIFEST, MODEL, Agreement, Dtype, Manifest
from signalbox.bundles.progress import Progress
from signalbox.errors import BundleError


def export(request: Request, progress: Progress | None = None) -> Manifest:
    """Make a bundle at `request.out`, and open it once. Returns its manifest.

    Raises BundleError for a checkpoint that cannot become one or does not pass its checks, SetupError if the extra
    `export` is not installed. Nothing is left behind then, and what was at `out` stays.
    """
    progress = progress or Progress(None)
    out = Path(os.path.abspath(request.out))
    if out.exists() and not request.replace:
        raise BundleError.single(
            str(out), "exists already", expected="a name that is free", fix="take another, or say --replace"
        )
    if out.exists() and not (out / MANIFEST).exists():
        raise BundleError.single(str(out), "not a bundle, so it is not replaced", expected="a bundle or a free name")
    with progress.step(f"reading {request.source}"):
        checkpoint = open_checkpoint(request.source, request.revision)
        planned = plan(request, checkpoint)
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        manifest = _fill(request, checkpoint, planned, beside, progress)
        with progress.step("checking the bundle"):
            _seal(manifest, beside)
            manifest = open_bundle(beside).manifest
        _move(beside, out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return manifest


def _fill(request: Request, checkpoint: Checkpoint, planned: Plan, out: Path, progress: Progress) -> Manifest:
    """Write every file but the manifest. Returns the manifest without files."""
    manifest, family = planned.manifest, planned.family
    if family is Family.TENSORS:
        with progress.step("writing tensors"):
            write_tensors(checkpoint, manifest, out)
        return manifest
    check_environment()
    write_tokenizer(checkpoint, out)
    whole = out / "float32"
    whole.mkdir()
    parity = _float32(checkpoint, family, whole, progress)
    progress.note(f"float32 graph within {parity:.1e} of the checkpoint")
    manifest = msgspec.structs.replace(manifest, parity=parity, made_with=made_with())
    if request.dtype is Dtype.FLOAT32:
        for file in whole.iterdir():
            file.rename(out / file.name)
    else:
        agreement = _smaller(request, checkpoint, planned, out, progress)
        manifest = msgspec.structs.replace(manifest, agreement=agreement)
    shutil.rmtree(whole)
    return manifest


def _float32(checkpoint: Checkpoint, family: Family, whole: Path, progress: Progress) -> float:
    """Write the graph and hold it against torch. Returns the largest difference."""
    scratch = Path(mkdtemp(dir=whole))
    with progress.step("loading the checkpoint"):
        model = load(checkpoint, family, scratch)
        ids = cases(checkpoint)
        answers = expected(model, family, ids)
    with progress.step("exporting the graph"):
        shutil.rmtree(scratch)
        scratch.mkdir()
        write_graph(model, family, scratch, whole)
    del model  # torch's weights and ONNX Runtime's need not fit into memory together
    with progress.step("comparing with torch"):
        return check_parity(checkpoint, whole / MODEL, family, ids, answers)


def _attempts(dtype: Dtype, source: Path, out: Path) -> list[tuple[str, Callable[[], int]]]:
    """Return ways to make a model smaller, smallest first: name, and a function that returns what kept float32."""
    if dtype is Dtype.FLOAT16:

        def halve() -> int:
            quantise.halve(source, out)
            return 0

        return [("float16", halve)]
    return [
        ("int8", lambda: quantise.quantise(source, out, keep_wide=False)),
        ("int8, narrowing products in float32", lambda: quantise.quantise(source, out, keep_wide=True)),
    ]


def _smaller(request: Request, checkpoint: Checkpoint, planned: Plan, out: Path, progress: Progress) -> Agreement:
    """Make the model smaller and hold it against float32; less small if the first attempt falls short."""
    manifest, family = planned.manifest, planned.family
    ids = quantise.token_ids(out, texts_of(request.texts), manifest.max_tokens)
    with progress.step(f"float32 answers to {len(ids)} texts"):
        original = quantise.answers(out / "float32" / MODEL, ids, manifest, family, progress.at)
    if quantise.says_one_thing(family, original):
        progress.note("float32 gives every text the same label, so agreement shows little; give texts of your own")
    best: Agreement | None = None
    for name, write in _attempts(request.dtype, out / "float32" / MODEL, out):
        with progress.step(f"writing {name}"):
            quantise.remove(out)
            kept = write()
        with progress.step(f"its answers to {len(ids)} texts"):
            answered = quantise.answers(out / MODEL, ids, manifest, family, progress.at)
        found = quantise.agreement(checkpoint, family, original, answered, kept)
        progress.note(f"agrees on {found.share:.1%} of {found.n} ({found.alike}), worst difference {found.worst}")
        if found.share >= request.bound:
            return found
        best = found if best is None or found.share > best.share else best
    assert best is not None
    raise checkpoint.refuse(
        f"{request.dtype} agrees with float32 on {best.share:.1%} of {best.n} ({best.alike})",
        expected=f"{request.bound:.1%} at least",
        fix="export with --dtype float32; or measure on texts of your own with --texts FILE; or, if this is good "
        "enough for you, say so with --min-agreement",
        file="",
    )


def _seal(manifest: Manifest, folder: Path) -> None:
    files = sorted(file for file in folder.iterdir() if file.is_file())
    sealed = msgspec.structs.replace(
        manifest,
        files={file.name: digest(file) for file in files},
        sizes={file.name: file.stat().st_size for file in files},
    )
    (folder / MANIFEST).write_text(sealed.as_json(), encoding="utf-8")
    for file in (*files, folder / MANIFEST):
        file.chmod(0o644)  # onnx writes for its owner alone; a pod may run as somebody else
    folder.chmod(0o755)


def _move(beside: Path, out: Path) -> None:
    """Put the new bundle in the place of an old one; a rename of a folder cannot replace one that has files."""
    if not out.exists():
        beside.rename(out)
        return
    old = Path(mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    out.rename(old / out.name)
    try:
        beside.rename(out)
    except OSError:
        (old / out.name).rename(out)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
