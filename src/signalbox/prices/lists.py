"""Price lists as they are published on the web, read into one shape.

`models_dev`: https://models.dev/api.json, an object of providers with an `api` base URL and `models`, whose `cost` has
`input`, `output` and `cache_read` in USD per million tokens.
`digitalocean`: https://api.digitalocean.com/v2/gen-ai/models/catalog, `data` with `model_id` and `pricing`.

An entry that cannot be read costs that entry, never the list. What a price must look like is in `check`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from signalbox.errors import SignalError
from signalbox.prices.check import checked, usd
from signalbox.types import Price

Format = Literal["models_dev", "digitalocean"]
Key = tuple[str, str]
"""Section of a list, that is a provider in the list's words; and model, lower-case."""

DIGITALOCEAN = "digitalocean"
DIGITALOCEAN_HOST = "inference.do-ai.run"

# models.dev names no base URL for providers with a client library of their own.
KNOWN_HOSTS = {
    "api.anthropic.com": "anthropic",
    "api.cerebras.ai": "cerebras",
    "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere",
    "api.deepinfra.com": "deepinfra",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.openai.com": "openai",
    "api.perplexity.ai": "perplexity",
    "api.together.xyz": "togetherai",
    "api.x.ai": "xai",
    "generativelanguage.googleapis.com": "google",
}

PER_TOKEN_BELOW = 0.001
"""DigitalOcean's catalogue has figures per token in fields called `per_million`, 0.000002 for 2 USD a million. No model
costs less than a thousandth of a dollar for a million tokens, so the figure itself says which of the two it is."""


@dataclass(frozen=True, slots=True)
class PriceList:
    """One list, checked. absurd: entries whose figures make no sense; unlike unlisted ones they may have been good."""

    prices: Mapping[Key, Price]
    absurd: frozenset[Key] = frozenset()
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # host of a provider's API -> its sections


def sections_of(hosts: Mapping[str, tuple[str, ...]], host: str, provider: str) -> tuple[str, ...]:
    """Return where a provider's models may be: in the sections of its host, or else in that of its name."""
    return hosts.get(host.lower()) or (provider.lower(),)


def find(prices: Mapping[Key, Price], sections: Iterable[str], model: str) -> Price | None:
    """Return a model's price; the dearest where several sections have one."""
    found = [price for section in sections if (price := prices.get((section, model.lower()))) is not None]
    return max(found, key=lambda price: (price.output_usd_per_mtok, price.input_usd_per_mtok), default=None)


def read(body: bytes, form: Format) -> PriceList:
    """Return what a list says. Raises SignalError when the body is not JSON of that shape."""
    try:
        return _READERS[form](body)
    except (msgspec.MsgspecError, RecursionError) as problem:
        raise SignalError(f"not a price list in {form} format: {type(problem).__name__}") from problem


class _Reading:
    """Collects entries, good and bad."""

    def __init__(self) -> None:
        self.prices: dict[Key, Price] = {}
        self.absurd: set[Key] = set()

    def add(self, section: str, model: str, figures: tuple[object, object, object]) -> None:
        key = (section.lower(), model.lower())
        price = checked(*figures)
        if price is not None:
            self.prices[key] = price
        elif not _is_unlisted(figures[0], figures[1]):
            self.absurd.add(key)

    def done(self, hosts: Mapping[str, tuple[str, ...]]) -> PriceList:
        return PriceList(self.prices, frozenset(self.absurd), hosts)


def _is_unlisted(prompt: object, answer: object) -> bool:
    """Whether nothing is said: lists write zero, or nothing, for what is free or not sold by the token."""
    return any(figure in (None, 0) for figure in (prompt, answer)) and all(
        figure in (None, 0) or usd(figure) is not None for figure in (prompt, answer)
    )


class _Section(msgspec.Struct):
    models: dict[str, msgspec.Raw] = {}
    api: str | None = None


class _Costed(msgspec.Struct):
    cost: dict[str, Any] | None = None


def _models_dev(body: bytes) -> PriceList:
    reading = _Reading()
    hosts = {host: (section,) for host, section in KNOWN_HOSTS.items()}
    for name, raw in msgspec.json.decode(body, type=dict[str, msgspec.Raw]).items():
        try:
            section = msgspec.json.decode(raw, type=_Section)
        except msgspec.MsgspecError:
            continue
        host = _host(section.api)
        if host:
            hosts[host] = (*hosts.get(host, ()), name.lower())
        for model, entry in section.models.items():
            try:
                cost = msgspec.json.decode(entry, type=_Costed).cost or {}
            except msgspec.MsgspecError:
                reading.absurd.add((name.lower(), model.lower()))
                continue
            reading.add(name, model, (cost.get("input"), cost.get("output"), cost.get("cache_read")))
    return reading.done(hosts)


class _Catalogue(msgspec.Struct):
    data: list[msgspec.Raw]


class _Entry(msgspec.Struct):
    model_id: str
    pricing: dict[str, Any] | None = None


def _digitalocean(body: bytes) -> PriceList:
    reading = _Reading()
    for raw in msgspec.json.decode(body, type=_Catalogue).data:
        try:
            entry = msgspec.json.decode(raw, type=_Entry)
        except msgspec.MsgspecError:
            continue
        pricing = entry.pricing or {}
        prompt, answer, cached = (
            pricing.get(f"{kind}_price_per_million") for kind in ("input", "output", "cache_read_input")
        )
        scale = 1_000_000 if _is_small(prompt) and _is_small(answer) else 1
        reading.add(DIGITALOCEAN, entry.model_id, (_times(prompt, scale), _times(answer, scale), _times(cached, scale)))
    return reading.done({DIGITALOCEAN_HOST: (DIGITALOCEAN,)})


def _is_small(value: object) -> bool:
    return isinstance(value, (int, float)) and value < PER_TOKEN_BELOW


def _times(value: object, scale: int) -> object:
    return round(value * scale, 6) if isinstance(value, (int, float)) and scale != 1 else value


def _host(url: str | None) -> str:
    try:
        return (urlsplit(url or "").hostname or "").lower()
    except ValueError:  # somebody else's typing error
        return ""


_READERS = {"models_dev": _models_dev, "digitalocean": _digitalocean}
