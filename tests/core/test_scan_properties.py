"""Laws of the scanner, on bodies made up by hypothesis."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox import core
from signalbox.core import reference
from signalbox.errors import RequestError
from tests.core.bodies import bodies, mutated_bodies

FACTS = (
    "model", "stream", "messages", "turns", "tools", "tool_calls", "tool_results", "tool_call_bytes", "images", "audio",
    "files", "image_bytes", "audio_bytes", "file_bytes", "roles",
    "token_ids", "text_bytes", "depth", "max_output_tokens", "json_schema", "members", "spans", "passages",
    "ends_with_tool", "bound",
)  # fmt: skip


def outcome(scan: Any, body: bytes, **options: int) -> dict[str, Any]:
    """Everything a scan says about a body, or the whole error."""
    try:
        found = scan(body, **options)
    except RequestError as error:
        return {"error": str(error), "status": error.status, "code": error.code}
    said = {name: getattr(found, name) for name in FACTS}
    said["openings"] = [found.opening(most) for most in (-1, 0, 7, 1000)]
    said["passage texts"] = [found.passage_text(passage.first, passage.end) for passage in found.passages]
    return {**said, "text": found.text(), "last user": found.text(last_user=True)}


def refuse_constant(name: str) -> None:
    raise ValueError(name)


def is_json(body: bytes) -> bool:
    """What RFC 8259 says, by way of the standard library with its leniencies taken away."""
    try:
        json.loads(body.decode(), parse_constant=refuse_constant, parse_int=float)
    except ValueError:
        return False
    return True


@given(bodies())
@settings(max_examples=300, deadline=None)
def test_scan_agrees_with_the_reference_on_requests(body: bytes) -> None:
    assert outcome(core.scan, body) == outcome(reference.scan, body)


@given(mutated_bodies())
@settings(max_examples=400, deadline=None)
def test_scan_agrees_with_the_reference_on_broken_requests_to_the_byte(body: bytes) -> None:
    assert outcome(core.scan, body) == outcome(reference.scan, body)


@given(bodies() | mutated_bodies() | st.binary(max_size=20))
@settings(max_examples=400, deadline=None)
def test_exactly_what_is_not_json_is_called_invalid_json(body: bytes) -> None:
    assert (outcome(core.scan, body).get("code") == "invalid_json") == (not is_json(body))


@given(bodies(), st.integers(-2, 6), st.integers(-2, 6))
@settings(max_examples=200, deadline=None)
def test_any_run_of_spans_has_the_text_the_reference_says_or_the_same_refusal(
    body: bytes, first: int, end: int
) -> None:
    def said(scan: Any) -> object:
        try:
            return scan(body).passage_text(first, end)
        except (RequestError, ValueError) as error:
            return str(error)

    assert said(core.scan) == said(reference.scan)


@given(bodies())
@settings(max_examples=200, deadline=None)
def test_passages_are_all_the_text_in_order(body: bytes) -> None:
    said = outcome(core.scan, body)
    if "passages" in said:
        assert b"\n".join(said["passage texts"]) == said["text"]
        assert [passage.text_bytes for passage in said["passages"]] == list(map(len, said["passage texts"]))


@given(bodies(), st.integers(1, 8))
@settings(max_examples=100, deadline=None)
def test_the_depth_limit_agrees_with_the_reference(body: bytes, max_depth: int) -> None:
    assert outcome(core.scan, body, max_depth=max_depth) == outcome(reference.scan, body, max_depth=max_depth)


@given(bodies())
@settings(max_examples=200, deadline=None)
def test_members_are_the_values_json_loads_sees(body: bytes) -> None:
    said = outcome(core.scan, body)
    if "members" in said:
        loaded = json.loads(body)
        assert {name: json.loads(body[start:end]) for name, (start, end) in said["members"].items()} == {
            name: loaded[name] for name in reference.KNOWN_KEYS if name in loaded
        }


@given(st.lists(st.text(st.characters(codec=None), max_size=20), max_size=40), st.booleans())
@settings(max_examples=200, deadline=None)
def test_text_is_what_json_loads_sees_with_lone_surrogates_replaced(texts: list[str], ascii_only: bool) -> None:
    if not ascii_only:
        texts = [text.encode("utf-8", "replace").decode() for text in texts]
    body = json.dumps({"model": "m", "prompt": texts}, ensure_ascii=ascii_only).encode()
    seen = [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in json.loads(body)["prompt"]]
    assert core.scan(body).text() == "\n".join(seen).encode()
