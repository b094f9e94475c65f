"""A strict JSON reader that keeps positions: bytes in, a tree of nodes out.

Written for reading, not for speed. It reports the same first fault at the same byte as csrc/sb_json.c.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Literal, NoReturn

from signalbox.core.faults import Fault, request_error

MAX_BODY_BYTES = 256 * 1024 * 1024
SURROGATES = re.compile("[\ud800-\udfff]")
SPACE = re.compile(rb"[ \t\n\r]*")
PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
DIGITS = re.compile(rb"[0-9]+")


@dataclass(slots=True)
class Node:
    """One value and where it stands; `end` is exclusive."""

    kind: Literal["object", "array", "string", "number", "true", "false", "null"]
    start: int
    end: int = 0
    text: str = ""  # of a string, unescaped, lone surrogates as U+FFFD
    members: list[Member] = field(default_factory=list)  # of an object
    elements: list[Node] = field(default_factory=list)  # of an array


@dataclass(slots=True)
class Member:
    """One member of an object. before, after: offsets of the comma or brace on either side."""

    key: Node
    value: Node
    before: int
    after: int


class Reader:
    """Reads one body; `document` is the only way in."""

    def __init__(self, body: bytes, max_depth: int) -> None:
        self.body = body
        self.max_depth = max_depth
        self.at = 0
        self.depth = 0
        self.deepest = 0
        self.bad_utf8_at = len(body)

    def document(self) -> Node:
        """Return the only value of the body. Raises RequestError with code `invalid_json`."""
        if len(self.body) > MAX_BODY_BYTES:
            self.fail(Fault.TOO_LARGE, MAX_BODY_BYTES)
        try:
            self.body.decode()
        except UnicodeDecodeError as problem:
            self.bad_utf8_at = problem.start
        if self.body.startswith(b"\xef\xbb\xbf"):
            self.fail(Fault.BOM, 0)
        self.skip_space()
        if self.at == len(self.body):
            self.fail(Fault.EMPTY, self.at)
        node = self.value()
        self.skip_space()
        if self.at != len(self.body):
            self.fail(Fault.TRAILING_BYTES, self.at)
        return node

    def fail(self, fault: Fault, at: int) -> NoReturn:
        raise request_error(fault, at, max_depth=self.max_depth)

    def unexpected(self, fault: Fault) -> NoReturn:
        if self.at >= len(self.body):
            self.fail(Fault.ENDS_EARLY, len(self.body))
        self.fail(fault, self.at)

    def peek(self) -> bytes:
        return self.body[self.at : self.at + 1]

    def skip_space(self) -> None:
        found = SPACE.match(self.body, self.at)
        assert found is not None
        self.at = found.end()

    def value(self) -> Node:
        byte = self.peek()
        if byte == b"{" or byte == b"[":
            if self.depth == self.max_depth:
                self.fail(Fault.TOO_DEEP, self.at)
            self.depth += 1
            self.deepest = max(self.deepest, self.depth)
            node = self.object() if byte == b"{" else self.array()
            self.depth -= 1
            return node
        if byte == b'"':
            return self.string()
        if byte and byte in b"-0123456789":
            return self.number()
        for word in ("true", "false", "null"):
            if self.body.startswith(word.encode(), self.at):
                self.at += len(word)
                return Node(word, self.at - len(word), self.at)
        self.unexpected(Fault.EXPECTED_VALUE)

    def object(self) -> Node:
        node = Node("object", self.at)
        separator = self.at
        self.at += 1
        self.skip_space()
        while self.peek() != b"}":
            if node.members:
                if self.peek() != b",":
                    self.unexpected(Fault.EXPECTED_COMMA_OR_BRACE)
                separator = node.members[-1].after = self.at
                self.at += 1
                self.skip_space()
            if self.peek() != b'"':
                self.unexpected(Fault.EXPECTED_KEY if node.members else Fault.EXPECTED_KEY_OR_END)
            key = self.string()
            self.skip_space()
            if self.peek() != b":":
                self.unexpected(Fault.EXPECTED_COLON)
            self.at += 1
            self.skip_space()
            node.members.append(Member(key, self.value(), separator, 0))
            self.skip_space()
        if node.members:
            node.members[-1].after = self.at
        self.at += 1
        node.end = self.at
        return node

    def array(self) -> Node:
        node = Node("array", self.at)
        self.at += 1
        self.skip_space()
        while self.peek() != b"]":
            if node.elements:
                if self.peek() != b",":
                    self.unexpected(Fault.EXPECTED_COMMA_OR_BRACKET)
                self.at += 1
                self.skip_space()
            node.elements.append(self.value())
            self.skip_space()
        self.at += 1
        node.end = self.at
        return node

    def string(self) -> Node:
        node = Node("string", self.at)
        self.at += 1
        while True:
            plain = PLAIN.match(self.body, self.at)
            assert plain is not None
            if plain.end() > self.bad_utf8_at:
                self.fail(Fault.BAD_UTF8, self.bad_utf8_at)
            self.at = plain.end()
            byte = self.peek()
            if byte == b'"':
                break
            if byte == b"\\":
                self.escape()
            else:
                self.unexpected(Fault.CONTROL_CHARACTER)
        self.at += 1
        node.end = self.at
        node.text = SURROGATES.sub("\ufffd", json.loads(self.body[node.start : node.end]))
        return node

    def escape(self) -> None:
        backslash = self.at
        letter = self.body[backslash + 1 : backslash + 2]
        if letter == b"u":
            for at in range(backslash + 2, backslash + 6):
                digit = self.body[at : at + 1]
                if not digit:
                    self.fail(Fault.ENDS_EARLY, len(self.body))
                if digit not in b"0123456789abcdefABCDEF":
                    self.fail(Fault.BAD_ESCAPE, backslash)
            self.at = backslash + 6
        elif not letter:
            self.fail(Fault.ENDS_EARLY, len(self.body))
        elif letter in b'"\\/bfnrt':
            self.at = backslash + 2
        else:
            self.fail(Fault.BAD_ESCAPE, backslash)

    def number(self) -> Node:
        node = Node("number", self.at)
        if self.peek() == b"-":
            self.at += 1
        if self.peek() == b"0":
            self.at += 1
        else:
            self.digits()
        if self.peek() == b".":
            self.at += 1
            self.digits()
        if self.peek() in (b"e", b"E"):
            self.at += 1
            if self.peek() in (b"+", b"-"):
                self.at += 1
            self.digits()
        node.end = self.at
        return node

    def digits(self) -> None:
        found = DIGITS.match(self.body, self.at)
        if found is None:
            self.unexpected(Fault.EXPECTED_DIGIT)
        self.at = found.end()
