#include "sb_bpe.h"

#include <string.h>

enum {
    /* Up to here a scan for the lowest rank beats a heap: what it looks at stays in the first cache. */
    SHORT_PIECE = 128,
    LANES = 8,
    /* Up to here wide loads cost more than they save: they wait for what has just been stored. */
    FEW = 24,
};

/* A rank and, below it, the start of the left part, so that the least is the next to merge, in 31 bits: processors
 * without SSE4.1 compare signed numbers only. */
enum { START_BITS = 7, MAX_PACKED_RANK = (1 << (31 - START_BITS)) - 2, NO_MERGE = INT32_MAX };

bool sb_bpe_add(sb_bpe *bpe, const uint8_t *token, size_t length, uint32_t rank) {
    if (!sb_tokens_add(&bpe->tokens, token, length, rank)) {
        return false;
    }
    if (length == 1) {
        bpe->bytes[token[0]] = rank;
    } else if (length == 2) {
        bpe->pairs[token[0] << 8 | token[1]] = rank;
    }
    bpe->highest = rank > bpe->highest ? rank : bpe->highest;
    return true;
}

uint32_t sb_bpe_find(const sb_bpe *bpe, const uint8_t *token, size_t length) {
    return length == 2 ? bpe->pairs[token[0] << 8 | token[1]] : sb_tokens_find(&bpe->tokens, token, length);
}

/* Rank of two neighbours of 3 bytes or more together: most do not merge. */
static uint32_t rank_of(const sb_bpe *bpe, const uint8_t *s, size_t length) {
    return sb_tokens_find_rare(&bpe->tokens, s, length);
}

static int32_t packed(uint32_t rank, size_t start) {
    return rank == SB_BPE_NONE ? NO_MERGE : (int32_t)(rank << START_BITS | (uint32_t)start);
}

/* The least of values[0..count), which go on with NO_MERGE to the next multiple of LANES. */
static int32_t least(const int32_t *values, size_t count) {
    int32_t lanes[LANES];
    if (count <= FEW) {
        size_t best = 0;
        for (size_t i = 1; i < count; i++) { /* with the place, so that compilers leave it scalar */
            best = values[i] < values[best] ? i : best;
        }
        return values[best];
    }
    memcpy(lanes, values, sizeof lanes);
    for (size_t at = LANES; at < count; at += LANES) {
        for (size_t lane = 0; lane < LANES; lane++) {
            lanes[lane] = values[at + lane] < lanes[lane] ? values[at + lane] : lanes[lane];
        }
    }
    for (size_t half = LANES / 2; half > 0; half /= 2) {
        for (size_t lane = 0; lane < half; lane++) {
            lanes[lane] = lanes[lane + half] < lanes[lane] ? lanes[lane + half] : lanes[lane];
        }
    }
    return lanes[0];
}

/* Merge a piece of 2..SHORT_PIECE bytes. Returns the number of tokens and puts them into out, unless that is NULL. */
static size_t merge_short(const sb_bpe *bpe, const uint8_t *piece, size_t size, int32_t *out) {
    int32_t merges[SHORT_PIECE + LANES]; /* by start of a part: with the one behind it */
    uint32_t ids[SHORT_PIECE];           /* by start of a part */
    uint8_t next[SHORT_PIECE], previous[SHORT_PIECE];
    const size_t padded = (size + LANES - 1) / LANES * LANES;
    size_t count = size;
    for (size_t i = 0; i < size; i++) {
        next[i] = (uint8_t)(i + 1);
        previous[i] = (uint8_t)(i - 1); /* unused for the first */
        ids[i] = bpe->bytes[piece[i]];
        merges[i] = i + 1 < size ? packed(bpe->pairs[piece[i] << 8 | piece[i + 1]], i) : NO_MERGE;
    }
    for (size_t i = size; i < padded; i++) {
        merges[i] = NO_MERGE;
    }
    for (int32_t merge; (merge = least(merges, size)) != NO_MERGE; count--) {
        const size_t at = (size_t)merge & ((1 << START_BITS) - 1), gone = next[at], behind = next[gone];
        ids[at] = (uint32_t)merge >> START_BITS;
        merges[gone] = NO_MERGE;
        next[at] = (uint8_t)behind;
        merges[at] = NO_MERGE;
        if (behind < size) {
            previous[behind] = (uint8_t)at;
            merges[at] = packed(rank_of(bpe, piece + at, next[behind] - at), at);
        }
        if (at > 0) {
            const size_t before = previous[at];
            merges[before] = packed(rank_of(bpe, piece + before, behind - before), before);
        }
    }
    if (out != NULL) {
        for (size_t at = 0; at < size; at = next[at]) {
            *out++ = (int32_t)ids[at];
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
            ranks[at] = rank_of(bpe, piece + at, next[behind] - at);
        }
        const size_t before = at > 0 ? previous[at] : at;
        if (at > 0) {
            ranks[before] = rank_of(bpe, piece + before, behind - before);
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
        } else if (size <= SHORT_PIECE && bpe->highest <= MAX_PACKED_RANK) {
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
