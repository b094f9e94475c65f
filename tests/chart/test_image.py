"""The sidecar's image: what its Dockerfile promises, and what the same steps made on this machine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import signalbox

from .helm import EXAMPLES
from .image import DESTINATION, ROOT, stages
from .images import require_image


@pytest.fixture(scope="session")
def image() -> Path:
    return require_image()


def run(image: Path, *words: str, status: int = 0) -> str:
    """Run a command of the image as a container would: nothing else on PATH, nothing of this checkout in sight."""
    done = subprocess.run(
        [str(image / "bin" / words[0]), *words[1:]], cwd="/", env={"PATH": str(image / "bin")},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stderr + done.stdout
    return done.stdout


def test_every_base_is_given_by_its_digest_and_has_no_default() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert {stage.base.partition(" AS ")[0] for stage in stages()} == {"${PYTHON_IMAGE}@${PYTHON_DIGEST}"}
    assert re.search(r"^ARG PYTHON_DIGEST$", text, re.MULTILINE)


def test_the_last_stage_installs_nothing_and_is_no_ones_root() -> None:
    final = stages()[-1]
    assert final.all("RUN") == []
    assert final.all("COPY") == [f"--from=build {DESTINATION} {DESTINATION}"]
    (user,) = final.all("USER")
    assert all(int(number) >= 1000 for number in user.split(":"))
    assert final.all("ENTRYPOINT") == ['["signalbox"]']


def test_what_the_build_copies_is_let_through_and_nothing_else_is() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {word for words in stages()[0].all("COPY") for word in words.split()[:-1]}
    assert copied == allowed


def test_the_command_runs_from_the_wheel_alone(image: Path, tmp_path: Path) -> None:
    assert run(image, "signalbox", "--version") == f"signalbox {signalbox.__version__}\n"
    where = run(image, "python3", "-c", "import signalbox; print(signalbox.__file__)").strip()
    assert Path(where).is_relative_to(image)
    for words in (["serve"], ["drain"], ["ask"], ["models", "fetch"]):
        run(image, "signalbox", *words, "--help")
    policy = ROOT / "helm" / "signalbox" / "files" / "policy.yaml"
    assert "0 errors" in run(image, "signalbox", "check", str(policy))
    run(image, "signalbox", "envoy", "render", "--policy", str(policy), "--out", str(tmp_path))
    body = tmp_path / "body.json"
    body.write_text('{"model": "auto", "messages": [{"role": "user", "content": "Hi"}]}')
    assert '"chain"' in run(image, "signalbox", "route", str(body), "--policy", str(policy))
    assert EXAMPLES


def test_it_holds_no_source_of_the_core_and_nothing_to_build_or_install_with(image: Path) -> None:
    package = next(image.glob("lib/python3*/site-packages/signalbox"))
    assert [path for path in package.rglob("*") if path.suffix in (".pyx", ".pxd", ".c", ".h")] == []
    assert list((package / "core").glob("*.so"))
    programs = {path.name for path in (image / "bin").iterdir()}
    assert {each for each in programs if not each.startswith("python")} == {"signalbox"}
    installed = {path.name.partition("-")[0].lower() for path in package.parent.glob("*.dist-info")}
    assert not installed & {"pip", "setuptools", "cython", "wheel", "pytest", "hypothesis", "mypy"}
    assert not list(package.parent.glob("__editable__*"))


def test_everything_is_compiled_because_nobody_may_write_at_run_time(image: Path) -> None:
    package = next(image.glob("lib/python3*/site-packages/signalbox"))
    for source in package.rglob("*.py"):
        assert list((source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")), source


def test_its_packages_are_the_pinned_ones(image: Path) -> None:
    pinned = (ROOT / "image" / "constraints.txt").read_text().splitlines()
    assert [line for line in pinned if not line.startswith("#")] == (image / "packages.txt").read_text().splitlines()
    known = {re.sub(r"[-_.]+", "-", path.stem).lower() for path in image.glob("lib/python3*/site-packages/*.dist-info")}
    named = {re.sub(r"[-_.]+", "-", line.replace("==", "-")).lower() for line in pinned[1:]}
    assert known - named == {f"signalbox-{signalbox.__version__.replace('.', '-')}"}
    assert named <= known
