/* A text and a vocabulary cut out of it through the WordPiece encoder; abort where an ASCII text differs from the
 * rule as it is told, or any text breaks what the header says. A libFuzzer target; replay.c drives it where there is
 * no libFuzzer. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sb_embed.h"
#include "sb_utf8.h"
#include "sb_vector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
bool sb_fuzz_keeps(const uint8_t *data, size_t size);

enum { MAX_TEXT = 4500, TOKENS = 96, SLOTS = 512, MAX_LENGTH = 80, UNKNOWN = 5000, SPECIAL = 6000, DIMS = 5 };

static void require(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "broken promise: %s\n", what);
        abort();
    }
}

/* At least one byte; exactly `size` otherwise, so that the sanitizer sees the first byte too many. */
static void *allocate(size_t size) {
    void *memory = calloc(size > 0 ? size : 1, 1);
    require(memory != NULL, "memory for the fuzzer");
    return memory;
}

static void make(sb_wordpiece_set *set) {
    set->tokens = (sb_tokens){.slots = allocate(SLOTS * sizeof(sb_token_slot)), .mask = SLOTS - 1,
                              .filter = allocate(SLOTS / 16 * sizeof(uint64_t)),
                              .blob = allocate((TOKENS + 256) * (MAX_LENGTH + 2))};
    set->lengths = allocate(SB_WORDPIECE_STARTS * sizeof *set->lengths);
    memset(set->bytes, 0xff, sizeof set->bytes);
}

static void unmake(sb_wordpiece_set *set) {
    free(set->tokens.slots);
    free(set->tokens.filter);
    free(set->tokens.blob);
    free(set->lengths);
}

static uint32_t find(const sb_wordpiece_set *set, const uint8_t *s, size_t size) {
    return size == 1 ? set->bytes[s[0]] : sb_tokens_find(&set->tokens, s, size);
}

/* Tokens of the text in lower case, most from its first half, so that words of the second are partly unknown. */
static void fill(sb_wordpiece_set *set, const uint8_t *text, size_t size, uint32_t id, size_t step) {
    uint8_t token[MAX_LENGTH];
    for (size_t i = 0; i < TOKENS; i++) {
        const size_t at = i * step % ((size + 1) / 2), most = size - at < MAX_LENGTH ? size - at : MAX_LENGTH;
        const size_t length = 1 + i % 7 * (most - 1) / (i % 3 == 0 ? 6 : 24);
        for (size_t k = 0; k < length; k++) {
            token[k] = (uint8_t)(text[at + k] >= 'A' && text[at + k] <= 'Z' ? text[at + k] + 32 : text[at + k]);
        }
        const bool known = find(set, token, length) != SB_TOKENS_NONE;
        require(sb_wordpiece_add(set, token, length, id) != known, "a token is added once");
        id += !known;
    }
}

/* The tokens of one word: the longest that fits, tried one by one. */
static size_t cover(const sb_wordpiece *wordpiece, const uint8_t *s, size_t size, int32_t *out) {
    size_t count = 0;
    for (size_t at = 0; at < size && size <= wordpiece->max_chars;) {
        size_t length = size - at;
        const sb_wordpiece_set *set = at == 0 ? &wordpiece->first : &wordpiece->rest;
        while (length > 0 && find(set, s + at, length) == SB_TOKENS_NONE) {
            length--;
        }
        if (length == 0) {
            break;
        }
        out[count++] = (int32_t)find(set, s + at, length);
        at += length;
        if (at == size) {
            return count;
        }
    }
    out[0] = (int32_t)wordpiece->unknown;
    return 1;
}

/* An ASCII text without special tokens, as BERT reads it. */
static size_t encode_ascii(const sb_wordpiece *wordpiece, const uint8_t *text, size_t size, int32_t *out) {
    uint8_t word[MAX_TEXT];
    size_t count = 0, length = 0;
    for (size_t at = 0; at <= size; at++) {
        const uint8_t c = at < size ? text[at] : ' ';
        const bool space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
        const bool letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (letter) {
            word[length++] = (uint8_t)(wordpiece->lower && c >= 'A' && c <= 'Z' ? c + 32 : c);
        } else if (space || (c > 0x20 && c < 0x7f)) { /* all others are controls, as if they were not there */
            count += length > 0 ? cover(wordpiece, word, length, out + count) : 0;
            length = 0;
            count += space ? 0 : cover(wordpiece, &c, 1, out + count);
        }
    }
    return count;
}

/* With as little room as the encoder asks for. */
static size_t encode(const sb_wordpiece *wordpiece, const uint8_t *text, size_t size, int32_t *out, int32_t *ends) {
    sb_wordpiece_run run = {.text = text, .size = size, .out = out, .ends = ends};
    while (sb_wordpiece_encode(wordpiece, &run) != SB_WORDPIECE_DONE) {
        run.room = run.tokens + run.wanted;
        require(run.wanted > 0 && run.wanted <= SB_WORDPIECE_MAX_CHARS + 8, "room for one word at a time");
    }
    require(run.at == size, "all of the text is read");
    require(run.tokens <= size, "at most one token a byte");
    return run.tokens;
}

/* A text's vector in one go is that of its ids, to the bit; a table that lacks a row says which. */
static void check_vector(const sb_wordpiece *wordpiece, const uint8_t *text, size_t size, const int32_t *ids,
                         size_t count) {
    int8_t *values = allocate((SPECIAL + 1) * DIMS);
    for (size_t i = 0; i < (SPECIAL + 1) * DIMS; i++) {
        values[i] = (int8_t)(i * 37 % 251 - 125);
    }
    sb_table table = {.values = values, .rows = SPECIAL + 1, .dims = DIMS};
    float found[DIMS], expected[DIMS] = {0};
    double total = 0.0;
    size_t at = 0;
    int32_t bad = -1;
    require(sb_pool_more_i8(&table, ids, count, expected, &total, &at) == SB_POOL_OK && total == (double)count,
            "every id is pooled");
    sb_normalize_f32(expected, DIMS, expected);
    require(sb_embed(wordpiece, &table, true, text, size, found, &bad) != SB_EMBED_ID, "every token has a row");
    require(memcmp(found, expected, sizeof found) == 0, "the vector of a text is that of its ids");
    if (count > 0) {
        int32_t most = 0;
        for (size_t i = 0; i < count; i++) {
            most = ids[i] > most ? ids[i] : most;
        }
        table.rows = (size_t)most;
        require(sb_embed(wordpiece, &table, true, text, size, found, &bad) == SB_EMBED_ID && bad >= most,
                "a token without a row is named");
    }
    free(values);
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
    uint8_t *text = allocate(size), *valid = allocate(size);
    bool ascii = choice % 2 == 0;
    for (size_t i = 0; i < size; i++) {
        text[i] = ascii ? data[i] & 0x7f : data[i];
        if (choice % 5 == 0 && (text[i] & 31) != 0) {
            text[i] = (uint8_t)('a' + text[i] % 3); /* long words in which much repeats */
        }
    }
    const sb_special special = {text, size < 6 ? size : 6, SPECIAL};
    sb_wordpiece wordpiece = {.specials = &special, .special_count = choice % 7 == 3, .unknown = UNKNOWN,
                              .max_chars = choice % 3 == 0 ? 1 + choice % 40 : 100, .chinese = choice % 4 > 0,
                              .strip = choice % 8 > 2, .lower = choice % 16 > 3};
    make(&wordpiece.first);
    make(&wordpiece.rest);
    fill(&wordpiece.first, text, size, 0, 37);
    fill(&wordpiece.rest, text, size, 1000, 23);
    sb_wordpiece_ready(&wordpiece);
    const size_t room = size + SB_WORDPIECE_MAX_CHARS + 8;
    int32_t *found = allocate(room * sizeof *found), *other = allocate(room * sizeof *other);
    const size_t count = encode(&wordpiece, text, size, found, NULL);
    require(encode(&wordpiece, text, size, NULL, NULL) == count, "counting counts what encoding makes");
    require(encode(&wordpiece, text, size, NULL, other) == count, "as many ends as tokens");
    for (size_t i = 0; i < count; i++) {
        require(other[i] > 0 && (size_t)other[i] <= size, "ends lie in the text");
        require(i == 0 || other[i - 1] <= other[i], "ends never decrease");
    }
    if (ascii && wordpiece.special_count == 0) {
        require(encode_ascii(&wordpiece, text, size, other) == count, "as many tokens as by the rule");
        require(memcmp(found, other, count * sizeof *found) == 0, "the tokens that the rule gives");
    }
    check_vector(&wordpiece, text, size, found, count);
    size_t left = 0;
    for (size_t at = 0; at < size;) {
        const sb_code c = sb_code_at(text, size, at);
        memcpy(valid + left, text + at, c.code == SB_NO_CODE ? 0 : c.length);
        left += c.code == SB_NO_CODE ? 0 : c.length;
        at += c.length;
    }
    if (wordpiece.special_count == 0) { /* the special token's own bytes may be what goes */
        require(encode(&wordpiece, valid, left, other, NULL) == count, "what is not UTF-8 is as if it were not there");
        require(memcmp(found, other, count * sizeof *found) == 0, "what is not UTF-8 changes no token");
    }
    free(other);
    free(found);
    unmake(&wordpiece.rest);
    unmake(&wordpiece.first);
    free(valid);
    free(text);
    return 0;
}
