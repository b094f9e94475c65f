"""Tokens of an image: its size from the first bytes of the file, and each provider's published formula."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from struct import unpack_from
from typing import Literal


@dataclass(frozen=True, slots=True)
class Image:
    """Width and height in pixels; 0 when the request does not tell (a link, an unknown format)."""

    width: int
    height: int
    detail: Literal["low", "high"] = "high"


@dataclass(frozen=True, slots=True)
class ImageFormula:
    """How a provider counts images. `largest` is what any image can cost, for those of unknown size."""

    tokens: Callable[[Image], int]
    largest: int
    low: int | None = None  # any image under `detail: low`

    def count(self, image: Image) -> tuple[int, bool]:
        """Return an image's tokens, and whether that is the formula's largest for want of a size."""
        if image.detail == "low" and self.low is not None:
            return self.low, False
        if not image.width or not image.height:
            return self.largest, True
        return self.tokens(image), False


def read_size(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) from the start of a PNG, GIF, JPEG or WebP file; None when it does not tell."""
    try:
        if data[:8] == b"\x89PNG\r\n\x1a\n":
            return unpack_from(">II", data, 16)
        if data[:6] in (b"GIF87a", b"GIF89a"):
            return unpack_from("<HH", data, 6)
        if data[:2] == b"\xff\xd8":
            return _jpeg_size(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp_size(data)
    except (IndexError, ValueError, OverflowError, ArithmeticError):
        return None
    except Exception as problem:  # struct.error has no other base; anything else is a bug
        if type(problem).__module__ != "struct":
            raise
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD8:  # padding and markers without a length
            at += 1 if marker == 0xFF else 2
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of frame
            height, width = unpack_from(">HH", data, at + 5)
            return width, height
        else:
            at += 2 + int(unpack_from(">H", data, at + 2)[0])
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and data[20] == 0x2F:
        bits = int(unpack_from("<I", data, 21)[0])
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return None


def openai_tiles(base: int, tile: int) -> ImageFormula:
    """Tiles of 512 pixels, after fitting 2048 x 2048 and then 768 on the shorter side (OpenAI, Images and vision)."""

    def tokens(image: Image) -> int:
        scale = min(1.0, 2048 / max(image.width, image.height))
        scale *= min(1.0, 768 / (scale * min(image.width, image.height)))
        wide, high = (math.ceil(round(scale * side, 6) / 512) for side in (image.width, image.height))
        return base + tile * wide * high

    return ImageFormula(tokens, base + tile * 8, base)  # 2048 x 768 is 4 x 2 tiles


def openai_patches(factor: float) -> ImageFormula:
    """Patches of 32 pixels, at most 1536 of them, times the model's factor (OpenAI, Images and vision)."""
    most = 1536

    def tokens(image: Image) -> int:
        width, height = float(image.width), float(image.height)
        if math.ceil(width / 32) * math.ceil(height / 32) > most:
            scale = math.sqrt(32 * 32 * most / (width * height))
            wide, high = width * scale / 32, height * scale / 32
            if wide >= 1 and high >= 1:
                scale *= min(math.floor(wide) / wide, math.floor(high) / high)
            width, height = round(width * scale, 6), round(height * scale, 6)
        return math.ceil(min(most, math.ceil(width / 32) * math.ceil(height / 32)) * factor)

    return ImageFormula(tokens, math.ceil(most * factor))


def _anthropic(image: Image) -> int:
    """width * height / 750, after resizing to 1568 on the longer side and about 1,600 tokens (Anthropic, Vision)."""
    scale = min(1.0, 1568 / max(image.width, image.height))
    return min(1600, math.ceil(image.width * scale * image.height * scale / 750))


def _gemini(image: Image) -> int:
    """258 for up to 384 pixels a side, else 258 a tile of min(side) / 1.5 pixels, 256 to 768 (Google, Image tokens)."""
    if max(image.width, image.height) <= 384:
        return 258
    tile = min(768, max(256, math.floor(min(image.width, image.height) / 1.5)))
    return min(GEMINI_LARGEST, 258 * math.ceil(image.width / tile) * math.ceil(image.height / tile))


def _qwen(image: Image) -> int:
    """One token for 28 x 28 pixels after rounding to such blocks, 4 to 16384 of them, and two marks (Qwen2-VL)."""
    width, height = (max(28, round(side / 28) * 28) for side in (image.width, image.height))
    pixels = image.width * image.height
    if width * height > QWEN_MOST * 784:
        scale = math.sqrt(pixels / (QWEN_MOST * 784))
        width, height = (max(28, math.floor(side / scale / 28) * 28) for side in (image.width, image.height))
    elif width * height < 4 * 784:
        scale = math.sqrt(4 * 784 / pixels)
        width, height = (math.ceil(side * scale / 28) * 28 for side in (image.width, image.height))
    return width * height // 784 + 2


def _pixtral(image: Image) -> int:
    """One token a patch of 16 pixels and one a row of patches, after fitting 1024 x 1024 (mistral-common)."""
    ratio = max(1.0, max(image.width, image.height) / PIXTRAL_SIDE)
    wide, high = ((max(1, round(side / ratio)) - 1) // 16 + 1 for side in (image.width, image.height))
    return (wide + 1) * high


GEMINI_LARGEST = 258 * 64
QWEN_MOST = 16384
PIXTRAL_SIDE = 1024

ANTHROPIC = ImageFormula(_anthropic, 1600)
GEMINI = ImageFormula(_gemini, GEMINI_LARGEST)
QWEN_VL = ImageFormula(_qwen, QWEN_MOST + 2)
PIXTRAL = ImageFormula(_pixtral, 64 * 65)
