"""`signalbox models fetch`: an archive with a known hash becomes a bundle, or changes nothing."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from signalbox.bundles import open_bundle
from signalbox.cli import main
from tests.unit.bundles.tiny import write_bundle


class Quiet(SimpleHTTPRequestHandler):
    asked: list[str]

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address it is served at."""
    folder = tmp_path / "served"
    folder.mkdir()
    Quiet.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def archive(bundle: Path, file: Path, *, top: str = "") -> str:
    with tarfile.open(file, "w:gz") as tar:
        for path in bundle.iterdir():
            tar.add(path, f"{top}{path.name}")
    return hashlib.sha256(file.read_bytes()).hexdigest()


def fetch(url: str, sha256: str, out: Path) -> int:
    return main(["models", "fetch", url, "--sha256", sha256, "--out", str(out), "--quiet"])


@pytest.mark.parametrize("top", ["", "router/"])
def test_an_archive_becomes_a_bundle_that_opens_and_is_fetched_once(
    served: tuple[Path, str], tmp_path: Path, top: str
) -> None:
    folder, url = served
    sha256 = archive(write_bundle(tmp_path / "b"), folder / "b.tar.gz", top=top)
    out = tmp_path / "out"
    assert fetch(f"{url}/b.tar.gz", sha256, out) == 0
    assert open_bundle(out).manifest.kind == "classifier"
    assert not list(out.glob(".fetch-*"))
    assert fetch(f"{url}/b.tar.gz", sha256.upper(), out) == 0
    assert Quiet.asked == ["/b.tar.gz"]


def test_another_archive_than_the_one_named_changes_nothing(
    served: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, url = served
    out = tmp_path / "out"
    good = archive(write_bundle(tmp_path / "b"), folder / "b.tar.gz")
    assert fetch(f"{url}/b.tar.gz", good, out) == 0
    assert fetch(f"{url}/b.tar.gz", "0" * 64, out) == 1
    assert good in capsys.readouterr().err
    open_bundle(out)


def test_an_archive_that_is_no_bundle_is_refused(served: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = served
    broken = write_bundle(tmp_path / "b")
    (broken / "model.onnx").write_bytes(b"cut")
    sha256 = archive(broken, folder / "b.tar.gz")
    assert fetch(f"{url}/b.tar.gz", sha256, tmp_path / "out") == 1
    assert not (tmp_path / "out" / "router.json").exists()


def test_an_archive_that_reaches_outside_is_refused(served: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = served
    with tarfile.open(folder / "b.tar", "w") as tar:
        member = tarfile.TarInfo("../../escaped")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    sha256 = hashlib.sha256((folder / "b.tar").read_bytes()).hexdigest()
    assert fetch(f"{url}/b.tar", sha256, tmp_path / "out") == 1
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize(
    ("url", "sha256", "said"),
    [("http://127.0.0.1:9/b", "0" * 64, "cannot be fetched"), ("file:///etc/passwd", "0" * 64, "no web address"),
     ("http://127.0.0.1:9/b", "12ab", "64 hexadecimal digits")],
)  # fmt: skip
def test_what_cannot_be_fetched_is_explained(
    url: str, sha256: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch(url, sha256, tmp_path / "out") == 1
    assert said in capsys.readouterr().err
