"""What a well-formed policy says that cannot work, or that its author can hardly have meant.

Errors here are certain (a model no call can reach, a pattern RE2 refuses); everything that might be meant
is a warning. Entries are read one by one, so that a mistake in one does not hide what is wrong with another.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import re2
from pydantic import ValidationError

from signalbox.errors import Problem
from signalbox.policy.base import Section
from signalbox.policy.document import Document
from signalbox.policy.engines import BUILTIN, BUILTIN_LABELS, Engine, Judge
from signalbox.policy.references import entries, mapping, sections
from signalbox.policy.schema import TWO_TIERED, Gateway, Model, Provider, Router
from signalbox.policy.wording import Loc, listed, quoted

HIGH_USD_PER_MTOK = 1000.0  # the dearest model sold in 2026 costs 600
LOW_USD_PER_MTOK = 0.001  # the cheapest costs 0.01; below this somebody wrote USD per token

S = TypeVar("S", bound=Section)


def fact_problems(document: Document, priced: Collection[str] = ()) -> list[Problem]:
    """Errors and warnings about what the policy's values mean together. priced: models a price list knows."""
    readable = _Readable(document)
    return [
        *_provider_problems(readable),
        *_model_problems(readable),
        *_chain_problems(readable),
        *_price_problems(readable, priced),
        *_privacy_problems(readable),
        *_engine_problems(readable),
        *_goal_problems(readable),
        *_text_problems(document),
    ]


class _Readable:
    """The entries of a document that are valid by themselves."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.providers = _valid(document.data, "providers", Provider)
        self.models = _valid(document.data, "models", Model)
        self.routers = _valid(document.data, "routers", Router)
        self.engines = {BUILTIN: Engine(kind="builtin"), **_valid(document.data, "engines", Engine)}
        gateway = mapping(document.data.get("gateway"))
        self.gateway = _valid({"gateway": {"gateway": gateway}}, "gateway", Gateway).get("gateway")
        self.warn = partial(document.problem, severity="warning")

    def pools(self, name: str) -> Iterator[tuple[Loc, Sequence[str], str]]:
        """Lists of models a router chooses from: place, models, how they are ranked."""
        router, loc = self.routers[name], ("routers", name)
        if router.models:
            yield (*loc, "models"), router.models, router.prefer
        for index, task in enumerate(router.tasks):
            yield (*loc, "tasks", index, "models"), task.models, task.prefer
        for index, rule in enumerate(router.rules):
            if rule.models:
                yield (*loc, "rules", index, "models"), rule.models, "manual"

    def goals(self, router: Router) -> tuple[str, ...]:
        """Routers for a router's goals; none without goals."""
        return () if router.goals is None else router.goals.routers

    def is_local(self, model: str) -> bool:
        """Whether a model is, or for all we can read might be, inside the trust boundary."""
        if model not in self.models or self.models[model].provider not in self.providers:
            return True
        return self.providers[self.models[model].provider].is_local


def _valid(data: Mapping[str, Any], key: str, kind: type[S]) -> dict[str, S]:
    found: dict[str, S] = {}
    for name, content in sections(data, key):
        try:
            found[name] = kind.model_validate_json(json.dumps(content), strict=True)
        except ValidationError:
            continue  # `shape` reports it
    return found


def _provider_problems(readable: _Readable) -> Iterator[Problem]:
    for name, provider in readable.providers.items():
        loc: Loc = ("providers", name)
        if provider.tls:
            continue
        if provider.key is not None and not provider.is_local and not _is_loopback(provider.host):
            found = f"the key travels unencrypted to {quoted(provider.host)}"
            fix = "use https, or `location: local` for a host inside the site"
            yield readable.warn((*loc, "endpoint"), found, "https", fix)
        for option in ("ca_file", "sni"):
            if getattr(provider, option) is not None:
                found = f"`{option}` has no effect over plain http"
                yield readable.warn((*loc, option), found, "https", "use https or remove it")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _model_problems(readable: _Readable) -> Iterator[Problem]:
    for name, model in readable.models.items():
        provider = readable.providers.get(model.provider)
        if provider is None:
            continue
        serves = listed(sorted(provider.endpoints)) if provider.endpoints else "nothing"
        if model.endpoints is None:
            if not provider.endpoints:
                found = f"no call can reach it: provider {quoted(model.provider)} serves nothing"
                fix = f"list calls under providers.{model.provider}.serves"
                yield readable.document.problem(("models", name), found, fix=fix)
            continue
        missing = [endpoint for endpoint in model.endpoints if endpoint not in provider.endpoints]
        if len(missing) == len(model.endpoints):
            none = f"none of {listed(missing)}" if missing else "none, as the list is empty"
            found = f"no call can reach it: provider {quoted(model.provider)} serves {none}"
            fix = f"add them to providers.{model.provider}.serves, or correct the list"
            yield readable.document.problem(("models", name, "endpoints"), found, f"some of: {serves}", fix)
        elif missing:
            found = f"provider {quoted(model.provider)} does not serve {listed(missing)}"
            fix = "remove it here or add it there"
            yield readable.warn(("models", name, "endpoints"), found, f"some of: {serves}", fix)


def _chain_problems(readable: _Readable) -> Iterator[Problem]:
    for name, model in readable.models.items():
        if name in model.fallback:
            loc: Loc = ("models", name, "fallback", model.fallback.index(name))
            yield readable.document.problem(loc, f"{quoted(name)} falls back to itself", "other models", "remove it")
    gateway = readable.gateway
    if gateway is None:
        return
    if gateway.mode == "cluster_header":
        fallbacks = [model.fallback for model in readable.models.values()]
        fallbacks += [router.fallback for router in readable.routers.values()]
        if any(fallbacks):
            found = "fallbacks have no effect: in mode cluster_header Envoy cannot walk a chain"
            fix = "use mode priority_group (Envoy 1.40 or newer), or drop `fallback`"
            yield readable.warn(("gateway", "mode"), found, fix=fix)
        return
    for name, model in readable.models.items():
        yield from _too_long(readable, ("models", name, "fallback"), (name, *model.fallback), gateway.max_attempts)
    for name, router in readable.routers.items():
        for loc, models, _ in readable.pools(name):
            yield from _too_long(readable, loc, (*models, *router.fallback), gateway.max_attempts)


def _too_long(readable: _Readable, loc: Loc, chain: Sequence[str], limit: int) -> Iterator[Problem]:
    distinct = list(dict.fromkeys(chain))
    if len(distinct) > limit:
        found = f"a chain of {len(distinct)} models with its fallbacks; one request tries {limit}"
        rest = listed(distinct[limit:])
        fix = f"raise gateway.max_attempts; else {rest} is tried only when others cannot take a request"
        yield readable.warn(loc, found, f"at most {limit}", fix)


def _price_problems(readable: _Readable, priced: Collection[str]) -> Iterator[Problem]:
    for name, model in readable.models.items():
        for side in ("input", "output"):
            usd = getattr(model.price, side) if model.price else 0.0
            loc: Loc = ("models", name, "price", side)
            if usd > HIGH_USD_PER_MTOK:
                found = f"{usd:g} USD per million tokens is more than any model costs"
                yield readable.warn(loc, found, "USD per million tokens", "check the unit and the decimal point")
            elif 0 < usd < LOW_USD_PER_MTOK:
                found = f"{usd:g} USD per million tokens is less than any model costs"
                fix = f"if this is USD per token, write {usd * 1_000_000:g}"
                yield readable.warn(loc, found, "USD per million tokens", fix)
    if mapping(readable.document.data.get("prices")).get("sources"):
        return  # nobody knows what is on those lists until they are asked
    known = {name for name, model in readable.models.items() if model.price is not None}.union(priced)
    for name in readable.routers:
        for loc, models, prefer in readable.pools(name):
            unpriced = [model for model in models if model in readable.models and model not in known]
            if prefer == "cheapest" and unpriced:
                found = f"`prefer: cheapest` cannot compare models without a price: {listed(unpriced)}"
                yield readable.warn(loc, found, "a price for each", "add `price`; zero means free")
        yield from _budgeted_problems(readable, name, known)


def _budgeted_problems(readable: _Readable, name: str, known: Collection[str]) -> Iterator[Problem]:
    """A threshold that is to keep to a budget, over models nobody knows the cost of."""
    router = readable.routers[name]
    judge = router.judge
    if judge is None or judge.usd_per_1000 is None:
        return
    models = [model for task in router.tasks if task.name in (judge.strong, judge.weak) for model in task.models]
    unpriced = [model for model in dict.fromkeys(models) if model in readable.models and model not in known]
    if unpriced:
        found = f"`usd_per_1000` cannot be kept over models without a price: {listed(unpriced)}"
        loc = ("routers", name, "engine", "usd_per_1000")
        yield readable.warn(loc, found, "a price for each", "add `price`; zero means free")


def _privacy_problems(readable: _Readable) -> Iterator[Problem]:
    everyone = bool(mapping(mapping(readable.document.data.get("privacy")).get("local_only")))
    expected = "a model whose provider has `location: local`"
    if everyone and readable.models and not any(readable.is_local(name) for name in readable.models):
        found = "no model is local: every local-only request will be refused"
        fix = "mark the provider inside your site `location: local`"
        yield readable.warn(("privacy", "local_only"), found, expected, fix)
        return
    for name, router in readable.routers.items():
        own = router.privacy is not None and router.privacy.local_only is not None
        routers = [name, *(each for each in readable.goals(router) if each in readable.routers)]
        reachable = [model for each in routers for _, models, _ in readable.pools(each) for model in models]
        reachable += [model for each in routers for model in readable.routers[each].fallback]
        if (everyone or own) and not any(readable.is_local(model) for model in reachable):
            loc = ("routers", name, "privacy") if own else ("routers", name)
            found = "this router names no local model: it will refuse every local-only request"
            yield readable.warn(loc, found, expected, "add a local model to `fallback`")


_LABELLED = ("builtin", "classifier", "modality")
_TIERED = ("builtin", "classifier", "matrix_factorization")
_DESCRIBED = ("builtin", "preference", "deliberate")


def _engine_problems(readable: _Readable) -> Iterator[Problem]:
    """Engines nobody asks, and routers that make of an engine what it is not."""
    asked: set[str] = set()
    for name, router in readable.routers.items():
        asked.update(router.engines)
        yield from _shadow_problems(readable, name, router)
        yield from _unasked_problems(readable, name, router)
        yield from _condition_problems(readable, name, router)
        if router.shadow_engine is not None:
            asked.add(router.shadow_engine.name)
        judge = router.judge
        engine = None if judge is None else readable.engines.get(judge.name)
        if judge is None or engine is None:
            continue
        loc: Loc = ("routers", name, "engine") if router.engine is not None else ("routers", name, "goal")
        yield from _second_problems(readable, loc, judge, engine)
        if judge.has_tiers and engine.kind not in _TIERED:
            found = f"an engine of kind {engine.kind} chooses among routes and knows no `strong` and `weak`"
            yield readable.document.problem(loc, found, f"an engine of kind {' or '.join(_TIERED)}", "use `tasks`")
        elif not judge.has_tiers and engine.kind == "matrix_factorization":
            found = "an engine of kind matrix_factorization tells two tiers apart, and none are named"
            yield readable.document.problem(loc, found, "`strong` and `weak`", "name a task for each")
        elif engine.is_builtin and not judge.has_tiers and not router.tasks:
            yield from _success_problems(readable, loc, router, engine)
        elif engine.kind in _DESCRIBED and not judge.has_tiers:
            for index, task in enumerate(router.tasks):
                if not task.description:
                    found = f"the engine chooses by descriptions, and task {quoted(task.name)} has none"
                    fix = "say in one sentence what the work is"
                    yield readable.warn(("routers", name, "tasks", index), found, "a description", fix)
                if engine.pool is not None and task.name not in readable.models:
                    found = f"the engine consults models by the names of tasks, and {quoted(task.name)} is none"
                    place = ("routers", name, "tasks", index, "name")
                    yield readable.document.problem(place, found, "a model's name", "name tasks after their models")
    if not readable.engines[BUILTIN].is_builtin:
        found = f"the name {quoted(BUILTIN)} is that of the models in the package"
        yield readable.document.problem(("engines", BUILTIN), found, "another name", "rename the engine")
    for name in mapping(readable.document.data.get("engines")):
        if name not in asked and name in readable.engines and not _unread_engine_uses(readable.document):
            yield readable.warn(("engines", name), "no router asks this engine", "a router with it", "remove it")


def _success_problems(readable: _Readable, loc: Loc, router: Router, engine: Engine) -> Iterator[Problem]:
    """Models to be taken by their chances, without what that needs."""
    if router.goal not in TWO_TIERED:
        found = "the built-in engine has neither `strong` and `weak`, nor tasks, nor a goal for the router's models"
        fix = "name tasks, or `goal` and an engine trained on these models"
        yield readable.document.problem(loc, found, f"`goal`: {' or '.join(TWO_TIERED)}", fix)
    elif engine.bundle is None:
        found = "the models in the package know tiers, and no model by its name"
        fix = "train heads on labels of these models, or name tasks with `strong` and `weak`"
        yield readable.document.problem(loc, found, "an engine of kind builtin with a `bundle`", fix)
    elif router.judge is not None and router.judge.second is not None:
        found = "`then` has nothing to choose from where models are taken by their chances"
        yield readable.document.problem((*loc, "then"), found, "tasks", "remove it")


def _second_problems(readable: _Readable, loc: Loc, judge: Judge, engine: Engine) -> Iterator[Problem]:
    """A second opinion that nobody can give, or that nobody waits for."""
    second = None if judge.second is None else readable.engines.get(judge.second.name)
    if second is None:
        return
    loc = (*loc, "then")
    if not engine.is_builtin:
        found = f"`then` is for what the built-in engine is not sure of; this one is of kind {engine.kind}"
        yield readable.document.problem(loc, found, "an engine of kind builtin before it", "name that one alone")
    elif second.is_builtin or (judge.has_tiers and second.kind not in _TIERED):
        found = f"an engine of kind {second.kind} gives no second opinion here"
        kinds = _TIERED[1:] if judge.has_tiers else ("classifier", "modality", "preference", "deliberate")
        yield readable.document.problem(loc, found, f"an engine of kind {' or '.join(kinds)}")
    elif not judge.has_tiers and second.kind == "matrix_factorization":
        found = "an engine of kind matrix_factorization tells two tiers apart, and none are named"
        yield readable.document.problem(loc, found, "`strong` and `weak`", "name a task for each")


def _goal_problems(readable: _Readable) -> Iterator[Problem]:
    """Routers for goals that cannot be what they are for."""
    for name, router in readable.routers.items():
        for other in readable.goals(router):
            if other in readable.routers and readable.routers[other].budget is not None:
                found = f"the budget of router {quoted(other)} does not hold for what is led to it from here"
                fix = f"give router {quoted(name)} a budget"
                yield readable.warn(("routers", name, "goals"), found, fix=fix)
        goals, loc = router.goals, ("routers", name, "goals", "described")
        described = None if goals is None or goals.described is None else readable.routers.get(goals.described)
        if goals is None or described is None:
            continue
        if not described.rules and described.judge is None:
            found = f"router {quoted(goals.described or '')} has neither rules nor an engine: it is never taken here"
            yield readable.warn(loc, found, "a router that can tell what it is for", "give it rules or an engine")
        judge = described.judge
        engine = None if judge is None else readable.engines.get(judge.name)
        if judge is None or engine is None or engine.kind not in ("preference", "deliberate"):
            continue
        for other in (goals.complexity.below, goals.complexity.above):
            if other != goals.described and other in readable.routers and judge.name in readable.routers[other].engines:
                found = f"router {quoted(other)} comes after this one and asks the same engine, about other tasks"
                fix = "give one of the two an engine of its own; both may name the same server or bundle"
                yield readable.document.problem(loc, found, "an engine for each", fix)


def _shadow_problems(readable: _Readable, name: str, router: Router) -> Iterator[Problem]:
    if router.shadow_engine is None:
        return
    loc: Loc = ("routers", name, "shadow_engine")
    engine = readable.engines.get(router.shadow_engine.name)
    if engine is not None and engine.kind == "matrix_factorization":
        found = "an engine of kind matrix_factorization tells two tiers apart and chooses no task"
        yield readable.document.problem((*loc, "name"), found, "an engine that chooses among tasks")
    if engine is not None and engine.is_builtin:
        found = "the built-in engine is what labels are for: it takes no longer than a decision"
        yield readable.document.problem((*loc, "name"), found, "an engine of another kind", "ask it in `engine`")
    if not router.tasks:
        yield readable.document.problem(loc, "the router has no tasks to choose from", "`tasks`", "name some")
    if "journal" not in readable.document.data:
        found = "what it says goes to the journal, and there is none"
        yield readable.warn(loc, found, "a `journal`", "name a directory under `journal`, or remove this")


def _unasked_problems(readable: _Readable, name: str, router: Router) -> Iterator[Problem]:
    """Engines of a shadow router that the router itself does not ask: requests wait for none that decides nothing."""
    shadow = None if router.shadow is None else readable.routers.get(router.shadow)
    if shadow is None:
        return
    theirs = [shadow, *(readable.routers[each] for each in readable.goals(shadow) if each in readable.routers)]
    own = [router, *(readable.routers[each] for each in readable.goals(router) if each in readable.routers)]
    asked = {engine for each in own for engine in each.engines}
    unasked = sorted({engine for each in theirs for engine in each.engines} - asked)
    if unasked:
        engines = listed(quoted(engine) for engine in unasked)
        found = f"it decides without {engines}: no request waits for the engine of a shadow"
        fix = "compare by its labels: name the engine under `shadow_engine`, or roll the router out to a few"
        yield readable.warn(("routers", name, "shadow"), found, "a router that needs no other engine", fix)


def _condition_problems(readable: _Readable, name: str, router: Router) -> Iterator[Problem]:
    for index, rule in enumerate(router.rules):
        says = rule.when.engine
        engine = None if says is None else readable.engines.get(says.name)
        if engine is not None and engine.kind not in _LABELLED:
            found = f"an engine of kind {engine.kind} gives no labels that a rule could ask for"
            loc: Loc = ("routers", name, "rules", index, "when", "engine", "name")
            yield readable.document.problem(loc, found, f"an engine of kind {' or '.join(_LABELLED)}")
        elif engine is not None and engine.is_builtin and says is not None and not _one_head(says.labels):
            found = f"the built-in engine has no labels {listed(says.labels)} to choose between"
            place: Loc = ("routers", name, "rules", index, "when", "engine", "labels")
            yield readable.document.problem(place, found, ", or ".join(" and ".join(each) for each in BUILTIN_LABELS))


def _one_head(labels: Collection[str]) -> bool:
    return any(set(labels) <= set(known) for known in BUILTIN_LABELS)


def _unread_engine_uses(document: Document) -> bool:
    """Whether a router that cannot be read as a whole might ask any of the engines."""
    return any(
        ("engine" in router or "rules" in router) and not _valid({"routers": {name: router}}, "routers", Router)
        for name, router in sections(document.data, "routers")
    )


def _text_problems(document: Document) -> Iterator[Problem]:
    """Keywords and patterns of rules."""
    for name, router in sections(document.data, "routers"):
        places: list[tuple[Loc, Any]] = [
            (("routers", name, "rules", index, "when"), mapping(rule).get("when"))
            for index, rule in entries(router.get("rules"))
        ]
        haste = mapping(mapping(router.get("goals")).get("latency_sensitive"))
        places.append((("routers", name, "goals", "latency_sensitive", "when"), haste.get("when")))
        for loc, content in places:
            when = mapping(content)
            for position, keyword in entries(when.get("keywords")):
                if isinstance(keyword, str) and keyword and not keyword.strip():
                    place = (*loc, "keywords", position)
                    yield document.problem(place, "a blank keyword", "a word or phrase", "remove it")
            if isinstance(pattern := when.get("regex"), str):
                yield from _regex_problems(document, (*loc, "regex"), pattern)


def _regex_problems(document: Document, loc: Loc, pattern: str) -> Iterator[Problem]:
    options = re2.Options()
    options.log_errors = False  # RE2 would write the pattern to stderr
    try:
        matches_nothing_at_all = re2.compile(pattern, options).search("") is not None
    except re2.error as problem:
        reason = problem.args[0]
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        is_perl = "perl operator" in reason or "escape" in reason
        fix = "RE2 has no look-around and no back-references" if is_perl else ""
        found = f"RE2 refuses {quoted(pattern)}: {reason.partition(': ')[0]}"
        yield document.problem(loc, found, "an RE2 pattern", fix)
        return
    if matches_nothing_at_all:
        found, fix = f"{quoted(pattern)} matches any text, even none", "a rule for everything is `default_task`"
        yield document.problem(loc, found, "a pattern that some texts do not match", fix, severity="warning")
