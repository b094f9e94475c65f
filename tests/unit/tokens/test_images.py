"""Sizes from the first bytes of a file; the examples of the providers' own pages."""

from __future__ import annotations

import base64
import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.tokens.catalogue import find_family, find_shipped
from signalbox.tokens.images import (
    ANTHROPIC,
    GEMINI,
    PIXTRAL,
    QWEN_VL,
    Image,
    ImageFormula,
    openai_patches,
    openai_tiles,
    read_size,
)
from tests.unit.tokens.bodies import image_part, png, read


def jpeg(width: int, height: int, exif_bytes: int = 0) -> bytes:
    exif = b"\xff\xe1" + struct.pack(">H", exif_bytes + 2) + bytes(exif_bytes) if exif_bytes else b""
    return b"\xff\xd8" + exif + b"\xff\xff\xc2\x00\x11\x08" + struct.pack(">HH", height, width) + b"\x03" + bytes(9)


FILES = {
    "png": png(640, 480),
    "gif": b"GIF89a" + struct.pack("<HH", 640, 480) + b"\0\0\0",
    "jpeg": jpeg(640, 480),
    "jpeg behind EXIF": jpeg(640, 480, 65_000),
    "webp lossy": b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 640, 480),
    "webp lossless": b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + struct.pack("<I", 639 | 479 << 14),
    "webp extended": b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0\x7f\x02\0\xdf\x01\0",
}


@pytest.mark.parametrize("kind", FILES)
def test_the_size_is_in_the_first_bytes_of_a_file(kind: str) -> None:
    assert read_size(FILES[kind]) == (640, 480)


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_was_cut_off_has_no_size_and_raises_nothing(kind: str) -> None:
    data = FILES[kind]
    for cut in {*range(30), len(data) - 12} - {len(data)}:
        assert read_size(data[:cut]) in (None, (640, 480))


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBPVP8", b"\x89PNG\r\n\x1a\n", b"GIF89a"]),
)
def test_no_bytes_make_reading_a_size_fail(tail: bytes, head: bytes) -> None:
    read_size(head + tail)


@pytest.mark.parametrize(
    ("formula", "width", "height", "expected"),
    [
        (openai_tiles(85, 170), 1024, 1024, 765),
        (openai_tiles(85, 170), 2048, 4096, 1105),
        (openai_tiles(85, 170), 300, 200, 255),
        (openai_patches(1.0), 1024, 1024, 1024),
        (openai_patches(1.0), 1800, 2400, 1452),
        (ANTHROPIC, 200, 200, 54),
        (ANTHROPIC, 1092, 1092, 1590),
        (ANTHROPIC, 4000, 3000, 1600),
        (GEMINI, 384, 300, 258),
        (GEMINI, 960, 540, 1548),
        (QWEN_VL, 224, 224, 66),
        (QWEN_VL, 1, 1, 6),
    ],
)
def test_published_examples_count_as_published(formula: ImageFormula, width: int, height: int, expected: int) -> None:
    assert formula.count(Image(width, height)) == (expected, False)


EVERY = [
    openai_tiles(85, 170),
    openai_tiles(75, 150),
    openai_patches(1.62),
    openai_patches(2.46),
    ANTHROPIC,
    GEMINI,
    QWEN_VL,
    PIXTRAL,
]
sides = st.integers(1, 20_000)


@given(st.sampled_from(EVERY), sides, sides)
def test_no_image_costs_more_than_the_formulas_largest(formula: ImageFormula, width: int, height: int) -> None:
    assert 0 < formula.count(Image(width, height))[0] <= formula.largest


def test_an_image_of_unknown_size_costs_the_most_and_says_so() -> None:
    assert openai_tiles(85, 170).count(Image(0, 0)) == (1445, True)
    assert openai_tiles(85, 170).count(Image(0, 0, "low")) == (85, False)


def test_images_are_found_in_every_dialect() -> None:
    encoded = base64.b64encode(png(640, 480)).decode()
    parts = [
        image_part(png(640, 480)),
        {"type": "input_image", "image_url": f"data:image/png;base64,{encoded}"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": encoded}},
        {"type": "image_url", "image_url": {"url": "https://x.test/cat.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}},
    ]
    found = read([{"role": "user", "content": parts}]).images
    assert found == [*[Image(640, 480)] * 3, Image(0, 0, "low"), Image(0, 0)]


def test_megabytes_of_image_are_cut_and_the_same_letters_as_text_are_not() -> None:
    picture = jpeg(640, 480, 65_000) + bytes(2_000_000)
    letters = "A" * 300_000
    content = [image_part(picture), {"type": "text", "text": letters}]
    found = read([{"role": "user", "content": content}])
    assert found.images == [Image(640, 480)]
    assert found.messages[0].text == letters


@pytest.mark.parametrize(
    ("model", "vocabulary", "template"),
    [
        ("gpt-4o-2024-11-20", "o200k", "openai"),
        ("gpt-5-mini", "o200k", "openai"),
        ("o3", "o200k", "openai"),
        ("openai/gpt-4.1", "o200k", "openai"),
        ("gpt-4-0613", "cl100k", "openai"),
        ("gpt-3.5-turbo", "cl100k", "openai"),
        ("text-embedding-3-small", "cl100k", "openai"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama3", "llama3.1"),
        ("Meta-Llama-3-8B-Instruct", "llama3", "llama3"),
        ("Qwen/Qwen2.5-7B-Instruct", "qwen2", "qwen2.5"),
        ("Qwen/Qwen3-8B", "qwen2", "chatml"),
        ("google/gemma-2-9b-it", "gemma", "gemma"),
        ("claude-sonnet-4-5", "", None),
    ],
)
def test_the_catalogue_knows_the_family_of_a_model(model: str, vocabulary: str, template: str | None) -> None:
    family = find_family(model)
    assert family is not None
    assert (family.vocabulary, family.template) == (vocabulary, template)


@pytest.mark.parametrize("model", ["house-7b", "qwen3.5-next", "gpt-2", "gpt-oss-120b", "o300", "gpt-4000"])
def test_a_name_nobody_knows_has_no_family(model: str) -> None:
    assert find_family(model) is None


def test_a_vocabulary_an_installed_package_ships_is_found_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "dashscope"
    (package / "resources").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "resources/qwen.tiktoken").write_text("AA== 0")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "dashscope", raising=False)
    assert find_shipped("qwen2") == (package / "resources/qwen.tiktoken", "qwen2")
    (package / "resources/qwen.tiktoken").unlink()
    assert find_shipped("qwen2") is None
    assert find_shipped("no-such-vocabulary") is None
