"""What the request alone tells, in one frozen value: counts from the scanner, tokens, complexity."""

from __future__ import annotations

import math
from typing import cast

from signalbox.core import Lexicon, surface
from signalbox.core import Scan as CompiledScan
from signalbox.features.complexity import complexity
from signalbox.features.tokens import estimate_prompt_tokens
from signalbox.features.vocabulary import WORD_CLASSES
from signalbox.types import Features, Modality, ParsedRequest, Scan

LEXICON = Lexicon(WORD_CLASSES)

TEXT_ONLY = frozenset({Modality.TEXT})


def extract(request: ParsedRequest) -> Features:
    """Return the features of a request. Never raises for a request that was scanned.

    `complexity` is NaN when it could not be computed; the router's complexity step then fails
    over to the default task and says so, and everything else goes on as usual.
    """
    scan = request.scan
    try:
        score = complexity(surface(cast("CompiledScan", scan), LEXICON))
    except Exception:  # noqa: BLE001 - a failing score costs quality, never the request
        score = math.nan
    return Features(
        prompt_tokens=estimate_prompt_tokens(scan),
        tokens_estimated=True,
        output_tokens=scan.max_output_tokens,
        messages=scan.messages,
        turns=scan.turns,
        tools=scan.tools,
        images=scan.images,
        json_schema=scan.json_schema,
        modalities=_modalities(scan),
        complexity=score,
    )


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
