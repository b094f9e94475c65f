/* WordPiece as BERT has it: clean, lower and cut a text into words, and cover each with the longest tokens of a
 * vocabulary from left to right, those behind the first written with ## in front. The ids are those of the library
 * `tokenizers`, whose BertNormalizer, BertPreTokenizer and WordPiece this follows; sb_fold.h has its characters.
 *
 * The caller owns all memory: no allocation, no globals. A vocabulary that is no longer added to may be read by any
 * number of threads. */
#ifndef SB_WORDPIECE_H
#define SB_WORDPIECE_H

#include "sb_fold.h"
#include "sb_tokens.h"

#define SB_WORDPIECE_MAX_TEXT_BYTES ((size_t)INT32_MAX)
#define SB_WORDPIECE_MAX_CHARS 256u /* the most that max_chars may be */
#define SB_WORDPIECE_STARTS 4096u   /* entries of sb_wordpiece_set.lengths */

/* Tokens that begin a word, or those that go on with one, without their ##. */
typedef struct {
    sb_tokens tokens;    /* of 2 bytes or more */
    uint64_t *lengths;   /* [SB_WORDPIECE_STARTS] by the first two bytes: bit n for tokens of n bytes, 63 for longer */
    uint32_t bytes[256]; /* tokens of one byte, SB_TOKENS_NONE at first */
} sb_wordpiece_set;

/* A token that a text may spell out, as [MASK]: found before anything else is done to the text. */
typedef struct {
    const uint8_t *bytes;
    size_t length; /* at least 1 */
    uint32_t id;
} sb_special;

typedef struct {
    sb_wordpiece_set first, rest;
    const sb_special *specials; /* longer ones in front of shorter ones */
    size_t special_count;
    uint32_t unknown;           /* stands for a word that the tokens do not cover, or one beyond max_chars */
    uint32_t max_chars;         /* 1..SB_WORDPIECE_MAX_CHARS */
    bool chinese, strip, lower; /* set Chinese characters apart, strip accents, lower */
    uint8_t plain[256];         /* made by sb_wordpiece_ready: what a byte of a word becomes, 0 for the others */
    bool special_at[256];       /* likewise: whether a special token begins with the byte */
} sb_wordpiece;

/* Add a token of 1..SB_TOKENS_MAX_BYTES. False if it is there already. */
bool sb_wordpiece_add(sb_wordpiece_set *set, const uint8_t *token, size_t length, uint32_t id);

/* To be called when everything above is set, before the first text. */
void sb_wordpiece_ready(sb_wordpiece *wordpiece);

typedef enum {
    SB_WORDPIECE_DONE,
    SB_WORDPIECE_WANTS_ROOM, /* out and ends are to hold `wanted` more: make them larger and call again */
} sb_wordpiece_status;

/* A text on its way through. The caller sets text, size, out, ends and room and zeroes the rest. Bytes that are not
 * UTF-8 are as if they were not there, like the U+FFFD that others read in their place. */
typedef struct {
    const uint8_t *text;
    size_t size;   /* at most SB_WORDPIECE_MAX_TEXT_BYTES */
    size_t at;     /* everything before is encoded */
    size_t tokens; /* so many so far, never more than bytes */
    int32_t *out;  /* ids; NULL to count only */
    int32_t *ends; /* where in the text each token's last character ends, never decreasing; may be NULL */
    size_t room;   /* ids that fit into out, and ends into ends */
    size_t wanted;
} sb_wordpiece_run;

/* Encode from run->at on. A word costs its bytes times the number of different lengths of tokens, at worst. */
sb_wordpiece_status sb_wordpiece_encode(const sb_wordpiece *wordpiece, sb_wordpiece_run *run);

#endif
