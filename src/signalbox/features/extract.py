"""What the request alone tells, in one frozen value: counts from the scanner and the last turn, tokens, complexity."""

from __future__ import annotations

import math
from typing import cast

from signalbox.core import SCRIPTS, Lexicon, Role, Surface, surface
from signalbox.core import Scan as CompiledScan
from signalbox.features import parameters
from signalbox.features.asked import answer_tokens, asks_for_image, asks_to_reason
from signalbox.features.complexity import complexity
from signalbox.features.tokens import estimate_prompt_tokens
from signalbox.features.vocabulary import WORD_CLASSES
from signalbox.types import Endpoint, Features, InOut, Modality, ParsedRequest, Scan

LEXICON = Lexicon(WORD_CLASSES)

REASONING_MEMBERS = frozenset({"reasoning_effort", "reasoning", "thinking"})
ONLY_LATIN = ((SCRIPTS[0], 1.0),)
NOT_MEASURED = Surface(0, 0, 0, 0, False, False, 0)
TEXT_ONLY = frozenset({Modality.TEXT})


def extract(request: ParsedRequest) -> Features:
    """Return the features of a request. Never raises for a request that was scanned.

    `complexity` is NaN when the last turn could not be measured; the router's complexity step then fails over to
    the default task and says so, and everything else goes on as usual, with nothing found in that turn.
    """
    scan = request.scan
    try:
        turn = surface(cast("CompiledScan", scan), LEXICON)
        score = complexity(turn)
    except Exception:  # noqa: BLE001 - a failing score costs quality, never the request
        turn = NOT_MEASURED
        score = math.nan
    members = scan.members
    asked = turn.asked.decode() if turn.asked else ""
    reasoning = parameters.asks_to_reason(request) if not members.keys().isdisjoint(REASONING_MEMBERS) else None
    if reasoning is None:
        reasoning = bool(asked) and asks_to_reason(asked)
    image_asked = bool(asked) and asks_for_image(asked)
    may_demand = "modalities" in members or ("tools" in members and request.endpoint is Endpoint.RESPONSES)
    image_demanded = may_demand and parameters.demands_image(request)
    roles = scan.roles
    images, audio, files = scan.images, scan.audio, scan.files
    return Features(
        prompt_tokens=estimate_prompt_tokens(scan),
        tokens_estimated=True,
        output_tokens=scan.max_output_tokens,
        messages=scan.messages,
        turns=scan.turns,
        tools=scan.tools,
        images=images,
        json_schema=scan.json_schema,
        modalities=_modalities(scan),
        complexity=score,
        system_messages=roles[Role.SYSTEM],
        assistant_messages=roles[Role.ASSISTANT],
        tool_messages=roles[Role.TOOL],
        tool_calls=scan.tool_calls,
        tool_results=scan.tool_results,
        parallel_tool_calls=parameters.parallel_tool_calls(request) if "parallel_tool_calls" in members else None,
        audio=audio,
        files=files,
        image_bytes=scan.image_bytes,
        audio_bytes=scan.audio_bytes,
        file_bytes=scan.file_bytes,
        text_bytes=scan.text_bytes,
        words=turn.words,
        code_share=turn.code_bytes / turn.text_bytes if turn.code_bytes else 0.0,
        maths_share=turn.maths_bytes / turn.text_bytes if turn.maths_bytes else 0.0,
        numbers=turn.numbers,
        questions=turn.questions,
        instructions=turn.instructions,
        negations=turn.negations,
        scripts=_scripts(turn.letters),
        answer_tokens_asked=answer_tokens(asked) if asked else None,
        reasoning=reasoning,
        modality=_modality(images > 0, audio > 0, files > 0, image_asked or image_demanded),
        image_demanded=image_demanded,
        image_asked=1.0 if image_asked else 0.0,
    )


IMAGE_AT = 0.5
"""Chance that the words ask for an image from which on they do."""


def asking_for_image(features: Features, chance: float) -> Features:
    """Return the features with somebody's better word on how likely the turn asks for an image."""
    image_out = features.image_demanded or chance >= IMAGE_AT
    modality = _modality(features.images > 0, features.audio > 0, features.files > 0, image_out)
    return features._replace(image_asked=chance, modality=modality)


def _scripts(letters: tuple[int, ...]) -> tuple[tuple[str, float], ...]:
    """Return the scripts there are and their shares of the letters, largest first."""
    total = sum(letters)
    if not total:
        return ()
    if letters[0] == total:
        return ONLY_LATIN
    found = [(name, count / total) for name, count in zip(SCRIPTS, letters, strict=True) if count]
    return tuple(sorted(found, key=lambda share: -share[1]))


def _modality(image_in: bool, audio_in: bool, file_in: bool, image_out: bool) -> InOut:
    found = image_in + audio_in + file_in + image_out
    if not found:
        return InOut.TEXT
    if found > 1:
        return InOut.MIXED
    return InOut.IMAGE_IN if image_in else InOut.AUDIO_IN if audio_in else InOut.FILE_IN if file_in else InOut.IMAGE_OUT


def _modalities(scan: Scan) -> frozenset[Modality]:
    """Kinds of input the request carries. Text is always one: roles and instructions are text."""
    if not (scan.images or scan.audio or scan.files):
        return TEXT_ONLY
    found = {Modality.TEXT}
    if scan.images:
        found.add(Modality.IMAGE)
    if scan.audio:
        found.add(Modality.AUDIO)
    if scan.files:
        found.add(Modality.FILE)
    return frozenset(found)
