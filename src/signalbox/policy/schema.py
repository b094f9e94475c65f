"""The policy as operators write it and as every part reads it: one frozen value per request.

This module owns names, types, defaults and the checks one value can make by itself. What needs two
places of the file to be compared (does this model exist?) is in `references`; reading bytes, line
numbers and error texts are in `load`. Adding a key means adding a field here, with a description:
the JSON schema, the reference in docs/policy.md and its test follow from it.
"""

from __future__ import annotations

from functools import cached_property
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, field_validator, model_validator

from signalbox.policy.base import HeaderName, HeaderValue, Name, ProviderName, Section
from signalbox.policy.conditions import When
from signalbox.policy.engines import BUILTIN, Engine, Judge, ShadowEngine
from signalbox.policy.goals import Goals
from signalbox.policy.world import (
    Affinity,
    Balance,
    Budget,
    Circuit,
    Journal,
    Prices,
    Prometheus,
    Ranking,
    Rollout,
    Slo,
    State,
    Telemetry,
)
from signalbox.tokens.templates import TemplateName
from signalbox.tokens.vocabulary import Format
from signalbox.types import Endpoint, InOut, Modality, Output, PersonalData

MAX_BODY_BYTES_LIMIT = 256 * 1024 * 1024
"""Largest value `gateway.max_body_bytes` may have."""

OPENAI_ENDPOINTS = (Endpoint.CHAT_COMPLETIONS, Endpoint.COMPLETIONS, Endpoint.RESPONSES, Endpoint.EMBEDDINGS)
ANTHROPIC_ENDPOINTS = (Endpoint.MESSAGES,)


class Key(Section):
    """Where a provider's API key is, and how it is sent."""

    file: str = Field(description="File that holds the key and nothing else; read by Envoy, watched for renames.")
    header: HeaderName | None = Field(
        default=None, description="Header that carries the key. Default: `authorization`, or `x-api-key` for Anthropic."
    )
    prefix: str | None = Field(
        default=None, description="Text before the key. Default: `Bearer ` in `authorization`, nothing elsewhere."
    )


class ActiveHealth(Section):
    """Active health check of a provider's endpoints, done by Envoy."""

    path: str = Field(pattern=r"^/[\x21-\x7e]*$", description="Path answered with 200 by a healthy endpoint.")
    interval_seconds: float = Field(default=5, gt=0, le=300, description="Time between two checks.")


class Provider(Section):
    """A place that serves models: one Envoy cluster, one host, one path, one key."""

    endpoint: str = Field(description="Base URL, for example `https://api.openai.com/v1`.")
    location: Literal["cloud", "local"] = Field(
        default="cloud", description="`local` is inside the trust boundary: only it may see local-only requests."
    )
    dialect: Literal["openai", "anthropic"] = Field(
        default="openai", description="Whose API it speaks; gives the defaults for `serves` and `key`."
    )
    serves: tuple[Endpoint, ...] | None = Field(
        default=None, description="API calls it answers. Default: all OpenAI calls, or `messages` for Anthropic."
    )
    key: Key | None = Field(default=None, description="Its API key. The client's own key never travels on.")
    headers: dict[HeaderName, HeaderValue] = Field(
        default_factory=dict, description="Headers set on each request to it, for example `anthropic-version`."
    )
    ca_file: str | None = Field(
        default=None, description="Authorities its certificate is checked against. Default: the system's."
    )
    sni: str | None = Field(
        default=None, description="Name expected in its certificate. Default: the host of `endpoint`."
    )
    health: ActiveHealth | None = Field(default=None, description="Active health check. Default: none.")

    @field_validator("endpoint")
    @classmethod
    def _usable_url(cls, value: str) -> str:
        url = urlsplit(value)
        try:
            port = url.port
        except ValueError as problem:
            raise ValueError(f"the port cannot be read: {problem}") from None
        if url.scheme not in ("http", "https") or not url.hostname or port == 0:
            raise ValueError("expected http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH]")
        if url.query or url.fragment or url.username or url.password:
            raise ValueError("no user, query or fragment is possible here; keys belong in `key`")
        if not all(33 <= ord(character) <= 126 for character in value) or any(c in value for c in "\"'\\<>`{}|"):
            raise ValueError("a URL is printable ASCII without quotes, braces or backslashes")
        return value.rstrip("/")

    @cached_property
    def host(self) -> str:
        """Host to connect to, without brackets for IPv6."""
        return urlsplit(self.endpoint).hostname or ""

    @cached_property
    def port(self) -> int:
        url = urlsplit(self.endpoint)
        return url.port or (443 if url.scheme == "https" else 80)

    @cached_property
    def authority(self) -> str:
        """Value of the Host header, as `endpoint` spells it."""
        return urlsplit(self.endpoint).netloc

    @cached_property
    def base_path(self) -> str:
        return urlsplit(self.endpoint).path

    @cached_property
    def tls(self) -> bool:
        return urlsplit(self.endpoint).scheme == "https"

    @cached_property
    def is_local(self) -> bool:
        return self.location == "local"

    @cached_property
    def endpoints(self) -> frozenset[Endpoint]:
        default = ANTHROPIC_ENDPOINTS if self.dialect == "anthropic" else OPENAI_ENDPOINTS
        return frozenset(self.serves if self.serves is not None else default)

    @cached_property
    def key_header(self) -> str:
        default = "x-api-key" if self.dialect == "anthropic" else "authorization"
        return (self.key.header if self.key else None) or default

    @cached_property
    def key_prefix(self) -> str:
        if self.key and self.key.prefix is not None:
            return self.key.prefix
        return "Bearer " if self.key_header == "authorization" else ""


class ModelPrice(Section):
    """USD per million tokens. Leave it out when unknown; zero means free."""

    input: float = Field(ge=0, le=10_000, allow_inf_nan=False, description="USD per million prompt tokens.")
    output: float = Field(ge=0, le=10_000, allow_inf_nan=False, description="USD per million completion tokens.")
    cached_input: float | None = Field(
        default=None,
        ge=0,
        le=10_000,
        allow_inf_nan=False,
        description="USD per million prompt tokens read from the provider's cache. Default: `input`.",
    )


class TokenizerFile(Section):
    """A vocabulary on this machine, and how prompts are written for it."""

    file: str = Field(min_length=1, description="Vocabulary file; read when the policy is loaded.")
    format: Format | None = Field(default=None, description="What the file holds. Default: what its bytes say.")
    pattern: Literal["bert-cased", "bert-uncased", "cl100k", "llama3", "llama4", "o200k", "qwen2"] | None = Field(
        default=None, description="How text is cut into words; files in tiktoken's format and vocab.txt do not say."
    )
    template: TemplateName | None = Field(
        default=None, description="Chat template. Default: that of the model's family, or of the tokenizer's name."
    )


class Model(Section):
    """A model of a provider, with the facts that decide whether it can take a request."""

    provider: ProviderName = Field(description="Name of an entry of `providers`.")
    name: str | None = Field(
        default=None, min_length=1, max_length=256, description="What the provider calls it. Default: its name here."
    )
    context_tokens: int | None = Field(
        default=None, gt=0, description="Prompt and answer together. Default: unknown, and not filtered on."
    )
    max_input_tokens: int | None = Field(
        default=None, gt=0, description="Longest prompt it is given. Default: what the context leaves."
    )
    max_output_tokens: int | None = Field(default=None, gt=0, description="Longest answer. Default: unknown.")
    modalities: tuple[Modality, ...] = Field(
        default=(Modality.TEXT,), min_length=1, description="Kinds of input it takes."
    )
    outputs: tuple[Output, ...] | None = Field(
        default=None,
        min_length=1,
        description="Kinds of answer it gives: `image` if it makes images, or takes the tool `image_generation`. "
        "Default: text, and who knows what else.",
    )
    tools: bool = Field(default=True, description="Takes tool definitions.")
    json_schema: bool = Field(default=True, description="Can be held to a JSON schema.")
    endpoints: tuple[Endpoint, ...] | None = Field(
        default=None, description="API calls it answers, if fewer than its provider serves."
    )
    tokenizer: Name | None = Field(
        default=None, description="Name of an entry of `tokenizers`. Default: by the model's name, else an estimate."
    )
    price: ModelPrice | None = Field(
        default=None, description="Its price. Default: by `prices`; unknown is never free."
    )
    fallback: tuple[Name, ...] = Field(
        default=(), description="Models to try next when a client named this one and it fails."
    )


Weights = Annotated[dict[Name, Annotated[float, Field(gt=0, le=1_000_000)]], Field(min_length=1)]


class Privacy(Section):
    """Which requests must not leave the site."""

    local_only: LocalOnly | None = Field(default=None, description="What makes a request local-only.")


class LocalOnly(Section):
    """What marks a request as local-only: it is then served by `location: local` providers or not at all."""

    headers: dict[HeaderName, HeaderValue] = Field(
        default_factory=dict,
        description="Header and value; any one of them makes a request local-only. Case is ignored.",
    )
    detect: tuple[PersonalData, ...] = Field(
        default=(),
        description="Kinds of personal data; a request that holds any of them is local-only; docs/privacy.md.",
    )

    @model_validator(mode="after")
    def _says_something(self) -> LocalOnly:
        if not self.headers and not self.detect:
            raise ValueError("`local_only` needs `headers`, `detect` or both: otherwise no request is")
        return self


class Rule(Section):
    """A decision that needs no engine: the first rule whose conditions hold wins."""

    name: Name | None = Field(default=None, description="Shown in logs and explanations. Default: `rule-N`.")
    when: When = Field(description="Conditions; all must hold.")
    task: Name | None = Field(default=None, description="Task of this router to take.")
    models: tuple[Name, ...] = Field(default=(), description="Models to take instead of a task, best first.")

    @model_validator(mode="after")
    def _one_outcome(self) -> Rule:
        if (self.task is None) == (not self.models):
            raise ValueError("a rule names either `task` or `models`")
        return self


Prefer = Literal["manual", "cheapest", "fastest", "balanced"]


class Task(Section):
    """A described kind of work and the models that may do it."""

    name: Name = Field(description="Its name; goes out as x-model-router-selected-route.")
    description: str = Field(
        default="", max_length=2000, description="One sentence on the work, in the words a user would use."
    )
    models: tuple[Name, ...] = Field(min_length=1, description="Models that may do it.")
    prefer: Prefer = Field(
        default="manual",
        description="`manual`: in the order given; `cheapest`: by expected cost; `fastest`: by measured time to first "
        "token and per token; `balanced`: by both.",
    )


class Complexity(Section):
    """Two pools and a threshold on the surface complexity of the last user turn."""

    threshold: float = Field(ge=0, le=1, allow_inf_nan=False, description="At or above it a request is complex.")
    below: Name = Field(description="Task for requests under the threshold.")
    above: Name = Field(description="Task for the others.")


Goal = Literal["fastest", "lowest_cost", "balanced", "highest_quality"]

TWO_TIERED: tuple[Goal, ...] = ("fastest", "lowest_cost", "highest_quality")
"""Goals whose built-in engine chooses between two tasks, the weaker first."""

_BESIDE_NO_GOALS = ("goal", "models", "prefer", "engine", "complexity", "default_task", "balance")


class Router(Section):
    """Decides for requests that name it: rules, then its engine, complexity and default task, or another router."""

    description: str = Field(default="", max_length=2000, description="For people; shown by /v1/models.")
    tasks: tuple[Task, ...] = Field(default=(), description="Kinds of work with their models.")
    models: tuple[Name, ...] = Field(default=(), description="Models to choose from when no task was chosen.")
    prefer: Prefer = Field(default="manual", description="How `models` are ranked.")
    rules: tuple[Rule, ...] = Field(default=(), description="Checked in order before anything else.")
    goal: Goal | None = Field(
        default=None,
        description="What it is for; without `engine`, the built-in engine then decides as docs/builtin.md says.",
    )
    engine: Name | Judge | None = Field(
        default=None, description="Engine asked when no rule decided, by name, and what is made of its answer."
    )
    complexity: Complexity | None = Field(default=None, description="Two pools and a threshold.")
    goals: Goals | None = Field(
        default=None, description="Routers, one for each goal, of which one takes what no rule did."
    )
    default_task: Name | None = Field(default=None, description="Task when nothing decided. Default: `models`.")
    fallback: tuple[Name, ...] = Field(default=(), description="Models to try after the chosen ones.")
    capture: tuple[Annotated[str, StringConstraints(min_length=1, max_length=128)], ...] = Field(
        default=(), description="Patterns (`gpt-5*`) of model names this router takes over."
    )
    privacy: Privacy | None = Field(default=None, description="Added to the policy's own `privacy`.")
    balance: Balance = Field(default_factory=Balance, description="Weights of `prefer: balanced`.")
    affinity: Affinity | None = Field(default=None, description="Sessions keep their model. Default: they do not.")
    slo: Slo | None = Field(default=None, description="Limits above which requests move to the next model.")
    budget: Budget | None = Field(default=None, description="Limit on what this router may spend.")
    rollout: Rollout | None = Field(default=None, description="Only a share of the sessions. Default: all of them.")
    shadow: Name | None = Field(
        default=None, description="Router that decides each request as well, to be compared; nothing follows from it."
    )

    shadow_engine: ShadowEngine | None = Field(
        default=None, description="Engine that judges a sample of its requests off the path, for the journal."
    )

    @model_validator(mode="after")
    def _has_models(self) -> Router:
        if self.goals is not None:
            for key in _BESIDE_NO_GOALS:
                if key in self.model_fields_set:
                    raise ValueError(f"`{key}` decides nothing beside `goals`; it belongs in one of their routers")
        elif not self.models and self.default_task is None:
            raise ValueError("a router needs `models` or `default_task`, for requests that nothing else decides")
        if self.goal in TWO_TIERED and self.engine is None and len(self.tasks) != 2:
            raise ValueError(
                f"`goal: {self.goal}` without `engine` needs two tasks, the weaker first; there are {len(self.tasks)}"
            )
        if self.goal == "balanced" and self.engine is None and len(self.tasks) < 2:
            raise ValueError("`goal: balanced` without `engine` needs two described tasks or more")
        return self

    @property
    def pools(self) -> tuple[tuple[str, ...], ...]:
        """Models to choose from: its own, each task's, each rule's. Not those of its goals."""
        return self.models, *(task.models for task in self.tasks), *(rule.models for rule in self.rules)

    @cached_property
    def engines(self) -> tuple[str, ...]:
        """Engines it asks, each once: for its rules, then for itself."""
        ruled = [rule.when.engine.name for rule in self.rules if rule.when.engine is not None]
        judge = self.judge
        own = [] if judge is None else [judge.name, *([] if judge.second is None else [judge.second.name])]
        return tuple(dict.fromkeys([*ruled, *own]))

    @property
    def labeller(self) -> Judge | None:
        """Its shadow engine, if it has one, as something whose labels are the names of tasks."""
        return None if self.shadow_engine is None else Judge(name=self.shadow_engine.name)

    @cached_property
    def judge(self) -> Judge | None:
        """Its engine, if it has one, and what is made of the answer. A goal has the built-in one."""
        if self.engine is None and self.goal is not None:
            if self.goal not in TWO_TIERED:
                return Judge(name=BUILTIN)
            weak, strong = self.tasks
            return Judge(name=BUILTIN, strong=strong.name, weak=weak.name)
        return Judge(name=self.engine) if isinstance(self.engine, str) else self.engine


class UnknownModel(Section):
    """What happens to a model name nobody knows, instead of a 404."""

    use: Name = Field(description="Model, alias or router that takes it.")


class Tls(Section):
    """Certificate the gateway shows to clients; both files are watched for renewal."""

    certificate: str = Field(description="PEM file with the certificate chain.")
    private_key: str = Field(description="PEM file with the private key.")


class Gateway(Section):
    """How Envoy listens and what it allows."""

    address: str = Field(default="127.0.0.1", description="IP address the gateway listens on.")
    port: int = Field(default=10000, ge=1, le=65535, description="Port the gateway listens on.")
    tls: Tls | None = Field(default=None, description="TLS to clients. Default: plain HTTP.")
    mode: Literal["priority_group", "cluster_header"] = Field(
        default="priority_group",
        description="How Envoy is told where to go. `cluster_header` suits Envoy 1.39, without fallback chains.",
    )
    max_body_bytes: int = Field(
        default=16 * 1024 * 1024, ge=1024, le=MAX_BODY_BYTES_LIMIT, description="Largest request body; above it 413."
    )
    max_attempts: int = Field(default=4, ge=1, le=8, description="Longest fallback chain.")
    admission_limit: int = Field(
        default=128, ge=1, le=100_000, description="Decisions waiting or running at once; above it 503."
    )
    first_byte_timeout_seconds: float = Field(
        default=60, gt=0, le=3600, description="Response headers later than this move on to the next candidate."
    )
    idle_timeout_seconds: float = Field(
        default=300, gt=0, le=86400, description="A response silent for this long is ended."
    )
    stream_usage: bool = Field(
        default=False,
        description="Ask providers for token usage in streams. Clients then see one more chunk, without choices.",
    )

    @field_validator("address")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        try:
            ip_address(value)
        except ValueError:
            raise ValueError("expected an IPv4 or IPv6 address; 0.0.0.0 listens on all of them") from None
        return value


_WITH_IMAGE = frozenset({InOut.IMAGE_OUT, InOut.MIXED})


def _looks_for_images(when: When | None) -> bool:
    return when is not None and not _WITH_IMAGE.isdisjoint(when.modality)


class Policy(Section):
    """The whole document."""

    version: Literal[1] = Field(description="Always 1.")
    gateway: Gateway = Field(default_factory=Gateway, description="How Envoy listens and what it allows.")
    providers: dict[ProviderName, Provider] = Field(min_length=1, description="Places that serve models, by name.")
    models: dict[Name, Model] = Field(min_length=1, description="Models, by the name clients use.")
    tokenizers: dict[Name, TokenizerFile] = Field(
        default_factory=dict, description="Vocabularies for exact token counts, by name."
    )
    aliases: dict[Name, Name | Weights] = Field(
        default_factory=dict, description="Other names: of a model or router, or weighted models (A/B, canary)."
    )
    engines: dict[Name, Engine] = Field(default_factory=dict, description="Models that judge requests, by name.")
    routers: dict[Name, Router] = Field(default_factory=dict, description="Routers, by name.")
    default_router: Name | None = Field(default=None, description="Router behind `auto` and `inference-router`.")
    routing_preference: dict[Literal["balanced", "budget", "quality"], Name] = Field(
        default_factory=dict, description="Router for each value of the body's `routing_preference`, under `auto`."
    )
    unknown_model: UnknownModel | None = Field(default=None, description="Default: 404 with the nearest names.")
    privacy: Privacy | None = Field(default=None, description="Applies to every request.")
    affinity: Affinity | None = Field(default=None, description="For routers that have none of their own.")
    budget: Budget | None = Field(default=None, description="Limit on what all requests together may spend.")
    ranking: Ranking = Field(default_factory=Ranking, description="How measurements become an order.")
    circuit: Circuit = Field(default_factory=Circuit, description="When a model counts as down.")
    prices: Prices = Field(default_factory=Prices, description="Where prices come from.")
    prometheus: Prometheus | None = Field(default=None, description="What the fleet measured. Default: this pod only.")
    state: State = Field(default_factory=State, description="Where pins and budgets are kept.")
    journal: Journal | None = Field(default=None, description="A record of each request. Default: none is kept.")
    telemetry: Telemetry = Field(default_factory=Telemetry, description="Logs and pushed metrics.")

    @cached_property
    def known_engines(self) -> dict[str, Engine]:
        """Engines by name: its own, and the built-in one, which needs no entry."""
        return {BUILTIN: Engine(kind="builtin"), **self.engines}

    @cached_property
    def tells_images(self) -> bool:
        """Whether it matters if a request asks for an image: a model makes them, or a rule or goal looks for them."""
        return (
            any(Output.IMAGE in (model.outputs or ()) for model in self.models.values())
            or any(_looks_for_images(rule.when) for router in self.routers.values() for rule in router.rules)
            or any(
                not _WITH_IMAGE.isdisjoint(goals.modality)
                or (goals.latency_sensitive is not None and _looks_for_images(goals.latency_sensitive.when))
                for router in self.routers.values()
                if (goals := router.goals) is not None
            )
        )

    @cached_property
    def needs_engines(self) -> bool:
        """Whether a request may have to be shown to an engine."""
        return self.tells_images or any(router.engines or router.shadow_engine for router in self.routers.values())

    @cached_property
    def privacy_headers(self) -> tuple[tuple[str, str], ...]:
        """(header, value) pairs that make any request local-only, in file order."""
        if self.privacy is None or self.privacy.local_only is None:
            return ()
        return tuple(self.privacy.local_only.headers.items())


Privacy.model_rebuild()
Policy.model_rebuild()
