/* What BERT's normalizer and pre-tokenizer, as the library `tokenizers` has them, make of a code point.
 * csrc/tables/character_folds.py asks the library and writes sb_fold_table.c. No allocation, no globals that change. */
#ifndef SB_FOLD_H
#define SB_FOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SB_FOLD_SPACE = 1,       /* between words */
    SB_FOLD_DROPPED = 2,     /* controls, U+FFFD, private use: as if it were not there */
    SB_FOLD_PUNCTUATION = 4, /* a word by itself */
    SB_FOLD_CHINESE = 8,     /* as it stands in the text, a word by itself, if the normalizer spaces those */
    SB_FOLD_STRIPS = 16,     /* is decomposed, or a mark that goes, where accents are stripped */
    SB_FOLD_LOWERS = 32,     /* has a lower case */
    SB_FOLD_COMBINES = 64,   /* does not end a run of characters that decomposing puts in order */
};

/* Two levels each: the row of a block of 128 code points, and rows. */
extern const uint8_t sb_fold_property_blocks[8704];
extern const uint8_t sb_fold_property_table[];
extern const uint8_t sb_fold_strip_blocks[8704];
extern const uint16_t sb_fold_strip_table[];
extern const uint8_t sb_fold_lower_blocks[8704];
extern const uint16_t sb_fold_lower_table[];
extern const uint32_t sb_fold_forms[];

/* Some code points, at most 3. */
typedef struct {
    uint32_t codes[3];
    uint32_t count;
} sb_form;

static inline uint32_t sb_fold_properties(uint32_t code) {
    return sb_fold_property_table[sb_fold_property_blocks[code >> 7] * 128u + (code & 127)];
}

static inline sb_form sb_fold_form(uint32_t place) {
    sb_form form = {{0, 0, 0}, place & 3};
    for (uint32_t i = 0; i < form.count; i++) {
        form.codes[i] = sb_fold_forms[(place >> 2) + i];
    }
    return form;
}

/* Of a code point that strips: its canonical decomposition without the marks (Mn) in it. */
static inline sb_form sb_fold_strip(uint32_t code) {
    if (code >= 0xac00 && code < 0xd7a4) { /* Hangul syllables: Unicode, section 3.12 */
        const uint32_t syllable = (code - 0xac00) / 28, tail = (code - 0xac00) % 28;
        return (sb_form){{0x1100 + syllable / 21, 0x1161 + syllable % 21, 0x11a7 + tail}, tail > 0 ? 3 : 2};
    }
    return sb_fold_form(sb_fold_strip_table[sb_fold_strip_blocks[code >> 7] * 128u + (code & 127)]);
}

/* Of a code point that lowers. */
static inline sb_form sb_fold_lower(uint32_t code) {
    return sb_fold_form(sb_fold_lower_table[sb_fold_lower_blocks[code >> 7] * 128u + (code & 127)]);
}

/* Of a code point that combines and does not strip: those of a lower order go in front. */
static inline uint32_t sb_fold_order(uint32_t code) {
    return sb_fold_strip_table[sb_fold_strip_blocks[code >> 7] * 128u + (code & 127)];
}

#endif
