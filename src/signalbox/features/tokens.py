"""Prompt tokens by estimate, for as long as no tokenizer of the candidate is at hand.

The estimate errs on the high side: too high moves a request to a roomier model, too low lets a provider
refuse it. At `BYTES_PER_TOKEN` bytes a token, against o200k_base: English prose comes out 1.7 times too
high, code 1.3, Chinese 1.4, Russian 2.7, Hindi 3.1. Too low, by up to a half, come dense data (digits,
minified JSON, identifiers), scripts a tokenizer barely knows (Amharic), and documents or recordings,
whose length the body does not tell.
"""

from __future__ import annotations

from signalbox.types import Scan

BYTES_PER_TOKEN = 3  # o200k_base: prose 5.1, code 3.8, Chinese 4.2, rows of numbers 1.5
TOKENS_PER_MESSAGE = 5  # role and separators; OpenAI's own count is 3 to 4
TOKENS_PER_PROMPT = 8  # what primes the answer, and a system preamble's frame
TOKENS_PER_IMAGE = 1600  # Anthropic's largest after resizing; gpt-4o's high detail stays below it
TOKENS_PER_AUDIO = 2000  # about three minutes at ten tokens per second
TOKENS_PER_FILE = 6000  # a handful of PDF pages

SCHEMA_MEMBERS = ("tools", "functions", "response_format", "text")
"""Members whose JSON a provider writes into the prompt."""


def estimate_prompt_tokens(scan: Scan) -> int:
    """Return an estimate of the prompt's tokens, high rather than low; at least `TOKENS_PER_PROMPT`.

    Prompts that arrive as token ids are counted, not estimated.
    """
    size_bytes = scan.text_bytes + scan.tool_call_bytes
    if scan.tools or scan.json_schema:
        size_bytes += _schema_bytes(scan)
    return (
        -(-size_bytes // BYTES_PER_TOKEN)
        + scan.token_ids
        + TOKENS_PER_PROMPT
        + TOKENS_PER_MESSAGE * scan.messages
        + TOKENS_PER_IMAGE * scan.images
        + TOKENS_PER_AUDIO * scan.audio
        + TOKENS_PER_FILE * scan.files
    )


def _schema_bytes(scan: Scan) -> int:
    """Bytes of tool definitions and answer schemas as they stand in the body."""
    members = scan.members
    return sum(members[name][1] - members[name][0] for name in SCHEMA_MEMBERS if name in members)
