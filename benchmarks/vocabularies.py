"""Vocabularies to benchmark with: published ones from `make vocabularies`, or small ones learned from the documents."""

from __future__ import annotations

import json
from pathlib import Path

from tests.published import BERT, HOME, HOW, OPENAI

PROSE_WORDS = (
    "the of and to in is that for with as was on are by this be from or which model request latency provider "
    "gateway however therefore measurement understanding infrastructure configuration carefully question answers "
    "people between different important because through another government development unusual Kubernetes tokenizer"
)
CODE = (
    "    return [value for value in values if value is not None]\n",
    "static inline uint32_t load32(const uint8_t *at) {\n",
    "        self.assertEqual(response.status_code, 200)\n",
    "    const total = items.reduce((sum, item) => sum + item.price * item.count, 0);\n",
    'if (err != nil) {\n\t\treturn fmt.Errorf("open %s: %w", path, err)\n\t}\n',
    "SELECT id, name, created_at FROM users WHERE created_at > '2024-01-01' ORDER BY id;\n",
)
CHINESE = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会"
    "可主发年动同工也能下过子说产种面而方后多定行学法所民得经"
)


def published(name: str) -> Path:
    """A byte-pair vocabulary of that name, or "bert": a tokenizer.json. Ends the run where there is none."""
    known = OPENAI | {"bert": BERT}
    if name not in known:
        raise SystemExit(f"{name}: no such vocabulary is published in a package; name a file, or ask for --learned")
    path = HOME / known[name]
    if not path.is_file():
        raise SystemExit(f"{path} is not there\nfix: {HOW}, or name files of yours, or ask for --learned")
    return path


def byte_letters() -> dict[int, str]:
    """How byte-level tokenizers write bytes: printable ones as themselves, the rest as characters from U+0100 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}


def learn_bpe() -> str:
    """A tokenizer.json of byte-level pairs, with 8,000 tokens in the order they were learned."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=8000, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(documents(), trainer)
    text: str = tokenizer.to_str()
    return text


def learn_ranks() -> dict[bytes, int]:
    """The same as ranks."""
    vocabulary: dict[str, int] = json.loads(learn_bpe())["model"]["vocab"]
    bytes_of = {letter: byte for byte, letter in byte_letters().items()}
    return {bytes(bytes_of[letter] for letter in token): rank for token, rank in vocabulary.items()}


def learn_wordpiece() -> str:
    """A tokenizer.json like BERT's, with 8,000 tokens."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=8000, special_tokens=["[UNK]"], show_progress=False)
    tokenizer.train_from_iterator(documents(), trainer)
    text: str = tokenizer.to_str()
    return text


def documents() -> list[str]:
    files = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))
    return [*(path.read_text() for path in files), PROSE_WORDS, *CODE, CHINESE]
