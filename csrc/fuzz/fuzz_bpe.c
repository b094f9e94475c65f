/* A text and a vocabulary cut out of it through the byte-pair encoder; abort where it differs from merging
 * as the rule is told. A libFuzzer target; replay.c drives it where there is no libFuzzer. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sb_bpe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
bool sb_fuzz_keeps(const uint8_t *data, size_t size);

enum { MAX_TEXT = 600, TOKENS = 96, SLOTS = 1024, MAX_LENGTH = 20 };

static void require(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "broken promise: %s\n", what);
        abort();
    }
}

/* At least one byte; exactly `size` otherwise, so that the sanitizer sees the first byte too many. */
static void *allocate(size_t size) {
    void *memory = malloc(size > 0 ? size : 1);
    require(memory != NULL, "memory for the fuzzer");
    return memory;
}

/* Merge the lowest rank until there is none: quadratic, and nothing to get wrong. */
static size_t merge(const sb_bpe *bpe, const uint8_t *piece, size_t size, int32_t *out) {
    size_t starts[MAX_TEXT + 1], count = size;
    const uint32_t whole = sb_bpe_find(bpe, piece, size);
    if (whole != SB_BPE_NONE) {
        *out = (int32_t)whole;
        return 1;
    }
    for (size_t i = 0; i <= size; i++) {
        starts[i] = i;
    }
    for (;;) {
        uint32_t lowest = SB_BPE_NONE;
        size_t best = 0;
        for (size_t i = 0; i + 1 < count; i++) {
            const uint32_t rank = sb_bpe_find(bpe, piece + starts[i], starts[i + 2] - starts[i]);
            if (rank < lowest) {
                lowest = rank;
                best = i;
            }
        }
        if (lowest == SB_BPE_NONE) {
            break;
        }
        memmove(starts + best + 1, starts + best + 2, (count - best - 1) * sizeof *starts);
        count--;
    }
    for (size_t i = 0; i < count; i++) {
        out[i] = (int32_t)sb_bpe_find(bpe, piece + starts[i], starts[i + 1] - starts[i]);
    }
    return count;
}

static void fill(sb_bpe *bpe, const uint8_t *text, size_t size) {
    uint32_t rank = 256;
    bpe->tokens.mask = SLOTS - 1;
    memset(bpe->pairs, 0xff, 65536 * sizeof *bpe->pairs);
    for (uint32_t byte = 0; byte < 256; byte++) {
        const uint8_t token = (uint8_t)byte;
        require(sb_bpe_add(bpe, &token, 1, byte), "bytes are new");
    }
    for (size_t i = 0; i < TOKENS && size >= 2; i++) {
        const size_t at = i * 37 % (size - 1);
        const size_t most = size - at < MAX_LENGTH ? size - at : MAX_LENGTH;
        const size_t length = 2 + i % 5 * (most - 2) / 4;
        const bool known = sb_bpe_find(bpe, text + at, length) != SB_BPE_NONE;
        require(sb_bpe_add(bpe, text + at, length, rank) != known, "a token is added once");
        rank += !known;
    }
}

/* Everything at once, or with as little room and scratch as the encoder asks for. */
static size_t encode(const sb_bpe *bpe, sb_pattern pattern, const uint8_t *text, size_t size, int32_t *out) {
    sb_bpe_run run = {.text = text, .size = size, .out = out};
    for (;;) {
        const sb_bpe_status status = sb_bpe_encode(bpe, pattern, &run);
        if (status == SB_BPE_DONE) {
            break;
        }
        if (status == SB_BPE_WANTS_ROOM) {
            run.room = run.tokens + run.wanted;
            require(run.room <= size, "at most one token a byte");
            continue;
        }
        free(run.scratch);
        run.scratch_count = run.wanted;
        run.scratch = allocate(run.wanted * sizeof *run.scratch);
    }
    free(run.scratch);
    return run.tokens;
}

/* Every text is one an encoder takes. */
bool sb_fuzz_keeps(const uint8_t *data, size_t size) {
    return data != NULL && size > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    const uint8_t choice = data[size / 2];
    size = size < MAX_TEXT ? size : MAX_TEXT;
    uint8_t *text = allocate(size);
    memcpy(text, data, size);
    for (size_t i = 0; choice % 3 == 0 && i < size; i++) {
        text[i] = (uint8_t)('a' + text[i] % 4); /* one long piece in which much repeats */
    }
    sb_bpe bpe = {.tokens = {.slots = calloc(SLOTS, sizeof(sb_token_slot)), .filter = calloc(SLOTS / 16, sizeof(uint64_t)),
                             .blob = allocate(TOKENS * (MAX_LENGTH + 2))},
                  .pairs = allocate(65536 * sizeof(uint32_t))};
    require(bpe.tokens.slots != NULL && bpe.tokens.filter != NULL, "memory for the fuzzer");
    memset(bpe.bytes, 0xff, sizeof bpe.bytes);
    fill(&bpe, text, size);
    int32_t *found = allocate(size * sizeof *found), *expected = allocate(size * sizeof *expected);
    for (int pattern = 0; pattern < SB_PATTERN_COUNT; pattern++) {
        size_t count = 0;
        for (size_t at = 0, end; at < size; at = end) {
            end = sb_split_next((sb_pattern)pattern, text, size, at);
            require(end > at && end <= size, "pieces go forward and stay inside");
            count += merge(&bpe, text + at, end - at, expected + count);
        }
        require(encode(&bpe, (sb_pattern)pattern, text, size, found) == count, "as many tokens as by the rule");
        require(memcmp(found, expected, count * sizeof *found) == 0, "the tokens that the rule gives");
        require(encode(&bpe, (sb_pattern)pattern, text, size, NULL) == count, "counting counts what encoding makes");
    }
    free(expected);
    free(found);
    free(bpe.pairs);
    free(bpe.tokens.blob);
    free(bpe.tokens.filter);
    free(bpe.tokens.slots);
    free(text);
    return 0;
}
