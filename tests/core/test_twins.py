"""Each kernel has a twin, a property test and a line for type checkers, and may be used from many threads."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from signalbox import core
from signalbox.core import HARD, reference, reference_envelope
from signalbox.core.scan import KNOWN_KEYS
from signalbox.errors import RequestError

HERE = Path(__file__).parent
CORE = Path(core.__file__).parent


def compiled_names() -> list[str]:
    """Public names that live in a compiled module."""
    return [
        name
        for name in core.__all__
        if hasattr(getattr(core, name), "__module__")
        and Path(str(importlib.import_module(getattr(core, name).__module__).__file__)).suffix in (".so", ".pyd")
    ]


def test_everything_compiled_is_seen_by_these_tests() -> None:
    assert set(compiled_names()) == {
        "Bpe",
        "EmbeddingTable",
        "Lexicon",
        "Scan",
        "WordPiece",
        "apply_edits",
        "cosines",
        "dots",
        "embed",
        "find_personal",
        "normalize",
        "read_envelope",
        "scan",
        "sigmoid",
        "softmax",
        "surface",
        "topk",
        "win_rate",
        "word_features",
    }


@pytest.mark.parametrize("name", compiled_names())
def test_each_kernel_has_a_twin_in_the_reference(name: str) -> None:
    twin = getattr(reference_envelope if name == "read_envelope" else reference, name, None)
    assert twin is not None, f"reference.{name} is missing"
    assert inspect.isclass(twin) == inspect.isclass(getattr(core, name))


@pytest.mark.parametrize("name", compiled_names())
def test_each_kernel_is_compared_with_its_twin_by_a_property_test(name: str) -> None:
    tests = "".join(path.read_text() for path in HERE.glob("test_*.py") if path.name != Path(__file__).name)
    used = {"Scan": "scan", "Lexicon": "Lexicon"}.get(name, name)
    given = re.findall(r"@given.*?(?=\n\n\n|\Z)", tests, re.S)
    helpers = "".join(re.findall(r"def surface\(.*?(?=\n\n\n)", tests, re.S)) if name == "Lexicon" else ""
    assert any(re.search(rf"\b{used}\b", test + helpers) and "reference" in test for test in given)


@pytest.mark.parametrize("name", compiled_names())
def test_each_kernel_has_a_line_for_type_checkers(name: str) -> None:
    stubs = "".join(path.read_text() for path in CORE.glob("*.pyi"))
    assert re.search(rf"^(def|class) {name}\b", stubs, re.M)


def test_both_know_the_same_keys() -> None:
    assert KNOWN_KEYS == reference.KNOWN_KEYS


def test_a_missing_build_says_how_to_build() -> None:
    hide = "import sys; sys.modules['signalbox.core.scan'] = None\nimport signalbox.core"
    run = subprocess.run([sys.executable, "-c", hide], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "ImportError: the compiled core cannot be loaded" in run.stderr
    assert "`pip install .`" in run.stderr


def test_a_scan_is_made_by_scanning_only() -> None:
    with pytest.raises(TypeError, match=r"made by signalbox\.core\.scan"):
        core.Scan()
    with pytest.raises(TypeError):
        core.scan(bytearray(b"{}"))  # type: ignore[arg-type]  # it could change under the scan
    for changing in (memoryview(bytearray(b"{}")), memoryview(b"{ }")[::2], memoryview(b"{}  ").cast("I")):
        with pytest.raises(TypeError, match="bytes or a view of bytes"):
            core.scan(changing)


def test_many_threads_may_read_one_body_one_scan_and_one_lexicon() -> None:
    """Large enough for every call to give the GIL away."""
    texts = [f'prove "{i}" \n ∑ {"x" * 200}' for i in range(1000)]
    body = json.dumps({"model": "m", "models": [], "messages": [{"role": "user", "content": texts}]}).encode()
    shared, lexicon = core.scan(body), core.Lexicon({"prove": HARD})
    start = threading.Barrier(4)

    def use(_: int) -> tuple[object, ...]:
        start.wait()
        own = core.scan(body)
        with pytest.raises(RequestError):
            core.scan(body[:-1])
        edits = shared.edits(drop=frozenset({"models"}))
        return own.spans, shared.text(), core.surface(shared, lexicon), core.apply_edits(body, edits, b'"m"')

    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(use, range(4)))
    assert all(other == seen[0] for other in seen)
    assert seen[0][1] == "\n".join(texts).encode()
    assert core.surface(shared, lexicon).hard_keywords == 1000
