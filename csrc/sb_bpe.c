#include "sb_bpe.h"

#include <string.h>

enum {
    /* Up to here a scan for the lowest rank beats a heap: what it looks at stays in the first cache. */
    SHORT_PIECE = 128,
};

bool sb_bpe_add(sb_bpe *bpe, const uint8_t *token, size_t length, uint32_t rank) {
    if (!sb_tokens_add(&bpe->tokens, token, length, rank)) {
        return false;
    }
    if (length == 1) {
        bpe->bytes[token[0]] = rank;
    } else if (length == 2) {
        bpe->pairs[token[0] << 8 | token[1]] = rank;
    }
    return true;
}

uint32_t sb_bpe_find(const sb_bpe *bpe, const uint8_t *token, size_t length) {
    return length == 2 ? bpe->pairs[token[0] << 8 | token[1]] : sb_tokens_find(&bpe->tokens, token, length);
}

/* Merge a piece of 2..SHORT_PIECE bytes. Returns the number of tokens and puts them into out, unless that is NULL. */
static size_t merge_short(const sb_bpe *bpe, const uint8_t *piece, size_t size, int32_t *out) {
    uint32_t ranks[SHORT_PIECE]; /* of part i and the one behind it */
    uint32_t ids[SHORT_PIECE];
    uint8_t starts[SHORT_PIECE + 1];
    size_t count = size;
    for (size_t i = 0; i < size; i++) {
        starts[i] = (uint8_t)i;
        ids[i] = bpe->bytes[piece[i]];
        ranks[i] = i + 1 < size ? bpe->pairs[piece[i] << 8 | piece[i + 1]] : SB_BPE_NONE;
    }
    starts[size] = (uint8_t)size;
    while (count > 1) {
        size_t best = 0;
        uint32_t lowest = SB_BPE_NONE;
        for (size_t i = 0; i + 1 < count; i++) {
            if (ranks[i] < lowest) {
                lowest = ranks[i];
                best = i;
            }
        }
        if (lowest == SB_BPE_NONE) {
            break;
        }
        ids[best] = lowest;
        count--;
        memmove(starts + best + 1, starts + best + 2, count - best);
        memmove(ids + best + 1, ids + best + 2, (count - best - 1) * sizeof *ids);
        memmove(ranks + best + 1, ranks + best + 2, (count - best - 1) * sizeof *ranks);
        ranks[best] = best + 1 < count
                          ? sb_bpe_find(bpe, piece + starts[best], (size_t)(starts[best + 2] - starts[best]))
                          : SB_BPE_NONE;
        if (best > 0) {
            ranks[best - 1] = sb_bpe_find(bpe, piece + starts[best - 1], (size_t)(starts[best + 1] - starts[best - 1]));
        }
    }
    if (out != NULL) {
        for (size_t i = 0; i < count; i++) {
            out[i] = (int32_t)ids[i];
        }
    }
    return count;
}

/* ---- pieces beyond SHORT_PIECE: a list of parts, and a heap of what may merge ---- */

typedef struct {
    uint64_t *entries; /* rank and, below it, start of the left part: the least is the next to merge */
    size_t count;
} heap;

static void sift_down(heap *h, size_t at) {
    const uint64_t entry = h->entries[at];
    for (size_t child; (child = 2 * at + 1) < h->count; at = child) {
        child += child + 1 < h->count && h->entries[child + 1] < h->entries[child];
        if (h->entries[child] >= entry) {
            break;
        }
        h->entries[at] = h->entries[child];
    }
    h->entries[at] = entry;
}

static void push(heap *h, uint64_t entry) {
    size_t at = h->count++;
    for (; at > 0 && h->entries[(at - 1) / 2] > entry; at = (at - 1) / 2) {
        h->entries[at] = h->entries[(at - 1) / 2];
    }
    h->entries[at] = entry;
}

/* Fill with every pair that may merge, and nothing outdated. */
static void fill(heap *h, const uint32_t *next, const uint32_t *ranks, size_t size) {
    h->count = 0;
    for (size_t at = 0; at < size; at = next[at]) {
        if (ranks[at] != SB_BPE_NONE) {
            h->entries[h->count++] = (uint64_t)ranks[at] << 32 | at;
        }
    }
    for (size_t at = h->count / 2; at-- > 0;) {
        sift_down(h, at);
    }
}

/* A quarter more than pairs: when outdated entries have filled it, a quarter of the piece has merged since
 * the last time, so that throwing them out costs a constant per merge. */
static size_t heap_room(size_t size) {
    return size + size / 4 + 16;
}

static size_t scratch_for(size_t size) {
    return heap_room(size) + (3 * size + 1) / 2;
}

static size_t merge_long(const sb_bpe *bpe, const uint8_t *piece, size_t size, uint64_t *scratch, int32_t *out) {
    heap h = {scratch, 0};
    const size_t room = heap_room(size);
    uint32_t *const next = (uint32_t *)(scratch + room); /* by start of a part: start of the one behind it, or size */
    uint32_t *const previous = next + size;
    uint32_t *const ranks = previous + size; /* by start of a part: with the one behind it; NONE for what is no part */
    size_t count = size;
    for (size_t i = 0; i < size; i++) {
        next[i] = (uint32_t)i + 1;
        previous[i] = (uint32_t)i - 1; /* unused for the first */
        ranks[i] = i + 1 < size ? bpe->pairs[piece[i] << 8 | piece[i + 1]] : SB_BPE_NONE;
    }
    fill(&h, next, ranks, size);
    while (h.count > 0) {
        const size_t at = (uint32_t)h.entries[0];
        const uint32_t rank = (uint32_t)(h.entries[0] >> 32);
        h.entries[0] = h.entries[--h.count];
        if (h.count > 0) {
            sift_down(&h, 0);
        }
        if (ranks[at] != rank) {
            continue; /* one of the two has merged with somebody else */
        }
        const size_t gone = next[at], behind = next[gone];
        count--;
        ranks[gone] = SB_BPE_NONE;
        next[at] = (uint32_t)behind;
        ranks[at] = SB_BPE_NONE;
        if (behind < size) {
            previous[behind] = (uint32_t)at;
            ranks[at] = sb_bpe_find(bpe, piece + at, next[behind] - at);
        }
        const size_t before = at > 0 ? previous[at] : at;
        if (at > 0) {
            ranks[before] = sb_bpe_find(bpe, piece + before, behind - before);
        }
        if (h.count + 2 > room) {
            fill(&h, next, ranks, size);
            continue;
        }
        if (ranks[at] != SB_BPE_NONE) {
            push(&h, (uint64_t)ranks[at] << 32 | at);
        }
        if (at > 0 && ranks[before] != SB_BPE_NONE) {
            push(&h, (uint64_t)ranks[before] << 32 | before);
        }
    }
    if (out != NULL) {
        size_t written = 0;
        for (size_t at = 0; at < size; at = next[at]) {
            const size_t length = next[at] - at;
            out[written++] = (int32_t)(length == 1 ? bpe->bytes[piece[at]] : sb_bpe_find(bpe, piece + at, length));
        }
    }
    return count;
}

sb_bpe_status sb_bpe_encode(const sb_bpe *bpe, sb_pattern pattern, sb_bpe_run *run) {
    while (run->at < run->size) {
        const uint8_t *const piece = run->text + run->at;
        const size_t end = sb_split_next(pattern, run->text, run->size, run->at), size = end - run->at;
        const uint32_t whole = size == 1 ? bpe->bytes[piece[0]] : sb_bpe_find(bpe, piece, size);
        int32_t *const out = run->out == NULL ? NULL : run->out + run->tokens;
        const size_t most = whole != SB_BPE_NONE ? 1 : size;
        if (out != NULL && run->room - run->tokens < most) {
            run->wanted = most;
            return SB_BPE_WANTS_ROOM;
        }
        if (whole != SB_BPE_NONE) {
            if (out != NULL) {
                *out = (int32_t)whole;
            }
            run->tokens++;
        } else if (size <= SHORT_PIECE) {
            run->tokens += merge_short(bpe, piece, size, out);
        } else if (run->scratch_count < scratch_for(size)) {
            run->wanted = scratch_for(size);
            return SB_BPE_WANTS_SCRATCH;
        } else {
            run->tokens += merge_long(bpe, piece, size, run->scratch, out);
        }
        run->at = end;
    }
    return SB_BPE_DONE;
}
