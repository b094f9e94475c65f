"""OpenAI's Embeddings. https://platform.openai.com/docs/api-reference/embeddings"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import struct
from collections.abc import Sequence

from signalbox.mock import fields
from signalbox.mock.answer import Answer, Dialect, Prompt
from signalbox.mock.completions import inputs, tokens_of
from signalbox.mock.errors import ApiError
from signalbox.mock.fields import Json

DEFAULT_DIMENSIONS = 64  # real models have 1536 and more; a mock's answer may be small
MAX_DIMENSIONS = 3072
MAX_INPUTS = 2048  # OpenAI's own limit


def read(body: Json) -> Prompt:
    values = inputs(body, "input")
    if len(values) > MAX_INPUTS:
        raise ApiError(400, f"Invalid 'input': at most {MAX_INPUTS} entries.", param="input")
    if body.get("encoding_format", "float") not in ("float", "base64"):
        raise ApiError(400, "Invalid 'encoding_format': expected float or base64.", param="encoding_format")
    fields.optional_count(body, "dimensions", at_most=MAX_DIMENSIONS)
    return Prompt(prompt_tokens=sum(tokens_of(one) for one in values))


def embed(one: str | Sequence[int], dimensions: int) -> list[float]:
    """A unit vector, shape (dimensions,): the same for the same input, unrelated to its meaning."""
    seed = one if isinstance(one, str) else json.dumps(list(one))
    digest = hashlib.shake_128(seed.encode("utf-8", "surrogatepass")).digest(2 * dimensions)
    raw = [value + 0.5 for value in struct.unpack(f"<{dimensions}h", digest)]  # never the zero vector
    length = math.sqrt(sum(value * value for value in raw))
    return [value / length for value in raw]


def write_body(body: Json, answer: Answer) -> Json:
    dimensions = body.get("dimensions") or DEFAULT_DIMENSIONS
    as_base64 = body.get("encoding_format") == "base64"
    data = []
    for index, one in enumerate(inputs(body, "input")):
        vector = embed(one, dimensions)
        packed = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode() if as_base64 else vector
        data.append({"object": "embedding", "index": index, "embedding": packed})
    usage = {"prompt_tokens": answer.prompt_tokens, "total_tokens": answer.prompt_tokens}
    return {"object": "list", "data": data, "model": answer.model, "usage": usage}


DIALECT = Dialect(read=read, body=write_body)
