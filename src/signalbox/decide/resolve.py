"""What the `model` field of a request stands for: a router, a model, a weighted alias, or nothing.

    router:NAME, router/NAME    the router of that name
    auto, inference-router      the default router, or the one `routing_preference` names
    an alias                    what it stands for
    a model                     that model and its fallbacks
    router-NAME-THRESHOLD       the router of that name, or the first that asks an engine of it, with that threshold
    a captured name             the first router with a matching pattern
    anything else               the `unknown_model` rule, or 404 with the nearest names

Names are looked up once, when the policy is compiled. What a router or an alias then names is always a
model, never a name to resolve again, so nothing can loop, whatever is captured.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from signalbox.decide.catalog import CompiledRouter, compile_router
from signalbox.decide.members import read_own_member
from signalbox.decide.pools import NO_PRICES, Pool, make_candidates, make_pool, pick
from signalbox.decide.split import Split, make_split
from signalbox.errors import RequestError
from signalbox.policy.schema import Policy
from signalbox.types import Candidate, Endpoint, ParsedRequest, Price, Refusal

AUTO_NAMES = ("auto", "inference-router")
ROUTER_PREFIXES = ("router:", "router/")
ROUTING_PREFERENCES = ("balanced", "budget", "quality")

MAX_NAME_CHARS = 256  # no name a policy can hold is longer; what is longer is matched against nothing
MAX_SHOWN_CHARS = 64
THRESHOLD_NAME = re.compile(
    r"router-(?P<name>[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127})-(?P<threshold>[01](?:\.[0-9]{1,20})?)"
)
"""How RouteLLM's clients name a router and its threshold: `router-mf-0.11593`."""
NEAREST_NAMES = 3

Target = CompiledRouter | Pool | Split


@dataclass(frozen=True, slots=True)
class Resolver:
    """Model field -> target, for one policy."""

    direct: Mapping[str, Pool | Split]  # models and their aliases, capture ignored
    targets: Mapping[str, Target]  # every name but `auto`, captured models already turned over
    captures: tuple[tuple[re.Pattern[str], CompiledRouter], ...]
    default: CompiledRouter | None
    preferences: Mapping[str, CompiledRouter]  # routing_preference -> router
    unknown: Target | None
    routers: Mapping[str, CompiledRouter]
    candidates: Mapping[str, Candidate]
    tiered: Mapping[str, CompiledRouter]  # of two tiers: by their own names, and by those of their engines

    def resolve(self, request: ParsedRequest) -> tuple[Target, bool]:
        """Return what the request's model stands for, and whether the unknown_model rule took it.

        Raises RequestError: 404 `model_not_found` for a name that stands for nothing, 400 for an
        embeddings request to a router or a `routing_preference` nobody knows.
        """
        name = request.scan.model
        if request.endpoint is Endpoint.EMBEDDINGS:
            return self._resolve_embeddings(name)
        if name in AUTO_NAMES:
            return self._automatic(request), False
        target = self.targets.get(name)
        if target is not None:
            return target, False
        if name.startswith(ROUTER_PREFIXES):  # a slip in a router's name must not end in a pattern like `*`
            raise self._not_found("router", name)
        target = self._with_threshold(name) or self._captured(name)
        if target is not None:
            return target, False
        if self.unknown is not None:
            return self.unknown, True
        raise self._not_found("model", name)

    def _with_threshold(self, name: str) -> CompiledRouter | None:
        """Return the router that a name in RouteLLM's form means, with the threshold in it; None for another name."""
        found = THRESHOLD_NAME.fullmatch(name)
        if found is None:
            return None
        router, threshold = self.tiered.get(found["name"]), float(found["threshold"])
        if router is None or router.judge is None or threshold > 1.0:
            return None
        return replace(router, judge=replace(router.judge, threshold=threshold, target_share=None, usd_per_1000=None))

    def _resolve_embeddings(self, name: str) -> tuple[Target, bool]:
        """Vectors of two models cannot be compared, so no router may choose between them."""
        target = self.direct.get(name)
        if target is not None:
            return target, False
        if name in AUTO_NAMES or isinstance(self.targets.get(name), CompiledRouter):
            raise RequestError(
                f"embeddings are served by a named model or an alias of models, not by a router: found {shown(name)}",
                code=Refusal.INVALID_REQUEST,
            )
        if self.unknown is not None and not isinstance(self.unknown, CompiledRouter):
            return self.unknown, True
        raise self._not_found("model", name)

    def _automatic(self, request: ParsedRequest) -> CompiledRouter:
        preference = read_own_member(request, "routing_preference")
        if preference is not None:
            if preference not in ROUTING_PREFERENCES:
                raise RequestError(
                    f"routing_preference must be one of {', '.join(ROUTING_PREFERENCES)}", code=Refusal.INVALID_REQUEST
                )
            router = self.preferences.get(preference, self.default)
        else:
            router = self.default
        if router is None:
            raise RequestError(
                f"{shown(request.scan.model)} stands for the default router, and this gateway has none; "
                "name a model or router:NAME",
                status=404,
                code=Refusal.MODEL_NOT_FOUND,
            )
        return router

    def _captured(self, name: str) -> CompiledRouter | None:
        if len(name) <= MAX_NAME_CHARS:
            for pattern, router in self.captures:
                if pattern.match(name) is not None:
                    return router
        return None

    def _not_found(self, kind: Literal["model", "router"], name: str) -> RequestError:
        if kind == "router":
            prefix = ROUTER_PREFIXES[0]
            routers = [known.removeprefix(prefix) for known in self.targets if known.startswith(prefix)]
            # Compared without the prefix, or every router would look like every other.
            nearest = [prefix + router for router in nearest_names(name[len(prefix) :], routers)]
        else:
            nearest = nearest_names(name, [known for known in self.targets if not known.startswith(ROUTER_PREFIXES)])
        hint = f"nearest: {', '.join(map(shown, nearest))}" if nearest else "GET /v1/models lists the names there are"
        return RequestError(f"no {kind} is called {shown(name)}; {hint}", status=404, code=Refusal.MODEL_NOT_FOUND)


def shown(name: str) -> str:
    """Return a client's name fit for one line of an error: quoted, cut, without control characters."""
    printable = "".join(c for c in name[: 2 * MAX_SHOWN_CHARS] if unicodedata.category(c)[0] != "C")
    cut = printable[:MAX_SHOWN_CHARS]
    return f'"{cut}…"' if len(cut) < len(printable) or len(name) > 2 * MAX_SHOWN_CHARS else f'"{cut}"'


def nearest_names(name: str, known: list[str]) -> list[str]:
    """Return at most `NEAREST_NAMES` of the known names that look like `name`, best first."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name[:MAX_SHOWN_CHARS].lower(), by_lower, n=NEAREST_NAMES)
    return [by_lower[candidate] for candidate in close]


def compile_resolver(policy: Policy, prices: Mapping[str, Price] = NO_PRICES) -> Resolver:
    """Return the resolver of a policy whose references were checked when it was loaded. prices: by model."""
    candidates = make_candidates(policy, prices)
    routers = {name: compile_router(name, router, policy, candidates) for name, router in policy.routers.items()}
    captures = tuple(
        (re.compile(fnmatch.translate(pattern)), routers[name])
        for name, router in policy.routers.items()
        for pattern in router.capture
    )
    direct, alias_routers = _direct_targets(policy, candidates, routers)
    targets: dict[str, Target] = {**direct, **alias_routers}
    for name in policy.models:
        for pattern, router in captures:
            if pattern.match(name) is not None:
                targets[name] = router
                break
    for prefix in ROUTER_PREFIXES:
        targets.update({prefix + name: router for name, router in routers.items()})
    unknown: Target | None = None
    if policy.unknown_model is not None:
        use = policy.unknown_model.use
        unknown = direct.get(use) or alias_routers.get(use) or routers[use]
    return Resolver(
        direct=direct,
        targets=targets,
        captures=captures,
        default=routers[policy.default_router] if policy.default_router is not None else None,
        preferences={preference: routers[name] for preference, name in policy.routing_preference.items()},
        unknown=unknown,
        routers=routers,
        candidates=candidates,
        tiered=_tiered(routers),
    )


def _tiered(routers: Mapping[str, CompiledRouter]) -> dict[str, CompiledRouter]:
    found: dict[str, CompiledRouter] = {}
    tiered = {name: router for name, router in routers.items() if router.judge is not None and router.judge.strong}
    for router in tiered.values():
        if router.judge is not None:
            found.setdefault(router.judge.engine, router)
    return found | tiered


def _direct_targets(
    policy: Policy, candidates: Mapping[str, Candidate], routers: Mapping[str, CompiledRouter]
) -> tuple[dict[str, Pool | Split], dict[str, Target]]:
    """Return models and aliases of models, and aliases of routers."""
    fallbacks = {name: pick(candidates, model.fallback) for name, model in policy.models.items()}
    direct: dict[str, Pool | Split] = {
        name: make_pool(name, (candidates[name],), fallbacks[name]) for name in policy.models
    }
    models = dict(direct)
    to_routers: dict[str, Target] = {}
    for alias, meaning in policy.aliases.items():
        if not isinstance(meaning, str):
            direct[alias] = make_split(alias, meaning, candidates, fallbacks)
        elif meaning in models:
            direct[alias] = models[meaning]
        else:
            to_routers[alias] = routers[meaning]
    return direct, to_routers
