#include "sb_split.h"

/* End of the longest run of characters in `set` from `at`, `at` itself if there are none. */
static size_t run_of(const uint8_t *text, size_t size, size_t at, uint32_t set) {
    for (;;) {
        const sb_character c = sb_character_at(text, size, at);
        if (!(c.set & set)) {
            return at;
        }
        at += c.length;
    }
}

static size_t at_most(const uint8_t *text, size_t size, size_t at, uint32_t set, int count) {
    for (; count > 0; count--) {
        const sb_character c = sb_character_at(text, size, at);
        if (!(c.set & set)) {
            break;
        }
        at += c.length;
    }
    return at;
}

/* '(?:[sdmt]|ll|ve|re), or `at`. Without case, "s" has a third form: U+017F, the long s. */
static size_t contraction(const uint8_t *text, size_t size, size_t at, bool any_case) {
    if (size - at < 2 || text[at] != '\'') {
        return at;
    }
    const uint8_t fold = any_case ? 0x20 : 0;
    const uint8_t *const s = text + at + 1;
    const uint8_t first = s[0] | fold;
    if (first == 's' || first == 'd' || first == 'm' || first == 't') {
        return at + 2;
    }
    if (size - at < 3) {
        return at;
    }
    if (any_case && s[0] == 0xc5 && s[1] == 0xbf) {
        return at + 3;
    }
    const uint8_t second = s[1] | fold;
    if ((first == 'l' && second == 'l') || (first == 'v' && second == 'e') || (first == 'r' && second == 'e')) {
        return at + 3;
    }
    return at;
}

/* White space from `at`, where no other alternative matched.
 * to_end: \s+$ comes first. by_line: then \s*[\r\n]. Always last: \s+(?!\S)|\s. */
static size_t spaces(const uint8_t *text, size_t size, size_t at, bool to_end, bool by_line) {
    size_t end = at, last = at, line = at;
    for (;;) {
        const sb_character c = sb_character_at(text, size, end);
        if (!(c.set & SB_SPACES)) {
            break;
        }
        last = end;
        end += c.length;
        if (c.set & SB_BIT(SB_CLASS_NEWLINE)) {
            line = end;
        }
    }
    if (to_end && end == size) {
        return end;
    }
    if (by_line && line > at) {
        return line;
    }
    /* The last space goes with the word behind it, unless it is all there is. */
    return end == size || last == at ? end : last;
}

/* [^\s\p{L}\p{N}]+ behind an optional blank, and what may follow it; or `at`. */
static size_t symbols(const uint8_t *text, size_t size, size_t at, bool lines, bool slashes) {
    const uint32_t set = ~(SB_LETTERS | SB_NUMBERS | SB_SPACES);
    const size_t begin = at + (text[at] == ' ');
    size_t end = run_of(text, size, begin, set);
    if (end == begin) {
        return at;
    }
    while (lines && end < size && (text[end] == '\r' || text[end] == '\n' || (slashes && text[end] == '/'))) {
        end++;
    }
    return end;
}

static size_t next_gpt2(const uint8_t *text, size_t size, size_t at) {
    size_t end = contraction(text, size, at, false);
    if (end > at) {
        return end;
    }
    const size_t begin = at + (text[at] == ' ');
    end = run_of(text, size, begin, SB_LETTERS);
    if (end == begin) {
        end = run_of(text, size, begin, SB_NUMBERS);
    }
    if (end > begin) {
        return end;
    }
    end = symbols(text, size, at, false, false);
    return end > at ? end : spaces(text, size, at, true, false);
}

static size_t next_cl100k(const uint8_t *text, size_t size, size_t at, int digits, bool to_end) {
    size_t end = contraction(text, size, at, true);
    if (end > at) {
        return end;
    }
    const sb_character first = sb_character_at(text, size, at);
    if (first.set & SB_NUMBERS) {
        return at_most(text, size, at, SB_NUMBERS, digits);
    }
    if (first.set & SB_LETTERS) {
        return run_of(text, size, at + first.length, SB_LETTERS);
    }
    if (!(first.set & SB_BIT(SB_CLASS_NEWLINE))) {
        end = run_of(text, size, at + first.length, SB_LETTERS);
        if (end > at + first.length) {
            return end;
        }
    }
    end = symbols(text, size, at, true, false);
    return end > at ? end : spaces(text, size, at, to_end, true);
}

/* A word of o200k from `at`, its first letter or mark, or `at`: U*L+ or else, if `upper`, U+L*, where U are
 * letters without lower case and L letters without upper case; letters without case and marks are both. */
static size_t cased_word(const uint8_t *text, size_t size, size_t at, bool upper) {
    const uint32_t both = SB_BIT(SB_CLASS_LETTER) | SB_BIT(SB_CLASS_MARK);
    size_t end = at, after_both = at;
    sb_character c;
    for (;; end += c.length) {
        c = sb_character_at(text, size, end);
        if (!(c.set & (both | SB_BIT(SB_CLASS_UPPER)))) {
            break;
        }
        if (c.set & both) {
            after_both = end + c.length;
        }
    }
    if (c.set & SB_BIT(SB_CLASS_LOWER)) {
        return run_of(text, size, end, both | SB_BIT(SB_CLASS_LOWER));
    }
    /* No lower case behind them: U* gives back what it took, up to the last character that is also in L. */
    return upper ? end : after_both;
}

static size_t next_o200k(const uint8_t *text, size_t size, size_t at) {
    const sb_character first = sb_character_at(text, size, at);
    if (first.set & SB_NUMBERS) {
        return at_most(text, size, at, SB_NUMBERS, 3);
    }
    /* One character before the word, if it is neither letter, number nor newline; a mark is tried as that first. */
    const bool before = !(first.set & (SB_LETTERS | SB_BIT(SB_CLASS_NEWLINE)));
    const bool word = (first.set & (SB_LETTERS | SB_BIT(SB_CLASS_MARK))) != 0;
    const size_t behind = at + first.length;
    for (int upper = 0; upper < 2; upper++) {
        size_t begin = behind, end = before ? cased_word(text, size, behind, upper) : behind;
        if (end == begin && word) {
            begin = at;
            end = cased_word(text, size, at, upper);
        }
        if (end > begin) {
            return contraction(text, size, end, true);
        }
    }
    const size_t end = symbols(text, size, at, true, true);
    return end > at ? end : spaces(text, size, at, false, true);
}

size_t sb_split_next(sb_pattern pattern, const uint8_t *text, size_t size, size_t at) {
    switch (pattern) {
    case SB_PATTERN_GPT2: return next_gpt2(text, size, at);
    case SB_PATTERN_CL100K: return next_cl100k(text, size, at, 3, true);
    case SB_PATTERN_LLAMA3: return next_cl100k(text, size, at, 3, false);
    case SB_PATTERN_QWEN2: return next_cl100k(text, size, at, 1, false);
    default: return next_o200k(text, size, at);
    }
}
