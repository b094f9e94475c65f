from array import array
from collections.abc import Mapping
from typing import final

@final
class WordPiece:
    def __init__(
        self,
        vocabulary: Mapping[bytes, int] | bytes,
        *,
        specials: Mapping[bytes, int] | None = None,
        unknown: bytes = b"[UNK]",
        lowercase: bool = True,
        strip_accents: bool | None = None,
        handle_chinese_chars: bool = True,
        max_input_chars_per_word: int = 100,
    ) -> None: ...
    def __len__(self) -> int: ...
    def count(self, text: bytes) -> int: ...
    def encode(self, text: bytes) -> array[int]: ...
    def ends(self, text: bytes) -> array[int]: ...
