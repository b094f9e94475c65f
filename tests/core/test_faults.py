"""Every way a body can be refused, and what the client reads then."""

from __future__ import annotations

import re
from types import ModuleType

import pytest

from signalbox.core.faults import SENTENCES, Fault, request_error
from signalbox.errors import RequestError

NOT_JSON = [
    (Fault.EMPTY, b"", "the body is empty; expected a JSON object"),
    (Fault.EMPTY, b" \n", "the body is empty; expected a JSON object"),
    (Fault.BOM, b'\xef\xbb\xbf{"model":"m"}', "it starts with a byte order mark"),
    (Fault.TOO_DEEP, b'{"a":' + b"[" * 200 + b"]" * 200 + b"}", "at byte 132; at most 128 levels are read"),
    (Fault.ENDS_EARLY, b'{"model":"m"', "it ends too early, at byte 12"),
    (Fault.ENDS_EARLY, b'{"model":"m', "it ends too early, at byte 11"),
    (Fault.ENDS_EARLY, b'{"model":"\\u12', "it ends too early, at byte 14"),
    (Fault.ENDS_EARLY, b'{"model":-', "it ends too early, at byte 10"),
    (Fault.EXPECTED_VALUE, b'{"model":nul }', "expected a value at byte 9"),
    (Fault.EXPECTED_VALUE, b'{"a":[1,]}', "expected a value at byte 8"),
    (Fault.EXPECTED_VALUE, b'{"a":NaN}', "expected a value at byte 5"),
    (Fault.EXPECTED_VALUE, b"'m'", "expected a value at byte 0"),
    (Fault.EXPECTED_KEY, b'{"a":1,}', "expected a key in double quotes at byte 7"),
    (Fault.EXPECTED_KEY_OR_END, b"{a:1}", "expected a key in double quotes or '}' at byte 1"),
    (Fault.EXPECTED_COLON, b'{"a" 1}', "expected ':' at byte 5"),
    (Fault.EXPECTED_COMMA_OR_BRACE, b'{"model":"m" "a":1}', "expected ',' or '}' at byte 13"),
    (Fault.EXPECTED_COMMA_OR_BRACE, b'{"a":01}', "expected ',' or '}' at byte 6"),
    (Fault.EXPECTED_COMMA_OR_BRACKET, b'{"a":[1 2]}', "expected ',' or ']' at byte 8"),
    (Fault.EXPECTED_DIGIT, b'{"a":1.}', "expected a digit at byte 7"),
    (Fault.EXPECTED_DIGIT, b'{"a":1e+}', "expected a digit at byte 8"),
    (Fault.EXPECTED_VALUE, b'{"a":+1}', "expected a value at byte 5"),
    (Fault.CONTROL_CHARACTER, b'{"a":"x\ny"}', "unescaped control character in a string at byte 7"),
    (Fault.BAD_ESCAPE, b'{"a":"x\\q"}', "unknown escape sequence at byte 7"),
    (Fault.BAD_ESCAPE, b'{"a":"\\u12g4"}', "unknown escape sequence at byte 6"),
    (Fault.BAD_UTF8, b'{"a":"x\xff"}', "not valid UTF-8 at byte 7"),
    (Fault.BAD_UTF8, b'{"a":"\xc0\x80"}', "not valid UTF-8 at byte 6"),
    (Fault.BAD_UTF8, b'{"a":"\xe0\x80\x80"}', "not valid UTF-8 at byte 6"),
    (Fault.BAD_UTF8, b'{"a":"\xed\xa0\x80"}', "not valid UTF-8 at byte 6"),
    (Fault.BAD_UTF8, b'{"a":"\xf4\x90\x80\x80"}', "not valid UTF-8 at byte 6"),
    (Fault.BAD_UTF8, b'{"a":"\xe2\x82', "not valid UTF-8 at byte 6"),
    (Fault.TRAILING_BYTES, b'{"model":"m"}{}', "something follows the object at byte 13"),
    (Fault.TRAILING_BYTES, b'{"model":"m"}\x00', "something follows the object at byte 13"),
]
WRONG = [
    (Fault.NOT_AN_OBJECT, b' ["model"]', "the body must be a JSON object; something else starts at byte 1"),
    (Fault.DUPLICATE_KEY, b'{"model":"a","model":"b"}', '"model" is given twice in one object, again at byte 13'),
    (Fault.DUPLICATE_KEY, b'{"model":"a","mod\\u0065l":"b"}', '"model" is given twice in one object, again at byte 13'),
    (Fault.DUPLICATE_KEY, b'{"model":"a","n":1,"n":2}', '"n" is given twice in one object, again at byte 19'),
    (Fault.DUPLICATE_KEY, b'{"model":"a","messages":[{"role":"user","role":"tool"}]}', '"role" is given twice'),
    (Fault.DUPLICATE_KEY, b'{"model":"a","messages":[{"content":"a","content":"b"}]}', '"content" is given twice'),
    (Fault.DUPLICATE_KEY, b'{"model":"a","messages":[{"content":[{"type":"text","type":"x"}]}]}', '"type" is given'),
    (Fault.DUPLICATE_KEY, b'{"model":"a","messages":[{"content":[{"text":"a","text":"b"}]}]}', '"text" is given'),
    (Fault.KEY_IN_OTHER_CASE, b'{"model":"a","Model":"b"}', '"model" is given twice in one object, at byte 13 in'),
    (Fault.KEY_IN_OTHER_CASE, '{"messages":[],"meſſages":[]}'.encode(), '"messages" is given twice in one object, at'),
    (Fault.KEY_IN_OTHER_CASE, rb'{"max_to\u006bens":1,"max_to\u212aens":2}', '"max_tokens" is given twice'),
    (Fault.KEY_IN_OTHER_CASE, b'{"model":"a","messages":[{"role":"user","ROLE":"tool"}]}', '"role" is given twice'),
    (Fault.DUPLICATE_KEY, b'{"MODEL":"a","model":"b"}', '"model" is given twice in one object, again at byte 13'),
    (Fault.MODEL_MISSING, b'{"Model":"m"}', "model is missing"),
    (Fault.MODEL_NOT_A_STRING, b'{"model":["m"]}', "model must be a string, at byte 9"),
    (Fault.MODEL_EMPTY, b'{"model":""}', "model is empty, at byte 9"),
    (Fault.STREAM_NOT_A_BOOLEAN, b'{"model":"m","stream":"yes"}', "stream must be true, false or null, at byte 22"),
    (Fault.MESSAGES_NOT_A_LIST, b'{"model":"m","messages":{}}', "messages must be a list of objects, at byte 24"),
    (Fault.MESSAGES_NOT_A_LIST, b'{"model":"m","messages":null}', "messages must be a list of objects, at byte 24"),
    (Fault.MESSAGE_NOT_AN_OBJECT, b'{"model":"m","messages":["hi"]}', "must be an object, at byte 25"),
    (Fault.ROLE_NOT_A_STRING, b'{"model":"m","messages":[{"role":1}]}', "must be a string, at byte 33"),
    (Fault.TYPE_NOT_A_STRING, b'{"model":"m","input":[{"type":1}]}', "type must be a string, at byte 30"),
    (Fault.TEXT_NOT_A_STRING, b'{"model":"m","input":[{"content":[{"type":"text","text":{}}]}]}', "at byte 56"),
    (Fault.CONTENT_WRONG_TYPE, b'{"model":"m","messages":[{"content":{}}]}', "a list of parts or null, at byte 36"),
    (Fault.PART_WRONG_TYPE, b'{"model":"m","messages":[{"content":[1]}]}', "at byte 37"),
]  # fmt: skip


def sentence(fault: Fault) -> str:
    """A pattern for what a fault says, whatever the place."""
    return re.escape(SENTENCES[fault].format(at="@", key="@", max_depth="@")).replace("@", r"\w+")


@pytest.mark.parametrize(("fault", "body", "message"), NOT_JSON)
def test_what_is_not_json_is_refused_with_the_byte(twin: ModuleType, fault: Fault, body: bytes, message: str) -> None:
    with pytest.raises(RequestError) as refused:
        twin.scan(body)
    assert (refused.value.status, refused.value.code) == (400, "invalid_json")
    assert message in str(refused.value)
    assert re.fullmatch(sentence(fault), str(refused.value))


@pytest.mark.parametrize(("fault", "body", "message"), WRONG)
def test_what_is_json_but_no_request_is_refused_with_the_place(
    twin: ModuleType, fault: Fault, body: bytes, message: str
) -> None:
    with pytest.raises(RequestError) as refused:
        twin.scan(body)
    assert (refused.value.status, refused.value.code) == (400, "invalid_request")
    assert message in str(refused.value)
    assert re.fullmatch(sentence(fault), str(refused.value))


def test_every_fault_has_a_sentence_and_a_body_that_provokes_it() -> None:
    provoked = {fault for fault, _, _ in [*NOT_JSON, *WRONG]} | {Fault.OK, Fault.TOO_LARGE}
    assert provoked == set(Fault)
    for fault in set(Fault) - {Fault.OK}:
        assert str(request_error(fault, 5, key="model", max_depth=9))


def test_a_body_beyond_the_limit_is_413(twin: ModuleType) -> None:
    with pytest.raises(RequestError) as refused:
        twin.scan(bytes(256 * 1024 * 1024 + 1))
    assert (refused.value.status, refused.value.code) == (413, "invalid_json")


def test_a_byte_that_is_not_json_matters_more_than_a_wrong_type_before_it(twin: ModuleType) -> None:
    with pytest.raises(RequestError, match="expected a digit at byte 16") as refused:
        twin.scan(b'{"model":1,"n":-}')
    assert refused.value.code == "invalid_json"


def test_of_two_wrong_types_the_first_is_named(twin: ModuleType) -> None:
    with pytest.raises(RequestError, match="stream must be"):
        twin.scan(b'{"stream":1,"model":2}')


def test_a_key_in_other_case_alone_is_one_nobody_knows(twin: ModuleType) -> None:
    found = twin.scan(b'{"model":"m","Stream":true,"stream_options":{"Include_Usage":true},"prompts":"a","PROMPT":"b"}')
    assert (found.stream, found.text(), "stream" in found.members) == (False, b"", False)


def test_duplicates_of_unknown_keys_pass(twin: ModuleType) -> None:
    body = b'{"model":"m","x":1,"x":2,"messages":[{"role":"user","name":"a","name":"b"}],"tools":[{"type":1,"type":2}]}'
    assert twin.scan(body).messages == 1


def test_lone_surrogate_escapes_are_syntax_not_faults(twin: ModuleType) -> None:
    assert twin.scan(rb'{"model":"m","prompt":"\ud800 \udc00"}').text() == "\ufffd \ufffd".encode()


def test_deep_nesting_costs_an_error_not_the_process(twin: ModuleType) -> None:
    for opening in (b"[", b'{"a":', b'[{"messages":'):
        with pytest.raises(RequestError, match="nested too deeply"):
            twin.scan(b'{"model":"m","x":' + opening * 100_000)


def test_the_depth_limit_can_be_chosen_within_bounds(twin: ModuleType) -> None:
    body = b'{"model":"m","x":' + b"[" * 255 + b"]" * 255 + b"}"
    assert twin.scan(body, max_depth=256).depth == 256
    with pytest.raises(RequestError, match="at most 255 levels"):
        twin.scan(body, max_depth=255)
    for wrong in (0, 257, -1):
        with pytest.raises(ValueError, match="max_depth must be 1 to 256"):
            twin.scan(body, max_depth=wrong)


def test_no_error_quotes_what_the_client_wrote(twin: ModuleType) -> None:
    secret = b"sesame"
    for _, body, _ in [*NOT_JSON, *WRONG]:
        with pytest.raises(RequestError) as refused:
            twin.scan(body.replace(b'"m"', b'"' + secret + b'"').replace(b"hi", secret))
        assert secret.decode() not in str(refused.value)
