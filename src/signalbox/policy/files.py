"""Files a policy names: are they there, readable and plausible? Their contents never leave this module."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from signalbox.bundles import Kind, open_bundle
from signalbox.errors import BundleError, Problem
from signalbox.policy.document import Document
from signalbox.policy.engines import BUILTIN
from signalbox.policy.references import mapping, sections
from signalbox.policy.wording import Loc, quoted
from signalbox.tokens.catalogue import SHIPPED
from signalbox.tokens.vocabulary import VocabularyError, check_vocabulary

HEADS = "capability.json"
_LIMIT_BYTES = 1024 * 1024  # a bundle of all public authorities has 200 KiB


def file_problems(document: Document) -> list[Problem]:
    """Warnings for what is missing: on another machine, in CI or before a Secret is mounted, files are not there yet.

    A vocabulary that is there and cannot be used is an error: counts would silently become estimates. So is a bundle:
    requests would silently go where they go without an engine.
    """
    return [*_problems(document), *_vocabulary_problems(document), *_bundle_problems(document)]


def _vocabulary_problems(document: Document) -> Iterator[Problem]:
    for name, tokenizer in sections(document.data, "tokenizers"):
        path, kind, pattern = (tokenizer.get(key) for key in ("file", "format", "pattern"))
        if not isinstance(path, str) or not path:
            continue
        if pattern is None and name in SHIPPED:
            pattern = SHIPPED[name].pattern
        severity = "error" if Path(path).exists() else "warning"
        try:
            check_vocabulary(Path(path), kind, pattern)
        except (VocabularyError, ValueError) as problem:  # ValueError: a path with a null character
            found, fix = (problem.found, problem.fix) if isinstance(problem, VocabularyError) else ("is no path", "")
            loc: Loc = ("tokenizers", name, "file")
            expected = "a readable vocabulary"
            yield document.problem(loc, f"{quoted(path)} {found}", expected, fix, severity=severity)


def _bundle_problems(document: Document) -> Iterator[Problem]:
    for name, engine in sections(document.data, "engines"):
        if engine.get("kind") == BUILTIN:
            yield from _heads(document, engine, ("engines", name, "bundle"))
            continue
        yield from _bundle(document, engine, ("engines", name), str(engine.get("kind")))
        yield from _bundle(document, mapping(engine.get("embedding")), ("engines", name, "embedding"), Kind.ENCODER)


def _heads(document: Document, section: Mapping[str, object], loc: Loc) -> Iterator[Problem]:
    """Heads that `signalbox train` made: are they there, and does their maker recommend them?"""
    path = section.get("bundle")
    if not isinstance(path, str) or not path:
        return
    expected, fix = "a folder that `signalbox train` wrote", "correct the path, or train again"
    try:
        manifest = json.loads((Path(path) / HEADS).read_bytes())
    except (OSError, ValueError) as problem:
        severity = "error" if Path(path).exists() else "warning"
        found = problem.strerror if isinstance(problem, OSError) else "not JSON"
        yield document.problem(loc, f"{quoted(path)}: {HEADS}: {found}", expected, fix, severity=severity)
        return
    if not isinstance(manifest, dict) or manifest.get("kind") != "capability":
        yield document.problem(loc, f"{quoted(path)}: {HEADS} is no manifest of capability heads", expected, fix)
    elif manifest.get("recommended") is False:
        found = f"{quoted(path)} does not recommend itself: on prompts kept aside it was no better than counting words"
        fix = "use the built-in heads until there are more labels"
        yield document.problem(loc, found, "heads that beat word count", fix, severity="warning")


def _bundle(document: Document, section: Mapping[str, object], loc: Loc, kind: str) -> Iterator[Problem]:
    path = section.get("bundle")
    if not isinstance(path, str) or not path:
        return
    loc = (*loc, "bundle")
    expected = f"a bundle of kind {kind}"
    try:
        found = open_bundle(path).manifest.kind
    except BundleError as problem:
        severity = "error" if Path(path).exists() else "warning"
        first = problem.problems[0]
        fix = first.fix or "correct the path, or export the model again"
        where = f"{first.path}: " if first.path else ""
        yield document.problem(loc, f"{first.file}: {where}{first.found}", first.expected, fix, severity=severity)
    except ValueError:
        yield document.problem(loc, f"{quoted(path)} is no path", expected, "")
    else:
        if found != kind and kind in list(Kind):
            fix = "name another bundle, or the kind it has"
            yield document.problem(loc, f"{quoted(path)} is a bundle of kind {found}", expected, fix)


def _problems(document: Document) -> Iterator[Problem]:
    for loc, path, kind in _named(document):
        found, fix = _wrong_with(Path(path), kind)
        if found:
            expected = f"a readable file with {kind}"
            yield document.problem(loc, f"{quoted(path)} {found}", expected, fix, severity="warning")


def _named(document: Document) -> Iterator[tuple[Loc, str, str]]:
    for name, provider in sections(document.data, "providers"):
        yield from _one(provider.get("key"), "file", ("providers", name, "key"), "one key")
        yield from _one(provider, "ca_file", ("providers", name), "PEM certificates")
    tls = mapping(document.data.get("gateway")).get("tls")
    yield from _one(tls, "certificate", ("gateway", "tls"), "PEM certificates")
    yield from _one(tls, "private_key", ("gateway", "tls"), "a PEM private key")


def _one(section: object, key: str, loc: Loc, kind: str) -> Iterator[tuple[Loc, str, str]]:
    if isinstance(path := mapping(section).get(key), str) and path:
        yield (*loc, key), path, kind


def _wrong_with(path: Path, kind: str) -> tuple[str, str]:
    """What is wrong with a file and what to do, or two empty texts."""
    try:
        if not path.is_file():
            return ("is no file" if path.exists() else "is not there"), "create it, or correct the path"
        with path.open("rb") as file:
            content = file.read(_LIMIT_BYTES)
    except (OSError, ValueError) as problem:  # ValueError: a path with a null character
        reason = problem.strerror if isinstance(problem, OSError) else "no usable path"
        return f"cannot be read: {reason}", "correct its owner or mode"
    if not content.strip():
        return "is empty", "write the key or certificate into it"
    if "PEM" in kind:
        wanted = b"PRIVATE KEY-----" if "private" in kind else b"-----BEGIN CERTIFICATE-----"
        return ("", "") if wanted in content else (f"holds no {kind.removeprefix('a ')}", "check which file this is")
    if len(content.split()) > 1:
        return "holds more than a key", "leave only the key; text before it belongs in `prefix`"
    return "", ""
