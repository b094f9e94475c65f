#include "sb_text.h"

#include <string.h>

static uint32_t hex4(const uint8_t *at) {
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        /* Digits are known to be valid: letters have bit 6 set and are 9 away from their value. */
        unit = unit << 4 | ((at[i] & 0x0fu) + (at[i] >> 6) * 9u);
    }
    return unit;
}

static uint8_t *put_utf8(uint8_t *out, uint32_t code) {
    if (code < 0x80) {
        *out++ = (uint8_t)code;
        return out;
    }
    if (code < 0x800) {
        *out++ = (uint8_t)(0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *out++ = (uint8_t)(0xe0 | code >> 12);
        } else {
            *out++ = (uint8_t)(0xf0 | code >> 18);
            *out++ = (uint8_t)(0x80 | (code >> 12 & 0x3f));
        }
        *out++ = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    }
    *out++ = (uint8_t)(0x80 | (code & 0x3f));
    return out;
}

static uint8_t control_for(uint8_t letter) {
    switch (letter) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return letter; /* quote, backslash and slash stand for themselves */
    }
}

size_t sb_text_unescape(const uint8_t *raw, size_t size, uint8_t *out) {
    const uint8_t *at = raw, *const end = raw + size;
    uint8_t *const begin = out;
    while (at < end) {
        const uint8_t *backslash = memchr(at, '\\', (size_t)(end - at));
        const size_t plain = (size_t)((backslash ? backslash : end) - at);
        memcpy(out, at, plain);
        out += plain;
        if (backslash == NULL) {
            break;
        }
        at = backslash + 2;
        if (backslash[1] != 'u') {
            *out++ = control_for(backslash[1]);
            continue;
        }
        uint32_t code = hex4(at);
        at += 4;
        if (code >= 0xd800 && code <= 0xdfff) {
            uint32_t low = 0;
            if (code <= 0xdbff && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
                low = hex4(at + 2);
            }
            if (low >= 0xdc00 && low <= 0xdfff) {
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                at += 6;
            } else {
                code = 0xfffd;
            }
        }
        out = put_utf8(out, code);
    }
    return (size_t)(out - begin);
}

static bool is_wanted(const sb_scan *scan, const sb_span *span, bool last_user) {
    return !last_user || (span->turn == scan->last_user_turn && span->role == SB_ROLE_USER);
}

size_t sb_text_size(const sb_scan *scan, const sb_span *spans, bool last_user) {
    size_t size = 0, pieces = 0;
    for (uint32_t i = 0; i < scan->span_count; i++) {
        if (is_wanted(scan, &spans[i], last_user)) {
            size += spans[i].text.text_bytes;
            pieces++;
        }
    }
    return pieces > 0 ? size + pieces - 1 : 0;
}

void sb_text_write(const uint8_t *body, const sb_scan *scan, const sb_span *spans, bool last_user, uint8_t *out) {
    bool first = true;
    for (uint32_t i = 0; i < scan->span_count; i++) {
        if (!is_wanted(scan, &spans[i], last_user)) {
            continue;
        }
        if (!first) {
            *out++ = '\n';
        }
        first = false;
        const sb_string *text = &spans[i].text;
        out += sb_text_unescape(body + text->start, text->end - text->start, out);
    }
}

const uint8_t *sb_text_in_place(const uint8_t *body, const sb_scan *scan, const sb_span *spans, bool last_user) {
    const sb_string *only = NULL;
    for (uint32_t i = 0; i < scan->span_count; i++) {
        if (is_wanted(scan, &spans[i], last_user)) {
            if (only != NULL) {
                return NULL;
            }
            only = &spans[i].text;
        }
    }
    return only != NULL && only->text_bytes == only->end - only->start ? body + only->start : NULL;
}
