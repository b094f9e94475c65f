"""Texts in ten scripts, code, data and odd characters, for comparing counts."""

from __future__ import annotations

import random

SCRIPTS = {
    "latin": "The quick brown fox can't jump over 12,345 lazy dogs — or can it? Naïve café façade.",
    "cyrillic": "Съешь же ещё этих мягких французских булок, да выпей чаю. Цена: 1 234,50 ₽.",
    "greek": "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία, ΚΑΙ ΤΩΡΑ; 3,14159",
    "arabic": "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر ٣٤٥",
    "hebrew": "דג סקרן שט בים מאוכזב ולפתע מצא חברה 2024",
    "devanagari": "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश १२३",
    "thai": "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน ๔๕๖",
    "han": "视野无限广,窗外有蓝天。微风带走了我的思念,2024年3月。",
    "japanese": "いろはにほへと ちりぬるを、カタカナとひらがな混じりの文。",
    "hangul": "키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다.",
}
CODE = 'def f(x: int) -> str:\n\treturn f"{x!r:>10}"  # done\n\n\n    if (a && b) { return x<<=2; }\r\n\r\n'
DATA = '{"id":"9f86d081884c7d65","rows":[[0.125,1e-9,-42],[null,true]],"url":"https://x.test/?a=1&b=%20"}'
ODD = "a\u0300e\u0301 \ufdfa ﬁ ½ 𝔘𝔫𝔦 👩‍👩‍👧‍👦 \u200b\ufeff \x00\x01 \u3000　 \u212b  \n \n\t x" + " " * 70 + "\n\n"
SPECIAL = "<|im_start|>user <|endoftext|> [INST] <s> <|eot_id|></s>"

TEXTS = {**SCRIPTS, "code": CODE, "data": DATA, "odd": ODD, "special": SPECIAL, "empty": "", "blank": " ", "line": "\n"}


def mixtures(count: int, seed: int = 7) -> list[str]:
    """Texts cut and joined at random places, so that words of several scripts meet."""
    dice = random.Random(seed)
    pool = list(TEXTS.values())

    def piece() -> str:
        text = dice.choice(pool)
        start = dice.randrange(len(text) + 1)
        return text[start : start + dice.randrange(1, 60)]

    return ["".join(piece() for _ in range(dice.randrange(1, 9))) for _ in range(count)]
