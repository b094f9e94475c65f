/* Texts through the finder of personal data; abort where it reads past its end, folds to more than it was given, or
 * finds in a part what it does not find when asked for that alone. A libFuzzer target; see replay.c. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sb_personal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
bool sb_fuzz_keeps(const uint8_t *data, size_t size);

enum { EVERY = 2 * SB_PASSPORT - 1 };

static void require(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "broken promise: %s\n", what);
        abort();
    }
}

static uint8_t *allocate(size_t size) {
    uint8_t *memory = malloc(size > 0 ? size : 1);
    require(memory != NULL, "memory for the fuzzer");
    return memory;
}

bool sb_fuzz_keeps(const uint8_t *data, size_t size) {
    return sb_personal_find(data, size, EVERY) != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* Copies of their own size: reading or writing one byte past them is seen. */
    uint8_t *text = allocate(size), *folded = allocate(size);
    if (size > 0) {
        memcpy(text, data, size);
    }
    require(sb_personal_plain(text, size) <= size, "plain text ends in the text");
    const size_t length = sb_personal_fold(text, size, folded);
    require(length <= size, "folding makes nothing longer");
    uint8_t *exact = allocate(length);
    if (length > 0) {
        memcpy(exact, folded, length);
    }
    const uint32_t found = sb_personal_find(exact, length, EVERY);
    for (uint32_t kind = 1; kind < EVERY; kind <<= 1) {
        require(sb_personal_find(exact, length, kind) == (found & kind), "one kind alone is the same kind");
    }
    if (sb_personal_plain(text, size) == size) {
        require(length == size && (size == 0 || memcmp(text, folded, size) == 0), "plain text folds to itself");
    }
    free(exact);
    free(folded);
    free(text);
    return 0;
}
