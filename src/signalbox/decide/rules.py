"""Rules: decisions that need no engine. The first rule whose conditions all hold wins.

Conditions are compiled once, cheap ones first, so the text of a request is fetched only when a rule gets
as far as asking for it, and keywords of all rules are searched for in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import re2

from signalbox.decide.headers import ANY_VALUE, header_says
from signalbox.decide.keywords import Keywords
from signalbox.decide.members import UnreadableMember, read_member
from signalbox.decide.pools import Pool
from signalbox.decide.trace import Trace
from signalbox.policy.conditions import Range, When
from signalbox.policy.engines import EngineSays
from signalbox.policy.schema import Rule
from signalbox.types import Answer, Case, EngineOutcome, Judgement

Scope = Literal["last_user", "conversation"]


class Look:
    """One request as rules see it: each text, keyword search and metadata is worked out at most once."""

    __slots__ = ("_found", "_keywords", "_metadata", "_texts", "case")

    def __init__(self, case: Case, keywords: Mapping[Scope, Keywords]) -> None:
        self.case = case
        self._keywords = keywords
        self._texts: dict[Scope, bytes] = {}
        self._found: dict[Scope, frozenset[int]] = {}
        self._metadata: object = self  # stands for "not read yet"; no JSON value is a Look

    def text(self, scope: Scope) -> bytes:
        if scope not in self._texts:
            self._texts[scope] = self.case.request.scan.text(last_user=scope == "last_user")
        return self._texts[scope]

    def keywords(self, scope: Scope) -> frozenset[int]:
        if scope not in self._found:
            self._found[scope] = self._keywords[scope].find(self.text(scope))
        return self._found[scope]

    @property
    def metadata(self) -> object:
        """The body's `metadata`; None when it is absent or nobody could read it."""
        if self._metadata is self:
            try:
                self._metadata = read_member(self.case.request, "metadata")
            except UnreadableMember:
                self._metadata = None
        return self._metadata


Holds = Callable[[Look], bool]


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule ready to run. `checks` are (condition, test) pairs, cheapest first; all must hold.

    says: what an engine has to say besides. key: of its answer. guards: it keeps what an engine sees on the site, from
    sessions too.
    """

    name: str
    pool: Pool
    checks: tuple[tuple[str, Holds], ...]
    says: EngineSays | None = None
    key: str = ""

    @property
    def guards(self) -> bool:
        return self.says is not None and all(candidate.is_local for candidate in self.pool.candidates)

    def judgement(self, case: Case) -> Judgement | None:
        """Return what is kept of the answer the rule held by; None if it needs none."""
        if self.says is None:
            return None
        answer = case.signals.answers.get(self.key, _NO_ANSWER)
        return Judgement(
            self.says.name, answer.outcome, answer.detail, answer.microseconds, _score(answer, self.says.labels)
        )


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The rules of one router. heeded: those that a session meets which keeps its model; none without a guard."""

    rules: tuple[CompiledRule, ...]
    keywords: Mapping[Scope, Keywords]
    heeded: tuple[CompiledRule, ...] = ()

    def guards_among(self, keys: Iterable[str]) -> frozenset[str]:
        """Return those of the keys that guards want an answer under."""
        return frozenset(keys) & {rule.key for rule in self.heeded if rule.says is not None}

    def guard(self, case: Case, trace: Trace | None, wanted: list[str] | None = None) -> CompiledRule | None:
        """Return the first rule that holds if it is a guard: for requests that pass all other rules by.

        Rules that ask engines about something else are left out, for those are not asked then. wanted: as below.
        """
        if not self.heeded:
            return None
        found = RuleBook(self.heeded, self.keywords).first_match(case, trace, wanted)
        return found if found is not None and found.guards else None

    def first_match(self, case: Case, trace: Trace | None, wanted: list[str] | None = None) -> CompiledRule | None:
        """Return the first rule whose conditions all hold, or None.

        wanted: gets the keys of answers that would have to be known to be sure of it.
        """
        look = Look(case, self.keywords)
        for rule in self.rules:
            for condition, holds in rule.checks:
                if not holds(look):
                    if trace is not None:
                        trace.setdefault("rules", []).append({"rule": rule.name, "failed": condition})
                    break
            else:
                if rule.says is not None:
                    answer = case.signals.answers.get(rule.key)
                    if answer is None and wanted is not None:
                        wanted.append(rule.key)
                        continue
                    if not _says(answer or _NO_ANSWER, rule.says):
                        if trace is not None:
                            trace.setdefault("rules", []).append({"rule": rule.name, "failed": "engine"})
                        continue
                if trace is not None:
                    trace.setdefault("rules", []).append({"rule": rule.name, "matched": True})
                return rule
        return None


def engine_name(says: EngineSays) -> str:
    return says.name


def compile_rules(
    rules: Sequence[Rule], pool_of: Callable[[Rule], Pool], key_of: Callable[[EngineSays], str] = engine_name
) -> RuleBook:
    """Return the rules of a router, ready to run. pool_of: what a rule leads to. key_of: of an engine's answer."""
    numbering: dict[Scope, dict[str, int]] = {"last_user": {}, "conversation": {}}
    compiled = []
    for number, rule in enumerate(rules, start=1):
        checks = _checks(rule.when, numbering[rule.when.scope])
        name = rule.name or f"rule-{number}"
        says = rule.when.engine
        key = "" if says is None else key_of(says)
        compiled.append(CompiledRule(name, pool_of(rule), tuple(checks), says, key))
    keywords = {scope: Keywords(list(words)) for scope, words in numbering.items() if words}
    heeded = [rule for rule in compiled if rule.guards or rule.says is None]
    return RuleBook(tuple(compiled), keywords, tuple(heeded) if any(rule.guards for rule in compiled) else ())


def _checks(when: When, numbers: dict[str, int]) -> list[tuple[str, Holds]]:
    """Return the tests of a rule, cheapest first; new keywords are entered into `numbers`."""
    checks: list[tuple[str, Holds]] = []
    if when.endpoint:
        endpoints = frozenset(when.endpoint)
        checks.append(("endpoint", lambda look: look.case.request.endpoint in endpoints))
    if when.tools is not None:
        with_tools = when.tools
        checks.append(("tools", lambda look: (look.case.features.tools > 0) is with_tools))
    if when.images is not None:
        with_images = when.images
        checks.append(("images", lambda look: (look.case.features.images > 0) is with_images))
    if when.messages is not None:
        checks.append(("messages", _messages_within(when.messages)))
    if when.prompt_tokens is not None:
        checks.append(("prompt_tokens", _prompt_tokens_within(when.prompt_tokens)))
    if when.turns is not None:
        checks.append(("turns", _turns_within(when.turns)))
    if when.modality:
        kinds = frozenset(when.modality)
        checks.append(("modality", lambda look: look.case.features.modality in kinds))
    if when.reasoning is not None:
        with_reasoning = when.reasoning
        checks.append(("reasoning", lambda look: look.case.features.reasoning is with_reasoning))
    for name, wanted in when.headers.items():
        checks.append((f"headers.{name}", _header_check(name, wanted)))
    for key, value in when.metadata.items():
        checks.append((f"metadata.{key}", _metadata_check(key, value)))
    if when.keywords:
        checks.append(("keywords", _keyword_check(when, numbers)))
    if when.regex is not None:
        checks.append(("regex", _regex_check(when.regex, when.scope)))
    return checks


_NO_ANSWER = Answer(EngineOutcome.FAILED, detail="not_asked")


def _score(answer: Answer, labels: Sequence[str]) -> float | None:
    return max((score for label, score in answer.scores if label in labels), default=None)


def _says(answer: Answer, says: EngineSays) -> bool:
    score = _score(answer, says.labels)
    if answer.outcome is not EngineOutcome.RESULT or score is None:
        return says.without_answer
    return score >= says.at_least


def _bounds(wanted: Range) -> tuple[int, float]:
    return wanted.min or 0, float("inf") if wanted.max is None else wanted.max


def _messages_within(wanted: Range) -> Holds:
    low, high = _bounds(wanted)
    return lambda look: low <= look.case.features.messages <= high


def _turns_within(wanted: Range) -> Holds:
    low, high = _bounds(wanted)
    return lambda look: low <= look.case.features.turns <= high


def _prompt_tokens_within(wanted: Range) -> Holds:
    low, high = _bounds(wanted)
    return lambda look: low <= look.case.features.prompt_tokens <= high


def _header_check(name: str, wanted: str) -> Holds:
    if wanted == ANY_VALUE:
        return lambda look: name in look.case.request.headers
    wanted = wanted.strip().lower()
    return lambda look: header_says(look.case.request.headers.get(name), wanted)


def _metadata_check(key: str, wanted: str | bool | int) -> Holds:
    def holds(look: Look) -> bool:
        if not isinstance(look.metadata, dict):
            return False
        found = look.metadata.get(key)
        # Python calls True and 1 equal; a policy that says `beta: true` does not mean `"beta": 1`.
        return type(found) is type(wanted) and bool(found == wanted)

    return holds


def _keyword_check(when: When, numbers: dict[str, int]) -> Holds:
    scope = when.scope
    wanted = frozenset(numbers.setdefault(word, len(numbers)) for word in when.keywords)
    if when.any:
        return lambda look: not wanted.isdisjoint(look.keywords(scope))
    return lambda look: wanted <= look.keywords(scope)


def _regex_check(pattern: str, scope: Scope) -> Holds:
    options = re2.Options()
    options.log_errors = False
    compiled = re2.compile(pattern, options)
    return lambda look: compiled.search(look.text(scope)) is not None
