"""The heads of built-in engines that a policy's routers ask, opened: models mapped, descriptions worked out."""

from __future__ import annotations

from collections.abc import Callable, Container

from signalbox.engines.base import Outcome, Route
from signalbox.engines.builtin import HeadEngine, Said, Sight
from signalbox.engines.heads import IMAGE_KEY, Head, head_of, key_of, says_head
from signalbox.engines.packaged import load_models
from signalbox.engines.routes import routes_of
from signalbox.errors import SignalboxError
from signalbox.policy.engines import BUILTIN
from signalbox.policy.schema import Policy, Router

NOT_OPENED = Said(Outcome.FAILED, detail="not_opened")


def open_heads(
    policy: Policy,
    *,
    failed: Callable[[str, BaseException], None] | None = None,
    strict: bool = False,
    only: Container[str] | None = None,
) -> tuple[dict[str, HeadEngine], list[tuple[str, str]]]:
    """Return the heads by the keys of their answers, and (engine, problem) for each engine that cannot be opened.

    Such an engine fails whenever it is asked. strict: raises instead. only: keys, or engines, that are wanted.
    """
    heads: dict[str, HeadEngine] = {}
    problems: dict[str, str] = {}
    for key, name, head, routes in wanted_heads(policy):
        if only is not None and key not in only and name not in only:
            continue
        try:
            models = load_models(policy.known_engines[name].bundle)
            heads[key] = HeadEngine(name, models.encoder, models.judge(head, routes), failed)
        except SignalboxError as problem:
            if strict:
                raise
            problems.setdefault(name, str(problem))
            heads[key] = HeadEngine(name, None, _not_opened)
    return heads, list(problems.items())


def wanted_heads(policy: Policy) -> list[tuple[str, str, Head, tuple[Route, ...]]]:
    """Return key, engine, head and routes of every question that routers have for built-in engines."""
    found: dict[str, tuple[str, str, Head, tuple[Route, ...]]] = {}
    if policy.tells_images:
        found[IMAGE_KEY] = (IMAGE_KEY, BUILTIN, Head.IMAGE, ())
    for router_name, router in policy.routers.items():
        asked = [(says.name, says_head(says)) for rule in router.rules if (says := rule.when.engine) is not None]
        if router.judge is not None:
            asked.append((router.judge.name, head_of(router, router.judge)))
        for name, head in asked:
            if policy.known_engines[name].is_builtin:
                key = key_of(name, head, router_name)
                found[key] = (key, name, head, _choices(router, head))
    return list(found.values())


def _choices(router: Router, head: Head) -> tuple[Route, ...]:
    """Return what a head may choose from: tasks, models, or nothing of the router's."""
    if head is Head.SUCCESS:
        return tuple(Route(model, "") for model in router.models)
    return routes_of(router) if head is Head.TASKS else ()


def _not_opened(sight: Sight) -> Said:
    return NOT_OPENED
