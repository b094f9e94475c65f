/* Counts on the surface of a text: words, numbers, questions, and whether it looks like code or maths.
 *
 * Words are maximal runs of letters, digits, underscores and apostrophes (also U+2019) that hold at
 * least one letter or digit. Every code point from U+00C0 is a letter, except punctuation, symbols
 * and emoji (sb_surface.c lists the ranges). Scripts written without spaces between words, or with
 * few (Han, kana, Hangul, Thai, Lao, Khmer, Burmese), count half a word per code point, rounded up.
 *
 * Code, any of: a ``` fence, "();", "=>", "&&", "</" and a letter, "{" at the end of a line,
 * #include or #define at the start of one, def/fn/func/function/class NAME( there, or SELECT and
 * FROM in capitals within 400 bytes and before any ";".
 *
 * Maths, any of: a TeX command (frac int sum prod sqrt lim partial infty), a code point from
 * U+2200 to U+22FF, or $...$ in one line of at most 200 bytes: no blank inside either dollar, no
 * letter or digit after the second, and, if it starts with a digit as prices do, one of \^_=+*<>
 * inside. And, unless the text is code: a number, one of + * ^ < > and the times and division
 * signs, a number ("/" only between blanks, since dates and "24/7" have none), or "=" a
 * number, a variable of one letter with or without a factor, or ")", and before a number, a minus,
 * "(" or a variable of one letter. */
#ifndef SB_SURFACE_H
#define SB_SURFACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SB_CLASS_HARD = 1,
    SB_CLASS_NEGATION = 2,
    SB_CLASS_INSTRUCTION = 4,
    SB_CLASS_ASKING = 8,
    SB_LEXICON_WORD_BYTES = 30
};

/* One place of an open-addressing hash table, empty if length is 0. `at_home` filters searches that begin
 * here: it has one bit, chosen by the hash, of each word whose search does, wherever the word ended up. */
typedef struct {
    uint32_t at_home;
    uint8_t length;
    uint8_t classes; /* SB_CLASS_... */
    char word[SB_LEXICON_WORD_BYTES];
} sb_lexicon_slot;

/* slots[0..mask], mask + 1 a power of two, at least one slot empty. */
typedef struct {
    sb_lexicon_slot *slots;
    size_t mask;
} sb_lexicon;

/* Add a word of 1..SB_LEXICON_WORD_BYTES lower-case ASCII bytes; the caller keeps a slot empty. */
void sb_lexicon_add(sb_lexicon *lexicon, const char *word, size_t length, uint8_t classes);

typedef struct {
    uint32_t words;
    uint32_t hard_keywords; /* words of the lexicon with SB_CLASS_HARD, ASCII case ignored */
    uint32_t numbers;       /* maximal runs of ASCII digits */
    uint32_t negations;     /* words of the lexicon with SB_CLASS_NEGATION */
    /* Words of the lexicon with SB_CLASS_INSTRUCTION that begin a sentence: before them stand, after at most 16 of
     * blank " ' ( [ * # > and -, the start of the text, a newline, or, behind one of those 16, one of . ! ? : ; */
    uint32_t instructions;
    uint32_t asking; /* words of the lexicon with SB_CLASS_ASKING */
    uint32_t questions;     /* runs of question marks not followed by a letter, digit or underscore */
    bool code;
    bool maths;
} sb_surface;

/* Counts over text[0..size), which must be valid UTF-8. */
void sb_surface_count(const uint8_t *text, size_t size, const sb_lexicon *lexicon, sb_surface *out);

#endif
