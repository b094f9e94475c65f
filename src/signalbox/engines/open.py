"""A policy's engines, opened: models loaded and warmed up, and a desk for each at which it is asked."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from signalbox.bundles import Bundle, Kind, open_bundle
from signalbox.bundles.manifest import MANIFEST
from signalbox.engines.base import Answer, Engine, Outcome, Question, Route
from signalbox.engines.builtin import HeadEngine, Sight
from signalbox.engines.classifier import Classifier, strong_labels
from signalbox.engines.cuts import Aim, Cuts
from signalbox.engines.desk import Desk, Ticket
from signalbox.engines.embedding import Cached, Embedder, Encoder, ServedEncoder
from signalbox.engines.factorization import FactorizationEngine, Prompt, read_direction
from signalbox.engines.heads import own_key
from signalbox.engines.open_heads import open_heads
from signalbox.engines.packaged import heads_version
from signalbox.engines.reading import Reader, lengths, plain_prompt
from signalbox.engines.remote import Remote
from signalbox.engines.routes import routes_of
from signalbox.engines.runtime import Pace, open_network
from signalbox.errors import RouterError, SignalboxError
from signalbox.policy.engines import Embedding, Judge
from signalbox.policy.engines import Engine as EngineSection
from signalbox.policy.schema import Policy
from signalbox.trim import open_encoder
from signalbox.types import Features, ParsedRequest

SERVED_AT_ONCE = 32  # questions to a server wait for it, not for a core
AT_ONCE_SECONDS = 1.0  # built-in engines take a fraction of a millisecond
SLOW = 2.0  # times its deadline: what is longer still is not worth the time of loading
NOT_OPENED = Answer(Outcome.FAILED, detail="not_opened")


@dataclass(frozen=True, slots=True)
class Notice:
    """Something an operator should know about an engine that was opened, or could not be."""

    engine: str
    problem: str


class _Unopened:
    """Stands for an engine that could not be opened: requests go on without its answers."""

    def ask(self, question: Question) -> Answer:
        return NOT_OPENED

    def close(self) -> None:
        return


@dataclass(frozen=True, slots=True)
class Made:
    """What an engine was made of: one made of the same is the same engine."""

    section: EngineSection
    tiers: bool
    routes: tuple[tuple[Route, ...], ...]
    bundles: tuple[bytes, ...]  # their manifests, which have the hashes of all their files
    cores: int


class Engines:
    """The engines that a policy's routers ask, by name. `ask` may be called from any thread."""

    def __init__(
        self,
        desks: Mapping[str, Desk],
        cuts: Cuts,
        notices: tuple[Notice, ...] = (),
        made: Mapping[str, Made] | None = None,
        heads: Mapping[str, HeadEngine] | None = None,
    ) -> None:
        """heads: of built-in engines, by the keys of their answers."""
        self._desks = desks
        self.heads = dict(heads or {})
        self._made = dict(made or {})
        self._handed_on: set[str] = set()
        self.cuts = cuts
        self.notices = notices

    def hand_on(self, name: str, made: Made) -> Desk | None:
        """Return the desk of an engine that was made of this, for the next policy; None if there is none.

        It is not closed with the others then.
        """
        if self._made.get(name) != made:
            return None
        self._handed_on.add(name)
        return self._desks[name]

    def sight(self, request: ParsedRequest, features: Features) -> Sight | None:
        """Return a request as the built-in models see it; None without any."""
        for head in self.heads.values():
            return head.sight(request, features)  # one encoder serves all of them
        return None

    @property
    def keys(self) -> frozenset[str]:
        """Keys of the answers that can be had here: names of engines, and heads of built-in ones."""
        return frozenset(self._desks) | frozenset(self.heads)

    def answer_at_once(self, keys: Sequence[str], sight: Sight) -> dict[str, Answer]:
        """Return the answers of built-in engines, asked here and now; of the other keys none. Never raises."""
        heads = self.heads
        return {key: heads[key].answer(sight) for key in keys if key in heads}

    def deadline_seconds(self, key: str) -> float:
        """Longest wait for an answer."""
        return AT_ONCE_SECONDS if key in self.heads else self._desks[key].deadline_seconds

    def ask(self, key: str, question: Question) -> Ticket:
        """Return a ticket for the question, at once."""
        head = self.heads.get(key)
        if head is None:
            return self._desks[key].ask(question)
        ticket = Ticket(time.monotonic(), question.deadline)
        ticket.give(head.ask(question))
        return ticket

    def is_free(self, name: str) -> bool:
        """Whether a thread of an engine has nothing to do."""
        return self._desks[name].is_free

    def close(self) -> None:
        """Answer what was asked, then let the models go that were not handed on. Returns at once."""
        for name, desk in self._desks.items():
            if name not in self._handed_on:
                desk.close()


def open_engines(
    policy: Policy,
    *,
    before: Engines | None = None,
    cores: int | None = None,
    prepared: Path | None = None,
    failed: Callable[[str, BaseException], None] | None = None,
    strict: bool = False,
    only: Sequence[str] | None = None,
) -> Engines | None:
    """Open the engines that a policy needs; None if it needs none. Takes seconds for large models.

    before: of the policy before; an engine made of the same things is kept, with its threads and caches.
    cores: that this process may use at once; by default all it may run on. prepared: folder for weights that processes
    share. failed: told of exceptions that an engine let through.
    An engine that cannot be opened is a notice, and fails whenever it is asked. strict: raises instead, BundleError,
    RouterError or SetupError. only: names of engines, or keys of heads, that are wanted.
    """
    judges = {name: judge for name, router in policy.routers.items() if (judge := router.judge) is not None}
    shadows = {name: shadow.name for name, router in policy.routers.items() if (shadow := router.shadow_engine)}
    named = dict.fromkeys(name for router in policy.routers.values() for name in router.engines)
    named |= dict.fromkeys(shadows.values())
    if not policy.needs_engines:
        return None
    desks, notices, makings = {}, [], {}
    cores = cores or len(os.sched_getaffinity(0))
    for name in named:
        section = policy.known_engines[name]
        if section.is_builtin or (only is not None and name not in only):
            continue
        asking = [router for router, judge in judges.items() if name in asked_by(judge)]
        tiers = any(judges[router].has_tiers for router in asking)
        asking += [router for router, shadow in shadows.items() if shadow == name and router not in asking]
        routes = [routes_of(policy.routers[router]) for router in asking]
        made = Made(section, tiers, tuple(routes), _manifests(section), cores)
        kept = None if before is None else before.hand_on(name, made)
        if kept is not None:
            desks[name], makings[name] = kept, made
            continue
        try:
            engine, slow = open_engine(section, tiers=tiers, routes=routes, prepared=prepared)
        except SignalboxError as problem:
            if strict:
                raise
            engine, slow = _Unopened(), str(problem)
        else:
            makings[name] = made
        if slow:
            notices.append(Notice(name, slow))
        desks[name] = Desk(
            name,
            engine,
            deadline_seconds=section.deadline_ms / 1000,
            max_concurrent=section.max_concurrent or (SERVED_AT_ONCE if asks_a_server(section) else cores),
            max_queued=section.max_queued,
            failed=failed,
        )
    heads, told = open_heads(policy, failed=failed, strict=strict, only=only)
    notices += [Notice(name, problem) for name, problem in told]
    return Engines(desks, open_cuts(policy, before), tuple(notices), makings, heads)


def open_cuts(policy: Policy, before: Engines | None = None) -> Cuts:
    """Return the running thresholds of a policy's routers; those of the same models go on."""
    judges = {name: router.judge for name, router in policy.routers.items() if router.judge is not None}
    aims = {name: Aim.of(judge) for name, judge in judges.items() if judge.follows}
    keys = {name: _scores_key(policy, name, judges[name]) for name in aims}
    return Cuts(aims, keys, before=None if before is None else before.cuts)


def _scores_key(policy: Policy, router: str, judge: Judge) -> str:
    """Return what a router's scores are kept under: those of another model, or of another question, are others."""
    section = policy.known_engines[judge.name]
    key = f"{router}/{judge.name}/{section.bundle}"
    if not section.is_builtin:
        return key
    return f"{key}/{own_key(router, policy.routers[router], judge, policy)}/{heads_version(section.bundle)}"


def asked_by(judge: Judge) -> tuple[str, ...]:
    """Return the engines that a router asks for itself."""
    return (judge.name,) if judge.second is None else (judge.name, judge.second.name)


def asks_a_server(section: EngineSection) -> bool:
    """Whether an engine's answers come from somewhere else."""
    embedding = section.embedding
    return section.endpoint is not None or (embedding is not None and embedding.endpoint is not None)


def _manifests(section: EngineSection) -> tuple[bytes, ...]:
    places = [section.bundle, None if section.embedding is None else section.embedding.bundle]
    found = []
    for place in places:
        try:
            found.append(b"" if place is None else (Path(place) / MANIFEST).read_bytes())
        except OSError:
            found.append(b"")
    return tuple(found)


def open_engine(
    section: EngineSection, *, tiers: bool, routes: Sequence[Sequence[Route]] = (), prepared: Path | None = None
) -> tuple[Engine, str]:
    """Open one engine, and return what is to be said about its speed, if anything. Raises as `open_engines` does.

    tiers: a router wants to know from it which of two tiers a request needs. routes: of each router that asks it.
    """
    if section.kind in ("classifier", "modality"):
        return _open_classifier(section, tiers=tiers, prepared=prepared)
    if section.kind == "matrix_factorization":
        return _open_factorization(section, prepared=prepared)
    if section.kind == "deliberate":
        if section.bundle is not None:
            return _open_local_deliberate(section, section.bundle, routes, prepared=prepared)
        return _open_deliberate(section), ""
    return _open_preference(section, routes, prepared=prepared)


def _open_deliberate(section: EngineSection) -> Engine:
    from signalbox.engines.deliberate.consult import Pool
    from signalbox.engines.deliberate.engine import QUESTION_TOKENS, Deliberate
    from signalbox.engines.preference.cache import DecisionCache

    assert section.endpoint is not None  # the policy's own check
    assert section.model is not None
    return Deliberate(
        Remote(section.endpoint, None if section.key_file is None else Path(section.key_file)),
        section.model,
        question_tokens=section.max_tokens or QUESTION_TOKENS,
        rounds=section.rounds,
        pool=None if section.pool is None else Pool(Remote(section.pool)),
        cache=DecisionCache(section.cache_entries, section.cache_seconds),
        answers=section.mode == "answer",
    )


def _open_local_deliberate(
    section: EngineSection, folder: str, routes: Sequence[Sequence[Route]], *, prepared: Path | None
) -> tuple[Engine, str]:
    from signalbox.engines.deliberate.engine import QUESTION_TOKENS
    from signalbox.engines.deliberate.open import open_local
    from signalbox.engines.preference.cache import DecisionCache

    local, pace, provider = open_local(
        Path(folder),
        device=section.device,
        question_tokens=section.max_tokens or QUESTION_TOKENS,
        think_tokens=section.think_tokens,
        margin=section.margin,
        cache=DecisionCache(section.cache_entries, section.cache_seconds),
        prepared=prepared,
        until_seconds=SLOW * section.deadline_ms / 1000,
    )
    for each in routes:
        local.prepare(each)
    return local, too_slow(section, pace, provider)


def _open_preference(
    section: EngineSection, routes: Sequence[Sequence[Route]], *, prepared: Path | None
) -> tuple[Engine, str]:
    from signalbox.engines.preference.cache import DecisionCache
    from signalbox.engines.preference.open import open_local, open_served

    cache = DecisionCache(section.cache_entries, section.cache_seconds)
    if section.bundle is None:
        assert section.endpoint is not None  # the policy's own check
        assert section.model is not None
        served = open_served(
            section.endpoint,
            section.model,
            prompt=section.prompt or "",
            key_file=None if section.key_file is None else Path(section.key_file),
            encoder=None if section.tokenizer_file is None else open_encoder(Path(section.tokenizer_file)),
            budget=section.max_tokens,
            margin=section.margin,
            cache=cache,
        )
        for each in routes:
            served.prepare(each)
        return served, ""
    local, pace, provider = open_local(
        Path(section.bundle),
        device=section.device,
        budget=section.max_tokens,
        margin=section.margin,
        compare=section.compare,
        cache=cache,
        prepared=prepared,
        until_seconds=SLOW * section.deadline_ms / 1000,
    )
    for each in routes:
        local.prepare(each)
    return local, too_slow(section, pace, provider)


def _open_factorization(section: EngineSection, *, prepared: Path | None) -> tuple[Engine, str]:
    bundle = _bundle(section, Kind.MATRIX_FACTORIZATION)
    labels = bundle.manifest.labels
    direction = read_direction(bundle.tensors, labels, section.strong_model, section.weak_model)
    embedding = section.embedding
    assert embedding is not None  # the policy's own check
    slow = ""
    if embedding.bundle is not None:
        encoder = _bundle(embedding, Kind.ENCODER)
        network = open_network(encoder.model, device=section.device, dtype=encoder.manifest.dtype, prepared=prepared)
        max_tokens = min(embedding.max_tokens, encoder.manifest.max_tokens)
        reader = Reader(encoder.tokenizer, max_tokens, section.reads)
        pace = network.measure(
            lengths(max_tokens), until_seconds=SLOW * section.deadline_ms / 1000, vocabulary=reader.vocabulary
        )
        slow = too_slow(section, pace, network.provider)
        embedder: Embedder = Encoder(network, reader, encoder.manifest.pooling, pace)
        found = len(embedder.vector("a", math.inf))
        if found != len(direction):
            raise RouterError(
                f"{embedding.bundle}: vectors of {found} dimensions, and {section.bundle} was trained on "
                f"{len(direction)}, of {bundle.manifest.embedding}\n  fix: name the encoder it was trained with"
            )
        prompt: Prompt = reader.prompt
    else:
        assert embedding.endpoint is not None
        assert embedding.model is not None
        key_file = None if embedding.key_file is None else Path(embedding.key_file)
        embedder = ServedEncoder(Remote(embedding.endpoint, key_file), embedding.model, len(direction))
        prompt = plain_prompt(embedding.max_tokens, section.reads)
    if embedding.cache_entries:
        embedder = Cached(embedder, embedding.cache_entries, embedding.cache_seconds)
    return FactorizationEngine(direction, embedder, prompt), slow


def _open_classifier(section: EngineSection, *, tiers: bool, prepared: Path | None) -> tuple[Engine, str]:
    bundle = _bundle(section, Kind(section.kind))
    manifest = bundle.manifest
    strong: tuple[str, ...] = ()
    if tiers:
        strong = strong_labels(manifest.labels, section.strong_labels)
        if not strong:
            raise RouterError(
                f"{section.bundle}: a router names `strong` and `weak`, and which label asks for the strong tier is "
                f"not clear; the model has {', '.join(manifest.labels)}\n  fix: name them in `strong_labels`"
            )
    network = open_network(bundle.model, device=section.device, dtype=manifest.dtype, prepared=prepared)
    max_tokens = min(section.max_tokens or manifest.max_tokens, manifest.max_tokens)
    window = None
    if manifest.window is not None:
        window = (min(manifest.window.tokens, max_tokens), manifest.window.stride)
    elif manifest.per_token:
        window = (max_tokens, max_tokens // 2)
    reader = Reader(bundle.tokenizer, max_tokens, section.reads)
    longest = max_tokens if window is None else window[0]
    pace = network.measure(
        lengths(longest), until_seconds=SLOW * section.deadline_ms / 1000, vocabulary=reader.vocabulary
    )
    engine = Classifier(
        network, reader, manifest.labels, strong=strong, window=window, per_token=manifest.per_token, pace=pace
    )
    return engine, too_slow(section, pace, network.provider)


def _bundle(section: EngineSection | Embedding, kind: Kind) -> Bundle:
    assert section.bundle is not None  # the policy's own check
    bundle = open_bundle(section.bundle)
    if bundle.manifest.kind is not kind:
        raise RouterError(
            f"{section.bundle}: a bundle of kind {bundle.manifest.kind}; expected {kind}\n"
            "  fix: name another bundle, or the kind it has"
        )
    return bundle


def too_slow(section: EngineSection, pace: Pace, provider: str) -> str:
    """Return what to tell an operator if prompts of some length cannot be answered by the deadline; else nothing."""
    deadline = section.deadline_ms / 1000
    late = [(tokens, seconds) for tokens, seconds in pace.points if seconds > deadline]
    if not late:
        return ""
    tokens, seconds = late[0]
    in_time = max((n for n, spent in pace.points if spent <= deadline), default=0)
    until = (
        f"prompts up to {in_time} tokens can be answered in time" if in_time else "no prompt can be answered in time"
    )
    return (
        f"{section.bundle}: one prompt of {tokens} tokens takes {seconds * 1000:.0f} ms here "
        f"({provider}, one thread), and the deadline is {section.deadline_ms:g} ms: {until}\n"
        "  fix: an int8 export or a smaller model, a shorter `max_tokens`, a longer `deadline_ms`, or a GPU"
    )


def answer_now(engines: Engines, name: str, question: Question) -> Answer:
    """Ask and wait until the deadline: for commands, which have nothing else to do."""
    ticket = engines.ask(name, question)
    while not ticket.done and time.monotonic() < ticket.deadline:
        time.sleep(0.0005)
    return ticket.take()
