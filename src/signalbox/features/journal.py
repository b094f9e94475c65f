"""What is kept of a request's features after the request is gone: numbers, and nothing that can be read.

A worker puts them into its record, the journal keeps them, and what is trained or replayed later starts from
them. docs/journal.md lists the columns with their units.
"""

from __future__ import annotations

from signalbox.core import SCRIPTS
from signalbox.types import Features, InOut

UNKNOWN = -1.0
"""Stands for what is not known; JSON has no NaN, and no column is ever negative."""

FIELDS: tuple[str, ...] = (
    "prompt_tokens",
    "output_tokens",
    "answer_tokens_asked",
    "messages",
    "turns",
    "system_messages",
    "assistant_messages",
    "tool_messages",
    "tools",
    "tool_calls",
    "tool_results",
    "parallel_tool_calls",
    "json_schema",
    "reasoning",
    "modality",
    "images",
    "audio",
    "files",
    "image_bytes",
    "audio_bytes",
    "file_bytes",
    "text_bytes",
    "words",
    "numbers",
    "questions",
    "instructions",
    "negations",
    "complexity",
    "code_share",
    "maths_share",
    *(f"{script}_share" for script in SCRIPTS),
    "image_demanded",
    "image_asked",
)
"""Names of the columns, in order. Journals outlive releases: new columns go to the end, and none is ever reused."""

MODALITIES: tuple[InOut, ...] = tuple(InOut)
"""The column `modality` is an index into this; as with FIELDS, only its end may grow."""

_PLACE = {kind: float(place) for place, kind in enumerate(MODALITIES)}
_SCRIPT_PLACE = {script: place for place, script in enumerate(SCRIPTS)}
_NO_LETTERS = (0.0,) * len(SCRIPTS)
_LATIN_ONLY = (1.0, *_NO_LETTERS[1:])
_DIGITS = 4  # of a share: finer than any threshold, and a line stays short


def journal_features(features: Features) -> tuple[float, ...]:
    """Return the columns of a request, in the order of `FIELDS`. Flags are 0 or 1; unknown is `UNKNOWN`."""
    complexity = features.complexity
    return (
        features.prompt_tokens,
        UNKNOWN if features.output_tokens is None else features.output_tokens,
        UNKNOWN if features.answer_tokens_asked is None else features.answer_tokens_asked,
        features.messages,
        features.turns,
        features.system_messages,
        features.assistant_messages,
        features.tool_messages,
        features.tools,
        features.tool_calls,
        features.tool_results,
        UNKNOWN if features.parallel_tool_calls is None else _flag(features.parallel_tool_calls),
        _flag(features.json_schema),
        _flag(features.reasoning),
        _PLACE[features.modality],
        features.images,
        features.audio,
        features.files,
        features.image_bytes,
        features.audio_bytes,
        features.file_bytes,
        features.text_bytes,
        features.words,
        features.numbers,
        features.questions,
        features.instructions,
        features.negations,
        round(complexity, _DIGITS) if complexity == complexity else UNKNOWN,
        _share(features.code_share),
        _share(features.maths_share),
        *_scripts(features.scripts),
        _flag(features.image_demanded),
        _share(features.image_asked),
    )


def _flag(value: bool) -> float:
    return 1.0 if value else 0.0  # as it is, JSON would say `true`


def _share(value: float) -> float:
    return round(value, _DIGITS) if value else 0.0


def _scripts(found: tuple[tuple[str, float], ...]) -> tuple[float, ...]:
    if not found:
        return _NO_LETTERS
    if found[0] == ("latin", 1.0):
        return _LATIN_ONLY
    shares = list(_NO_LETTERS)
    for script, share in found:
        shares[_SCRIPT_PLACE[script]] = round(share, _DIGITS)
    return tuple(shares)
