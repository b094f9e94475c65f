"""Personal data that has a form, rule by rule: the twin of csrc/sb_personal.c, whose header defines them."""

from __future__ import annotations

import re
from collections.abc import Callable

from signalbox.core.personal_kinds import PERSONAL_KINDS

CONTEXT_BYTES = 48

ZEROS = (
    "\u0660\u06f0\u07c0\u0966\u09e6\u0a66\u0ae6\u0b66\u0be6\u0c66\u0ce6\u0d66\u0e50\u0ed0\u0f20\u1040\u17e0\u1810"
    "\u2080\U000104a0\U0001d7ce\U0001d7d8\U0001d7e2\U0001d7ec\U0001d7f6\U0001fbf0"
)
FOLDS: dict[int, str] = {ord(zero) + value: str(value) for zero in ZEROS for value in range(10)}
FOLDS |= dict(zip(map(ord, "²³¹⁰⁴⁵⁶⁷⁸⁹①②③④⑤⑥⑦⑧⑨⓪❶❷❸❹❺❻❼❽❾"), "23104567891234567890123456789", strict=True))
FOLDS |= {0xFF01 + place: chr(0x21 + place) for place in range(94)}
FOLDS |= dict(
    zip(
        map(ord, "ªºΑΒΕΖΗΙΚΜΝΟΡΤΥΧοЅІЈАВЕКМНОРСТХаеорсухѕіј"),
        "aoABEZHIKMNOPTYXoSIJABEKMHOPCTXaeopcyxsij",
        strict=True,
    )
)
FOLDS |= {0x1D400 + place: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[place % 52] for place in range(676)}
FOLDS |= dict.fromkeys([*range(0x2010, 0x2016), 0x2043, 0x2212, 0xFE58, 0xFE63], "-")
FOLDS |= {0x2024: ".", 0x3002: ".", 0xFF61: ".", 0xFE6B: "@", 0x2028: "\n", 0x2029: "\n"}
FOLDS |= dict.fromkeys(
    [
        *(0xAD, 0x61C, 0x20E3, 0xFEFF),
        *range(0x180B, 0x1810),
        *range(0x200B, 0x2010),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2070),
        *range(0xFE00, 0xFE10),
        *range(0xE0000, 0xE0080),
    ],
    "",
)
OTHER_LETTERS = re.compile("[À-ÖØ-öø-\u0dff\u10a0-\u10ff\u1e00-\u1fff]")
ESCAPE = re.compile(rb"\\+(?:u([0-9a-fA-F]{4})(?:\\+u([0-9a-fA-F]{4}))?|([nrtbf\"/]))?")
CONTROLS = {b"n": b"\n", b"r": b"\n", b"t": b" ", b"b": b" ", b"f": b" "}


def fold_code(code: int) -> bytes:
    if code < 0x80:
        return bytes([code])
    folded = FOLDS.get(code)
    if folded is None:
        return b"\xff" if OTHER_LETTERS.match(chr(code)) else b" "
    return folded.encode()


def fold(text: bytes) -> bytes:
    """One byte for each character, and the escapes of JSON resolved, however often they were escaped."""
    parts, at = [], 0
    while (escape := ESCAPE.search(text, at)) is not None:
        parts += [_fold_plain(text[at : escape.start()]), _unescape(escape)]
        # The second of two that are no pair stands for itself, and may begin a pair of its own.
        at = escape.end() if escape[2] is None or _is_pair(escape) else escape.end(1)
    return b"".join([*parts, _fold_plain(text[at:])])


def _is_pair(escape: re.Match[bytes]) -> bool:
    return 0xD800 <= int(escape[1], 16) <= 0xDBFF and 0xDC00 <= int(escape[2], 16) <= 0xDFFF


def _unescape(escape: re.Match[bytes]) -> bytes:
    if escape[1] is not None:
        code = int(escape[1], 16)
        if escape[2] is not None and _is_pair(escape):
            code = 0x10000 + ((code - 0xD800) << 10) + int(escape[2], 16) - 0xDC00
        return fold_code(code)
    return b"\\" if escape[3] is None else CONTROLS.get(escape[3], escape[3])


def _fold_plain(text: bytes) -> bytes:
    # Each byte that is no UTF-8 becomes one lone surrogate, which folds to a blank.
    return b"".join(fold_code(ord(letter)) for letter in text.decode("utf-8", "surrogateescape"))


# ---------------------------------------------------------------- words before a number

CLUES = {
    "phone": "phone phones telephone tel telefon telefono telefone mobile cell cellphone fax whatsapp dial sms contact "
    "reach handy voicemail hotline call·me call·us call·him call·her call·at call·on text·me message·to messages·to "
    "my·number his·number her·number",
    "number": "number registered",
    "ssn": "ssn ssns social·security",
    "ip": "ip ips ipv4 address addr host server",
    "passport": "passport passports",
    "license": "driver's·license driver·license drivers·license driver's·licence driving·licence driving·license",
    "card": "card cards credit debit cc visa mastercard amex maestro",
}
WORD = rb"[0-9A-Za-z_\xff]"
CLUE_PATTERNS = {
    kind: re.compile(
        rb"(?<!%s)(?:%s)(?!%s)" % (WORD, b"|".join(w.replace("·", " ").encode() for w in words.split()), WORD), re.I
    )
    for kind, words in CLUES.items()
}


def is_about(text: bytes, at: int, *kinds: str) -> bool:
    """Whether a word of one of these kinds starts in the bytes before `at`."""
    for kind in kinds:
        for found in CLUE_PATTERNS[kind].finditer(text, max(0, at - CONTEXT_BYTES - 1)):
            if max(0, at - CONTEXT_BYTES) <= found.start() < at:
                return True
    return False


# ---------------------------------------------------------------- checksums


def passes_luhn(digits: str) -> bool:
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


MAESTRO = range(12, 20)
ISSUERS = [  # first four digits, how many there may be
    ((604, 604), MAESTRO),
    ((1800, 1800), (15,)),
    ((2131, 2131), (15,)),
    ((2200, 2204), range(16, 20)),
    ((2221, 2720), (16,)),
    ((3000, 3059), range(14, 20)),
    ((3095, 3095), range(14, 20)),
    ((3400, 3499), (15,)),
    ((3500, 3599), range(16, 20)),
    ((3600, 3699), range(14, 20)),
    ((3700, 3799), (15,)),
    ((3800, 3999), range(14, 20)),
    ((4000, 4999), (13, 16, 19)),
    ((5000, 5099), MAESTRO),
    ((5100, 5599), (16,)),
    ((5600, 5999), MAESTRO),
    ((6011, 6011), range(16, 20)),
    ((6200, 6299), range(16, 20)),
    ((6300, 6399), MAESTRO),
    ((6440, 6599), range(16, 20)),
    ((6700, 6799), MAESTRO),
]


def is_issued(digits: str) -> bool:
    return any(low <= int(digits[:4]) <= high and len(digits) in counts for (low, high), counts in ISSUERS)


COUNTRIES = (
    "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22"
    "GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20"
    "MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26"
    "UA29VA22VG24XK20YE30"
)
ACCOUNT_LENGTHS = {COUNTRIES[at : at + 2]: int(COUNTRIES[at + 2 : at + 4]) for at in range(0, len(COUNTRIES), 4)}

# ---------------------------------------------------------------- kinds

NUMBER = re.compile(rb"(?<![0-9A-Za-z_\xff])(?<![0-9][-.])(?<![0-9A-Za-z_\xff]/)(?=[0-9])")
ENDS = rb"(?![0-9A-Za-z_\xff]|\.[0-9])"
ENDS_PATTERN = re.compile(ENDS)
DIGITS = re.compile(rb"[0-9]+")


def has_email(text: bytes) -> bool:
    for sign in re.finditer(rb"@|%40|&#64;", text):
        local = re.search(rb"[0-9A-Za-z\xff._%+'-]{1,64}\Z", text[max(0, sign.start() - 64) : sign.start()])
        domain = re.match(
            rb"(?:[0-9A-Za-z\xff-]+\.(?=[0-9A-Za-z\xff]))+[0-9A-Za-z\xff-]+", text[sign.end() : sign.end() + 253]
        )
        if local is None or local[0].endswith(b".") or domain is None:
            continue
        last = domain[0].rpartition(b".")[2]
        if not re.fullmatch(rb"[A-Za-z\xff]{2,}", last):
            continue
        if last.lower() in (b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp", b"css", b"js", b"ts", b"json"):
            continue
        if local[0] == b"git" and text[sign.end() + domain.end() :][:1] == b":":
            continue
        return True
    return False


def has_credit_card(text: bytes) -> bool:
    return any(_starts_card(text, number.start()) for number in NUMBER.finditer(text))


def _is_card(text: bytes, start: int, digits: str) -> bool:
    return passes_luhn(digits) and (is_issued(digits) or is_about(text, start, "card"))


def _starts_card(text: bytes, start: int) -> bool:
    groups, gap, at = b"", None, start
    while (run := DIGITS.match(text, at)) is not None:
        if at == start and len(run[0]) < 4:
            return False
        groups += run[0]
        if len(groups) > 19:
            return False
        digits = groups.decode()
        if len(digits) >= 12 and ENDS_PATTERN.match(text, run.end()) and _is_card(text, start, digits):
            return True
        next_gap = re.compile(rb"[ .-]{1,3}(?=[0-9])").match(text, run.end())
        if next_gap is None or not 3 <= len(run[0]) <= 6 or (gap is not None and next_gap[0] != gap):
            return False
        if next_gap[0].startswith(b".") and DIGITS.match(text, start)[0] != digits[:4].encode():  # type: ignore[index]
            return False
        gap, at = next_gap[0], next_gap.end()
    return False


def has_iban(text: bytes) -> bool:
    for start in re.finditer(rb"(?<![0-9A-Za-z_\xff])[A-Za-z]{2}(?=[0-9]{2})", text):
        length = ACCOUNT_LENGTHS.get(start[0].decode().upper(), 0)
        if length == 0:
            continue
        number = re.compile(rb"[0-9A-Za-z](?:[ -]?[0-9A-Za-z]){%d}(?![0-9A-Za-z_\xff])" % (length - 1)).match(
            text, start.start()
        )
        if number is not None:
            account = re.sub("[ -]", "", number[0].decode()).upper()
            if int("".join(str(int(letter, 36)) for letter in account[4:] + account[:4])) % 97 == 1:
                return True
    return False


SSN = re.compile(rb"(?!000|666|9)([0-9]{3})([-. ]?)(?!00)([0-9]{2})\2(?!0000)([0-9]{4})" + ENDS + rb"(?!-[0-9])")


def has_ssn(text: bytes) -> bool:
    for number in NUMBER.finditer(text):
        found = SSN.match(text, number.start())
        if found is not None and (found[2] == b"-" or is_about(text, number.start(), "ssn")):
            return True
    return False


OCTET = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
IPV4 = re.compile(rb"(%s)(?:\.%s){3}" % (OCTET, OCTET) + ENDS)


def has_ip_address(text: bytes) -> bool:
    for number in NUMBER.finditer(text):
        found = IPV4.match(text, number.start())
        if found is None or int(found[1]) in (0, 127, 255):
            continue
        if len(found[0]) > 7 or is_about(text, number.start(), "ip"):
            return True
    return _has_ipv6(text)


def _has_ipv6(text: bytes) -> bool:
    until = 0
    for colon in re.finditer(rb":", text):
        if colon.start() < until:
            continue
        before = re.search(rb"[0-9a-fA-F]{0,5}\Z", text[max(0, colon.start() - 5) : colon.start()])
        assert before is not None
        start = colon.start() - len(before[0])
        token = re.compile(rb"[0-9a-fA-F:]{0,45}").match(text, start)
        assert token is not None
        until = token.end()
        found = token[0].decode()
        if re.match(rb"[0-9A-Za-z_\xff:]", text[start - 1 : start] if start else b" "):
            continue
        if re.match(rb"[0-9A-Za-z_\xff]", text[until : until + 1]):
            continue
        if found.endswith(":") and len(found) > 1 and not found.endswith("::"):
            found = found[:-1]
        groups = [group for group in found.split(":") if group]
        pairs = sum(found[at : at + 2] == "::" for at in range(len(found)))
        if any(len(group) > 4 for group in groups) or re.match(":(?!:)", found) or not re.search("[0-9]", found):
            continue
        if (pairs == 0 and len(groups) == 8) or (pairs == 1 and 3 <= len(groups) <= 7):
            return True
    return False


NORTH_AMERICAN = re.compile(
    rb"(?:(?<=\()[0-9]{3}\) ?[0-9]{3}[-. ][0-9]{4}"
    rb"|[0-9]{3}-[0-9]{3}[-. ][0-9]{4}"
    rb"|[2-9][0-9]{2}([. ])[2-9][0-9]{2}\1[0-9]{4}"
    rb")(?![0-9])(?:(?=x[0-9])|" + ENDS + rb"(?!-[0-9]))"
)
COUNTRY_CODE = re.compile(rb"1(?:[-. ]|[^0-9]\()(?=[0-9])", re.DOTALL)
PHONE_GAP = re.compile(rb"[ ./()-]{1,3}(?=[0-9])")


def _is_north_american(text: bytes, at: int) -> bool:
    country = COUNTRY_CODE.match(text, at)
    return NORTH_AMERICAN.match(text, at if country is None else country.end()) is not None


def has_phone(text: bytes) -> bool:
    return any(_is_phone(text, number.start()) for number in NUMBER.finditer(text))


def _is_phone(text: bytes, at: int) -> bool:
    before = text[max(0, at - 3) : at].rjust(3)  # with blanks, as beyond both ends
    plus = re.search(rb"(?<![0-9A-Za-z_\xff)])\+\(?\Z", before) is not None
    first = DIGITS.match(text, at)
    assert first is not None
    if before[2:] == b"+" and plus and first[0] == b"0":
        return False
    if not plus and _is_north_american(text, at):
        return True
    lengths: list[int] = []
    gaps: list[bytes] = []
    run: re.Match[bytes] | None = first
    while run is not None:
        lengths.append(len(run[0]))
        if sum(lengths) > 15 or len(lengths) > 8:
            return False
        gap = PHONE_GAP.match(text, run.end())
        is_over = gap is None and ENDS_PATTERN.match(text, run.end()) is not None
        if plus and sum(lengths) >= 8 and (is_over or gap is not None):
            return True
        if is_over:
            break
        if gap is None:
            return False
        gaps.append(gap[0])
        run = DIGITS.match(text, gap.end())
    total, groups = sum(lengths), len(lengths)
    if plus or total < 7 or IPV4.match(text, at):
        return False
    same = len(set(gaps)) <= 1 and all(len(gap) == 1 for gap in gaps)
    if text[at : at + 1] == b"0" and 2 <= lengths[0] <= 5 and groups >= 2 and same:
        even = all(2 <= length <= 7 for length in lengths[1:])
        second = text[at + 1 : at + 2]
        if even and second != b"0" and 9 <= total <= 11:
            return True
        if even and second == b"0" and lengths[0] >= 4 and groups >= 3 and total >= 10:
            return True
    is_date = groups == 3 and (
        (lengths[0] == 4 and lengths[1] <= 2 and lengths[2] <= 2)
        or (lengths[0] <= 2 and lengths[1] <= 2 and lengths[2] == 4)
    )
    is_years = lengths == [4, 4] and text[at : at + 1] <= b"2"
    if is_date or is_years or lengths == [3, 2, 4] or 1 in lengths or before[2:] == b"$":
        return False
    plain = all(gap[:1] in (b" ", b"-") for gap in gaps)
    return is_about(text, at, "phone", *(["number"] if groups >= 2 and plain else []))


def _has_document(text: bytes, about: str) -> bool:
    for run in DIGITS.finditer(text):
        at = run.start()
        letters = re.search(rb"[A-Za-z\xff]{0,3}\Z", text[max(0, at - 3) : at])
        assert letters is not None
        start = at - len(letters[0])
        if start and re.match(rb"[0-9A-Za-z_\xff-]", text[start - 1 : start]):
            continue
        word = re.compile(rb"[0-9A-Za-z\xff-]{1,23}").match(text, start)
        assert word is not None
        plain = word[0].replace(b"-", b"")
        if 5 <= len(plain) <= 18 and sum(map(len, DIGITS.findall(plain))) >= 4 and is_about(text, start, about):
            return True
    return False


FINDERS: dict[str, Callable[[bytes], bool]] = {
    "email": has_email,
    "credit_card": has_credit_card,
    "iban": has_iban,
    "phone": has_phone,
    "ssn": has_ssn,
    "ip_address": has_ip_address,
    "driver_license": lambda text: _has_document(text, "license"),
    "passport": lambda text: _has_document(text, "passport"),
}


def find_personal(text: bytes | memoryview, wanted: int) -> int:
    every = (1 << len(PERSONAL_KINDS)) - 1
    if wanted & ~every:
        raise ValueError(f"wanted has bits of no kind: expected at most {every:#x}, got {wanted:#x}")
    folded = fold(bytes(text))
    return sum(1 << place for place, kind in enumerate(PERSONAL_KINDS) if wanted >> place & 1 and FINDERS[kind](folded))
