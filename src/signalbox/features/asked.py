"""What a turn asks of its answer, in words: how long it may be, an image, more thought.

Patterns over the two ends of the last user turn, read only when the turn has a word of `vocabulary.ASKING_WORDS`
in it, which most have not. Bounded: the text is at most 4 KiB, and RE2 takes linear time. English only; whoever
asks in another language is measured by the API's own parameters.
"""

from __future__ import annotations

import re2

TOKENS_PER_UNIT = {
    "token": 1.0,
    "character": 0.25,
    "word": 1.4,
    "line": 15.0,
    "bullet": 25.0,
    "sentence": 25.0,
    "paragraph": 110.0,
    "page": 650.0,
}
"""Tokens of English prose, by o200k_base and rounded up: what an answer of one unit comes to."""

NUMBER_WORDS = {
    "a": 1, "an": 1, "one": 1, "single": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "fifty": 50,
    "hundred": 100,
}  # fmt: skip
MAX_TOKENS_ASKED = 1_000_000

_NUMBER = rf"([0-9]{{1,3}}(?:,[0-9]{{3}})+|[0-9]{{1,7}}|{'|'.join(NUMBER_WORDS)})"
_UNIT = rf"({'|'.join(TOKENS_PER_UNIT)})s?"
_CUE = (
    r"(?:in|within|under|below|at most|no more than|not more than|less than|fewer than|up to|maximum(?: of)?|max"
    r"|limit(?:ed)? (?:it |this |the answer |your answer )?to|about|around|approximately|roughly|exactly|at least)"
)


def _compile(pattern: str) -> re2._Regexp:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    return re2.compile(pattern, options)


_LENGTHS = (
    _compile(rf"\b{_CUE} (?:a |an )?{_NUMBER} (?:short |brief |long |full )?{_UNIT}\b"),
    _compile(rf"\b{_NUMBER}[- ]{_UNIT} (?:or (?:less|fewer)|max|maximum|at most|tops|limit)\b"),
    _compile(
        rf"\b{_NUMBER}-{_UNIT} (?:[a-z]+ )?(?:answer|article|essay|explanation|overview|poem|reply|report|response"
        r"|story|summary|text)\b"
    ),
)
_REASONING = _compile(
    r"\bstep[- ]by[- ]step\b|\bchain of thought\b|\bthink (?:carefully|hard|harder|deeply|it through|this through)\b"
    r"|\b(?:show|explain) your (?:reasoning|work|working|thinking)\b|\breason (?:carefully|through)\b"
)
# A command at the start of a sentence, then the thing asked for with nothing between but what may describe it.
# What a picture is of comes behind the noun: another noun there ("image classifier") is what is really wanted.
_START = r"(?:^|[\n.!?:;])[ \t\"'*#>-]*(?:(?:please|now|ok|okay|hi|hey|hello|then|also|and|next)[, ]+)*"
_WISH = (
    r"(?:(?:can|could|would|will) you (?:please )?|i(?: would|'d|’d)? (?:like|want|need) you to |i want to "
    r"|help me (?:to )?|let's )?"
)
_MAKE = (
    r"(?:draw|paint|sketch|illustrate|render|generate|create|make|produce|design|give me|show me|imagine)(?: me| us)?"
)
_HOW_MANY = r"(?: (?:a|an|the|some|my|our|one|two|three|four|another|[0-9]))?"
_LOOKS = (
    r"(?: (?:new|nice|simple|detailed|realistic|photorealistic|beautiful|cute|funny|small|large|big|modern|abstract"
    r"|high[- ]resolution|high[- ]quality|minimalist|colorful|colourful|black[- ]and[- ]white|digital|3d|pixel[- ]art"
    r"|square|cartoon|watercolor|watercolour|oil|pencil|vector|fantasy|cinematic|stylized|retro|vintage|ai)){0,4}"
)
_PICTURE = (
    r" (?:image|picture|photo|photograph|illustration|drawing|painting|sketch|logo|icon|wallpaper|poster|portrait"
    r"|artwork|cartoon|avatar|sticker|infographic)s?"
)
_GOES_ON = (
    r"(?:[.,!?;:\n]|$| (?:of|with|showing|that shows|which shows|depicting|featuring|where|in|for|from|based on|about"
    r"|please|using|like|as)\b)"
)
_IMAGE = _compile(_START + _WISH + _MAKE + _HOW_MANY + _LOOKS + _PICTURE + _GOES_ON)
_LANGUAGES = r"(?:python|javascript|typescript|html|css|svg|latex|tikz|mermaid|matplotlib|java|c\+\+|rust|go|ascii)"
_NO_IMAGE = _compile(  # files, code and figures of speech
    r"\b(?:docker|container|disk|disc|iso|boot|vm|firmware|base) images?\b"
    r"|\bpicture of (?:the )?(?:situation|economy|market|state|health)\b"
    rf"|\b(?:in|using|with) {_LANGUAGES}(?:[^a-z+]|$)"
)


def answer_tokens(asked: str) -> int | None:
    """Return about how many tokens the answer asked for has; of several lengths the largest. None if there is none.

    "in 3 sentences" is 75, "at most 200 words" 280, "a 500-word essay" 700.
    """
    sizes = [
        _count(match.group(1)) * TOKENS_PER_UNIT[match.group(2).lower()]
        for pattern in _LENGTHS
        for match in pattern.finditer(asked)
    ]
    return min(round(max(sizes)), MAX_TOKENS_ASKED) if sizes else None


def _count(number: str) -> int:
    return NUMBER_WORDS.get(number.lower()) or int(number.replace(",", ""))


def asks_to_reason(asked: str) -> bool:
    """Whether the turn asks for reasoning before the answer: "step by step", "think carefully", ..."""
    return _REASONING.search(asked) is not None


def asks_for_image(asked: str) -> bool:
    """Whether the turn commands an image: a verb of making at the start of a sentence, and a picture as its object."""
    return _IMAGE.search(asked) is not None and _NO_IMAGE.search(asked) is None
