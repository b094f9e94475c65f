"""A preference engine from the policy's section: a bundle in this process, or a served model."""

from __future__ import annotations

from pathlib import Path

from signalbox.bundles import Kind, open_bundle
from signalbox.engines.preference.budget import PromptTokenizer
from signalbox.engines.preference.cache import DecisionCache
from signalbox.engines.preference.decoder import Decoder
from signalbox.engines.preference.local import LocalPreference
from signalbox.engines.preference.prompts import FORMATS, PromptFormat, format_for
from signalbox.engines.preference.scoring import Comparison
from signalbox.engines.preference.served import ServedPreference
from signalbox.engines.reading import lengths
from signalbox.engines.remote import Remote
from signalbox.engines.runtime import Device, Pace, open_network
from signalbox.errors import RouterError
from signalbox.trim import Encoder

SPOKEN_TOKENS = 64  # of a context, for the longest answer
LONGEST_MEASURED = 512  # tokens; a model that takes seconds for these needs no longer proof


def open_served(
    endpoint: str,
    model: str,
    *,
    prompt: str = "",
    key_file: Path | None = None,
    encoder: Encoder | None = None,
    budget: int | None = None,
    margin: float = 0.0,
    cache: DecisionCache | None = None,
) -> ServedPreference:
    """Open an engine over a server; the server is not asked.

    endpoint: base URL of its API. model: its name for the model. prompt: name of the format; by default the model's
    name says. encoder: the model's own tokenizer. Raises RouterError for a prompt nobody knows, SetupError for a URL
    that is none.
    """
    form = prompt_format(prompt) if prompt else format_for(model)
    if form is None:
        raise RouterError(
            f"which prompt model {model!r} was trained with is not known; expected {', '.join(FORMATS)}\n"
            "  fix: say which one, or give it a name that has `arch-router` or `plano-orchestrator` in it"
        )
    remote = Remote(endpoint, key_file)
    return ServedPreference(
        remote,
        model,
        form,
        budget=budget,
        encoder=encoder,
        margin=margin,
        cache=cache,
    )


def open_local(
    folder: Path,
    *,
    device: Device = "auto",
    budget: int | None = None,
    margin: float = 0.0,
    compare: Comparison = "choices",
    cache: DecisionCache | None = None,
    prepared: Path | None = None,
    until_seconds: float = float("inf"),
) -> tuple[LocalPreference, Pace, str]:
    """Open an engine over a bundle of kind `preference`, and return it with its pace and what it runs on.

    budget: tokens of the prompt; at most what the bundle takes. until_seconds: no longer prompts are measured once one
    took so long. Raises BundleError, RouterError, SetupError.
    """
    bundle = open_bundle(folder)
    manifest = bundle.manifest
    if manifest.kind is not Kind.PREFERENCE:
        raise RouterError(
            f"{folder}: a bundle of kind {manifest.kind}; expected {Kind.PREFERENCE}\n"
            "  fix: name another bundle, or the kind it has"
        )
    form = prompt_format(manifest.prompt)
    tokens = min(budget or form.budget, manifest.max_tokens - SPOKEN_TOKENS)
    tokenizer = PromptTokenizer.read(bundle.tokenizer)
    tokenizer.chat(form.chat, "")  # the special tokens are there
    network = open_network(bundle.model, device=device, dtype=manifest.dtype, prepared=prepared)
    decoder = Decoder(network)
    pace = decoder.measure(
        lengths(min(tokens, LONGEST_MEASURED)), until_seconds=until_seconds, vocabulary=tokenizer.vocabulary
    )
    engine = LocalPreference(
        decoder,
        tokenizer,
        form,
        budget=tokens,
        margin=margin,
        compare=compare,
        cache=cache,
        pace=pace,
    )
    return engine, pace, network.provider


def prompt_format(name: str) -> PromptFormat:
    """Return a prompt format by its name. Raises RouterError."""
    if name not in FORMATS:
        raise RouterError(
            f"prompt {name!r} is none that is known here; expected {', '.join(FORMATS)}\n"
            "  fix: export the model again and say which one it was trained with"
        )
    return FORMATS[name]
