/* Where byte-pair encoders of the tiktoken kind cut a text into pieces before they merge.
 *
 * Each function here is one published regular expression, matched by hand; the expressions
 * themselves stand in src/signalbox/core/patterns.py. No allocation, no globals. */
#ifndef SB_SPLIT_H
#define SB_SPLIT_H

#include "sb_classes.h"

/* Numbered as in core/patterns.py. */
typedef enum {
    SB_PATTERN_GPT2,
    SB_PATTERN_CL100K,
    SB_PATTERN_LLAMA3,
    SB_PATTERN_QWEN2,
    SB_PATTERN_O200K,
    SB_PATTERN_COUNT
} sb_pattern;

/* End of the piece that begins at text[at], at < size; always beyond `at`. Pieces cover the text. */
size_t sb_split_next(sb_pattern pattern, const uint8_t *text, size_t size, size_t at);

#endif
