/* One body through all kernels, as the Python around them would take it; abort where they contradict
 * each other. A libFuzzer target; replay.c drives it where there is no libFuzzer. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sb_edits.h"
#include "sb_surface.h"
#include "sb_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
bool sb_fuzz_keeps(const uint8_t *data, size_t size);

static void require(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "broken promise: %s\n", what);
        abort();
    }
}

/* At least one byte, so that an empty result is a pointer like any other. Exactly `size` otherwise: the
 * sanitizer then sees the first byte too many. */
static void *allocate(size_t size) {
    void *memory = malloc(size > 0 ? size : 1);
    require(memory != NULL, "memory for the fuzzer");
    return memory;
}

/* The body with its edits applied; the size goes to `size`. */
static uint8_t *apply(const uint8_t *body, size_t body_size, const sb_edit *edits, size_t count, size_t *size) {
    static const char *const texts[SB_EDIT_KIND_COUNT] = {
        "\"m\"", "", "\"stream_options\":{\"include_usage\":true},", "{\"include_usage\":true}",
        "\"include_usage\":true", "\"include_usage\":true,"};
    uint8_t *out = allocate(body_size + count * 64);
    size_t reached = 0;
    *size = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t text_size = strlen(texts[edits[i].kind]);
        require(edits[i].at >= reached && edits[i].at + edits[i].length <= body_size, "edits are disjoint, in order");
        memcpy(out + *size, body + reached, edits[i].at - reached);
        *size += edits[i].at - reached;
        memcpy(out + *size, texts[edits[i].kind], text_size);
        *size += text_size;
        reached = edits[i].at + edits[i].length;
    }
    memcpy(out + *size, body + reached, body_size - reached);
    *size += body_size - reached;
    return out;
}

static void check_text(const uint8_t *body, const sb_scan *scan, const sb_span *spans) {
    sb_lexicon_slot slots[8] = {0};
    sb_lexicon lexicon = {slots, 7};
    sb_surface counts;
    sb_lexicon_add(&lexicon, "prove", 5, SB_CLASS_HARD);
    sb_lexicon_add(&lexicon, "don't", 5, SB_CLASS_NEGATION);
    for (int last_user = 0; last_user < 2; last_user++) {
        const size_t size = sb_text_size(scan, spans, last_user);
        uint8_t *text = allocate(size);
        sb_text_write(body, scan, spans, last_user, text);
        sb_surface_count(text, size, &lexicon, &counts);
        require(counts.words <= size && counts.numbers <= size, "no more words than bytes");
        free(text);
    }
}

static void check_edits(const uint8_t *body, size_t size, const sb_scan *before) {
    const uint64_t all = (UINT64_C(1) << SB_KEY_COUNT) - 1, model = UINT64_C(1) << SB_KEY_MODEL;
    const uint64_t ours = UINT64_C(1) << SB_KEY_MODELS | UINT64_C(1) << SB_KEY_PROVIDER;
    const uint64_t drops[] = {0, ours, all & ~model};
    for (size_t i = 0; i < sizeof drops / sizeof *drops; i++) {
        sb_edit edits[SB_MAX_EDITS];
        size_t edited_size;
        const size_t count = sb_edits(before, drops[i], true, edits);
        require(count <= SB_MAX_EDITS, "edits fit");
        uint8_t *edited = apply(body, size, edits, count, &edited_size);
        sb_scan after;
        sb_scan_body(edited, edited_size, SB_MAX_DEPTH, &after, NULL, 0);
        require(after.fault == SB_OK, "an edited body is as valid as the body was");
        require(!before->stream || drops[i] == (all & ~model) || after.stream, "edits leave the stream alone");
        for (int key = 0; key < SB_KEY_COUNT; key++) {
            const bool was = before->members[key].value_end != 0, is = after.members[key].value_end != 0;
            if (drops[i] >> key & 1) {
                require(!is || key == SB_KEY_STREAM_OPTIONS, "dropped members are gone");
            } else {
                require(!was || is, "other members stay");
            }
        }
        free(edited);
    }
}

bool sb_fuzz_keeps(const uint8_t *data, size_t size) {
    sb_scan scan;
    sb_scan_body(data, size, SB_MAX_DEPTH, &scan, NULL, 0);
    return scan.fault == SB_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sb_scan counted, found;
    /* A copy of its own size: reading one byte past the body is seen. */
    uint8_t *body = allocate(size);
    if (size > 0) {
        memcpy(body, data, size);
    }
    sb_scan_body(body, size, 128, &counted, NULL, 0);
    sb_span *spans = allocate(counted.span_count * sizeof *spans);
    sb_scan_body(body, size, 128, &found, spans, counted.span_count);
    require(found.fault == counted.fault && found.fault_at == counted.fault_at, "same body, same fault");
    require(found.fault_at <= size, "faults lie in the body");
    if (found.fault == SB_OK) {
        require(found.span_count == counted.span_count, "same body, same texts");
        uint64_t text_bytes = 0;
        for (uint32_t i = 0; i < found.span_count; i++) {
            const sb_string *text = &spans[i].text;
            require(text->start <= text->end && text->end < size, "texts lie in the body");
            require(spans[i].role <= SB_ROLE_OTHER, "every text has a role");
            require(i == 0 || spans[i].turn >= spans[i - 1].turn, "turns are in order");
            text_bytes += text->text_bytes;
        }
        require(text_bytes == found.text_bytes, "text_bytes is the sum of the texts");
        check_text(body, &found, spans);
        check_edits(body, size, &found);
    }
    free(spans);
    free(body);
    return 0;
}
