"""Counting one request for several candidates, each as far as somebody asks.

    bounds from the scan ── not settled? ──> bounds from the rendered texts ── not settled? ──> tokens, text by text

Tokenizing is the dear part: about 0.2 s for a megabyte, so a question is answered by bounds whenever they settle it,
and a text that was counted once (the history of a conversation comes back with every turn) is looked up.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock

from signalbox.tokens.conversation import Conversation, read_conversation
from signalbox.tokens.images import ImageFormula
from signalbox.tokens.templates import Rendered, TemplateName, render
from signalbox.tokens.tokenizer import Tokenizer, UncountableError
from signalbox.types import ParsedRequest, TokenCount

MAX_COUNTED_BYTES = 1024 * 1024
"""Prompts with more text are not tokenized, whatever the cache holds: the same request must get the same answer."""

CACHED_TEXTS = 65_536  # about 9 MB of digests and counts
MIN_CACHED_BYTES = 64  # shorter texts are counted faster than they are hashed
TOKENS_PER_UNKNOWN_IMAGE = 1600

FRAME, PREAMBLE = 64, 512
"""Bytes and special tokens templates add to a message and to a prompt, at most; the longest preamble has 71."""


class CountCache:
    """Counts of texts by the hash of their bytes: no text is kept. Bounded; the oldest go first. Thread-safe."""

    def __init__(self, tokenizer: Tokenizer, most: int = CACHED_TEXTS) -> None:
        self.tokenizer = tokenizer
        self._most = most
        self._counts: dict[bytes, int] = {}
        self._lock = Lock()

    def count(self, text: bytes) -> int:
        """Return the tokens of a text. Raises UncountableError."""
        if len(text) < MIN_CACHED_BYTES:
            return self.tokenizer.count(text)
        digest = blake2b(text, digest_size=16).digest()
        known = self._counts.get(digest)
        if known is None:
            known = self.tokenizer.count(text)
            with self._lock:
                if len(self._counts) >= self._most:
                    del self._counts[next(iter(self._counts))]
                self._counts[digest] = known
        return known

    def __len__(self) -> int:
        return len(self._counts)


@dataclass(frozen=True, slots=True)
class Counter:
    """How a candidate's prompts are counted. Equal counters count alike.

    cache: None where no tokenizer is known; images are then all that is counted.
    """

    cache: CountCache | None
    template: TemplateName | None
    images: ImageFormula | None


class RequestCounts:
    """The counts of one request. Made for one decision, used by one thread; work is shared between candidates."""

    def __init__(self, request: ParsedRequest, estimate: int) -> None:
        self._request = request
        self._estimate = estimate
        self._prompts: dict[Counter, _Prompt | None] = {}
        self._conversation: Conversation | None = None

    def fits(self, counter: Counter | None, limit: int) -> bool | None:
        """Whether the prompt has at most `limit` tokens; None when only an estimate can say. See `is_exact`."""
        if counter is not None and counter not in self._prompts and self._is_small(counter, limit):
            return True
        prompt = self._prompt(counter)
        return None if prompt is None else prompt.fits(limit)

    def _is_small(self, counter: Counter, limit: int) -> bool:
        """Whether the bytes of the whole body prove that the prompt fits, with nothing parsed.

        All text of a prompt without tools and media stands in the body, where escapes only make it longer; a template
        adds less than `FRAME` bytes and special tokens a message and `PREAMBLE` to a prompt.
        """
        scan = self._request.scan
        if counter.cache is None or scan.tools or scan.tool_calls or scan.tool_results:
            return False
        if scan.images or scan.audio or scan.files:
            return False
        bounds = counter.cache.tokenizer.bounds
        size = len(self._request.body) + (FRAME + bounds.extra_tokens * 4) * (scan.messages + 1) + PREAMBLE
        return bounds.has_upper and bounds.upper(size) <= limit

    def is_exact(self, counter: Counter | None) -> bool:
        """Whether answers for this candidate rest on published rules alone."""
        prompt = self._prompt(counter)
        return prompt is not None and not prompt.in_doubt

    def range(self, counter: Counter | None) -> tuple[int, int] | None:
        """Fewest and most tokens the prompt can have, without tokenizing; None when there is no proof."""
        prompt = self._prompt(counter)
        return None if prompt is None or prompt.most is None else (prompt.fewest, prompt.most)

    def settle(self, counter: Counter | None) -> None:
        """Count to the end, so that `count` is exact wherever it can be."""
        if (prompt := self._prompt(counter)) is not None:
            prompt.settle()

    def count(self, counter: Counter | None) -> TokenCount:
        """Return what is known by now: exact after `settle`, else the estimate moved inside the bounds."""
        prompt = self._prompts.get(counter) if counter is not None else None
        if prompt is None:
            return TokenCount(self._estimate, estimated=True)
        if prompt.is_settled:
            return TokenCount(prompt.fewest, estimated=prompt.in_doubt)
        most = self._estimate if prompt.most is None else min(prompt.most, self._estimate)
        return TokenCount(max(prompt.fewest, most), estimated=True)

    def _prompt(self, counter: Counter | None) -> _Prompt | None:
        if counter is None or counter.cache is None:
            return None
        if counter not in self._prompts:
            self._prompts[counter] = self._make(counter, counter.cache)
        return self._prompts[counter]

    def _make(self, counter: Counter, cache: CountCache) -> _Prompt | None:
        request = self._request
        if request.scan.text_bytes > MAX_COUNTED_BYTES:
            return None
        try:
            if self._conversation is None:
                self._conversation = read_conversation(request.body, request.scan, request.endpoint)
            rendered = render(self._conversation, counter.template)
        except (ValueError, RecursionError):  # numbers of thousands of digits; never seen in earnest
            return None
        for image in self._conversation.images:
            tokens, unknown = counter.images.count(image) if counter.images else (TOKENS_PER_UNKNOWN_IMAGE, True)
            rendered.specials += tokens
            if unknown:
                rendered.doubts.add("images")
        rendered.specials += request.scan.token_ids
        prompt = _Prompt(rendered, cache)
        return None if prompt.is_too_long or "media" in rendered.doubts else prompt


def _utf8(text: str) -> bytes:
    """The bytes of a text; lone surrogates are U+FFFD, as the scanner has them."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


class _Prompt:
    """One rendered prompt on its way from bounds to a count."""

    def __init__(self, rendered: Rendered, cache: CountCache) -> None:
        texts = [_utf8(text) for text in rendered.texts]
        bounds = cache.tokenizer.bounds
        self._cache = cache
        self._bounds = bounds
        self._todo = sorted(texts, key=len)  # the longest is taken first: it moves the bounds most
        self.in_doubt = bool(rendered.doubts)
        self.is_too_long = sum(map(len, texts)) > MAX_COUNTED_BYTES
        self.fewest = rendered.specials + sum(bounds.lower(len(text)) for text in texts)
        self._most = rendered.specials + sum(bounds.upper(len(text)) for text in texts)

    @property
    def most(self) -> int | None:
        """Most tokens the prompt can have; None while nothing proves one."""
        return self._most if self._bounds.has_upper or not self._todo else None

    @property
    def is_settled(self) -> bool:
        return not self._todo

    def fits(self, limit: int) -> bool | None:
        """Count as far as the question needs. None when a text cannot be counted."""
        while True:
            if self.most is not None and self.most <= limit:
                return True
            if self.fewest > limit:
                return False
            if not self._count_one():
                return None

    def settle(self) -> None:
        while self._todo and self._count_one():
            pass

    def _count_one(self) -> bool:
        text = self._todo[-1]
        try:
            tokens = self._cache.count(text)
        except UncountableError:
            return False
        self._todo.pop()
        self.fewest += tokens - self._bounds.lower(len(text))
        self._most += tokens - self._bounds.upper(len(text))
        return True
