/* Byte-pair encoding of the tiktoken kind: split a text into pieces, look each up whole, and merge the
 * bytes of those that are not in the vocabulary, lowest rank first, leftmost first among equals.
 *
 * The rank of two neighbours is the rank of their bytes together, and a token's rank is its id.
 * The caller owns all memory: no allocation, no globals. A vocabulary that is no longer added to
 * may be read by any number of threads. */
#ifndef SB_BPE_H
#define SB_BPE_H

#include "sb_split.h"
#include "sb_tokens.h"

#define SB_BPE_NONE SB_TOKENS_NONE
#define SB_BPE_MAX_TEXT_BYTES ((size_t)INT32_MAX)

typedef struct {
    sb_tokens tokens;    /* their numbers are ranks */
    uint32_t *pairs;     /* [65536] ranks of tokens of two bytes, SB_BPE_NONE at first */
    uint32_t bytes[256]; /* ranks of single bytes, SB_BPE_NONE at first; all must be set to encode */
    uint32_t highest;    /* rank */
} sb_bpe;

/* Add a token of 1..SB_TOKENS_MAX_BYTES. False if it is there already. */
bool sb_bpe_add(sb_bpe *bpe, const uint8_t *token, size_t length, uint32_t rank);

/* Rank of a token, or SB_BPE_NONE. */
uint32_t sb_bpe_find(const sb_bpe *bpe, const uint8_t *token, size_t length);

typedef enum {
    SB_BPE_DONE,
    SB_BPE_WANTS_ROOM,    /* out is to hold `wanted` more ids: make it larger and call again */
    SB_BPE_WANTS_SCRATCH, /* scratch is to hold `wanted` entries: make it larger and call again */
} sb_bpe_status;

/* A text on its way through. The caller sets text, size, out and room and zeroes the rest. */
typedef struct {
    const uint8_t *text;
    size_t size;          /* at most SB_BPE_MAX_TEXT_BYTES */
    size_t at;            /* everything before is encoded */
    size_t tokens;        /* so many ids so far */
    int32_t *out;         /* NULL to count only */
    size_t room;          /* ids that fit into out */
    uint64_t *scratch;    /* needed by pieces beyond 128 bytes, or all if ranks pass 2^24; about 22 bytes for each of theirs */
    size_t scratch_count;
    size_t wanted;
} sb_bpe_run;

/* Encode from run->at on. At most one token per byte. Pieces of n bytes cost n log n at worst. */
sb_bpe_status sb_bpe_encode(const sb_bpe *bpe, sb_pattern pattern, sb_bpe_run *run);

#endif
