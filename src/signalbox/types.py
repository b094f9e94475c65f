"""The values that flow through one decision. Frozen data, no behaviour, no imports from the rest.

bytes -> ParsedRequest -> Features ┐
                          Signals  ┴-> Case -> Decision -> Mutation -> bytes
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from signalbox.world import NOTHING_KNOWN, Hold, Pin, Snapshot


class Endpoint(StrEnum):
    """An API call Signalbox routes, named as it appears in policies, metadata and metrics."""

    CHAT_COMPLETIONS = "chat_completions"
    COMPLETIONS = "completions"
    RESPONSES = "responses"
    MESSAGES = "messages"
    EMBEDDINGS = "embeddings"

    @property
    def suffix(self) -> str:
        """Path below a provider's base path, e.g. `/chat/completions`."""
        return ENDPOINT_SUFFIXES[self]

    @property
    def path(self) -> str:
        """Path a client calls, e.g. `/v1/chat/completions`."""
        return "/v1" + self.suffix


ENDPOINT_SUFFIXES = {
    Endpoint.CHAT_COMPLETIONS: "/chat/completions",
    Endpoint.COMPLETIONS: "/completions",
    Endpoint.RESPONSES: "/responses",
    Endpoint.MESSAGES: "/messages",
    Endpoint.EMBEDDINGS: "/embeddings",
}
ENDPOINT_BY_PATH = {endpoint.path: endpoint for endpoint in Endpoint}


class Modality(StrEnum):
    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    FILE = "file"


class Output(StrEnum):
    """Kinds of answer a model gives."""

    TEXT = "text"
    IMAGE = "image"


class ImageAsked(StrEnum):
    """How a request asks for an image, if it does. Closed: it is a metric label."""

    NO = ""
    WORDS = "words"  # its text does, as far as we can tell
    ENGINE = "engine"  # an engine says that its text does
    PARAMETERS = "parameters"  # it demands one: nothing else will do


class InOut(StrEnum):
    """What goes in and what is wanted out. Closed: policies match on it."""

    TEXT = "text"
    IMAGE_IN = "image_in"
    AUDIO_IN = "audio_in"
    FILE_IN = "file_in"
    IMAGE_OUT = "image_out"  # an image is to be made
    MIXED = "mixed"  # several of the above beside text


class Privacy(StrEnum):
    """Where a request may go. `local` is enforced by the decision and once more by Envoy."""

    ANY = "any"
    LOCAL = "local"


class PersonalData(StrEnum):
    """Kinds of personal data a policy may ask to be found. Closed: they are metric labels."""

    EMAIL = "email"
    CREDIT_CARD = "credit_card"
    IBAN = "iban"
    PHONE = "phone"
    SSN = "ssn"
    IP_ADDRESS = "ip_address"
    DRIVER_LICENSE = "driver_license"
    PASSPORT = "passport"
    PERSON = "person"  # the name of one; this and the next are told by a model, not by their form
    STREET_ADDRESS = "street_address"


class LocalBy(StrEnum):
    """What made a request local-only. Closed: it is a metric label."""

    NOTHING = ""
    HEADER = "header"
    DETECTED = "detected"  # it holds personal data
    UNREADABLE = "unreadable"  # it may: it is sent as token ids
    FAILED = "failed"  # it may: nobody could look


class PrivacyVerdict(NamedTuple):
    """Where a request may go, and why. header: that said so. kinds: of personal data it holds."""

    privacy: Privacy
    by: LocalBy = LocalBy.NOTHING
    header: str | None = None
    kinds: tuple[PersonalData, ...] = ()


class Reason(StrEnum):
    """Why a route was chosen. Closed: it is a metric label and the x-signalbox-reason header."""

    REQUESTED = "requested"  # the client named a model, or an alias of one
    RULE = "rule"  # a rule of the router matched
    COMPLEXITY = "complexity"  # the router's complexity threshold decided
    GOAL = "goal"  # the router for a goal was taken, and nothing in that one had an opinion
    DEFAULT = "default"  # nothing in the router had an opinion: its default task or models
    UNKNOWN_MODEL = "unknown_model"  # the policy's unknown_model rule took a name nobody knows
    ENGINE = "engine"  # the router's engine decided
    ENGINE_UNSURE = "engine_unsure"  # it would not say: the named next step was taken
    ENGINE_LATE = "engine_late"  # it had no answer by its deadline: likewise
    ENGINE_FAILED = "engine_failed"  # it, a rule or the complexity could not be had: likewise
    AFFINITY = "affinity"  # the session's model, kept
    REPINNED = "repinned"  # the session's model cannot serve this: another one, from now on
    ROLLOUT = "rollout"  # the session is not part of the router's rollout
    BUDGET = "budget"  # the budget is spent, and the policy says what to do then
    ANSWERED = "answered"  # the router's engine answered the request itself


class PinOutcome(StrEnum):
    """What affinity did for a request that belongs to a session. Closed: it is a metric label."""

    NEW = "new"  # its first request, or the pin was forgotten: to be pinned to the first candidate
    KEPT = "kept"  # it stays
    MOVED = "moved"  # pinned to another model, which could not serve, or whose cache was worth less than the switch


class Refusal(StrEnum):
    """Why a request was answered by Signalbox itself. OpenAI's `error.code`, and a metric label."""

    INVALID_JSON = "invalid_json"
    INVALID_REQUEST = "invalid_request"
    MODEL_NOT_FOUND = "model_not_found"
    UNSUPPORTED_ENDPOINT = "unsupported_endpoint"
    NO_CANDIDATE = "no_candidate"
    BUDGET_SPENT = "budget_spent"
    INTERNAL = "internal_error"


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace `length` bytes at byte offset `at`. `text` None stands for the candidate's model, as JSON."""

    at: int
    length: int
    text: str | None = None


class Scan(Protocol):
    """What the compiled scanner found in one body; `core.scan` makes it, `core.reference` has a twin.

    Offsets are bytes, ends exclusive.
    """

    @property
    def model(self) -> str:
        """Decoded value of `model`."""

    @property
    def stream(self) -> bool:
        """`stream` is true."""

    @property
    def messages(self) -> int:
        """Entries of `messages`, or of a list `input`."""

    @property
    def turns(self) -> int:
        """Messages whose role is user."""

    @property
    def tools(self) -> int:
        """Entries of `tools` and `functions`."""

    @property
    def tool_calls(self) -> int:
        """Calls in the history, whatever the dialect."""

    @property
    def tool_call_bytes(self) -> int:
        """Size of those calls, as JSON."""

    @property
    def tool_results(self) -> int:
        """Results of calls in the history."""

    @property
    def images(self) -> int: ...

    @property
    def audio(self) -> int: ...

    @property
    def files(self) -> int: ...

    @property
    def image_bytes(self) -> int:
        """Size of the image parts, as JSON; likewise for audio and files."""

    @property
    def audio_bytes(self) -> int: ...

    @property
    def file_bytes(self) -> int: ...

    @property
    def roles(self) -> tuple[int, int, int, int, int]:
        """Messages of system, user, assistant, tool and anybody else; Anthropic's tool results are the tool's."""

    @property
    def text_bytes(self) -> int:
        """Bytes of all message text once unescaped."""

    @property
    def depth(self) -> int:
        """Deepest nesting seen; the body itself is 1."""

    @property
    def token_ids(self) -> int:
        """Numbers in `prompt` or `input`, where a client sends tokens."""

    @property
    def max_output_tokens(self) -> int | None:
        """max_tokens, max_completion_tokens or max_output_tokens."""

    @property
    def json_schema(self) -> bool:
        """A JSON schema is demanded of the answer."""

    @property
    def members(self) -> Mapping[str, tuple[int, int]]:
        """Known top-level key -> bytes of its value."""

    @property
    def bound(self) -> int:
        """Blocks of thinking and items of reasoning in the history, which only their maker can read back."""

    @property
    def ends_with_tool(self) -> bool:
        """The last turn holds results of tool calls."""

    def opening(self, most: int) -> bytes:
        """What every request of a conversation begins with: texts up to the first user turn's end, still escaped.

        Joined by newlines, at most `most` bytes of text; empty when no user speaks.
        """

    def text(self, *, last_user: bool = False) -> bytes:
        """Unescaped UTF-8 text of all messages in order, joined by newlines; or of the last user turn."""

    def edits(self, *, drop: frozenset[str] = frozenset(), include_usage: bool = False) -> tuple[Edit, ...]:
        """The byte ranges to replace, left to right and disjoint, so that the body names its model."""


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """One request as the client sent it. `headers` holds only what the policy asked Envoy for, lower-case.

    body: from Envoy a view into its message, so that no request is held twice; offsets of `scan` count from its start.
    """

    endpoint: Endpoint
    body: bytes | memoryview
    scan: Scan
    headers: Mapping[str, str]


class Features(NamedTuple):
    """What the request alone tells; docs/features.md defines each. Counts are exact unless `tokens_estimated`.

    A tuple because a frozen dataclass of this many fields takes longer to make than the request takes to scan.
    """

    prompt_tokens: int
    tokens_estimated: bool
    output_tokens: int | None  # what the client reserves for the answer; None when it does not say
    messages: int
    turns: int
    tools: int
    images: int
    json_schema: bool
    modalities: frozenset[Modality]
    complexity: float  # surface complexity in [0, 1]; see features.complexity
    system_messages: int = 0
    assistant_messages: int = 0
    tool_messages: int = 0
    tool_calls: int = 0
    tool_results: int = 0
    parallel_tool_calls: bool | None = None  # as the client set it
    audio: int = 0
    files: int = 0
    image_bytes: int = 0
    audio_bytes: int = 0
    file_bytes: int = 0
    text_bytes: int = 0
    words: int = 0
    code_share: float = 0.0
    maths_share: float = 0.0
    numbers: int = 0
    questions: int = 0
    instructions: int = 0
    negations: int = 0
    scripts: tuple[tuple[str, float], ...] = ()
    answer_tokens_asked: int | None = None
    reasoning: bool = False
    modality: InOut = InOut.TEXT
    image_demanded: bool = False  # by parameters, which leave no doubt
    image_asked: float = 0.0  # chance that the words ask for one


@dataclass(frozen=True, slots=True)
class TokenCount:
    """Tokens of one prompt as one candidate counts them."""

    tokens: int
    estimated: bool  # not proved: no tokenizer, or no published rule for a part of the prompt


class EngineOutcome(StrEnum):
    """How it went when an engine was asked about a request. Closed: it is a metric label."""

    RESULT = "result"
    UNSURE = "unsure"  # it answered, and would not say which
    LATE = "late"  # no answer within the deadline, or no room in its queue
    FAILED = "failed"  # it could not answer


class Spent(NamedTuple):
    """Tokens that went into an engine's own answer, of one model.

    counted: they were requests to this gateway, which has accounted for them as for any other.
    """

    model: str
    input_tokens: int
    output_tokens: int
    counted: bool


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer for the client, made by an engine. The only content beside the request's that a decision carries.

    spent: by model, the engine's own thinking first.
    """

    text: str
    spent: tuple[Spent, ...]

    @property
    def input_tokens(self) -> int:
        return sum(each.input_tokens for each in self.spent)

    @property
    def output_tokens(self) -> int:
        return sum(each.output_tokens for each in self.spent)


class Answer(NamedTuple):
    """What an engine said about one request. A tuple for the reason that `Features` is one.

    route: name of a route (task, tier or label); None unless the outcome is a result.
    scores: label -> probability in [0, 1], best first. detail: from the engine's closed set; never content.
    microseconds: the engine's own time, waiting included.
    completion: what the client may be answered, without any model; then a result needs no route.
    """

    outcome: EngineOutcome
    route: str | None = None
    scores: tuple[tuple[str, float], ...] = ()
    detail: str = ""
    microseconds: int = 0
    completion: Completion | None = None


class Judgement(NamedTuple):
    """What is kept of an engine's answer.

    outcome, detail: the answer's, or why it decided nothing after all. microseconds: until there was an answer.
    score: of the label that was chosen, or the chance that the strong tier is needed; None if there was none.
    threshold: what that chance was held against. completion: what the client may be answered. first_score: of a
    router's first engine, where a second one decided. learns: the score that the running threshold of its router learns
    from; None if there is none. cut: how that threshold stands, as `ThresholdState`; empty without one.
    """

    engine: str
    outcome: EngineOutcome
    detail: str = ""
    microseconds: int = 0
    score: float | None = None
    threshold: float | None = None
    completion: Completion | None = None
    first_score: float | None = None
    learns: float | None = None
    cut: str = ""


class ThresholdState(StrEnum):
    """How a running threshold stands. Closed: it is a metric label."""

    LEARNING = "learning"  # too little is known: the policy's threshold holds
    FOLLOWING = "following"
    BOUNDED = "bounded"  # it would go on, and the policy's bounds hold it
    FROZEN = "frozen"  # scores are not those it was learned from: it stays where it was


class Threshold(NamedTuple):
    """A router's running threshold as it stands. value: infinite where nothing is for the strong tier."""

    value: float
    state: ThresholdState


_NO_ANSWERS: Mapping[str, Answer] = {}
_NO_CUTS: Mapping[str, Threshold] = {}


@dataclass(frozen=True, slots=True)
class Signals:
    """What the world tells: the clock, the dice and whoever measured something.

    session: identity that weighted choices stick to; random when the client gave none.
    dice: a number in [0, 1) for choices by chance. world: the newest snapshot.
    session_key: hash under which the session is pinned; empty without affinity. pin: the session's, if it has one.
    spent: budgets found spent just now. store: what was wrong with the store, if it was asked in vain.
    answers: of engines, by name; of built-in ones, by head (`engines.heads`). cuts: router -> running threshold.
    privacy: what the request was judged to be, if somebody has looked already.
    """

    decision_id: str
    now_seconds: float
    session: str
    dice: float = 1.0  # never below a share: nothing is left to chance unless somebody threw the dice
    world: Snapshot = NOTHING_KNOWN
    session_key: str = ""
    pin: Pin | None = None
    spent: frozenset[str] = frozenset()
    store: str = ""
    answers: Mapping[str, Answer] = field(default_factory=lambda: _NO_ANSWERS)
    cuts: Mapping[str, Threshold] = field(default_factory=lambda: _NO_CUTS)
    privacy: PrivacyVerdict | None = None

    def knowing(self, answers: Mapping[str, Answer], cuts: Mapping[str, Threshold]) -> Signals:
        """Return these with more answers and thresholds."""
        # Written out: `dataclasses.replace` takes thrice as long.
        return Signals(
            self.decision_id,
            self.now_seconds,
            self.session,
            self.dice,
            self.world,
            self.session_key,
            self.pin,
            self.spent,
            self.store,
            {**self.answers, **answers},
            {**self.cuts, **cuts},
            self.privacy,
        )


@dataclass(frozen=True, slots=True)
class Case:
    """Everything one decision may look at."""

    request: ParsedRequest
    features: Features
    signals: Signals


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens."""

    input_usd_per_mtok: float
    output_usd_per_mtok: float
    cached_usd_per_mtok: float | None = None  # of prompt tokens read from the provider's cache; None: as input


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that may serve, with the facts filters and scorers need."""

    model: str  # the policy's name for it; metric label, x-signalbox-model
    provider: str  # also the name of its Envoy cluster and priority group
    upstream_model: str  # what the provider calls it; written into the body
    is_local: bool
    endpoints: frozenset[Endpoint]
    modalities: frozenset[Modality]
    tools: bool
    json_schema: bool
    context_tokens: int | None  # None: unknown, and not filtered on
    max_output_tokens: int | None
    price: Price | None  # None: unknown, and never counted as free
    max_input_tokens: int | None = None  # None: what the context leaves
    catalogue_price: Price | None = None  # where neither the policy nor a price list on the web has one
    outputs: frozenset[Output] = frozenset()  # empty where the policy does not say: text, and perhaps more


_NOTHING: Mapping[str, Any] = {}


class Decision(NamedTuple):
    """Where one request goes, and why. Made by `decide`, read by `extproc.mutate`. A tuple, as `Features`."""

    id: str
    router: str  # empty when the client named a model
    route: str  # the task that won, or the router or model; x-model-router-selected-route
    reason: Reason
    chain: tuple[Candidate, ...]  # best first, never empty
    privacy: Privacy
    removed: Mapping[str, str] = _NOTHING  # model -> the filter that removed it
    rule: str = ""  # name of the rule that decided, if one did
    counts: Mapping[str, TokenCount] = _NOTHING  # model of the chain -> its prompt's tokens
    holds: tuple[Hold, ...] = ()  # claims on budgets, to be made before the request is sent
    pin: PinOutcome | None = None  # what affinity did; None when the request belongs to no session
    expected_usd: float | None = None  # of the first candidate; None: its price is unknown
    expected_output: int = 0  # tokens, as ranked with
    rollout: str = ""  # "in" or "out" of the router's rollout; empty without one
    spent: str = ""  # name of the budget that was found spent
    shadow: tuple[str, str] | None = None  # route and model the router's shadow would have taken
    explored: bool = False  # the first candidate stands there to be measured
    judged: Judgement | None = None  # what the router's engine said, if it was asked
    goal: str = ""  # which of the router's `goals` was taken, by the name of its router; empty without goals
    completion: Completion | None = None  # what the client is answered; then nobody in the chain is asked
    local_by: LocalBy = LocalBy.NOTHING
    personal: tuple[PersonalData, ...] = ()  # kinds found, where they made it local-only
    image_asked: ImageAsked = ImageAsked.NO
    image_served: bool = False  # the first candidate can give the image that was asked for
