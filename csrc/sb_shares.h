/* What a text consists of: how much of it is code and how much formulas, and the scripts it is written in.
 *
 * Lines are classed one by one; a line's bytes include its newline.
 *
 * Code: a line that opens or closes a ``` fence, and every line between; else, blanks at both ends aside, a line
 * that starts with "//", ends with ";", "{" or "}", stands between "<" and ">", starts with one of the words
 * return or import, #include or #define, starts with another keyword (sb_shares.c lists them) and ends with one
 * of : ( ) , ], assigns (a name of letters, digits and _ . [ ] " ', a blank or none, "=" with or without an
 * operator before it and no "=" behind), or is a call (a dotted name and "(", and ")" at the end).
 *
 * Maths: a line that is not code and holds a formula as sb_surface.h defines it. */
#ifndef SB_SHARES_H
#define SB_SHARES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    SB_LATIN,
    SB_CYRILLIC,
    SB_GREEK,
    SB_ARABIC,
    SB_HEBREW,
    SB_DEVANAGARI,
    SB_CJK,
    SB_KANA,
    SB_HANGUL,
    SB_THAI,
    SB_OTHER_SCRIPT,
    SB_SCRIPT_COUNT
} sb_script;

typedef struct {
    size_t code_bytes;
    size_t maths_bytes;
    uint32_t letters[SB_SCRIPT_COUNT]; /* code points that are letters, or vowel signs, of each script */
} sb_shares;

/* Over text[0..size), valid UTF-8. Lines are looked at only if has_code or has_maths, which sb_surface_count
 * found: without them the bytes of both are 0. */
void sb_shares_count(const uint8_t *text, size_t size, bool has_code, bool has_maths, sb_shares *out);

#endif
