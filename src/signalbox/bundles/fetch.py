"""A bundle from a web server: an archive whose hash is known beforehand, checked before anything in it is opened."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import shutil
import tarfile
import tempfile
import urllib.request
from pathlib import Path

from signalbox.bundles.bundle import open_bundle
from signalbox.bundles.manifest import MANIFEST
from signalbox.bundles.progress import Progress
from signalbox.errors import BundleError

CHUNK_BYTES = 1024 * 1024
TIMEOUT_SECONDS = 60.0  # without a byte
SHA256 = re.compile(r"[0-9a-f]{64}")
STAMP = ".sha256"  # beside the bundle's files: which archive they are from


def fetch(url: str, sha256: str, out: Path, progress: Progress) -> bool:
    """Make `out` the bundle in the tar archive (plain, gzip, bzip2 or xz) at `url`. Returns whether it was fetched.

    A folder that came from the same archive is left alone, so a restart downloads nothing. Another one is replaced once
    its successor is whole, checked and opened; until then it stays as it is.

    sha256: of the archive, 64 hexadecimal digits.
    Raises BundleError if the archive cannot be fetched, is another one, or holds no bundle that can be used.
    """
    wanted = sha256.lower()
    if not SHA256.fullmatch(wanted):
        raise BundleError.single(
            "--sha256", sha256, expected="64 hexadecimal digits", fix="run sha256sum on the archive"
        )
    if not url.startswith(("https://", "http://")):
        raise BundleError.single(url, "no web address", expected="https://… or http://…")
    if _stamp(out) == wanted:
        return False
    out.parent.mkdir(parents=True, exist_ok=True)
    # Inside of `out` if that exists: it may be a mount, and a rename never leaves a file system.
    out.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=out) as draft:
        archive = Path(draft) / "archive"
        with progress.step("downloading"):
            found = _download(url, archive, progress)
        if found != wanted:
            raise BundleError.single(
                url, f"an archive with SHA-256 {found}", expected=wanted, fix="correct the hash, or the address"
            )
        with progress.step("unpacking"):
            unpacked = _unpack(archive, Path(draft) / "unpacked", url)
        open_bundle(unpacked)
        _replace(out, unpacked)
    (out / STAMP).write_text(wanted)
    return True


def _stamp(out: Path) -> str:
    try:
        return (out / STAMP).read_text().strip()
    except OSError:
        return ""


def _download(url: str, archive: Path, progress: Progress) -> str:
    """Save the archive. Returns its SHA-256."""
    digest, so_far = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer, archive.open("wb") as file:
            size = int(answer.headers.get("content-length") or 0)
            while chunk := answer.read(CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
                so_far += len(chunk)
                if size:
                    progress.at(so_far, size)
    except (OSError, ValueError, http.client.HTTPException) as problem:
        raise BundleError.single(url, f"cannot be fetched: {problem}", expected="an archive") from problem
    return digest.hexdigest()


def _unpack(archive: Path, folder: Path, url: str) -> Path:
    """Unpack, and return the folder that holds the manifest: the archive's top, or the only folder there."""
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")  # no links out of it, no devices, no owners
    except (tarfile.TarError, OSError, EOFError) as problem:
        raise BundleError.single(
            url, f"cannot be unpacked: {problem}", expected="a tar archive of one bundle"
        ) from None
    entries = [entry for entry in folder.iterdir() if entry.is_dir()]
    if not (folder / MANIFEST).exists() and len(entries) == 1:
        return entries[0]
    return folder


def _replace(out: Path, unpacked: Path) -> None:
    for old in out.iterdir():
        if old.name.startswith(".fetch-"):
            continue
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink()
    for new in unpacked.iterdir():
        os.replace(new, out / new.name)
