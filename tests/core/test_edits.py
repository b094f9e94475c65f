"""Byte edits: what they change, and that they change nothing else."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox import core
from signalbox.core import reference
from signalbox.errors import RequestError
from signalbox.types import Edit
from tests.core.bodies import bodies

OURS = frozenset({"models", "provider", "routing_preference", "routing_preferences"})
MODEL_JSON = b'"gpt-5-mini"'


def edited(twin: ModuleType, body: bytes, *, drop: frozenset[str] = frozenset(), include_usage: bool = False) -> bytes:
    result = twin.apply_edits(body, twin.scan(body).edits(drop=drop, include_usage=include_usage), MODEL_JSON)
    assert isinstance(result, bytes)
    return result


def test_only_the_model_value_is_replaced(twin: ModuleType) -> None:
    body = b' { "z" : 1.0e+2 , "model"\t:\n"auto" , "\\u0061":"\xc3\xa9" } '
    assert edited(twin, body) == body.replace(b'"auto"', MODEL_JSON)
    assert twin.scan(body).edits() == (Edit(28, 6),)


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (b'{"models":[1],"model":"m"}', b'{"model":"gpt-5-mini"}'),
        (b'{"models":[1],"provider":{},"model":"m"}', b'{"model":"gpt-5-mini"}'),
        (b'{"model":"m","models":[1]}', b'{"model":"gpt-5-mini"}'),
        (b'{"model":"m","models":[1],"provider":{}}', b'{"model":"gpt-5-mini"}'),
        (b'{"model":"m","models":[1],"n":1,"provider":{}}', b'{"model":"gpt-5-mini","n":1}'),
        (b'{"n":1,"models":[1],"provider":{},"model":"m"}', b'{"n":1,"model":"gpt-5-mini"}'),
        (b'{"provider":{},"model":"m","models":[1]}', b'{"model":"gpt-5-mini"}'),
        (b'{ "models" : [1] , "model":"m" , "provider":{} }', b'{  "model":"gpt-5-mini"  }'),
        (b'{"m\\u006fdels":[1],"model":"m"}', b'{"model":"gpt-5-mini"}'),
    ],
)
def test_dropped_keys_take_exactly_one_comma_along(twin: ModuleType, body: bytes, left: bytes) -> None:
    assert edited(twin, body, drop=OURS) == left


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        (b'{"model":"m","stream":true}', {"include_usage": True}),
        (b'{"model":"m","stream":true,"stream_options":null}', {"include_usage": True}),
        (b'{"model":"m","stream":true,"stream_options":{ }}', {"include_usage": True}),
        (b'{"stream_options":{"x":[1]},"model":"m","stream":true}', {"include_usage": True, "x": [1]}),
        (b'{"model":"m","stream":true,"stream_options":{"include_usage":false}}', {"include_usage": False}),
        (b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}', {"include_usage": True}),
        (b'{"model":"m","stream":true,"stream_options":{"include\\u005fusage":false}}', {"include_usage": False}),
        (b'{"model":"m","stream":true,"stream_options":7}', 7),
    ],
)
def test_a_stream_asks_for_usage_unless_the_client_said_something(twin: ModuleType, body: bytes, asked: Any) -> None:
    assert json.loads(edited(twin, body, include_usage=True))["stream_options"] == asked


@pytest.mark.parametrize(
    "options",
    [
        '"Stream_Options":{}',
        '"\u017ftream_option\u017f":null',  # the long s folds to s in some readers
        r'"stream_\u004fptions":{"include_usage":false}',
        '"stream_options":{"Include_Usage":false}',
        '"stream_options":{"x":1,"include_uſage":null}',
    ],
)
def test_no_usage_is_asked_for_beside_a_key_in_other_letter_case(twin: ModuleType, options: str) -> None:
    body = f'{{"model":"m","stream":true,{options}}}'.encode()
    result = edited(twin, body, include_usage=True)
    assert result == body.replace(b'"m"', MODEL_JSON)
    twin.scan(result)  # what goes out is no pair that would have been refused coming in


@pytest.mark.parametrize("stream", [b"false", b"null"])
def test_what_does_not_stream_is_not_asked_for_usage(twin: ModuleType, stream: bytes) -> None:
    body = b'{"model":"m","stream":' + stream + b',"stream_options":null}'
    assert edited(twin, body, include_usage=True) == body.replace(b'"m"', MODEL_JSON)


def test_usage_is_asked_for_even_where_the_clients_options_are_dropped(twin: ModuleType) -> None:
    body = b'{"stream_options":{"x":1},"model":"m","stream":true}'
    assert edited(twin, body, drop=frozenset({"stream_options"}), include_usage=True) == (
        b'{"stream_options":{"include_usage":true},"model":"gpt-5-mini","stream":true}'
    )


@pytest.mark.parametrize("name", ["model", "temperature", ""])
def test_keys_that_cannot_be_dropped_are_named(twin: ModuleType, name: str) -> None:
    with pytest.raises(ValueError, match=f"cannot drop '{name}'; expected some of stream, "):
        twin.scan(b'{"model":"m"}').edits(drop=frozenset({name}))


@pytest.mark.parametrize(
    "edits",
    [
        (Edit(14, 1),),
        (Edit(-1, 1),),
        (Edit(0, -1),),
        (Edit(3, 4), Edit(6, 1)),
        (Edit(3, 4), Edit(1, 1)),
        (Edit(2**62, 2**62),),
    ],
)
def test_edits_that_do_not_fit_are_refused(twin: ModuleType, edits: tuple[Edit, ...]) -> None:
    with pytest.raises(ValueError, match="does not fit: expected it between byte"):
        twin.apply_edits(b'{"model":"m"}', edits, MODEL_JSON)


def test_edits_at_both_ends_fit(twin: ModuleType) -> None:
    assert twin.apply_edits(b"ab", (Edit(0, 0, "é"), Edit(0, 1), Edit(2, 0, "!")), b"M") == "éMb!".encode()


@given(bodies(), st.frozensets(st.sampled_from(reference.KNOWN_KEYS[1:]), max_size=6), st.booleans())
@settings(max_examples=400, deadline=None)
def test_a_body_changes_in_its_model_its_dropped_keys_and_its_usage_only(
    body: bytes, drop: frozenset[str], include_usage: bool
) -> None:
    try:
        scan = core.scan(body)
    except RequestError:
        return
    edits = scan.edits(drop=drop, include_usage=include_usage)
    assert edits == reference.scan(body).edits(drop=drop, include_usage=include_usage)
    result = core.apply_edits(body, edits, MODEL_JSON)
    assert result == reference.apply_edits(body, edits, MODEL_JSON)

    pairs = json.loads(body, object_pairs_hook=list)
    expected = [
        (key, MODEL_JSON.decode()[1:-1] if key == "model" else value) for key, value in pairs if key not in drop
    ]
    options = dict(expected).get("stream_options")
    # Read as pairs, an empty object is an empty list, so the original has to say which it was.
    is_object = isinstance(json.loads(body).get("stream_options"), dict)
    is_odd = any(key != "stream_options" == key.lower() for key in dict(pairs))
    if include_usage and scan.stream and "stream" in dict(pairs) and not is_odd:
        if options is None:
            rest = [pair for pair in expected if pair[0] != "stream_options"]
            place = [key for key, _ in expected].index("stream_options") if len(rest) < len(expected) else 0
            expected = [*rest[:place], ("stream_options", [("include_usage", True)]), *rest[place:]]
        elif is_object and "include_usage" not in map(str.lower, dict(options)):
            expected = [
                (key, [("include_usage", True), *value]) if key == "stream_options" else (key, value)
                for key, value in expected
            ]
    assert json.loads(result, object_pairs_hook=list) == expected


@given(bodies())
@settings(max_examples=200, deadline=None)
def test_every_byte_outside_the_model_stays_when_nothing_is_dropped(body: bytes) -> None:
    try:
        scan = core.scan(body)
    except RequestError:
        return
    start, end = scan.members["model"]
    assert core.apply_edits(body, scan.edits(), MODEL_JSON) == body[:start] + MODEL_JSON + body[end:]
