/* One message of Envoy's through the reader of envelopes; abort where it contradicts itself or protobuf's
 * own law that a message sent twice over is the same message. A libFuzzer target; see replay.c. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sb_envelope.h"
#include "sb_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
bool sb_fuzz_keeps(const uint8_t *data, size_t size);

static const char GROUP[] = "envoy.filters.http.ext_proc";

static void require(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "broken promise: %s\n", what);
        abort();
    }
}

static void *allocate(size_t size) {
    void *memory = malloc(size > 0 ? size : 1);
    require(memory != NULL, "memory for the fuzzer");
    return memory;
}

static bool read(const uint8_t *message, size_t size, sb_envelope *out, sb_attribute *attributes, uint32_t capacity) {
    return sb_envelope_read(message, size, GROUP, sizeof GROUP - 1, out, attributes, capacity);
}

static bool lies_in(const sb_range *range, size_t size) {
    return range->start <= range->end && range->end <= size;
}

bool sb_fuzz_keeps(const uint8_t *data, size_t size) {
    sb_envelope envelope;
    return read(data, size, &envelope, NULL, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sb_envelope counted, found, twice;
    /* Copies of their own size: reading one byte past the message is seen. */
    uint8_t *message = allocate(size), *doubled = allocate(2 * size);
    if (size > 0) {
        memcpy(message, data, size);
        memcpy(doubled, data, size);
        memcpy(doubled + size, data, size);
    }
    if (read(message, size, &counted, NULL, 0)) {
        sb_attribute *attributes = allocate(counted.attribute_count * sizeof *attributes);
        require(read(message, size, &found, attributes, counted.attribute_count), "same message, same verdict");
        require(found.attribute_count == counted.attribute_count, "same message, same attributes");
        require(found.has_attributes || found.attribute_count == 0, "no attributes without their group");
        require(lies_in(&found.body, size), "the body lies in the message");
        for (uint32_t i = 0; i < found.attribute_count; i++) {
            const sb_range parts[] = {attributes[i].name, attributes[i].text};
            for (size_t j = 0; j < 2; j++) {
                require(lies_in(&parts[j], size), "attributes lie in the message");
                require(sb_utf8_is_valid(message + parts[j].start, parts[j].end - parts[j].start), "and are UTF-8");
            }
        }
        require(read(doubled, 2 * size, &twice, NULL, 0), "twice a message is a message");
        require(twice.kind == found.kind && twice.end_of_stream == found.end_of_stream, "of the same kind");
        require(twice.body.end - twice.body.start == found.body.end - found.body.start, "with the same body");
        require(twice.attribute_count == found.attribute_count, "and the same attributes");
        free(attributes);
    }
    free(doubled);
    free(message);
    return 0;
}
