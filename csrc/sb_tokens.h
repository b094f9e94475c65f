/* A set of byte strings with a number each: the vocabulary of an encoder. Open addressing in memory of the
 * caller's; a set that is no longer added to may be read by any number of threads. */
#ifndef SB_TOKENS_H
#define SB_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "sb_tokens_pack() puts overlapping loads together, which is exact on little-endian machines only"
#endif

#define SB_TOKENS_NONE UINT32_MAX
#define SB_TOKENS_MAX_BYTES 65535u /* of one token */
enum { SB_TOKENS_SHORT = 8 };      /* bytes of a token that lies in its slot */

typedef struct {
    uint64_t key;   /* the bytes of a token of at most 8, else their hash */
    uint32_t id;    /* at most INT32_MAX */
    uint32_t where; /* 0: empty; 1..8: length of the token; else its place in `blob` plus 9 */
} sb_token_slot;

typedef struct {
    sb_token_slot *slots; /* [0..mask], zeroed at first, at least one stays empty */
    size_t mask;          /* a power of two, at least 64, less one */
    uint64_t *filter;     /* [(mask + 1) / 16], zeroed at first: 4 bits a slot, that of each token's hash set */
    uint8_t *blob;        /* 2 + length bytes for each token of more than 8 */
    uint32_t blob_size;   /* used so far, at most UINT32_MAX - 9 */
    uint32_t longest;     /* bytes of the longest token */
} sb_tokens;

static inline uint64_t sb_load64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint32_t sb_load32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* 1..8 bytes in one number, zeros above. */
static inline uint64_t sb_tokens_pack(const uint8_t *s, size_t length) {
    if (length == 8) {
        return sb_load64(s);
    }
    if (length >= 4) {
        return sb_load32(s) | (uint64_t)sb_load32(s + length - 4) << 8 * (length - 4);
    }
    return s[0] | (uint64_t)s[length / 2] << 8 * (length / 2) | (uint64_t)s[length - 1] << 8 * (length - 1);
}

static inline uint64_t sb_tokens_mix(uint64_t value) {
    value *= UINT64_C(0x9e3779b97f4a7c15);
    value ^= value >> 32;
    value *= UINT64_C(0xd6e8feb86659fd93);
    return value ^ value >> 32;
}

/* Of more than 8 bytes. Equal hashes are compared byte by byte, so they cost time and nothing else. */
static inline uint64_t sb_tokens_hash(const uint8_t *s, size_t length) {
    uint64_t value = length;
    for (size_t at = 0; at + 8 < length; at += 8) {
        value = sb_tokens_mix(value ^ sb_load64(s + at));
    }
    return sb_tokens_mix(value ^ sb_load64(s + length - 8));
}

/* Where to look for a token of at least one byte. */
typedef struct {
    uint64_t key;
    uint64_t hash;
} sb_token_place;

static inline sb_token_place sb_tokens_place(const uint8_t *token, size_t length) {
    if (length <= SB_TOKENS_SHORT) {
        const uint64_t key = sb_tokens_pack(token, length);
        return (sb_token_place){key, sb_tokens_mix(key + length)};
    }
    const uint64_t key = sb_tokens_hash(token, length);
    return (sb_token_place){key, key};
}

/* The bit of the filter for a hash: from its upper half, for the slot is from its lower. */
static inline size_t sb_tokens_bit(const sb_tokens *tokens, uint64_t hash) {
    return (size_t)(hash >> 32) & (4 * tokens->mask + 3);
}

/* The slot a token is in, or the empty one where it would be. */
static inline sb_token_slot *sb_tokens_slot(const sb_tokens *tokens, const uint8_t *token, size_t length,
                                            sb_token_place where) {
    const bool is_short = length <= SB_TOKENS_SHORT;
    const uint64_t key = where.key;
    for (size_t place = (size_t)where.hash & tokens->mask;; place = (place + 1) & tokens->mask) {
        sb_token_slot *slot = &tokens->slots[place];
        if (slot->where == 0) {
            return slot;
        }
        if (slot->key != key) {
            continue;
        }
        if (is_short || slot->where <= SB_TOKENS_SHORT) {
            if (slot->where == length) {
                return slot;
            }
            continue;
        }
        const uint8_t *entry = tokens->blob + (slot->where - SB_TOKENS_SHORT - 1);
        if ((size_t)(entry[0] | entry[1] << 8) == length && memcmp(entry + 2, token, length) == 0) {
            return slot;
        }
    }
}

/* Number of a token of at least one byte, or SB_TOKENS_NONE. */
static inline uint32_t sb_tokens_find(const sb_tokens *tokens, const uint8_t *token, size_t length) {
    if (length > tokens->longest) {
        return SB_TOKENS_NONE;
    }
    const sb_token_slot *slot = sb_tokens_slot(tokens, token, length, sb_tokens_place(token, length));
    return slot->where != 0 ? slot->id : SB_TOKENS_NONE;
}

/* The same, sooner where there mostly is none: the filter stays in the second cache, the slots do not fit there. */
static inline uint32_t sb_tokens_find_rare(const sb_tokens *tokens, const uint8_t *token, size_t length) {
    if (length > tokens->longest) {
        return SB_TOKENS_NONE;
    }
    const sb_token_place where = sb_tokens_place(token, length);
    const size_t bit = sb_tokens_bit(tokens, where.hash);
    if (!(tokens->filter[bit / 64] >> bit % 64 & 1)) {
        return SB_TOKENS_NONE;
    }
    const sb_token_slot *slot = sb_tokens_slot(tokens, token, length, where);
    return slot->where != 0 ? slot->id : SB_TOKENS_NONE;
}

/* Add a token of 1..SB_TOKENS_MAX_BYTES. False if it is there already. */
static inline bool sb_tokens_add(sb_tokens *tokens, const uint8_t *token, size_t length, uint32_t id) {
    const sb_token_place where = sb_tokens_place(token, length);
    const size_t bit = sb_tokens_bit(tokens, where.hash);
    sb_token_slot *slot = sb_tokens_slot(tokens, token, length, where);
    if (slot->where != 0) {
        return false;
    }
    tokens->filter[bit / 64] |= UINT64_C(1) << bit % 64;
    slot->id = id;
    if (length <= SB_TOKENS_SHORT) {
        slot->key = where.key;
        slot->where = (uint32_t)length;
    } else {
        uint8_t *entry = tokens->blob + tokens->blob_size;
        slot->key = where.key;
        slot->where = tokens->blob_size + SB_TOKENS_SHORT + 1;
        entry[0] = (uint8_t)length;
        entry[1] = (uint8_t)(length >> 8);
        memcpy(entry + 2, token, length);
        tokens->blob_size += (uint32_t)length + 2;
    }
    if (length > tokens->longest) {
        tokens->longest = (uint32_t)length;
    }
    return true;
}

#endif
