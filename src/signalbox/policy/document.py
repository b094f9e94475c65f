"""YAML with a line for every value: bytes of a policy file in, plain data and positions out.

This module owns what can be wrong with the text itself: encoding, syntax, size, duplicate keys, and the
places where YAML reads something else than its author meant. What the values mean is up to `shape`.

Built on PyYAML's events rather than `compose`: composing 100,000 opening brackets overflows the C stack
and takes the process with it (PyYAML 6.0.3 with libyaml), and it drops what `yes` was before it was true.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from signalbox.errors import PolicyError, Problem
from signalbox.policy.wording import Loc, path_text, quoted

MAX_POLICY_BYTES = 4 * 1024 * 1024  # a ConfigMap holds 1 MiB
MAX_VALUES = 50_000  # once aliases are followed; a thousand models have ten thousand
MAX_DEPTH = 32  # a policy nests seven deep

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"
_NUMBERS_AND_FLAGS = {_TAG + kind for kind in ("bool", "int", "float", "null")}
_TEXT = {_TAG + "str", _TAG + "value"}  # a bare `=` is "value" to YAML 1.1


@dataclass(slots=True)
class Document:
    """One policy file: plain data, and where each value stands.

    data: dicts with text keys, lists, str, int, finite float, bool and None.
    lines: 1-based line of each value; of a mapping's entry, the line of its key.
    spelling: text of the scalars YAML made something else of, such as `yes` or `0x1F`.
    problems: what is wrong with the text; values they are about are kept as text, so that checks can go on.
    """

    file: str
    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[Loc, int] = field(default_factory=dict)
    spelling: dict[Loc, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, loc: Loc) -> int:
        """Line of a place, or of the nearest thing around it that is in the file."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return self.lines.get(loc, 1)

    def problem(self, loc: Loc, found: str, expected: str = "", fix: str = "", *, severity: str = "error") -> Problem:
        """A problem at a place of this file."""
        return Problem(self.file, self.line(loc), path_text(loc), found, expected, fix, severity)


def read_document(text: bytes, file: str) -> Document:
    """Read a policy's bytes.

    file: name for error texts.
    Raises PolicyError when the text is no single YAML mapping in UTF-8, or is larger than a policy may be.
    Anything less is in `Document.problems`.
    """
    if len(text) > MAX_POLICY_BYTES:
        _refuse(file, None, f"larger than {MAX_POLICY_BYTES} bytes", fix="check which file this is")
    try:
        source = text.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = text.count(b"\n", 0, problem.start) + 1
        _refuse(file, line, f"byte {problem.start} is not UTF-8", "UTF-8 text", "save the file as UTF-8")
    document = Document(file)
    try:
        root = _Parser(source, file).document()
    except yaml.YAMLError as problem:
        raise PolicyError([_syntax_problem(problem, source, file)]) from None
    if root is None:
        _refuse(file, None, "the file is empty", "a mapping that starts with `version: 1`")
    data = _Builder(document).value(root, ())
    if not isinstance(data, dict):
        what = "a list" if isinstance(data, list) else "a single value"
        _refuse(file, root.line, f"the document is {what}", "a mapping that starts with `version: 1`")
    document.data = data
    return document


def _refuse(file: str, line: int | None, found: str, expected: str = "", fix: str = "") -> NoReturn:
    raise PolicyError([Problem(file, line, "", found, expected, fix)])


def _refuse_size(file: str, line: int) -> NoReturn:
    found = f"more than {MAX_VALUES} values once aliases are followed"
    _refuse(file, line, found, fix="write aliases of aliases out: they multiply")


def _syntax_problem(error: yaml.YAMLError, source: str, file: str) -> Problem:
    """PyYAML's complaint in terms of the file. Its text is used only as far as it quotes nothing."""
    if isinstance(error, yaml.reader.ReaderError):
        line = source.count("\n", 0, error.position) + 1
        return Problem(file, line, "", "a control character", "printable text", "delete it")
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        return Problem(file, None, "", "not readable as YAML")
    rows = source.splitlines() or [""]
    row = rows[min(mark.line, len(rows) - 1)]
    if "\t" in row[: mark.column + 1]:
        return Problem(file, mark.line + 1, "", "a tab in the indentation", "spaces", "replace tabs by spaces")
    what = str(getattr(error, "problem", "") or "not readable as YAML").partition(" '")[0]
    where = str(getattr(error, "context", "") or "").partition(" '")[0]
    character = row[mark.column : mark.column + 1]
    fix = "check colons, brackets, quotes and indentation here and just above"
    if character in tuple("%@`") and "cannot start" in what:
        fix = f"text that starts with {character} must be quoted"
    elif "mapping values are not allowed" in what:
        fix = "text that contains a colon and a space must be quoted; else check the indentation"
    return Problem(file, mark.line + 1, "", f"YAML: {what}" + (f", {where}" if where else ""), "valid YAML", fix)


@dataclass(slots=True, eq=False)
class _Node:
    """One value as written. `items` of a mapping are (key, value) pairs, flat: key, value, key, value."""

    kind: str  # scalar, list or mapping
    line: int
    tag: str
    text: str = ""
    items: list[_Node] = field(default_factory=list)
    open: bool = True  # still being read: an alias to it now would be a loop


class _Parser:
    """Events to nodes. Aliases become references to the same node; depth is bounded before recursion is."""

    def __init__(self, source: str, file: str) -> None:
        self._events: Iterator[Any] = iter(yaml.parse(source, Loader=_LOADER))
        self._file = file
        self._anchors: dict[str, _Node] = {}
        self._resolver = Resolver()
        self._nodes = 0

    def document(self) -> _Node | None:
        root = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                assert event.start_mark is not None  # every event of a parser has one
                if root is not None:
                    _refuse(
                        self._file,
                        event.start_mark.line + 1,
                        "a second document starts here",
                        "one document",
                        "delete the `---` or what follows it",
                    )
                root = self._node(next(self._events), 1)
        return root

    def _node(self, event: Any, depth: int) -> _Node:
        line = event.start_mark.line + 1
        if depth > MAX_DEPTH:
            _refuse(self._file, line, f"nested deeper than {MAX_DEPTH} levels", fix="check for stray brackets")
        self._nodes += 1
        if self._nodes > MAX_VALUES * 2:  # keys are nodes as well
            _refuse_size(self._file, line)
        if isinstance(event, yaml.AliasEvent):
            name = event.anchor or ""
            anchor = self._anchors.get(name)
            if anchor is None or anchor.open:
                what = "an alias to an anchor that is not there" if anchor is None else "an alias inside its own anchor"
                _refuse(
                    self._file,
                    line,
                    what,
                    "an anchor (`&name`) further up",
                    "text that starts with * must be quoted" if anchor is None else "write the value out",
                )
            return self._anchors[name]
        if isinstance(event, yaml.ScalarEvent):
            tag = event.tag if event.tag not in (None, "!") else self._implicit_tag(event)
            node = _Node("scalar", line, tag, text=event.value)
        else:
            node = _Node("list" if isinstance(event, yaml.SequenceStartEvent) else "mapping", line, event.tag or "")
        if event.anchor:
            self._anchors[event.anchor] = node
        if node.kind != "scalar":
            ends = (yaml.SequenceEndEvent, yaml.MappingEndEvent)
            while not isinstance(following := next(self._events), ends):
                node.items.append(self._node(following, depth + 1))
        node.open = False
        return node

    def _implicit_tag(self, event: Any) -> str:
        if event.tag == "!" or not event.implicit[0]:
            return _TAG + "str"
        return str(self._resolver.resolve(yaml.ScalarNode, event.value, event.implicit))  # type: ignore[no-untyped-call]


class _Builder:
    """Nodes to plain data, noting lines and problems on the way."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._constructor = SafeConstructor()
        self._values = 0

    def value(self, node: _Node, loc: Loc) -> Any:
        self._values += 1
        if self._values > MAX_VALUES:
            _refuse_size(self._document.file, node.line)
        self._document.lines.setdefault(loc, node.line)
        if node.kind == "scalar":
            return self._scalar(node, loc)
        if node.tag not in ("", _TAG + ("seq" if node.kind == "list" else "map")):
            self._problem(loc, node, f"the YAML tag {quoted(node.tag)}", "plain values", "remove the tag")
        if node.kind == "list":
            return [self.value(item, (*loc, index)) for index, item in enumerate(node.items)]
        return self._mapping(node, loc)

    def _mapping(self, node: _Node, loc: Loc) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in zip(node.items[::2], node.items[1::2], strict=True):
            key = self._key(key_node, loc)
            if key is None:
                continue
            place = (*loc, key)
            if key in data:
                first = self._document.lines[place]
                self._problem(
                    place,
                    key_node,
                    f"the key {quoted(key)} is here a second time; the first is on line {first}",
                    "each key once",
                    "delete one of the two",
                )
                continue
            self._document.lines[place] = key_node.line
            data[key] = self.value(value_node, place)
        return data

    def _key(self, node: _Node, loc: Loc) -> str | None:
        if node.kind != "scalar":
            self._problem(loc, node, f"a key that is a {node.kind}", "text", "quote text that starts with [ or {")
            return None
        if node.tag == _MERGE:
            self._problem(loc, node, "a merge key (`<<`)", "plain keys", "write the keys out")
            return None
        if node.tag not in _TEXT:
            kind = node.tag.removeprefix(_TAG)
            self._problem(
                (*loc, node.text),
                node,
                f"YAML reads the key {quoted(node.text)} as {_READ_AS.get(kind, kind)}",
                "text",
                f"quote it: {quoted(node.text)}",
            )
        return node.text

    def _scalar(self, node: _Node, loc: Loc) -> Any:
        if node.tag in _TEXT:
            if any(0xD800 <= ord(character) <= 0xDFFF for character in node.text):
                self._problem(loc, node, "half of a surrogate pair", "whole characters", "write the character itself")
                return ""
            return node.text
        if node.tag not in _NUMBERS_AND_FLAGS:
            kind = node.tag.removeprefix(_TAG)
            if kind in _READ_AS:
                self._problem(
                    loc,
                    node,
                    f"YAML reads {quoted(node.text)} as {_READ_AS[kind]}",
                    "text",
                    f"quote it: {quoted(node.text)}",
                )
            else:
                self._problem(loc, node, f"the YAML tag {quoted(node.tag)}", "plain values", "remove the tag")
            return node.text
        self._document.spelling[loc] = node.text
        return self._number_or_flag(node, loc)

    def _number_or_flag(self, node: _Node, loc: Loc) -> Any:
        kind = node.tag.removeprefix(_TAG)
        construct = getattr(self._constructor, f"construct_yaml_{kind}")
        try:
            value = construct(yaml.ScalarNode(node.tag, node.text))
        except (ValueError, KeyError, IndexError, yaml.YAMLError):
            self._problem(loc, node, f"{quoted(node.text)} is no {kind}", fix=f"quote it: {quoted(node.text)}")
            return node.text
        if kind in ("int", "float"):
            digits = node.text.lstrip("+-")
            is_octal = kind == "int" and len(digits) > 1 and digits[0] == "0" and digits[1] not in "xb"
            if ":" in digits or is_octal:
                self._problem(
                    loc,
                    node,
                    f"YAML reads {quoted(node.text)} as the number {value}",
                    "a decimal number or quoted text",
                    f"write {value} or quote it",
                )
            elif not math.isfinite(value) or abs(value) > 2**63:
                self._problem(loc, node, f"the number {quoted(node.text)}", "a finite number below 2^63")
                return node.text
        return value

    def _problem(self, loc: Loc, node: _Node, found: str, expected: str = "", fix: str = "") -> None:
        self._document.problems.append(Problem(self._document.file, node.line, path_text(loc), found, expected, fix))


_READ_AS = {"bool": "true or false", "null": "nothing", "int": "a number", "float": "a number", "timestamp": "a date"}
