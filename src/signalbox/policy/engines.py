"""Sections of the policy about engines: models that judge requests, and what a router makes of their answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from signalbox.policy.base import HeaderName, Name, Section
from signalbox.policy.world import HttpUrl, Share

EngineKind = Literal["builtin", "classifier", "matrix_factorization", "preference", "deliberate", "modality"]

BUILTIN = "builtin"
"""Name of the engine that needs no entry, and the kind of engines that are the models in the package."""

BUILTIN_LABELS = (("strong", "weak"), ("image_out",))
"""What a rule may ask the built-in engine: which tier a request needs, or whether it asks for an image."""

MAX_DEADLINE_MS = 10_000
"""Envoy holds the request's body for as long as a decision takes."""

_PLACE = "a `bundle` on this machine, or an `endpoint`"
_OWN_KEYS = {
    "strong_labels": ("classifier",),
    "strong_model": ("matrix_factorization",),
    "weak_model": ("matrix_factorization",),
    "embedding": ("matrix_factorization",),
    "endpoint": ("preference", "deliberate"),
    "model": ("preference", "deliberate"),
    "key_file": ("preference", "deliberate"),
    "prompt": ("preference",),
    "tokenizer_file": ("preference",),
    "location": ("preference", "deliberate"),
    "margin": ("preference", "deliberate"),
    "compare": ("preference",),
    "cache_entries": ("preference", "deliberate"),
    "cache_seconds": ("preference", "deliberate"),
    "rounds": ("deliberate",),
    "think_tokens": ("deliberate",),
    "pool": ("deliberate",),
    "mode": ("deliberate",),
}
"""Key -> the kinds of engines it says something to."""

_SERVED_ALONE, _LOCAL_ALONE = ("pool", "rounds", "mode"), ("margin", "think_tokens")
"""Keys of models that deliberate at a server, and of those in this process."""
_BUILTIN_KEYS = frozenset({"kind", "bundle"})

Label = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class Embedding(Section):
    """Where the vector of a text comes from: an encoder's bundle, or a server that speaks OpenAI's API."""

    bundle: str | None = Field(default=None, min_length=1, description="Folder of a sentence encoder's bundle.")
    endpoint: HttpUrl | None = Field(
        default=None, description="Base URL of a server with `/embeddings`, for example `https://api.openai.com/v1`."
    )
    model: str | None = Field(
        default=None, min_length=1, max_length=256, description="What the server calls its model."
    )
    key_file: str | None = Field(default=None, description="File that holds the server's API key and nothing else.")
    location: Literal["cloud", "local"] = Field(
        default="cloud", description="Of the server. Only one inside the trust boundary is told of local-only requests."
    )
    max_tokens: int = Field(
        default=512, ge=64, le=32_768, description="Longest text it is given, in its own tokens where they are known."
    )
    cache_entries: int = Field(default=4096, ge=0, le=1_000_000, description="Vectors kept; the oldest goes first.")
    cache_seconds: float = Field(default=3600, gt=0, le=604_800, description="How long one is kept.")

    @model_validator(mode="after")
    def _one_place(self) -> Embedding:
        if (self.bundle is None) == (self.endpoint is None):
            raise ValueError(f"an embedding comes from {_PLACE}, one of the two")
        if self.endpoint is not None and self.model is None:
            raise ValueError("`endpoint` needs `model`: what the server calls its model")
        return self


class Engine(Section):
    """A model that judges requests, on the way of those that ask it."""

    kind: EngineKind = Field(description="What it does; docs/engines.md has each.")
    bundle: str | None = Field(default=None, min_length=1, description="Folder of its bundle.")
    endpoint: HttpUrl | None = Field(default=None, description="Base URL of an OpenAI-compatible server, instead.")
    model: str | None = Field(
        default=None, min_length=1, max_length=256, description="What the server calls its model."
    )
    key_file: str | None = Field(default=None, description="File that holds the server's API key and nothing else.")
    prompt: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="Prompt that a served model was trained with; see docs/preference.md. Default: by its name.",
    )
    tokenizer_file: str | None = Field(
        default=None,
        min_length=1,
        description="A served model's tokenizer.json, to count its prompts. Default: three bytes count as a token.",
    )
    location: Literal["cloud", "local"] = Field(
        default="cloud", description="Of the server. Only one inside the trust boundary is told of local-only requests."
    )
    deadline_ms: float = Field(
        default=50,
        gt=0,
        le=MAX_DEADLINE_MS,
        description="Longest wait of a request; then it goes on without an answer.",
    )
    max_concurrent: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="Requests judged at once, in each worker. Default: its share of the cores; 32 that ask a server.",
    )
    max_queued: int = Field(
        default=16,
        ge=0,
        le=10_000,
        description="Requests that may wait for it, in each worker; one more is not judged.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="Where it runs. `auto`: on a GPU if there is one that ONNX Runtime can use."
    )
    max_tokens: int | None = Field(
        default=None, ge=64, le=32_768, description="Longest prompt it reads, in its own tokens. Default: its bundle's."
    )
    reads: Literal["last_user", "conversation"] = Field(
        default="last_user", description="What of a request it reads: the last user turn, or the user's part of all."
    )
    strong_labels: tuple[Label, ...] = Field(
        default=(),
        description="Labels that ask for the strong model. Default: `strong`, else the first of three unnamed ones.",
    )
    strong_model: str | int | None = Field(
        default=None, description="Name or number of the checkpoint's strong model. Default: the published pair's."
    )
    weak_model: str | int | None = Field(
        default=None, description="Name or number of the checkpoint's weak model. Default: the published pair's."
    )
    embedding: Embedding | None = Field(default=None, description="Where its vectors come from.")
    margin: Share = Field(default=0, description="By how much the best route must lead the next.")
    compare: Literal["choices", "likelihood"] = Field(
        default="choices",
        description="What of a bundle's routes is compared: choices where their names part, or mean log-probabilities.",
    )
    cache_entries: int = Field(
        default=4096, ge=0, le=1_000_000, description="Answers to the same prompt kept, in each worker; 0 keeps none."
    )
    cache_seconds: float = Field(default=600, gt=0, le=604_800, description="How long one is kept.")
    pool: HttpUrl | None = Field(
        default=None,
        description="Base URL of this gateway, for models it may consult while it thinks. Default: it consults nobody.",
    )
    rounds: int = Field(default=5, ge=1, le=20, description="Most times it thinks about one request.")
    think_tokens: int = Field(
        default=256, ge=0, le=2048, description="Most tokens a bundle's model thinks before it has to name a route."
    )
    mode: Literal["select", "answer"] = Field(
        default="select",
        description="`answer`: its own answer goes to the client, where it read the whole request and has one.",
    )

    @property
    def is_builtin(self) -> bool:
        """Whether it answers at once, so that nobody ever waits for it."""
        return self.kind == BUILTIN

    @property
    def leaves_the_site(self) -> bool:
        """Whether a server outside the trust boundary reads what it is asked about.

        One that consults other models does not know which of them may hear of a local-only request.
        """
        if self.pool is not None:
            return True
        servers: list[Engine | Embedding] = [self] if self.embedding is None else [self, self.embedding]
        return any(server.endpoint is not None and server.location != "local" for server in servers)

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Engine:
        if self.kind == BUILTIN:
            for key in sorted(self.model_fields_set - _BUILTIN_KEYS):
                raise ValueError(f"`{key}` says nothing to an engine of kind {BUILTIN}, which answers at once")
            return self
        for key, kinds in _OWN_KEYS.items():
            if key in self.model_fields_set and self.kind not in kinds:
                raise ValueError(
                    f"`{key}` says nothing to an engine of kind {self.kind}; it is for {' and '.join(kinds)}"
                )
        if self.kind == "preference":
            if (self.bundle is None) == (self.endpoint is None):
                raise ValueError(f"an engine of kind preference is {_PLACE}, one of the two")
            if self.endpoint is not None and self.model is None:
                raise ValueError("`endpoint` needs `model`: what the server calls its model")
            if self.bundle is not None and self.tokenizer_file is not None:
                raise ValueError("a bundle has its own tokenizer; `tokenizer_file` is for a served model")
            if self.endpoint is not None and "compare" in self.model_fields_set:
                raise ValueError("a served model says its answer; `compare` is for a bundle, whose answers are scored")
        elif self.kind == "deliberate":
            if (self.bundle is None) == (self.endpoint is None):
                raise ValueError(f"an engine of kind deliberate is {_PLACE}, one of the two")
            if self.endpoint is not None and self.model is None:
                raise ValueError("`endpoint` needs `model`: what the server calls its model")
            place, others = ("bundle", _SERVED_ALONE) if self.bundle is not None else ("endpoint", _LOCAL_ALONE)
            if strange := [key for key in others if key in self.model_fields_set]:
                raise ValueError(f"`{strange[0]}` says nothing to a model that deliberates at a `{place}`")
        elif self.bundle is None:
            raise ValueError(f"an engine of kind {self.kind} needs `bundle`: the folder of its model")
        if self.kind == "matrix_factorization" and self.embedding is None:
            raise ValueError("an engine of kind matrix_factorization needs `embedding`: where its vectors come from")
        return self


class ShadowEngine(Section):
    """An engine that judges some of a router's requests after they were answered for; its labels go to the journal."""

    name: Name = Field(description="Name of an entry of `engines`; it chooses among the router's tasks.")
    share: Share = Field(default=0.01, description="Share of the router's requests it may be asked about.")
    per_day: int = Field(
        ge=1, le=10_000_000, description="Requests it is asked about in a day at most, in all workers, spread evenly."
    )


class EngineSays(Section):
    """A condition on what an engine makes of the request: a label that is probable enough."""

    name: Name = Field(description="Name of an entry of `engines`.")
    labels: tuple[Label, ...] = Field(min_length=1, description="Labels; the most probable of them counts.")
    at_least: Share = Field(default=0.5, description="Probability from which on the condition holds.")
    without_answer: bool = Field(
        default=False, description="Whether it holds when the engine is late, unsure or has failed."
    )


class Bounds(Section):
    """How far a running threshold may go."""

    min: Share = Field(default=0, description="Least threshold.")
    max: Share = Field(default=1, description="Greatest threshold.")

    @model_validator(mode="after")
    def _in_order(self) -> Bounds:
        if self.min > self.max:
            raise ValueError(f"the least threshold, {self.min:g}, is above the greatest, {self.max:g}")
        return self


class Second(Section):
    """A heavier engine, asked about the requests that the built-in one is not sure of."""

    name: Name = Field(description="Name of an entry of `engines`.")
    margin: Share = Field(
        default=0.1,
        description="How near the threshold, or the next best task, an answer has to be for a second opinion. One that "
        "decides nothing always is.",
    )
    threshold: Share | None = Field(
        default=None, description="Chance that the strong tier is needed from which on it is taken. Default: 0.5."
    )


class Judge(Section):
    """What a router makes of an engine's answer: of two tiers one, or of its labels a task."""

    name: Name = Field(description="Name of an entry of `engines`.")
    strong: Name | None = Field(default=None, description="Task for requests that need the strong tier.")
    weak: Name | None = Field(default=None, description="Task for the others.")
    threshold: Share | None = Field(
        default=None, description="Chance that the strong tier is needed from which on it is taken. Default: 0.5."
    )
    target_share: Share | None = Field(
        default=None, description="Share of requests for the strong tier instead; the threshold follows what comes."
    )
    usd_per_1000: float | None = Field(
        default=None,
        gt=0,
        le=1_000_000,
        allow_inf_nan=False,
        description="What 1,000 requests may cost on average, in USD, instead; the share follows what they cost.",
    )
    threshold_bounds: Bounds | None = Field(
        default=None, description="How far `target_share` or `usd_per_1000` may move the threshold."
    )
    drift: Literal["freeze", "follow"] = Field(
        default="freeze",
        description="What a running threshold does when the scores are no longer those it was learned from: stay where "
        "it is until they are, or follow them.",
    )
    dial: HeaderName | None = Field(
        default=None,
        description="Header with which a request names its own share instead: 0 for the cheapest, 1 for the best.",
    )
    tasks: dict[Label, Name] = Field(
        default_factory=dict, description="The engine's label to task. Default: labels are the names of tasks."
    )
    min_score: Share = Field(default=0, description="A label less probable than this decides nothing.")
    otherwise: Name | None = Field(
        default=None, description="Task when there is no answer. Default: the complexity threshold's, or the default."
    )
    then: Name | Second | None = Field(
        default=None, description="Engine asked where the built-in one is not sure, by name. Default: none."
    )

    @model_validator(mode="after")
    def _tiers_or_labels(self) -> Judge:
        if (self.strong is None) != (self.weak is None):
            raise ValueError("`strong` and `weak` go together")
        tiers = self.strong is not None
        if tiers and self.tasks:
            raise ValueError("`tasks` are for an engine's labels; with `strong` and `weak` there are none")
        if not tiers and (self.threshold is not None or self.follows):
            raise ValueError("`threshold`, `target_share` and `usd_per_1000` divide `strong` from `weak`; name both")
        if self.target_share is not None and self.usd_per_1000 is not None:
            raise ValueError("`target_share` and `usd_per_1000` are two aims for one threshold; name one of them")
        if self.threshold_bounds is not None and not self.follows:
            raise ValueError("`threshold_bounds` need `target_share` or `usd_per_1000`: a threshold that moves")
        if self.dial is not None and self.target_share is None:
            raise ValueError("`dial` needs `target_share`: the share of requests without that header")
        return self

    @property
    def has_tiers(self) -> bool:
        return self.strong is not None

    @property
    def follows(self) -> bool:
        """Whether its threshold follows what comes."""
        return self.target_share is not None or self.usd_per_1000 is not None

    @property
    def second(self) -> Second | None:
        """The engine for a second opinion."""
        return Second(name=self.then) if isinstance(self.then, str) else self.then
