from collections.abc import Iterable

from signalbox.types import Edit

def apply_edits(
    body: bytes | memoryview, edits: Iterable[Edit], model_json: bytes, *, before: bytes = b"", after: bytes = b""
) -> bytes: ...
