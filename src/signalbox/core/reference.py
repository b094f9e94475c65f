"""The core in plain Python: same names, same contracts, same errors; slow, obvious, and what the tests trust.

It builds the whole tree first and asks it afterwards, which is why it is easy to believe and why the
compiled core does not work like this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from string import ascii_lowercase, ascii_uppercase

from signalbox.core.faults import Fault, request_error
from signalbox.core.reference_bpe import Bpe
from signalbox.core.reference_json import Member, Node, Reader
from signalbox.core.reference_personal import find_personal
from signalbox.core.reference_score import (
    EmbeddingTable,
    cosines,
    dots,
    embed,
    normalize,
    sigmoid,
    softmax,
    topk,
    win_rate,
)
from signalbox.core.reference_surface import Lexicon, surface
from signalbox.core.reference_wordpiece import WordPiece
from signalbox.core.reference_words import word_features
from signalbox.core.spans import Passage, Role, Span
from signalbox.types import Edit

__all__ = [
    "KNOWN_KEYS",
    "Bpe",
    "EmbeddingTable",
    "Lexicon",
    "Scan",
    "WordPiece",
    "apply_edits",
    "cosines",
    "dots",
    "embed",
    "find_personal",
    "normalize",
    "scan",
    "sigmoid",
    "softmax",
    "surface",
    "topk",
    "win_rate",
    "word_features",
]

KNOWN_KEYS = (
    "model", "stream", "stream_options", "messages", "input", "prompt", "system", "instructions", "tools", "functions",
    "tool_choice", "response_format", "text", "output_format", "output_config", "max_tokens", "max_completion_tokens",
    "max_output_tokens", "metadata", "models", "provider", "routing_preference", "routing_preferences", "user", "n",
    "previous_response_id", "conversation", "modalities", "parallel_tool_calls",
    "reasoning_effort", "reasoning", "thinking",
)  # fmt: skip
ROLES = {
    "system": Role.SYSTEM, "developer": Role.SYSTEM, "user": Role.USER, "assistant": Role.ASSISTANT,
    "tool": Role.TOOL, "function": Role.TOOL,
}  # fmt: skip
TEXT_PARTS = ("", "text", "input_text", "output_text")
IMAGE_PARTS = ("image_url", "input_image", "image", "computer_screenshot")
AUDIO_PARTS = ("input_audio", "audio")
FILE_PARTS = ("file", "input_file", "document")
MAX_LIMIT = 2**31 - 1
FOLDED = str.maketrans(ascii_uppercase + "ſ\u212a", ascii_lowercase + "sk")  # as Go's encoding/json


@dataclass
class Scan:
    """What one body holds; see `signalbox.types.Scan`."""

    body: bytes
    model: str = ""
    stream: bool = False
    messages: int = 0
    turns: int = 0
    tools: int = 0
    tool_calls: int = 0
    tool_results: int = 0
    tool_call_bytes: int = 0
    bound: int = 0
    images: int = 0
    audio: int = 0
    files: int = 0
    image_bytes: int = 0
    audio_bytes: int = 0
    file_bytes: int = 0
    role_counts: Counter[Role] = field(default_factory=Counter)
    token_ids: int = 0
    depth: int = 0
    max_output_tokens: int | None = None
    json_schema: bool = False
    spans: tuple[Span, ...] = ()
    texts: tuple[bytes, ...] = ()  # of each span, unescaped
    last_user_turn: int | None = None
    root: Node = field(default_factory=lambda: Node("object", 0))

    @property
    def roles(self) -> tuple[int, ...]:
        return tuple(self.role_counts[role] for role in Role)

    @property
    def text_bytes(self) -> int:
        return sum(map(len, self.texts))

    @property
    def members(self) -> Mapping[str, tuple[int, int]]:
        return {
            member.key.text: (member.value.start, member.value.end)
            for member in self.root.members
            if member.key.text in KNOWN_KEYS
        }

    def text(self, *, last_user: bool = False) -> bytes:
        return b"\n".join(
            text
            for span, text in zip(self.spans, self.texts, strict=True)
            if not last_user or (span.turn == self.last_user_turn and span.role == Role.USER)
        )

    @property
    def passages(self) -> tuple[Passage, ...]:
        found, first = [], 0
        for (turn, role), run in groupby(self.spans, key=lambda span: (span.turn, span.role)):
            end = first + len(list(run))
            found.append(Passage(turn, role, first, end, len(self.passage_text(first, end))))
            first = end
        return tuple(found)

    @property
    def ends_with_tool(self) -> bool:
        return any(span.role is Role.TOOL for span in self.spans if span.turn == self.spans[-1].turn)

    def opening(self, most: int) -> bytes:
        first = next((span.turn for span in self.spans if span.role is Role.USER), None)
        if first is None or most < 0:
            return b""
        found, left = [], most
        for span in self.spans[: max(at for at, span in enumerate(self.spans) if span.turn == first) + 1]:
            found.append(bytes(self.body[span.start : span.end])[:left])
            left -= len(found[-1])
        return b"\n".join(found)

    def passage_text(self, first: int, end: int) -> bytes:
        if not 0 <= first < end <= len(self.spans):
            raise ValueError(f"no passage [{first}, {end}): expected a part of the {len(self.spans)} spans found")
        return b"\n".join(self.texts[first:end])

    def edits(self, *, drop: frozenset[str] = frozenset(), include_usage: bool = False) -> tuple[Edit, ...]:
        for name in drop:
            if name not in KNOWN_KEYS or name == "model":
                raise ValueError(f"cannot drop {name!r}; expected some of {', '.join(KNOWN_KEYS[1:])}")
        members = self.root.members
        kept = [member for member in members if member.key.text not in drop]
        edits: list[Edit] = []
        if self.stream and include_usage:
            edits += self._usage_edits(kept)
        for member in members:
            if member.key.text == "model":
                edits.append(Edit(member.value.start, member.value.end - member.value.start))
            elif member.key.text in drop:
                in_tail = member.key.start > kept[-1].key.start
                start = member.before if in_tail else member.key.start
                end = member.value.end if in_tail else member.after + 1
                edits.append(Edit(start, end - start, ""))
        return tuple(sorted(edits, key=lambda edit: edit.at))

    def _usage_edits(self, kept: list[Member]) -> Iterator[Edit]:
        options = next((member.value for member in kept if member.key.text == "stream_options"), None)
        spellings = {member.key.text for member in self.root.members if _folded(member) == "stream_options"}
        if spellings - {"stream_options"}:
            return
        if options is None:
            yield Edit(self.root.start + 1, 0, '"stream_options":{"include_usage":true},')
        elif options.kind == "null":
            yield Edit(options.start, 4, '{"include_usage":true}')
        elif options.kind == "object" and all(_folded(member) != "include_usage" for member in options.members):
            yield Edit(options.start + 1, 0, '"include_usage":true' + ("," if options.members else ""))


def _folded(member: Member) -> str:
    return member.key.text.translate(FOLDED)


def scan(body: bytes | memoryview, *, max_depth: int = 128) -> Scan:
    """Same contract as `core.scan`."""
    body = bytes(body)
    if not 1 <= max_depth <= 256:
        raise ValueError(f"max_depth must be 1 to 256, got {max_depth}")
    reader = Reader(body, max_depth)
    root = reader.document()
    walk = Walk(Scan(body, depth=reader.deepest, root=root))
    walk.body(root)
    if walk.complaints:
        at, fault, key = min(walk.complaints)
        raise request_error(fault, at, key=key)
    walk.found.spans = tuple(walk.spans)
    walk.found.texts = tuple(walk.texts)
    return walk.found


def apply_edits(
    body: bytes | memoryview, edits: Iterable[Edit], model_json: bytes, *, before: bytes = b"", after: bytes = b""
) -> bytes:
    """Same contract as `core.apply_edits`."""
    pieces: list[bytes | memoryview] = [before]
    reached = 0
    for edit in edits:
        if not (reached <= edit.at and edit.length >= 0 and edit.at + edit.length <= len(body)):
            raise ValueError(
                f"edit of {edit.length} bytes at {edit.at} does not fit: expected it between byte {reached}, where "
                f"the one before ends, and the end of the body at {len(body)}"
            )
        pieces += [body[reached : edit.at], model_json if edit.text is None else edit.text.encode()]
        reached = edit.at + edit.length
    return b"".join([*pieces, body[reached:], after])


@dataclass
class Held:
    """What a message held: it decides whose turn it was."""

    results: int = 0
    others: int = 0
    wrong_at: int | None = None


class Walk:
    """Turns a tree into a Scan, complaints included. One method for each thing the grammar has a word for."""

    def __init__(self, found: Scan) -> None:
        self.found = found
        self.turn = 0
        self.spans: list[Span] = []
        self.texts: list[bytes] = []
        self.complaints: list[tuple[int, Fault, str]] = []

    def complain(self, fault: Fault, node: Node, key: str = "") -> None:
        self.complaints.append((node.start, fault, key))

    def members(self, node: Node, *names: str) -> Iterator[tuple[str, Node]]:
        """The named members in order; complains about the second of a name, whatever its letter case."""
        seen = set()
        for member in node.members:
            name = _folded(member)
            if name in names:
                is_exact = member.key.text == name
                if name in seen:
                    self.complain(Fault.DUPLICATE_KEY if is_exact else Fault.KEY_IN_OTHER_CASE, member.key, name)
                seen.add(name)
                if is_exact:
                    yield name, member.value

    def emit(self, node: Node, role: Role) -> None:
        self.spans.append(Span(node.start + 1, node.end - 1, self.turn, role))
        self.texts.append(node.text.encode())

    def user_turn(self) -> None:
        self.found.turns += 1
        self.found.last_user_turn = self.turn

    def body(self, root: Node) -> None:
        if root.kind != "object":
            self.complain(Fault.NOT_AN_OBJECT, root)
            return
        names = set()
        for name, value in self.members(root, *KNOWN_KEYS):
            names.add(name)
            self.member(name, value)
        if "model" not in names and not self.complaints:
            self.complain(Fault.MODEL_MISSING, root)

    def member(self, name: str, value: Node) -> None:
        found = self.found
        if name == "model":
            found.model = value.text
            if value.kind != "string":
                self.complain(Fault.MODEL_NOT_A_STRING, value)
            elif not value.text:
                self.complain(Fault.MODEL_EMPTY, value)
        elif name == "stream":
            found.stream = value.kind == "true"
            if value.kind not in ("true", "false", "null"):
                self.complain(Fault.STREAM_NOT_A_BOOLEAN, value)
        elif name == "stream_options":
            list(self.members(value, "include_usage"))
        elif name == "messages":
            if value.kind != "array":
                self.complain(Fault.MESSAGES_NOT_A_LIST, value)
            for entry in value.elements:
                if entry.kind == "object":
                    self.message(entry, is_item=False)
                else:
                    self.complain(Fault.MESSAGE_NOT_AN_OBJECT, entry)
        elif name in ("input", "prompt"):
            self.prompt(value, is_input=name == "input")
        elif name in ("system", "instructions"):
            self.turn += 1
            self.content(value, Role.SYSTEM, Held(), flat=True)
        elif name in ("tools", "functions"):
            found.tools += len(value.elements)
        elif name in ("response_format", "output_format"):
            self.format(value)
        elif name in ("text", "output_config"):
            for _, held in self.members(value, "format"):
                self.format(held)
        elif name in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
            literal = found.body[value.start : value.end]
            if literal.isdigit():
                limit = MAX_LIMIT if len(literal) > 10 else min(int(literal), MAX_LIMIT)
                found.max_output_tokens = max(limit, found.max_output_tokens or 0)

    def format(self, node: Node) -> None:
        kind = ""
        for _, value in self.members(node, "type"):
            kind = self.type_name(value) or kind
        self.found.json_schema |= kind == "json_schema"

    def type_name(self, node: Node) -> str:
        if node.kind not in ("string", "null"):
            self.complain(Fault.TYPE_NOT_A_STRING, node)
        return node.text

    def message(self, node: Node, *, is_item: bool) -> None:
        found = self.found
        found.messages += 1
        self.turn += 1
        role_name = kind = ""
        held = Held()
        undecided_from = len(self.spans)
        for name, value in self.members(node, "role", "content", "type", "tool_calls", "function_call", "output"):
            if name == "role":
                role_name = value.text
                if value.kind != "string":
                    self.complain(Fault.ROLE_NOT_A_STRING, value)
            elif name == "content":
                self.content(value, Role.OTHER, held)
            elif name == "type" and is_item:
                kind = self.type_name(value) or kind
            elif name == "tool_calls" and value.elements:
                found.tool_calls += len(value.elements)
                found.tool_call_bytes += value.end - value.start
            elif name == "function_call" and value.kind == "object":
                found.tool_calls += 1
                found.tool_call_bytes += value.end - value.start
            elif name == "output" and is_item:
                if value.kind == "object":
                    self.part(value, Role.TOOL, Held(), flat=True)
                else:
                    self.content(value, Role.TOOL, Held(), flat=True)

        role = ROLES.get(role_name, Role.OTHER)
        if role == Role.USER and held.results and not held.others:
            role = Role.TOOL
        found.role_counts[role] += 1
        for i in range(undecided_from, len(self.spans)):
            if self.spans[i].role == Role.OTHER:
                self.spans[i] = self.spans[i]._replace(role=role)
        if role == Role.USER:
            self.user_turn()
        found.tool_results += role_name in ("tool", "function") or kind.endswith("_call_output")
        found.bound += kind == "reasoning"
        if kind.endswith("_call"):
            found.tool_calls += 1
            found.tool_call_bytes += node.end - node.start
        if held.wrong_at is not None and kind in ("", "message"):
            self.complaints.append((held.wrong_at, Fault.CONTENT_WRONG_TYPE, ""))

    def content(self, node: Node, role: Role, held: Held, *, flat: bool = False) -> None:
        if node.kind == "string":
            held.others += 1
            self.emit(node, role)
        elif node.kind == "array":
            for part in node.elements:
                if part.kind == "object":
                    self.part(part, role, held, flat=flat)
                elif part.kind == "string":
                    held.others += 1
                    self.emit(part, role)
                else:
                    self.complain(Fault.PART_WRONG_TYPE, part)
        elif node.kind != "null" and held.wrong_at is None:
            held.wrong_at = node.start

    def part(self, node: Node, role: Role, held: Held, *, flat: bool) -> None:
        found = self.found
        kind = ""
        text = text_value = content = None
        for name, value in self.members(node, "type", "text", "content"):
            if name == "type":
                kind = self.type_name(value) or kind
            elif name == "text":
                text_value = value
                text = value if value.kind == "string" else text
            else:
                content = value
        if kind.endswith("tool_result"):
            held.results += 1
        else:
            held.others += 1
        if kind in TEXT_PARTS:
            if text is not None:
                self.emit(text, role)
            elif text_value is not None and text_value.kind != "null":
                self.complain(Fault.TEXT_NOT_A_STRING, text_value)
        elif kind.endswith("tool_use"):
            found.tool_calls += 1
            found.tool_call_bytes += node.end - node.start
        elif kind.endswith("tool_result"):
            found.tool_results += 1
            if content is not None and not flat:
                self.content(content, Role.TOOL, Held(), flat=True)
        found.bound += kind.endswith("thinking")
        found.images += kind in IMAGE_PARTS
        found.audio += kind in AUDIO_PARTS
        found.files += kind in FILE_PARTS
        size = node.end - node.start
        found.image_bytes += size * (kind in IMAGE_PARTS)
        found.audio_bytes += size * (kind in AUDIO_PARTS)
        found.file_bytes += size * (kind in FILE_PARTS)

    def prompt(self, node: Node, *, is_input: bool) -> None:
        if node.kind == "string":
            self.turn += 1
            self.user_turn()
            self.emit(node, Role.USER)
        has_text = False
        for element in node.elements:
            if element.kind == "object" and is_input:
                self.message(element, is_item=True)
            elif element.kind == "string":
                if is_input or not has_text:
                    self.turn += 1
                    self.user_turn()
                has_text = True
                self.found.messages += is_input
                self.found.role_counts[Role.USER] += is_input
                self.emit(element, Role.USER)
            else:
                numbers = element.elements if element.kind == "array" else [element]
                self.found.token_ids += sum(number.kind == "number" for number in numbers)
