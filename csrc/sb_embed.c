#include "sb_embed.h"

#include "sb_vector.h"

sb_embed_result sb_embed(const sb_wordpiece *wordpiece, const sb_table *table, bool is_int8, const uint8_t *text,
                         size_t size, float *out, int32_t *bad) {
    int32_t ids[SB_EMBED_TOKENS];
    sb_wordpiece_run run = {.text = text, .size = size, .out = ids, .room = SB_EMBED_TOKENS};
    double total = 0.0;
    for (size_t d = 0; d < table->dims; d++) {
        out[d] = 0.0f;
    }
    for (bool done = false; !done;) {
        done = sb_wordpiece_encode(wordpiece, &run) == SB_WORDPIECE_DONE;
        const size_t some = done ? run.tokens : run.tokens / 4 * 4; /* fours: the sum's order does not show the parts */
        size_t at = 0;
        const sb_pool_result result = is_int8 ? sb_pool_more_i8(table, ids, some, out, &total, &at)
                                              : sb_pool_more_f32(table, ids, some, out, &total, &at);
        if (result != SB_POOL_OK) {
            *bad = ids[at];
            return SB_EMBED_ID;
        }
        memmove(ids, ids + some, (run.tokens - some) * sizeof *ids);
        run.tokens -= some;
    }
    sb_normalize_f32(out, table->dims, out);
    for (size_t d = 0; d < table->dims; d++) {
        if (out[d] != 0.0f) {
            return SB_EMBED_OK;
        }
    }
    return SB_EMBED_EMPTY;
}
