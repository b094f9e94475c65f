/* Drives a fuzz target without libFuzzer: replays files, then mutates them.
 *
 * Usage: TARGET [--runs N] [--seed S] [FILE...]
 *
 * Same seed, same inputs. What broke something is left in build/crash, provided the sanitizers
 * end the process by abort (abort_on_error=1). */

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whether mutating should go on from an input: it is one that the target accepts. */
bool sb_fuzz_keeps(const uint8_t *data, size_t size);

enum { MAX_BYTES = 4096, MAX_FILES = 256 };

typedef struct {
    uint8_t bytes[MAX_BYTES];
    size_t size;
} input;

static input files[MAX_FILES], current;
static uint64_t state;

/* xorshift64*: good enough to choose bytes, the same on every machine. */
static uint64_t random_below(uint64_t bound) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (state * UINT64_C(2685821657736338717) >> 33) % bound;
}

/* What bodies are made of, and what breaks them. */
static const char *const pieces[] = {
    "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud83d", "\\ude00", "\\n", "null", "true", "false", "-", "0", "1e9",
    ".5", " ", "\n", "\"model\":\"m\"", "\"stream\":true", "\"stream_options\":{}", "\"models\":[]", "\"provider\":1",
    "\"messages\":[", "\"input\":[", "\"prompt\":[", "\"role\":\"user\"", "\"role\":\"tool\"", "\"content\":[",
    "\"content\":\"", "\"type\":\"text\"", "\"type\":\"tool_result\"", "\"text\":\"prove it? $x$ 1 + 1\"", "\"output\":[",
    "\"max_tokens\":99999999999999999999", "\"response_format\":{\"type\":\"json_schema\"}", "\xc3\xa9", "\xe6\x97\xa5",
    "\xf0\x9f\x98\x80", "\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xef\xbb\xbf", "\x01", "```", "SELECT ",
    " FROM ", "def f(",
    /* and what envelopes are made of */
    "\x22\x04\x0a\x02{}", "\x10\x01", "\x4a", "\x0a\x01x", "\x12\x03\x1a\x01y", "\x0b", "\x0c", "\x80\x01",
    "envoy.filters.http.ext_proc",
    /* and what personal data is made of */
    "4111 1111 1111 1111", "jane@example.com", "GB82 WEST 1234 5698 7654 32", "+1 (415) 555-2671", "078-05-1120",
    "203.0.113.77", "2001:db8::1:2:3", "phone ", "driver's license ", "\\u0040", "%40", "ï¼"};

static void splice(input *in, size_t at, size_t removed, const void *piece, size_t size) {
    if (in->size - removed + size > MAX_BYTES) {
        return;
    }
    uint8_t copy[MAX_BYTES];
    memcpy(copy, piece, size); /* it may lie inside the input */
    memmove(in->bytes + at + size, in->bytes + at + removed, in->size - at - removed);
    memcpy(in->bytes + at, copy, size);
    in->size += size - removed;
}

static void mutate(input *in) {
    for (uint64_t n = 1 + random_below(3); n > 0; n--) {
        const size_t at = random_below(in->size + 1);
        const size_t rest = in->size - at;
        const size_t some = rest > 0 ? random_below(rest < 32 ? rest : 32) + 1 : 0;
        const char *piece = pieces[random_below(sizeof pieces / sizeof *pieces)];
        const uint8_t byte = (uint8_t)random_below(256);
        switch (random_below(6)) {
        case 0: splice(in, at, 0, piece, strlen(piece)); break;
        case 1: splice(in, at, some, piece, strlen(piece)); break;
        case 2: splice(in, at, some, "", 0); break;
        case 3: splice(in, at, 0, in->bytes + at, some); break;
        case 4: splice(in, at, rest > 0, &byte, 1); break;
        default: splice(in, at, random_below(8) == 0 ? rest : 0, "", 0); break;
        }
    }
}

static void save_and_die(int signal_number) {
    FILE *file = fopen("build/crash", "wb");
    if (file != NULL) {
        fwrite(current.bytes, 1, current.size, file);
        fclose(file);
    }
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void run(const input *in) {
    current = *in;
    (void)LLVMFuzzerTestOneInput(current.bytes, current.size);
}

int main(int argc, char **argv) {
    size_t count = 0;
    uint64_t runs = 0, accepted = 0;
    input in = {.size = 0};
    state = 1;
    signal(SIGABRT, save_and_die);
    for (int i = 1; i < argc; i++) {
        if (i + 1 < argc && strcmp(argv[i], "--runs") == 0) {
            runs = strtoull(argv[++i], NULL, 10);
        } else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0) {
            state = strtoull(argv[++i], NULL, 10) * 2 + 1; /* never 0, which would stay 0 */
        } else if (count < MAX_FILES) {
            FILE *file = fopen(argv[i], "rb");
            if (file == NULL) {
                perror(argv[i]);
                return 2;
            }
            files[count].size = fread(files[count].bytes, 1, MAX_BYTES, file);
            fclose(file);
            run(&files[count]);
            count++;
        }
    }
    for (uint64_t i = 0; i < runs; i++) {
        /* A mutant that is still accepted goes on mutating: many small steps reach what one does not. */
        const bool kept = i > 0 && sb_fuzz_keeps(in.bytes, in.size);
        accepted += kept;
        if (!kept || random_below(16) == 0) {
            in = files[count > 0 ? random_below(count) : 0];
        }
        mutate(&in);
        run(&in);
    }
    printf("%zu files replayed, %llu mutants run, %llu of them accepted\n", count, (unsigned long long)runs,
           (unsigned long long)accepted);
    return 0;
}
