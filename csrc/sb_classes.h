/* Characters of UTF-8 text, and the classes that split patterns tell apart. Unicode 16.0, as in
 * the regular expressions of tiktoken. No allocation, no globals that change. */
#ifndef SB_CLASSES_H
#define SB_CLASSES_H

#include <stdbool.h>

#include "sb_utf8.h"

/* Disjoint. csrc/tables/character_classes.py writes these numbers. */
typedef enum {
    SB_CLASS_OTHER,   /* punctuation, symbols, controls, unassigned, bytes that are not UTF-8 */
    SB_CLASS_LOWER,   /* Ll */
    SB_CLASS_UPPER,   /* Lu, Lt */
    SB_CLASS_LETTER,  /* Lm, Lo: letters without case */
    SB_CLASS_MARK,    /* Mn, Mc, Me: not letters */
    SB_CLASS_NUMBER,  /* Nd, Nl, No */
    SB_CLASS_SPACE,   /* White_Space but the next */
    SB_CLASS_NEWLINE, /* carriage return and line feed */
} sb_class;

/* Sets of classes. */
#define SB_BIT(class) (1u << (class))
#define SB_LETTERS (SB_BIT(SB_CLASS_LOWER) | SB_BIT(SB_CLASS_UPPER) | SB_BIT(SB_CLASS_LETTER))
#define SB_NUMBERS SB_BIT(SB_CLASS_NUMBER)
#define SB_SPACES (SB_BIT(SB_CLASS_SPACE) | SB_BIT(SB_CLASS_NEWLINE))

/* Two levels: the block of a code point / 128, and classes within a block. */
extern const uint8_t sb_class_blocks[8704];
extern const uint8_t sb_class_table[];

typedef struct {
    uint32_t set;    /* SB_BIT of its class; 0 at the end of the text, which is in no set */
    uint32_t length; /* bytes, at least 1 unless at the end */
} sb_character;

/* The character at text[at] of text[0..size), at <= size. A byte that is not UTF-8 is a character of its own. */
static inline sb_character sb_character_at(const uint8_t *text, size_t size, size_t at) {
    if (at >= size) {
        return (sb_character){0, 0};
    }
    const sb_code c = sb_code_at(text, size, at);
    if (c.code == SB_NO_CODE) {
        return (sb_character){SB_BIT(SB_CLASS_OTHER), 1};
    }
    return (sb_character){SB_BIT(sb_class_table[sb_class_blocks[c.code >> 7] * 128u + (c.code & 127)]), c.length};
}

#endif
