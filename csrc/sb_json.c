#include "sb_json.h"

#include <string.h>

static bool fail_at(sb_json *json, sb_fault fault, uint32_t at) {
    json->fault = fault;
    json->fault_at = at;
    return false;
}

static bool fail(sb_json *json, sb_fault fault) {
    return json->at < json->size ? fail_at(json, fault, json->at) : fail_at(json, SB_ENDS_EARLY, json->size);
}

static inline void skip_space(sb_json *json) {
    uint32_t at = json->at;
    while (at < json->size) {
        const uint8_t byte = json->body[at];
        if (byte > ' ' || (byte != ' ' && byte != '\n' && byte != '\r' && byte != '\t')) {
            break;
        }
        at++;
    }
    json->at = at;
}

void sb_json_begin(sb_json *json, const uint8_t *body, size_t size, uint32_t max_depth) {
    memset(json, 0, sizeof *json);
    json->body = body;
    json->max_depth = max_depth;
    if (size > SB_MAX_BODY_BYTES) {
        (void)fail_at(json, SB_TOO_LARGE, SB_MAX_BODY_BYTES);
        return;
    }
    json->size = (uint32_t)size;
    if (size >= 3 && memcmp(body, "\xef\xbb\xbf", 3) == 0) {
        (void)fail_at(json, SB_BOM, 0);
        return;
    }
    skip_space(json);
    if (json->at == json->size) {
        (void)fail_at(json, SB_EMPTY, json->size);
    }
}

bool sb_json_finish(sb_json *json) {
    skip_space(json);
    return json->at == json->size || fail(json, SB_TRAILING_BYTES);
}

bool sb_json_enter(sb_json *json) {
    if (json->depth == json->max_depth) {
        return fail(json, SB_TOO_DEEP);
    }
    json->depth++;
    if (json->depth > json->deepest) {
        json->deepest = json->depth;
    }
    json->at++;
    return true;
}

static int leave(sb_json *json) {
    json->separator = json->at++;
    json->depth--;
    return 0;
}

int sb_json_next_member(sb_json *json, bool first, sb_string *key) {
    skip_space(json);
    uint8_t byte = sb_json_peek(json);
    if (byte == '}') {
        return leave(json);
    }
    if (!first) {
        if (byte != ',') {
            (void)fail(json, SB_EXPECTED_COMMA_OR_BRACE);
            return -1;
        }
        json->separator = json->at++;
        skip_space(json);
        byte = sb_json_peek(json);
    }
    if (byte != '"') {
        (void)fail(json, first ? SB_EXPECTED_KEY_OR_END : SB_EXPECTED_KEY);
        return -1;
    }
    if (!sb_json_string(json, key)) {
        return -1;
    }
    skip_space(json);
    if (sb_json_peek(json) != ':') {
        (void)fail(json, SB_EXPECTED_COLON);
        return -1;
    }
    json->at++;
    skip_space(json);
    return 1;
}

int sb_json_next_element(sb_json *json, bool first) {
    skip_space(json);
    const uint8_t byte = sb_json_peek(json);
    if (byte == ']') {
        return leave(json);
    }
    if (!first) {
        if (byte != ',') {
            (void)fail(json, SB_EXPECTED_COMMA_OR_BRACKET);
            return -1;
        }
        json->separator = json->at++;
        skip_space(json);
    }
    return 1;
}

/* Bytes that need a look: quote, backslash, control characters and everything that is not ASCII.
 * Read as signed, the last two are one comparison. */
static inline bool is_special(uint8_t byte) {
    return ((int8_t)byte < 0x20) | (byte == '"') | (byte == '\\');
}

#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SB_FINDS_IN_WORDS 1

/* is_special for eight bytes at once: the top bit of each byte that is. A borrow can spoil bytes
 * above a hit, so only the lowest one may be trusted, which is the one we are after. */
static inline uint64_t special_in_word(uint64_t word) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t quote = word ^ (ones * '"');
    const uint64_t backslash = word ^ (ones * '\\');
    const uint64_t control = (word - ones * 0x20) & ~word;
    return (control | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | word) & (ones * 0x80);
}
#endif

static inline const uint8_t *skip_plain(const uint8_t *at, const uint8_t *end) {
    /* Branch-free over a fixed block, so that compilers turn it into vector instructions. */
    enum { BLOCK = 32 };
    while (end - at >= BLOCK) {
        uint8_t special = 0;
        for (int i = 0; i < BLOCK; i++) {
            special = (uint8_t)(special | is_special(at[i]));
        }
        if (special) {
            break;
        }
        at += BLOCK;
    }
#ifdef SB_FINDS_IN_WORDS
    while (end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        const uint64_t special = special_in_word(word);
        if (special != 0) {
            return at + __builtin_ctzll(special) / 8;
        }
        at += 8;
    }
#endif
    while (at < end && !is_special(*at)) {
        at++;
    }
    return at;
}

/* Length of the UTF-8 sequence at `at`, or 0 if it is cut short, overlong, a surrogate or beyond U+10FFFF.
 * Unicode 15, table 3-7: only the second byte has ranges that depend on the first. */
static uint32_t utf8_length(const uint8_t *at, const uint8_t *end) {
    const uint8_t lead = at[0];
    const uint32_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || (size_t)(end - at) < length) {
        return 0;
    }
    uint8_t low = 0x80, high = 0xbf;
    switch (lead) {
    case 0xe0: low = 0xa0; break;
    case 0xed: high = 0x9f; break;
    case 0xf0: low = 0x90; break;
    case 0xf4: high = 0x8f; break;
    default: break;
    }
    if (at[1] < low || at[1] > high) {
        return 0;
    }
    for (uint32_t i = 2; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}

bool sb_utf8_is_valid(const uint8_t *text, size_t size) {
    const uint8_t *const end = text + size;
    while (text < end) {
        const uint32_t length = *text < 0x80 ? 1 : utf8_length(text, end);
        if (length == 0) {
            return false;
        }
        text += length;
    }
    return true;
}

static int hex_value(uint8_t byte) {
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    const uint8_t lower = byte | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Reads the four digits after a backslash and u. False with a fault set. */
static bool hex4(sb_json *json, uint32_t backslash, uint32_t *unit) {
    *unit = 0;
    for (uint32_t i = backslash + 2; i < backslash + 6; i++) {
        if (i >= json->size) {
            return fail_at(json, SB_ENDS_EARLY, json->size);
        }
        const int digit = hex_value(json->body[i]);
        if (digit < 0) {
            return fail_at(json, SB_BAD_ESCAPE, backslash);
        }
        *unit = *unit << 4 | (uint32_t)digit;
    }
    return true;
}

bool sb_json_string(sb_json *json, sb_string *out) {
    const uint8_t *const body = json->body;
    const uint8_t *const end = body + json->size;
    const uint8_t *at = body + json->at + 1;
    uint32_t saved = 0;               /* bytes that unescaping takes away */
    const uint8_t *after_high = NULL; /* where a low surrogate would complete a pair */
    out->start = json->at + 1;
    for (;;) {
        at = skip_plain(at, end);
        if (at == end) {
            return fail_at(json, SB_ENDS_EARLY, json->size);
        }
        const uint8_t byte = *at;
        if (byte == '"') {
            break;
        }
        if (byte >= 0x80) {
            do {
                const uint32_t length = utf8_length(at, end);
                if (length == 0) {
                    return fail_at(json, SB_BAD_UTF8, (uint32_t)(at - body));
                }
                at += length;
            } while (at < end && *at >= 0x80);
            continue;
        }
        const uint32_t here = (uint32_t)(at - body);
        if (byte != '\\') {
            return fail_at(json, SB_CONTROL_CHARACTER, here);
        }
        if (end - at < 2) {
            return fail_at(json, SB_ENDS_EARLY, json->size);
        }
        switch (at[1]) {
        case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
            saved += 1;
            at += 2;
            break;
        case 'u': {
            uint32_t unit;
            if (!hex4(json, here, &unit)) {
                return false;
            }
            const bool completes_pair = at == after_high && unit >= 0xdc00 && unit <= 0xdfff;
            saved += unit < 0x80 ? 5 : unit < 0x800 ? 4 : 3;
            at += 6;
            after_high = unit >= 0xd800 && unit <= 0xdbff ? at : NULL;
            if (completes_pair) {
                saved += 2; /* a pair is 4 bytes, two halves counted alone are 6 */
            }
            break;
        }
        default:
            return fail_at(json, SB_BAD_ESCAPE, here);
        }
    }
    out->end = (uint32_t)(at - body);
    out->text_bytes = out->end - out->start - saved;
    json->at = out->end + 1;
    return true;
}

static bool is_digit(uint8_t byte) {
    return byte >= '0' && byte <= '9';
}

static bool digits(sb_json *json) {
    if (!is_digit(sb_json_peek(json))) {
        return fail(json, SB_EXPECTED_DIGIT);
    }
    while (is_digit(sb_json_peek(json))) {
        json->at++;
    }
    return true;
}

static bool number(sb_json *json) {
    if (sb_json_peek(json) == '-') {
        json->at++;
    }
    if (sb_json_peek(json) == '0') {
        json->at++; /* a digit after it is caught as something unexpected behind a value */
    } else if (!digits(json)) {
        return false;
    }
    if (sb_json_peek(json) == '.') {
        json->at++;
        if (!digits(json)) {
            return false;
        }
    }
    if ((sb_json_peek(json) | 0x20) == 'e') {
        json->at++;
        if (sb_json_peek(json) == '+' || sb_json_peek(json) == '-') {
            json->at++;
        }
        return digits(json);
    }
    return true;
}

static bool literal(sb_json *json, const char *word, uint32_t length) {
    if (json->size - json->at < length || memcmp(json->body + json->at, word, length) != 0) {
        return fail(json, SB_EXPECTED_VALUE);
    }
    json->at += length;
    return true;
}

static bool scalar(sb_json *json) {
    sb_string ignored;
    switch (sb_json_peek(json)) {
    case '"': return sb_json_string(json, &ignored);
    case 't': return literal(json, "true", 4);
    case 'f': return literal(json, "false", 5);
    case 'n': return literal(json, "null", 4);
    case '-': case '0': case '1': case '2': case '3': case '4':
    case '5': case '6': case '7': case '8': case '9': return number(json);
    default: return fail(json, SB_EXPECTED_VALUE);
    }
}

bool sb_json_skip(sb_json *json) {
    const uint32_t base = json->depth;
    bool is_object[SB_MAX_DEPTH + 1]; /* by depth; written before it is read */
    sb_string key;
    for (;;) {
        const uint8_t byte = sb_json_peek(json);
        bool first = byte == '{' || byte == '[';
        if (first) {
            if (!sb_json_enter(json)) {
                return false;
            }
            is_object[json->depth] = byte == '{';
        } else if (!scalar(json)) {
            return false;
        }
        for (int more = 0; more == 0; first = false) {
            if (json->depth == base) {
                return true;
            }
            more = is_object[json->depth] ? sb_json_next_member(json, first, &key) : sb_json_next_element(json, first);
            if (more < 0) {
                return false;
            }
        }
    }
}
