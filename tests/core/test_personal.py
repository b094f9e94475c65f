from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from signalbox import core
from signalbox.core import PERSONAL_KINDS, reference
from signalbox.core.reference_personal import fold_code

EVERY = (1 << len(PERSONAL_KINDS)) - 1


def kinds(module: ModuleType, text: str | bytes, wanted: int = EVERY) -> set[str]:
    data = text if isinstance(text, bytes) else text.encode()
    found: int = module.find_personal(data, wanted)
    return {kind for place, kind in enumerate(PERSONAL_KINDS) if found >> place & 1}


FOUND = [
    ("email", "write to jane.doe+work@mail.example.co.uk, please"),
    ("email", "<jane@example.com>"),
    ("email", "https://example.com/?to=jane%40example.com"),
    ("email", "jane&#64;example.com"),
    ("email", "jane＠example．com"),
    ("email", "jаne@exаmple.com"),  # Cyrillic a
    ("email", "андрей@почта.рф"),
    ("email", "ja\u200bne@exam\u00adple.com"),
    ("credit_card", "4111 1111 1111 1111"),
    ("credit_card", "card:4111-1111-1111-1111."),
    ("credit_card", "4111\u20111111\u20111111\u20111111"),
    ("credit_card", "3782 822463 10005"),
    ("credit_card", "pay with 4111111111111111,12/27"),
    ("credit_card", "４１１１１１１１１１１１１１１１"),
    ("credit_card", "٤١١١١١١١١١١١١١١١"),
    ("credit_card", "\U0001d7d2\U0001d7cf\U0001d7cf\U0001d7cf111111111111"),
    ("credit_card", "卡号4111111111111111吗"),
    ("credit_card", "5555 5555 5555 4444 cvv 123"),
    ("credit_card", "my card is 9999999999999995"),  # of no issuer we know, but told to be one
    ("iban", "GB82 WEST 1234 5698 7654 32"),
    ("iban", "de89370400440532013000"),
    ("iban", "NL91-ABNA-0417-1643-00."),
    ("phone", "+44 20 7946 0958"),
    ("phone", "+1 (415) 555-2671"),
    ("phone", "call (415) 555-2671 x12"),
    ("phone", "415.555.2671"),
    ("phone", "1-415-555-2671"),
    ("phone", "020 7946 0958"),
    ("phone", "0049 30 901820"),
    ("phone", "My phone: 5552671"),
    ("phone", "please call me on 9472 7916"),
    ("phone", "+41 (0)62 585 51 90"),
    ("ssn", "078-05-1120"),
    ("ssn", "SSN 078051120"),
    ("ssn", "078‑05‑1120"),
    ("ip_address", "from 203.0.113.77 today"),
    ("ip_address", "203.0.113.7:8080"),
    ("ip_address", "the host 8.8.8.8"),
    ("ip_address", "2001:db8:85a3::8a2e:370:7334"),
    ("ip_address", "at 6e40:4041:c617:e898:c11:40d2:c669:2eb4: closed"),
    ("driver_license", "my driver's license is D123-4567"),
    ("passport", "Passport no. X1234567"),
]
NOT_FOUND = [
    "",
    "@",
    "@app.route('/')",
    "npm install left-pad@1.3.0",
    "icon@2x.png",
    "git@github.com:house/tool.git",
    "user@host",
    "4111 1111 1111 1112",  # Luhn
    "1234567812345670",  # Luhn holds, of no issuer
    "3.4111111111111111",
    "0x4111111111111111",
    "order/4111111111111111",
    "id_4111111111111111",
    "41111111111111111111111111",
    "GB82 WEST 1234 5698 7654 33",  # checksum
    "XX82 WEST 1234 5698 7654 32",
    "US12345678",
    "078-05-112",
    "000-12-3456",
    "666-12-3456",
    "912-12-3456",
    "078051120",
    "12345678",
    "2024-05-06",
    "2019-2020",
    "1999 2000",
    "call 12/05/2023",
    "phone 6 of 9",
    "1 1 1 1 0 1 0 in every cell",
    "((8.399/6.666)+2.608/5.671)",
    "version 1.2.3.4",
    "127.0.0.1",
    "0.0.0.0",
    "255.255.255.0",
    "1.2.3.4.5",
    "256.1.1.1",
    "std::vector",
    "abc::def::face",
    "12:34:56",
    "00:1b:44:11:3a:b7",
    "it costs $12345678 by phone",
    "in 1,234,567,890 steps",
    "550e8400-e29b-41d4-a716-446655440000",
    "3d9f0b1c7a2e4f60",
]


@pytest.mark.parametrize(("kind", "text"), FOUND)
def test_what_has_the_form_is_found(twin: ModuleType, kind: str, text: str) -> None:
    assert kind in kinds(twin, text)
    assert kinds(twin, text, 1 << PERSONAL_KINDS.index(kind)) == {kind}


@pytest.mark.parametrize("text", NOT_FOUND)
def test_what_only_looks_like_it_is_not(twin: ModuleType, text: str) -> None:
    assert kinds(twin, text) == set()


@pytest.mark.parametrize(("kind", "text"), FOUND)
def test_it_is_found_wherever_it_stands_and_however_json_spells_it(twin: ModuleType, kind: str, text: str) -> None:
    escaped = "".join(f"\\u{unit:04x}" for unit in memoryview(text.encode("utf-16-le")).cast("H"))
    for spelled in (json.dumps(text), json.dumps(json.dumps(text)), f'"{escaped}"', json.dumps(f'"{escaped}"')):
        assert kind in kinds(twin, '{"text":' + spelled + "}"), spelled
    for before in ("\n", "so: ", "x" * 500 + "\n", json.dumps("a\n")[1:-1]):
        assert kind in kinds(twin, before + text + " and so on" * 30)


@pytest.mark.parametrize("place", [0, 100_000, 220_000])
def test_no_part_of_a_long_text_is_passed_over(place: int) -> None:
    filler = "the quick brown fox said: it is 12 o'clock\n" * 6_000
    text = filler[:place] + "\ncard 4111 1111 1111 1111\n" + filler[place:]
    assert kinds(core, text) == {"credit_card"}


PIECES = st.sampled_from(
    [
        *(text for _, text in FOUND),
        *NOT_FOUND,
        *("4111", "1111", "111", "12", "1", "0", "00", "00415552671", "415", "555", "2671", "+", "(", ")", "1 (", "+("),
        *(
            " ",
            "-",
            ".",
            "/",
            "  ",
            " - ",
            "_",
            ":",
            "::",
            ",",
            "\n",
            "x",
            "$",
            "@",
            "%40",
            "&#64;",
            "a",
            "GB82",
            "git",
        ),
        *("phone ", "number ", "SSN ", "ip ", "card ", "passport ", "driver's license ", "call me ", "fe80", "é", "я"),
        *("\\", "\\\\", "\\n", "\\u0034", "\\ud835", "\\udfd2", "\\u00", "\u200d", "\u2013", "４", "日", "\x00"),
    ]
)


@given(st.lists(PIECES, max_size=14).map("".join), st.integers(0, EVERY))
@settings(max_examples=600)
@example("1 (1 (1 (415) 555-2671", EVERY)
def test_the_kernel_agrees_with_the_reference(text: str, wanted: int) -> None:
    data = text.encode()
    assert core.find_personal(data, wanted) == reference.find_personal(data, wanted)
    assert core.find_personal(memoryview(b"#" + data)[1:], wanted) == core.find_personal(data, wanted)


@given(st.binary(max_size=200) | st.text(alphabet="0123456789 -./()+:@abcGB\\u", max_size=80).map(str.encode))
@settings(max_examples=600)
def test_any_bytes_will_do(data: bytes) -> None:
    assert core.find_personal(data, EVERY) == reference.find_personal(data, EVERY)


def test_every_character_folds_as_in_the_reference() -> None:
    """Seen through a card number whose first digit is another character: it is found where that folds to 4."""
    for code in range(0x80, sys.maxunicode + 1):
        if 0xD800 <= code <= 0xDFFF:
            continue
        letter = chr(code).encode()
        folded = fold_code(code)
        assert bool(core.find_personal(letter + b"111111111111111", 2)) == (folded == b"4"), hex(code)
        assert bool(core.find_personal(b"411111111111111" + letter + b"1", 2)) == (folded == b""), hex(code)
        assert bool(core.find_personal(b"a" + letter + b"b.cc", 1)) == (folded == b"@"), hex(code)
        joined = core.find_personal(letter + b"4111111111111111", 2)
        assert bool(joined) == (not folded.isalnum() and folded != b"\xff" and folded != b"_"), hex(code)


def test_a_bit_that_stands_for_nothing_is_refused(twin: ModuleType) -> None:
    with pytest.raises(ValueError, match="wanted has bits of no kind"):
        twin.find_personal(b"", EVERY + 1)
