"""The sentences behind the scanner's faults, shared by the kernel and its reference.

A fault is a number in C and here; what a client reads about it is only here. No sentence quotes
anything from the body but the spelling of a key that Signalbox itself knows.
"""

from __future__ import annotations

from enum import IntEnum

from signalbox.errors import RequestError


class Fault(IntEnum):
    """Why a body was refused. Numbered as `sb_fault` in csrc/sb_json.h."""

    OK = 0
    EMPTY = 1
    BOM = 2
    TOO_LARGE = 3
    TOO_DEEP = 4
    ENDS_EARLY = 5
    EXPECTED_VALUE = 6
    EXPECTED_KEY = 7
    EXPECTED_KEY_OR_END = 8
    EXPECTED_COLON = 9
    EXPECTED_COMMA_OR_BRACE = 10
    EXPECTED_COMMA_OR_BRACKET = 11
    EXPECTED_DIGIT = 12
    CONTROL_CHARACTER = 13
    BAD_ESCAPE = 14
    BAD_UTF8 = 15
    TRAILING_BYTES = 16
    NOT_AN_OBJECT = 17
    DUPLICATE_KEY = 18
    MODEL_MISSING = 19
    MODEL_NOT_A_STRING = 20
    MODEL_EMPTY = 21
    STREAM_NOT_A_BOOLEAN = 22
    MESSAGES_NOT_A_LIST = 23
    MESSAGE_NOT_AN_OBJECT = 24
    ROLE_NOT_A_STRING = 25
    TYPE_NOT_A_STRING = 26
    TEXT_NOT_A_STRING = 27
    CONTENT_WRONG_TYPE = 28
    PART_WRONG_TYPE = 29
    KEY_IN_OTHER_CASE = 30


SENTENCES = {
    Fault.EMPTY: "the body is empty; expected a JSON object",
    Fault.BOM: "the body is not valid JSON: it starts with a byte order mark; send UTF-8 without one",
    Fault.TOO_LARGE: "the body is larger than {at} bytes",
    Fault.TOO_DEEP: "the body is nested too deeply, at byte {at}; at most {max_depth} levels are read",
    Fault.ENDS_EARLY: "the body is not valid JSON: it ends too early, at byte {at}",
    Fault.EXPECTED_VALUE: "the body is not valid JSON: expected a value at byte {at}",
    Fault.EXPECTED_KEY: "the body is not valid JSON: expected a key in double quotes at byte {at}",
    Fault.EXPECTED_KEY_OR_END: "the body is not valid JSON: expected a key in double quotes or '}}' at byte {at}",
    Fault.EXPECTED_COLON: "the body is not valid JSON: expected ':' at byte {at}",
    Fault.EXPECTED_COMMA_OR_BRACE: "the body is not valid JSON: expected ',' or '}}' at byte {at}",
    Fault.EXPECTED_COMMA_OR_BRACKET: "the body is not valid JSON: expected ',' or ']' at byte {at}",
    Fault.EXPECTED_DIGIT: "the body is not valid JSON: expected a digit at byte {at}",
    Fault.CONTROL_CHARACTER: "the body is not valid JSON: unescaped control character in a string at byte {at}",
    Fault.BAD_ESCAPE: "the body is not valid JSON: unknown escape sequence at byte {at}",
    Fault.BAD_UTF8: "the body is not valid JSON: the string is not valid UTF-8 at byte {at}",
    Fault.TRAILING_BYTES: "the body is not valid JSON: something follows the object at byte {at}",
    Fault.NOT_AN_OBJECT: "the body must be a JSON object; something else starts at byte {at}",
    Fault.DUPLICATE_KEY: '"{key}" is given twice in one object, again at byte {at}; send it once',
    Fault.KEY_IN_OTHER_CASE: (
        '"{key}" is given twice in one object, at byte {at} in other letter case; providers differ in which one they '
        "take, so send it once"
    ),
    Fault.MODEL_MISSING: "model is missing; send the name of a model or router",
    Fault.MODEL_NOT_A_STRING: "model must be a string, at byte {at}",
    Fault.MODEL_EMPTY: "model is empty, at byte {at}; send the name of a model or router",
    Fault.STREAM_NOT_A_BOOLEAN: "stream must be true, false or null, at byte {at}",
    Fault.MESSAGES_NOT_A_LIST: "messages must be a list of objects, at byte {at}",
    Fault.MESSAGE_NOT_AN_OBJECT: "each entry of messages must be an object, at byte {at}",
    Fault.ROLE_NOT_A_STRING: "the role of a message must be a string, at byte {at}",
    Fault.TYPE_NOT_A_STRING: "type must be a string, at byte {at}",
    Fault.TEXT_NOT_A_STRING: "text must be a string, at byte {at}",
    Fault.CONTENT_WRONG_TYPE: "the content of a message must be a string, a list of parts or null, at byte {at}",
    Fault.PART_WRONG_TYPE: "each part of a content list must be an object or a string, at byte {at}",
}


def request_error(fault: int, at: int, *, key: str = "", max_depth: int = 0) -> RequestError:
    """Return the error a client gets: status 400, or 413 for a body too large.

    fault: a `Fault` other than OK. at: byte offset. key: name of the key given twice.
    The code is `invalid_json` for what is not JSON or cannot be read as such, else `invalid_request`.
    """
    message = SENTENCES[Fault(fault)].format(at=at, key=key, max_depth=max_depth)
    code = "invalid_json" if fault < Fault.NOT_AN_OBJECT else "invalid_request"
    return RequestError(message, status=413 if fault == Fault.TOO_LARGE else 400, code=code)
