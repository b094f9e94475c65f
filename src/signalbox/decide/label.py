"""`signalbox label`: what a router's engine says of each request of a file, without a gateway and without haste.

A heavy engine labels what a light one is to be trained on. Requests are read as they come, as many are asked at once as
the engine takes, and each label is written as soon as it is there: a run that was broken off goes on where it was.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgspec

from signalbox.core import scan
from signalbox.decide.catalog import CompiledRouter
from signalbox.decide.judge import CompiledJudge
from signalbox.decide.pipeline import Pipeline
from signalbox.engines.base import Answer, Outcome, Question
from signalbox.engines.desk import Ticket
from signalbox.engines.open import Engines, open_engines
from signalbox.errors import RequestError, SetupError
from signalbox.features.extract import extract
from signalbox.label import Label, decode, encode
from signalbox.policy.load import load_policy
from signalbox.policy.schema import Policy
from signalbox.types import Case, Endpoint, ParsedRequest, Privacy, Signals

LOCAL_ONLY = Answer(Outcome.UNSURE, detail="local_only")
"""A request that the engine's server may not hear of is not asked about."""


class Line(msgspec.Struct):
    """A line with more than a body. headers: names as clients write them."""

    body: msgspec.Raw
    id: str | int = ""
    endpoint: str = ""
    headers: dict[str, str] = {}


@dataclass(slots=True)
class Tally:
    """What came of a file's requests. refused: lines that are no request. known: labelled by an earlier run.

    lines: of the file.
    """

    lines: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    known: int = 0

    @property
    def asked(self) -> int:
        return self.outcomes.total()

    @property
    def text(self) -> str:
        """Return it in one line, for people."""
        parts = [f"{count} {outcome}" for outcome, count in self.outcomes.most_common()]
        told = f"{self.asked} labelled" + (f": {', '.join(parts)}" if parts else "")
        if self.known:
            told += f"; {self.known} were already"
        return told + (f"; {self.refused} lines are no request" if self.refused else "")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request under way."""

    number: int
    id: str
    case: Case
    ticket: Ticket
    done: threading.Event


def label_file(
    file: Path,
    policy: Path,
    router: str,
    out: Path,
    *,
    endpoint: str = "chat_completions",
    deadline_seconds: float = 30.0,
    most: int | None = None,
    said: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Ask the shadow engine of a router, or else its engine, about each request of `file`; add its labels to `out`.

    file: one JSON object a line: a request's body, or {"body", "id", "endpoint", "headers"} of which the last three may
    be left out. deadline_seconds: for each request, in place of the policy's. most: requests to ask about now; those
    that `out` has labels of do not count. said: told after each label how far it is.
    Raises SetupError for a router without an engine, or files that cannot be used; PolicyError for a policy that
    cannot, BundleError or RouterError for an engine.
    """
    if endpoint not in list(Endpoint):
        raise SetupError(f"unknown endpoint {endpoint!r}; expected one of {', '.join(Endpoint)}")
    loaded = load_policy(policy).policy
    compiled = Pipeline.compile(loaded).resolver.routers.get(router)
    judge = None if compiled is None else compiled.labeller or compiled.judge
    if compiled is None or judge is None:
        raise SetupError(
            f"{policy}: router {router!r} {'is not there' if compiled is None else 'has no engine'}\n"
            f"  expected: one of {', '.join(_with_engines(loaded)) or 'none has an engine'}\n"
            "  fix: name one of them, or give this one an `engine`"
        )
    name = judge.engine
    known = _known(out, router, name)
    engines = open_engines(loaded, only=[name], strict=True)
    assert engines is not None  # the router asks one
    at_once = loaded.known_engines[name].max_concurrent or len(os.sched_getaffinity(0))
    with _read(file) as lines:
        tally = Tally(lines=sum(1 for _ in lines), known=len(known))
    asker = _Asker(compiled, judge, engines, deadline_seconds)
    try:
        with _read(file) as lines, out.open("ab") as labels:
            under_way: deque[Asked] = deque()
            for number, line in enumerate(lines, start=1):
                if number in known or not line.strip():
                    continue
                if most is not None and tally.asked + len(under_way) >= most:
                    break
                try:
                    under_way.append(asker.ask(number, line, Endpoint(endpoint)))
                except RequestError:
                    tally.refused += 1
                if len(under_way) >= at_once:
                    _take(under_way, asker, labels, tally, said)
            while under_way:
                _take(under_way, asker, labels, tally, said)
    except OSError as problem:
        raise SetupError(f"{problem.filename or out}: {problem.strerror}") from problem
    finally:
        engines.close()
    return tally


class _Asker:
    """One router's engine, and what becomes of its answers."""

    def __init__(self, router: CompiledRouter, judge: CompiledJudge, engines: Engines, deadline_seconds: float) -> None:
        self._router = router
        self._judge = judge
        self._engines = engines
        self._deadline_seconds = deadline_seconds

    def ask(self, number: int, line: bytes, endpoint: Endpoint) -> Asked:
        """Ask about the request of a line. Raises RequestError if it is none."""
        given = _read_line(line)
        if given.endpoint and given.endpoint not in list(Endpoint):
            raise RequestError("unknown endpoint")
        body = bytes(given.body)
        headers = {name.lower(): value for name, value in given.headers.items()}
        request = ParsedRequest(Endpoint(given.endpoint or endpoint), body, scan(body), headers)
        case = Case(request, extract(request), Signals(str(given.id), time.time(), str(given.id)))
        now = time.monotonic()
        deadline = now + self._deadline_seconds
        if self._judge.leaves_the_site and self._router.guard.look(request).privacy is Privacy.LOCAL:
            ticket = Ticket(now, deadline)
            ticket.give(LOCAL_ONLY)
        else:
            question = Question(request, case.features, self._router.routes, deadline)
            ticket = self._engines.ask(self._judge.key, question)
        done = threading.Event()
        ticket.when_done(done.set)
        return Asked(number, str(given.id), case, ticket, done)

    def label(self, asked: Asked) -> Label:
        """Return the label of a request, once its engine has answered or its time is over."""
        asked.done.wait(max(0.0, asked.ticket.deadline - time.monotonic()))
        answer = asked.ticket.take()
        return self._judge.label(answer, asked.case, at_seconds=time.time(), id=asked.id, line=asked.number)


def _take(
    under_way: deque[Asked], asker: _Asker, labels: BinaryIO, tally: Tally, said: Callable[[Tally], None]
) -> None:
    label = asker.label(under_way.popleft())
    labels.write(encode(label))
    labels.flush()
    tally.outcomes[label.outcome] += 1
    said(tally)


def _read_line(line: bytes) -> Line:
    try:
        return _LINE.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Line(msgspec.Raw(line))  # the body itself; `scan` says if it is one


_LINE = msgspec.json.Decoder(Line)


def _read(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as problem:
        raise SetupError(f"{file}: {problem.strerror}\n  expected: a file with one request a line") from problem


def _known(out: Path, router: str, engine: str) -> set[int]:
    """Return the lines that `out` has labels of, and cut off one that was being written when a run was broken off."""
    known: set[int] = set()
    try:
        with out.open("r+b") as file:
            whole = 0
            for line in file:
                if line.endswith(b"\n"):
                    whole += len(line)
                    known.update(_number(line, out, router, engine))
            file.truncate(whole)
    except FileNotFoundError:
        return known
    except OSError as problem:
        raise SetupError(f"{out}: {problem.strerror}") from problem
    return known


def _number(line: bytes, out: Path, router: str, engine: str) -> Iterator[int]:
    try:
        label = decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise SetupError(
            f"{out}: holds something else than labels\n  expected: a new file, or one of an earlier run\n"
            "  fix: name another file"
        ) from problem
    if (label.router, label.engine) != (router, engine):
        raise SetupError(
            f"{out}: has labels of router {label.router!r} and engine {label.engine!r}\n"
            f"  expected: those of {router!r} and {engine!r}\n  fix: one file for each router and engine"
        )
    yield label.line


def _with_engines(policy: Policy) -> list[str]:
    return [name for name, router in policy.routers.items() if router.labeller or router.judge]
