"""What is known of the published routers and is not in their checkpoints: what they are for, labels, prompts, lengths.

By the last part of their name on the hub, so that a folder of that name is recognised as well. What the operator
says goes before it, and what a checkpoint's own config says of labels goes before it too, unless it names none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from signalbox.bundles.manifest import Kind, Pooling, Window

ARCH_ROUTER, PLANO_ORCHESTRATOR, ROUTER_R1 = "arch-router/card", "plano-orchestrator", "router-r1"
OPENAI_SMALL = "text-embedding-3-small"

ROUTELLM_MODELS = (
    "RWKV-4-Raven-14B", "alpaca-13b", "chatglm-6b", "chatglm2-6b", "chatglm3-6b", "claude-1", "claude-2.0",
    "claude-2.1", "claude-instant-1", "codellama-34b-instruct", "deepseek-llm-67b-chat", "dolly-v2-12b",
    "dolphin-2.2.1-mistral-7b", "falcon-180b-chat", "fastchat-t5-3b", "gemini-pro", "gemini-pro-dev-api",
    "gpt-3.5-turbo-0125", "gpt-3.5-turbo-0314", "gpt-3.5-turbo-0613", "gpt-3.5-turbo-1106", "gpt-4-0125-preview",
    "gpt-4-0314", "gpt-4-0613", "gpt-4-1106-preview", "gpt4all-13b-snoozy", "guanaco-33b", "koala-13b", "llama-13b",
    "llama-2-13b-chat", "llama-2-70b-chat", "llama-2-7b-chat", "llama2-70b-steerlm-chat", "mistral-7b-instruct",
    "mistral-7b-instruct-v0.2", "mistral-medium", "mixtral-8x7b-instruct-v0.1", "mpt-30b-chat", "mpt-7b-chat",
    "nous-hermes-2-mixtral-8x7b-dpo", "oasst-pythia-12b", "openchat-3.5", "openchat-3.5-0106",
    "openhermes-2.5-mistral-7b", "palm-2", "pplx-70b-online", "pplx-7b-online", "qwen-14b-chat", "qwen1.5-4b-chat",
    "qwen1.5-72b-chat", "qwen1.5-7b-chat", "solar-10.7b-instruct-v1.0", "stablelm-tuned-alpha-7b",
    "starling-lm-7b-alpha", "stripedhyena-nous-7b", "tulu-2-dpo-70b", "vicuna-13b", "vicuna-33b", "vicuna-7b",
    "wizardlm-13b", "wizardlm-70b", "yi-34b-chat", "zephyr-7b-alpha", "zephyr-7b-beta",
)  # fmt: skip
"""Models of RouteLLM's matrix factorisation by row. Source: RouteLLM, routers/matrix_factorization/model.py."""


@dataclass(frozen=True, slots=True)
class Published:
    """One published router. name: a pattern for the last part of its name on the hub, in lower case."""

    name: str
    kind: Kind
    labels: tuple[str, ...] = ()
    max_tokens: int = 0
    window: Window | None = None
    prompt: str = ""
    pooling: Pooling = Pooling.NONE
    embedding: str = ""


_GUARD = Window(512, 384)  # a quarter is read twice, so that nothing is cut at the only place it shows

PUBLISHED = (
    Published(r"mf_gpt4_augmented", Kind.MATRIX_FACTORIZATION, labels=ROUTELLM_MODELS, embedding=OPENAI_SMALL),
    # RouteLLM, routers/routers.py: by who won, and 1 - P(the last two) is the strong model's rate.
    Published(r"bert(_\w+_augmented)?", Kind.CLASSIFIER, labels=("strong", "tie", "weak"), max_tokens=512),
    Published(r"arch-router.*", Kind.PREFERENCE, prompt=ARCH_ROUTER, max_tokens=4096),
    Published(r"plano-orchestrator.*", Kind.PREFERENCE, prompt=PLANO_ORCHESTRATOR, max_tokens=12288),
    Published(r"router-r1.*", Kind.DELIBERATE, prompt=ROUTER_R1, max_tokens=4096),
    # Guards read the whole text; what only routes reads what trimming leaves of it.
    Published(r"mmbert.*(jailbreak|pii).*", Kind.MODALITY, max_tokens=512, window=_GUARD),
    Published(r"mmbert.*(factcheck|modality).*", Kind.MODALITY, max_tokens=256),
    Published(r"mmbert.*(intent|feedback).*", Kind.MODALITY, max_tokens=512),
    # Their successors, with the same labels and no length of training stated.
    Published(r"vela-.*-encoder-.*-(guard|pii)", Kind.MODALITY, max_tokens=512, window=_GUARD),
    Published(r"vela-.*-encoder-.*-(domain|factcheck|feedback|modality)", Kind.MODALITY, max_tokens=512),
    Published(r"all-minilm-l6-v2", Kind.ENCODER, max_tokens=256, pooling=Pooling.MEAN),
)


def published(source: str) -> Published | None:
    """Return what is known of a source by its name; None for a model nobody has told us of."""
    name = source.rstrip("/").rpartition("/")[2].lower()
    return next((each for each in PUBLISHED if re.fullmatch(each.name, name)), None)
