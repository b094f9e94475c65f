/* A text that is looked through for personal data, and what its bytes are. For sb_personal.c and what it is made of. */
#ifndef SB_PERSONAL_FINDER_H
#define SB_PERSONAL_FINDER_H

#include "sb_personal.h"

#include <stdbool.h>

/* What a word before a number says of it. */
enum {
    ABOUT_PHONE = 1,
    ABOUT_SSN = 2,
    ABOUT_IP = 4,
    ABOUT_LICENSE = 8,
    ABOUT_PASSPORT = 16,
    ABOUT_CARD = 32,
    ABOUT_NUMBER = 64,
    ABOUT_KINDS = 7
};

typedef struct {
    const uint8_t *text;
    size_t size;
    uint32_t wanted;
    uint32_t found;
    size_t ipv6_until;        /* a token with colons has been looked at as far as this */
    size_t words_until;       /* words have been read as far as this */
    size_t last[ABOUT_KINDS]; /* behind the start of the last word of each kind; 0: none */
} finder;

static inline bool is_digit(uint8_t byte) {
    return byte >= '0' && byte <= '9';
}

static inline uint8_t lower(uint8_t byte) {
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

static inline bool is_letter(uint8_t byte) {
    const uint8_t small = lower(byte);
    return (small >= 'a' && small <= 'z') || byte == SB_OTHER_LETTER;
}

static inline bool is_alnum(uint8_t byte) {
    return is_digit(byte) || is_letter(byte);
}

static inline bool is_word(uint8_t byte) {
    return is_alnum(byte) || byte == '_';
}

static inline bool is_hex(uint8_t byte) {
    const uint8_t small = lower(byte);
    return is_digit(byte) || (small >= 'a' && small <= 'f');
}

static inline uint8_t peek(const finder *f, size_t at) {
    return at < f->size ? f->text[at] : ' ';
}

/* The byte `back` before `at`. */
static inline uint8_t behind(const finder *f, size_t at, size_t back) {
    return at >= back ? f->text[at - back] : ' ';
}

static inline size_t run_of_digits(const finder *f, size_t at) {
    size_t end = at;
    while (end < f->size && is_digit(f->text[end])) {
        end++;
    }
    return end - at;
}

static inline bool starts_number(const finder *f, size_t at) {
    const uint8_t before = behind(f, at, 1), second = behind(f, at, 2);
    if (is_word(before)) {
        return false;
    }
    if (before == '-' || before == '.') {
        return !is_digit(second);
    }
    return before != '/' || !is_word(second);
}

static inline bool ends_number(const finder *f, size_t at) {
    return !is_word(peek(f, at)) && !(peek(f, at) == '.' && is_digit(peek(f, at + 1)));
}

/* Whether a word of one of these kinds starts within SB_CONTEXT_BYTES before `at`. Asked of numbers in order, so that
 * each word is read once. */
bool sb_personal_is_about(finder *f, size_t at, uint32_t about);

#endif
