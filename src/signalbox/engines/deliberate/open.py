"""A model that deliberates in this process, from its bundle."""

from __future__ import annotations

from pathlib import Path

from signalbox.bundles import Kind, open_bundle
from signalbox.engines.deliberate.local import LocalDeliberate
from signalbox.engines.preference.budget import PromptTokenizer
from signalbox.engines.preference.cache import DecisionCache
from signalbox.engines.preference.decoder import Decoder
from signalbox.engines.preference.open import LONGEST_MEASURED
from signalbox.engines.reading import lengths
from signalbox.engines.runtime import Device, Pace, open_network
from signalbox.errors import RouterError

PROMPT = "router-r1"  # as a bundle's manifest names it; the only one there is


def open_local(
    folder: Path,
    *,
    device: Device = "auto",
    question_tokens: int,
    think_tokens: int,
    margin: float = 0.0,
    cache: DecisionCache | None = None,
    prepared: Path | None = None,
    until_seconds: float = float("inf"),
) -> tuple[LocalDeliberate, Pace, str]:
    """Open an engine over a bundle of kind `deliberate`, and return it with its pace and what it runs on.

    until_seconds: no longer prompts are measured once one took so long. Raises BundleError, RouterError, SetupError.
    """
    bundle = open_bundle(folder)
    manifest = bundle.manifest
    if manifest.kind is not Kind.DELIBERATE or manifest.prompt != PROMPT:
        raise RouterError(
            f"{folder}: a bundle of kind {manifest.kind} with the prompt {manifest.prompt!r}; expected "
            f"{Kind.DELIBERATE} and {PROMPT!r}\n  fix: name another bundle, or the kind it has"
        )
    tokenizer = PromptTokenizer.read(bundle.tokenizer)
    network = open_network(bundle.model, device=device, dtype=manifest.dtype, prepared=prepared)
    decoder = Decoder(network)
    longest = min(manifest.max_tokens, LONGEST_MEASURED)
    pace = decoder.measure(lengths(longest), until_seconds=until_seconds, vocabulary=tokenizer.vocabulary)
    engine = LocalDeliberate(
        decoder,
        tokenizer,
        max_tokens=manifest.max_tokens,
        question_tokens=question_tokens,
        think_tokens=think_tokens,
        margin=margin,
        cache=cache,
        pace=pace,
    )
    return engine, pace, network.provider
