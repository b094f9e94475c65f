"""The encoders behind trimming: which is taken for a file, and that the compiled one says what the library says."""

from __future__ import annotations

from pathlib import Path

import pytest

from signalbox.core import scan
from signalbox.errors import RouterError
from signalbox.trim import Encoder, HuggingFaceEncoder, Trimmer, WordPieceEncoder, open_encoder
from tests.unit.trim.encoders import FAMILIES, body, corpus


def opened(family: str, folder: Path) -> tuple[Encoder, HuggingFaceEncoder]:
    """What is taken for a tokenizer of that family, and the library's encoder; training is never twice the same."""
    file = folder / "tokenizer.json"
    file.write_text(FAMILIES[family]().to_str())
    return open_encoder(file), HuggingFaceEncoder.open(file)


def test_berts_files_are_read_by_the_compiled_encoder_and_others_by_the_library(tmp_path: Path) -> None:
    kinds = {family: type(opened(family, tmp_path)[0]) for family in FAMILIES}
    assert kinds == {"wordpiece": WordPieceEncoder, "byte_bpe": HuggingFaceEncoder, "unigram": HuggingFaceEncoder}


def test_the_compiled_encoder_counts_and_cuts_where_the_library_does(tmp_path: Path) -> None:
    compiled, library = opened("wordpiece", tmp_path)
    for line in corpus():
        assert compiled.count(line.encode()) == library.count(line.encode()), line
        assert list(compiled.ends(line.encode())) == list(library.ends(line.encode())), line


def test_prompts_are_the_same_with_either(tmp_path: Path) -> None:
    compiled, library = opened("wordpiece", tmp_path)
    lines = corpus()
    turns = [("user" if at % 20 == 0 else "assistant", "\n".join(lines[at : at + 10])) for at in range(0, 600, 10)]
    for budget in (100, 256, 2048):
        found = scan(body(*turns))
        assert Trimmer(compiled, budget).trim(found) == Trimmer(library, budget).trim(found)


@pytest.mark.parametrize("content", ["{", "[" * 100_000, "[]", "{}", '{"model": {"type": "WordPiece", "vocab": 7}}'])
def test_a_file_that_is_no_tokenizer_json_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "broken.json"
    file.write_text(content)
    with pytest.raises(RouterError, match=r"broken\.json"):
        open_encoder(file)
    with pytest.raises(RouterError, match=r"missing\.json: cannot read the tokenizer"):
        open_encoder(tmp_path / "missing.json")
