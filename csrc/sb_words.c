#include "sb_words.h"

#include <stdbool.h>
#include <string.h>

typedef struct {
    uint32_t word, first, last3, last2;
    uint32_t shape;
    bool ends_sentence;
} token;

enum { NO_SHAPE = 31 };
enum { SMALL, CAPITAL_FIRST, CAPITALS, DIGITS, MIXED, NEWLINE, OTHER, CAPITALS_AMID };

static const uint32_t FNV_START = 2166136261u, FNV_PRIME = 16777619u;

static uint32_t add(uint32_t hash, uint32_t byte) {
    return (hash ^ byte) * FNV_PRIME;
}

static uint32_t add_number(uint32_t hash, uint32_t number) {
    for (int i = 0; i < 4; i++) {
        hash = add(hash, number >> (8 * i) & 0xffu);
    }
    return hash;
}

static bool is_digit(uint8_t byte) {
    return byte >= '0' && byte <= '9';
}

static bool is_capital(const uint8_t *text, size_t at, size_t size) {
    return (text[at] >= 'A' && text[at] <= 'Z') ||
           (text[at] == 0xc3 && at + 1 < size && text[at + 1] >= 0x80 && text[at + 1] <= 0x9e);
}

static bool is_word(uint8_t byte) {
    return is_digit(byte) || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || byte >= 0x80;
}

/* What a byte counts as. */
static uint8_t plain(const uint8_t *text, size_t at) {
    const uint8_t byte = text[at];
    if (is_digit(byte)) {
        return '0';
    }
    if (byte >= 'A' && byte <= 'Z') {
        return (uint8_t)(byte | 0x20);
    }
    return at > 0 && text[at - 1] == 0xc3 && byte >= 0x80 && byte <= 0x9e ? (uint8_t)(byte | 0x20) : byte;
}

static bool is_blank(uint8_t byte) {
    return byte == ' ' || byte == '\t' || byte == '\r';
}

/* The end of the token that starts at `at`. */
static size_t token_end(const uint8_t *text, size_t size, size_t at) {
    size_t end = at + 1;
    while (is_word(text[at]) && end < size && is_word(text[end])) {
        end++;
    }
    return end;
}

static size_t next_start(const uint8_t *text, size_t size, size_t at) {
    while (at < size && is_blank(text[at])) {
        at++;
    }
    return at;
}

static uint32_t hash_part(const uint8_t *text, size_t from, size_t to) {
    uint32_t hash = FNV_START;
    for (size_t i = from; i < to; i++) {
        hash = add(hash, plain(text, i));
    }
    return hash;
}

static uint32_t kind_of(const uint8_t *text, size_t from, size_t to) {
    size_t capitals = 0, digits = 0, letters = 0;
    if (!is_word(text[from])) {
        return text[from] == '\n' ? NEWLINE : OTHER;
    }
    for (size_t i = from; i < to; i++) {
        capitals += is_capital(text, i, to);
        digits += is_digit(text[i]);
        letters += !is_digit(text[i]) && (text[i] & 0xc0) != 0x80; /* not the bytes that go on with a letter */
    }
    if (digits > 0) {
        return letters > 0 ? MIXED : DIGITS;
    }
    if (capitals == 0) {
        return SMALL;
    }
    if (capitals == letters) {
        return letters > 1 ? CAPITALS : CAPITAL_FIRST;
    }
    return capitals == 1 && is_capital(text, from, to) ? CAPITAL_FIRST : CAPITALS_AMID;
}

static token read_token(const uint8_t *text, size_t from, size_t to) {
    const size_t length = to - from;
    const uint8_t byte = text[from];
    return (token){
        .word = hash_part(text, from, to),
        .first = hash_part(text, from, length > 3 ? from + 3 : to),
        .last3 = hash_part(text, length > 3 ? to - 3 : from, to),
        .last2 = hash_part(text, length > 2 ? to - 2 : from, to),
        .shape = kind_of(text, from, to) * 4 + (uint32_t)(length > 4 ? 3 : length - 1),
        .ends_sentence = length == 1 && (byte == '\n' || byte == '.' || byte == '!' || byte == '?' || byte == ':'),
    };
}

static const token NOTHING = {FNV_START, FNV_START, FNV_START, FNV_START, NO_SHAPE, true};

static int32_t bucket(uint32_t feature, uint32_t one, uint32_t two, uint32_t three) {
    uint32_t hash = add(FNV_START, feature);
    hash = add_number(add_number(add_number(hash, one), two), three);
    return (int32_t)((hash ^ hash >> 16) & (SB_WORD_BUCKETS - 1));
}

/* t[2] is the token; two stand before it, two behind. */
static void write_features(const token *t, int32_t *out) {
    const token *const before = &t[1], *const own = &t[2], *const behind = &t[3];
    out[0] = bucket(0, own->word, 0, 0);
    out[1] = bucket(1, own->first, 0, 0);
    out[2] = bucket(2, own->last3, 0, 0);
    out[3] = bucket(3, own->last2, 0, 0);
    out[4] = bucket(4, own->shape, before->ends_sentence, 0);
    out[5] = bucket(5, before->word, 0, 0);
    out[6] = bucket(6, behind->word, 0, 0);
    out[7] = bucket(7, before->shape, own->shape, behind->shape);
    out[8] = bucket(8, t[0].word, before->word, 0);
    out[9] = bucket(9, before->word, own->shape, 0);
    out[10] = bucket(10, own->shape, behind->word, 0);
    out[11] = bucket(11, t[4].word, 0, 0);
    memcpy(&out[12], &own->word, sizeof own->word);
    out[13] = (int32_t)own->shape;
}

size_t sb_words_count(const uint8_t *text, size_t size) {
    size_t count = 0;
    for (size_t at = next_start(text, size, 0); at < size; at = next_start(text, size, token_end(text, size, at))) {
        count++;
    }
    return count;
}

void sb_words_features(const uint8_t *text, size_t size, int32_t *out) {
    token window[5] = {NOTHING, NOTHING, NOTHING, NOTHING, NOTHING};
    size_t at = next_start(text, size, 0), steps = 0, read = 0, written = 0;
    while (at < size || written < read) {
        for (int i = 0; i < 4; i++) {
            window[i] = window[i + 1];
        }
        window[4] = NOTHING;
        if (at < size) {
            const size_t end = token_end(text, size, at);
            window[4] = read_token(text, at, end);
            at = next_start(text, size, end);
            read++;
        }
        if (++steps > 2) {
            write_features(window, out + written * SB_WORD_COLUMNS);
            written++;
        }
    }
}
