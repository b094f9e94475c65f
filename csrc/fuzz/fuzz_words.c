/* Texts through the features of words; abort where they are written past their end or lie outside their table. A
 * libFuzzer target; see replay.c. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sb_words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
bool sb_fuzz_keeps(const uint8_t *data, size_t size);

static void require(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "broken promise: %s\n", what);
        abort();
    }
}

bool sb_fuzz_keeps(const uint8_t *data, size_t size) {
    return sb_words_count(data, size) > 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const size_t count = sb_words_count(data, size);
    require(count <= size, "no token is empty");
    /* Of exactly their sizes: one byte or number too many is seen. */
    uint8_t *text = malloc(size > 0 ? size : 1);
    int32_t *features = malloc(count > 0 ? count * SB_WORD_COLUMNS * sizeof *features : 1);
    require(text != NULL && features != NULL, "memory for the fuzzer");
    if (size > 0) {
        memcpy(text, data, size);
    }
    sb_words_features(text, size, features);
    for (size_t i = 0; i < count; i++) {
        for (size_t f = 0; f < SB_WORD_FEATURES; f++) {
            const int32_t bucket = features[i * SB_WORD_COLUMNS + f];
            require(bucket >= 0 && bucket < SB_WORD_BUCKETS, "features lie in their table");
        }
        require(features[i * SB_WORD_COLUMNS + SB_WORD_FEATURES + 1] < 32, "shapes are of the eight kinds");
    }
    free(features);
    free(text);
    return 0;
}
