from collections.abc import Mapping
from typing import final

from signalbox.core.scan import Scan
from signalbox.core.vocabulary import Surface

@final
class Lexicon:
    def __init__(self, words: Mapping[str, int]) -> None: ...
    def __len__(self) -> int: ...

def surface(scan: Scan, lexicon: Lexicon) -> Surface: ...
