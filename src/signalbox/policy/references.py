"""Names that one place of a policy gives and another uses: does each exist, once, and of the right kind?

Works on the plain document, so that references are checked even while the schema refuses something else.
What has no readable shape is passed over here: it has been reported already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from signalbox.errors import Problem
from signalbox.policy.document import Document
from signalbox.policy.engines import BUILTIN
from signalbox.policy.wording import Loc, joined, listed, nearest, path_text, quoted

RESERVED = ("auto", "inference-router")
"""Model names that always mean the default router."""

ROUTER_PREFIXES = ("router:", "router/")
"""How a client names a router in `model`; no name of a policy may start like this."""

RESERVED_PROVIDER_PREFIX = "signalbox-"
"""A provider is also the name of an Envoy cluster, and these are the sidecar's own."""

_SECTION_OF = {
    "model": "models",
    "alias": "aliases",
    "router": "routers",
    "provider": "providers",
    "task": "tasks",
    "tokenizer": "tokenizers",
    "engine": "engines",
}
_SHARED = ("model", "alias", "router")  # what a client may put into `model`


@dataclass(frozen=True, slots=True)
class _Use:
    """A place that names something."""

    loc: Loc
    name: str
    kinds: tuple[str, ...]  # what the name may be
    owner: str = ""  # the router, when a task is named


def mapping(value: object) -> Mapping[str, Any]:
    """`value` if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def entries(value: object) -> Iterator[tuple[int, Any]]:
    """Positions and entries of a list; nothing if it is none."""
    return enumerate(value) if isinstance(value, list) else enumerate(())


def sections(data: Mapping[str, Any], key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and content of each entry below a top-level key that is a mapping of mappings."""
    for name, content in mapping(data.get(key)).items():
        if isinstance(content, dict):
            yield name, content


def reference_problems(document: Document) -> list[Problem]:
    """Every name that is taken twice, reserved, unknown or of the wrong kind."""
    names = _Names(document.data)
    return [
        *_name_problems(document),
        *_task_problems(document),
        *_capture_problems(document),
        *_goal_problems(document),
        *(problem for use in _uses(document.data) if (problem := names.problem(document, use)) is not None),
    ]


class _Names:
    """All names a policy gives, by kind."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data
        self._known = {
            kind: tuple(mapping(data.get(_SECTION_OF[kind]))) for kind in (*_SHARED, "provider", "tokenizer", "engine")
        }
        self._known["engine"] += () if BUILTIN in self._known["engine"] else (BUILTIN,)
        self._tasks = {router: _task_names(content) for router, content in sections(data, "routers")}

    def problem(self, document: Document, use: _Use) -> Problem | None:
        """What is wrong with a use of a name, if something is."""
        known = self._tasks[use.owner] if use.kinds == ("task",) else self._of(use.kinds)
        if known is None or use.name in known:
            return None
        section = _SECTION_OF[use.kinds[0]]
        wanted = joined(use.kinds)
        names = f"known {joined([_SECTION_OF[kind] for kind in use.kinds])}: {listed(known) or 'none'}"
        for kind in _SHARED if use.kinds[0] in _SHARED else ():
            if kind not in use.kinds and use.name in self._known[kind]:
                only = joined([_a(kind) for kind in use.kinds])
                found = f"{quoted(use.name)} is {_a(kind)}; only {only} can be named here"
                return document.problem(use.loc, found, names, self._instead(use.name, kind))
        bare = next((use.name.removeprefix(prefix) for prefix in ROUTER_PREFIXES if use.name.startswith(prefix)), None)
        close = bare if bare in known else nearest(use.name, known)
        place = path_text(("routers", use.owner, section)) if use.owner else section
        fix = f"did you mean {quoted(close)}? otherwise add it under {place}" if close else f"add it under {place}"
        return document.problem(use.loc, f"unknown {wanted} {quoted(use.name)}", names, fix)

    def _of(self, kinds: tuple[str, ...]) -> tuple[str, ...] | None:
        """All names of these kinds; None when a section they are in cannot be read, which is reported already."""
        for kind in kinds:
            section = self._data.get(_SECTION_OF[kind], {})
            if not isinstance(section, dict) or (kind in ("model", "provider") and not section):
                return None
        return tuple(name for kind in kinds for name in self._known[kind])

    def _instead(self, name: str, kind: str) -> str:
        content = mapping(self._data.get(_SECTION_OF[kind])).get(name)
        if kind == "alias":
            targets = [content] if isinstance(content, str) else list(mapping(content))
            return f"name what it stands for: {listed(targets)}" if targets else "name what it stands for"
        return f"name one of the {'routers' if kind == 'model' else 'models'} instead"


def _task_names(router: Mapping[str, Any]) -> tuple[str, ...] | None:
    tasks = router.get("tasks", [])
    if not isinstance(tasks, list):
        return None
    names = (mapping(task).get("name") for task in tasks)
    return tuple(name for name in names if isinstance(name, str))


def _uses(data: Mapping[str, Any]) -> Iterator[_Use]:
    """Every place that names a model, alias, router, provider or task."""
    for name, model in sections(data, "models"):
        loc: Loc = ("models", name)
        yield from _one(model, "provider", loc, ("provider",))
        yield from _one(model, "tokenizer", loc, ("tokenizer",))
        yield from _many(model, "fallback", loc, ("model",))
    for name, target in mapping(data.get("aliases")).items():
        if isinstance(target, str):
            yield _Use(("aliases", name), target, ("model", "router"))
        for share in mapping(target):
            yield _Use(("aliases", name, share), share, ("model",))
    for name, router in sections(data, "routers"):
        loc = ("routers", name)
        yield from _many(router, "models", loc, ("model",))
        yield from _many(router, "fallback", loc, ("model",))
        yield from _one(router, "default_task", loc, ("task",), name)
        yield from _one(router, "shadow", loc, ("router",))
        yield from _one(mapping(router.get("rollout")), "otherwise", (*loc, "rollout"), ("model",))
        yield from _judge(router, loc, name)
        yield from _goals(router, loc)
        for key in ("below", "above"):
            yield from _one(mapping(router.get("complexity")), key, (*loc, "complexity"), ("task",), name)
        for index, task in entries(router.get("tasks")):
            yield from _many(mapping(task), "models", (*loc, "tasks", index), ("model",))
        for index, rule in entries(router.get("rules")):
            yield from _one(mapping(rule), "task", (*loc, "rules", index), ("task",), name)
            yield from _many(mapping(rule), "models", (*loc, "rules", index), ("model",))
            says = mapping(mapping(mapping(rule).get("when")).get("engine"))
            yield from _one(says, "name", (*loc, "rules", index, "when", "engine"), ("engine",))
    for index, query in entries(mapping(data.get("prometheus")).get("queries")):
        for value in mapping(mapping(query).get("models")):
            loc = ("prometheus", "queries", index, "models")
            yield from _one(mapping(mapping(query)["models"]), value, loc, ("model",))
    yield from _one(data, "default_router", (), ("router",))
    for preference in mapping(data.get("routing_preference")):
        yield from _one(mapping(data["routing_preference"]), preference, ("routing_preference",), ("router",))
    yield from _one(mapping(data.get("unknown_model")), "use", ("unknown_model",), ("model", "alias", "router"))


def _judge(router: Mapping[str, Any], loc: Loc, name: str) -> Iterator[_Use]:
    """What a router says of its engine: a name, or a mapping that names tasks too."""
    yield from _one(router, "engine", loc, ("engine",))
    yield from _one(mapping(router.get("shadow_engine")), "name", (*loc, "shadow_engine"), ("engine",))
    judge, loc = mapping(router.get("engine")), (*loc, "engine")
    yield from _one(judge, "name", loc, ("engine",))
    yield from _one(judge, "then", loc, ("engine",))
    yield from _one(mapping(judge.get("then")), "name", (*loc, "then"), ("engine",))
    for key in ("strong", "weak", "otherwise"):
        yield from _one(judge, key, loc, ("task",), name)
    tasks = mapping(judge.get("tasks"))
    for label in tasks:
        yield from _one(tasks, label, (*loc, "tasks"), ("task",), name)


def _goals(router: Mapping[str, Any], loc: Loc) -> Iterator[_Use]:
    """The routers for a router's goals."""
    goals, loc = mapping(router.get("goals")), (*loc, "goals")
    modality = mapping(goals.get("modality"))
    for kind in modality:
        yield from _one(modality, kind, (*loc, "modality"), ("router",))
    yield from _one(mapping(goals.get("latency_sensitive")), "router", (*loc, "latency_sensitive"), ("router",))
    yield from _one(goals, "described", loc, ("router",))
    for key in ("below", "above"):
        yield from _one(mapping(goals.get("complexity")), key, (*loc, "complexity"), ("router",))


def _one(section: Mapping[str, Any], key: str, loc: Loc, kinds: tuple[str, ...], owner: str = "") -> Iterator[_Use]:
    if isinstance(name := section.get(key), str):
        yield _Use((*loc, key), name, kinds, owner)


def _many(section: Mapping[str, Any], key: str, loc: Loc, kinds: tuple[str, ...]) -> Iterator[_Use]:
    for index, name in entries(section.get(key)):
        if isinstance(name, str):
            yield _Use((*loc, key, index), name, kinds)


def _name_problems(document: Document) -> Iterator[Problem]:
    """Clients put models, aliases and routers into one field, so the three share one set of names."""
    taken: dict[str, tuple[str, int]] = {}
    for kind in _SHARED:
        section = _SECTION_OF[kind]
        for name in mapping(document.data.get(section)):
            loc = (section, name)
            prefix = next((prefix for prefix in ROUTER_PREFIXES if name.startswith(prefix)), None)
            if name in RESERVED:
                fix = "choose another name; `default_router` says what it does"
                yield document.problem(loc, f"the name {quoted(name)} is reserved", "another name", fix)
            elif prefix is not None:
                found = f"the name {quoted(name)} starts with {prefix}"
                fix = "choose another name"
                if kind == "router":
                    fix = f"write {quoted(name.removeprefix(prefix))}; clients may still say {quoted(name)}"
                yield document.problem(loc, found, "a name without the prefix", fix)
            elif name in taken:
                other, line = taken[name]
                found = f"{quoted(name)} is already the name of {_a(other)}, on line {line}"
                yield document.problem(loc, found, "a name of its own", "rename one of the two")
            taken.setdefault(name, (kind, document.line(loc)))
    for name in mapping(document.data.get("providers")):
        if name.startswith(RESERVED_PROVIDER_PREFIX):
            found = f"the name {quoted(name)} starts with {RESERVED_PROVIDER_PREFIX}"
            fix = "rename the provider, and `provider` of its models"
            yield document.problem(("providers", name), found, "a name without the prefix", fix)


def _task_problems(document: Document) -> Iterator[Problem]:
    for router, content in sections(document.data, "routers"):
        lines: dict[str, int] = {}
        for index, task in entries(content.get("tasks")):
            loc: Loc = ("routers", router, "tasks", index, "name")
            name = mapping(task).get("name")
            if isinstance(name, str):
                if name in lines:
                    found = f"this router has a task {quoted(name)} already, on line {lines[name]}"
                    yield document.problem(loc, found, "a name of its own", "rename one of the two")
                lines.setdefault(name, document.line(loc))


def _goal_problems(document: Document) -> Iterator[Problem]:
    """Goals lead to routers that decide themselves, or they could lead in a circle."""
    leading = {name for name, router in sections(document.data, "routers") if "goals" in router}
    for name, router in sections(document.data, "routers"):
        for use in _goals(router, ("routers", name)):
            if use.name in leading:
                found = f"{quoted(use.name)} is {'this router itself' if use.name == name else 'a router with goals'}"
                fix = "name the routers it leads to" if use.name != name else "name another router"
                yield document.problem(use.loc, found, "a router that decides itself", fix)


_CAPTURE_MARKS = frozenset("._:/@-*?")


def _capture_problems(document: Document) -> Iterator[Problem]:
    taken: dict[str, tuple[str, int]] = {}
    for router, content in sections(document.data, "routers"):
        for index, pattern in entries(content.get("capture")):
            if not isinstance(pattern, str):
                continue
            loc: Loc = ("routers", router, "capture", index)
            odd = sorted({c for c in pattern if not (c.isascii() and c.isalnum()) and c not in _CAPTURE_MARKS})
            if odd:
                found = f"{quoted(pattern)} contains {quoted(''.join(odd))}"
                expected = "letters, digits, . _ : / @ -, with * for any text and ? for one character"
                yield document.problem(loc, found, expected, "name the models one by one" if "[" in odd else "")
            elif pattern in taken:
                other, line = taken[pattern]
                by = "this router" if other == router else f"router {quoted(other)}"
                found = f"{quoted(pattern)} is captured by {by} already, on line {line}"
                yield document.problem(loc, found, "each pattern once", "remove one of the two")
            taken.setdefault(pattern, (router, document.line(loc)))


def _a(kind: str) -> str:
    return f"an {kind}" if kind == "alias" else f"a {kind}"
