/* The vector of a text: its WordPiece tokens go straight into the sum of their rows, a scratch of tokens at a time.
 *
 *     out = sum_i scale[id[i]] * row[id[i]], divided by its length
 *
 * Bit for bit what sb_wordpiece_encode, sb_pool and sb_normalize_f32 make one after the other, but for the division
 * by the number of tokens, which the length undoes. The caller owns all memory: no allocation, no globals. */
#ifndef SB_EMBED_H
#define SB_EMBED_H

#include "sb_pool.h"
#include "sb_wordpiece.h"

#define SB_EMBED_TOKENS 1024u /* of the scratch; a multiple of 4 and more than a word has */

typedef enum {
    SB_EMBED_OK,
    SB_EMBED_EMPTY, /* no tokens, or rows that cancel: out is all 0 */
    SB_EMBED_ID,    /* *bad is the id of a token that the table has no row for */
} sb_embed_result;

/* text: at most SB_WORDPIECE_MAX_TEXT_BYTES. is_int8: the type of the table's values. out[0..table->dims) is
 * unspecified after SB_EMBED_ID. */
sb_embed_result sb_embed(const sb_wordpiece *wordpiece, const sb_table *table, bool is_int8, const uint8_t *text,
                         size_t size, float *out, int32_t *bad);

#endif
