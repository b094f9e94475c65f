/* Code points of UTF-8 text, one at a time. */
#ifndef SB_UTF8_H
#define SB_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define SB_NO_CODE UINT32_MAX

typedef struct {
    uint32_t code;   /* SB_NO_CODE for a byte that begins no well-formed sequence */
    uint32_t length; /* bytes, at least 1 */
} sb_code;

/* The code point at text[at] of text[0..size), at < size. A byte that begins no well-formed sequence
 * (Unicode 16.0, table 3-7) stands by itself, as Python's surrogateescape has it. */
static inline sb_code sb_code_at(const uint8_t *text, size_t size, size_t at) {
    const uint8_t *const s = text + at;
    const size_t rest = size - at;
    const uint32_t first = s[0];
    if (first < 0x80) {
        return (sb_code){first, 1};
    }
    if (first >= 0xc2 && first < 0xe0 && rest > 1 && (s[1] & 0xc0) == 0x80) {
        return (sb_code){(first & 0x1f) << 6 | (s[1] & 0x3fu), 2};
    }
    if (first >= 0xe0 && first < 0xf0 && rest > 2 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80 &&
        (first > 0xe0 || s[1] >= 0xa0) && (first != 0xed || s[1] < 0xa0)) {
        return (sb_code){(first & 0x0f) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu), 3};
    }
    if (first >= 0xf0 && first < 0xf5 && rest > 3 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80 &&
        (s[3] & 0xc0) == 0x80 && (first > 0xf0 || s[1] >= 0x90) && (first < 0xf4 || s[1] < 0x90)) {
        return (sb_code){(first & 0x07) << 18 | (s[1] & 0x3fu) << 12 | (s[2] & 0x3fu) << 6 | (s[3] & 0x3fu), 4};
    }
    return (sb_code){SB_NO_CODE, 1};
}

/* Write a code point. Returns its bytes, 1 to 4. */
static inline size_t sb_code_write(uint32_t code, uint8_t *out) {
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xc0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xe0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}

#endif
