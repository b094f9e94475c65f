from collections.abc import Iterable

from signalbox.types import Edit

def apply_edits(body: bytes, edits: Iterable[Edit], model_json: bytes) -> bytes: ...
