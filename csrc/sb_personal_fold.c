/* The folding half of sb_personal.h. */
#include <stdbool.h>
#include <string.h>

#include "sb_personal.h"

enum { BLOCK = 32, DROPPED = 0 };

typedef struct {
    uint32_t first, last; /* code points, both inclusive */
    uint8_t to;           /* for all of them; or for the first, where the others follow in ASCII's order */
    uint8_t period;       /* after so many the order begins again; 0: all become the same */
} fold;

/* In the order of code points. */
static const fold FOLDS[] = {
    {0x00a0, 0x00a0, ' ', 0},  {0x00aa, 0x00aa, 'a', 0},  {0x00ad, 0x00ad, DROPPED, 0}, {0x00b2, 0x00b3, '2', 10},
    {0x00b9, 0x00b9, '1', 0},  {0x00ba, 0x00ba, 'o', 0},  {0x00c0, 0x00d6, 0xff, 0},    {0x00d8, 0x00f6, 0xff, 0},
    {0x00f8, 0x0390, 0xff, 0}, {0x0391, 0x0392, 'A', 26}, {0x0393, 0x0394, 0xff, 0},    {0x0395, 0x0395, 'E', 0},
    {0x0396, 0x0396, 'Z', 0},  {0x0397, 0x0397, 'H', 0},  {0x0398, 0x0398, 0xff, 0},    {0x0399, 0x0399, 'I', 0},
    {0x039a, 0x039a, 'K', 0},  {0x039b, 0x039b, 0xff, 0}, {0x039c, 0x039d, 'M', 26},    {0x039e, 0x039e, 0xff, 0},
    {0x039f, 0x039f, 'O', 0},  {0x03a0, 0x03a0, 0xff, 0}, {0x03a1, 0x03a1, 'P', 0},     {0x03a2, 0x03a3, 0xff, 0},
    {0x03a4, 0x03a4, 'T', 0},  {0x03a5, 0x03a5, 'Y', 0},  {0x03a6, 0x03a6, 0xff, 0},    {0x03a7, 0x03a7, 'X', 0},
    {0x03a8, 0x03be, 0xff, 0}, {0x03bf, 0x03bf, 'o', 0},  {0x03c0, 0x0404, 0xff, 0},    {0x0405, 0x0405, 'S', 0},
    {0x0406, 0x0406, 'I', 0},  {0x0407, 0x0407, 0xff, 0}, {0x0408, 0x0408, 'J', 0},     {0x0409, 0x040f, 0xff, 0},
    {0x0410, 0x0410, 'A', 0},  {0x0411, 0x0411, 0xff, 0}, {0x0412, 0x0412, 'B', 0},     {0x0413, 0x0414, 0xff, 0},
    {0x0415, 0x0415, 'E', 0},  {0x0416, 0x0419, 0xff, 0}, {0x041a, 0x041a, 'K', 0},     {0x041b, 0x041b, 0xff, 0},
    {0x041c, 0x041c, 'M', 0},  {0x041d, 0x041d, 'H', 0},  {0x041e, 0x041e, 'O', 0},     {0x041f, 0x041f, 0xff, 0},
    {0x0420, 0x0420, 'P', 0},  {0x0421, 0x0421, 'C', 0},  {0x0422, 0x0422, 'T', 0},     {0x0423, 0x0424, 0xff, 0},
    {0x0425, 0x0425, 'X', 0},  {0x0426, 0x042f, 0xff, 0}, {0x0430, 0x0430, 'a', 0},     {0x0431, 0x0434, 0xff, 0},
    {0x0435, 0x0435, 'e', 0},  {0x0436, 0x043d, 0xff, 0}, {0x043e, 0x043e, 'o', 0},     {0x043f, 0x043f, 0xff, 0},
    {0x0440, 0x0441, 'p', 0},  {0x0442, 0x0442, 0xff, 0}, {0x0443, 0x0443, 'y', 0},     {0x0444, 0x0444, 0xff, 0},
    {0x0445, 0x0445, 'x', 0},  {0x0446, 0x0454, 0xff, 0}, {0x0455, 0x0455, 's', 0},     {0x0456, 0x0456, 'i', 0},
    {0x0457, 0x0457, 0xff, 0}, {0x0458, 0x0458, 'j', 0},  {0x0459, 0x061b, 0xff, 0},    {0x061c, 0x061c, DROPPED, 0},
    {0x061d, 0x065f, 0xff, 0}, {0x0660, 0x0669, '0', 10}, {0x066a, 0x06ef, 0xff, 0},    {0x06f0, 0x06f9, '0', 10},
    {0x06fa, 0x07bf, 0xff, 0}, {0x07c0, 0x07c9, '0', 10}, {0x07ca, 0x0965, 0xff, 0},    {0x0966, 0x096f, '0', 10},
    {0x0970, 0x09e5, 0xff, 0}, {0x09e6, 0x09ef, '0', 10}, {0x09f0, 0x0a65, 0xff, 0},    {0x0a66, 0x0a6f, '0', 10},
    {0x0a70, 0x0ae5, 0xff, 0}, {0x0ae6, 0x0aef, '0', 10}, {0x0af0, 0x0b65, 0xff, 0},    {0x0b66, 0x0b6f, '0', 10},
    {0x0b70, 0x0be5, 0xff, 0}, {0x0be6, 0x0bef, '0', 10}, {0x0bf0, 0x0c65, 0xff, 0},    {0x0c66, 0x0c6f, '0', 10},
    {0x0c70, 0x0ce5, 0xff, 0}, {0x0ce6, 0x0cef, '0', 10}, {0x0cf0, 0x0d65, 0xff, 0},    {0x0d66, 0x0d6f, '0', 10},
    {0x0d70, 0x0dff, 0xff, 0}, {0x0e50, 0x0e59, '0', 10}, {0x0ed0, 0x0ed9, '0', 10},    {0x0f20, 0x0f29, '0', 10},
    {0x1040, 0x1049, '0', 10}, {0x10a0, 0x10ff, 0xff, 0}, {0x17e0, 0x17e9, '0', 10},    {0x180b, 0x180f, DROPPED, 0},
    {0x1810, 0x1819, '0', 10}, {0x1e00, 0x1fff, 0xff, 0}, {0x200b, 0x200f, DROPPED, 0}, {0x2010, 0x2015, '-', 0},
    {0x2024, 0x2024, '.', 0},  {0x2028, 0x2029, '\n', 0}, {0x202a, 0x202e, DROPPED, 0}, {0x2043, 0x2043, '-', 0},
    {0x2060, 0x206f, DROPPED, 0}, {0x2070, 0x2070, '0', 0}, {0x2074, 0x2079, '4', 10},  {0x2080, 0x2089, '0', 10},
    {0x20e3, 0x20e3, DROPPED, 0}, {0x2212, 0x2212, '-', 0}, {0x2460, 0x2468, '1', 10},  {0x24ea, 0x24ea, '0', 0},
    {0x2776, 0x277e, '1', 10}, {0x3002, 0x3002, '.', 0},  {0xfe00, 0xfe0f, DROPPED, 0}, {0xfe58, 0xfe58, '-', 0},
    {0xfe63, 0xfe63, '-', 0},  {0xfe6b, 0xfe6b, '@', 0},  {0xfeff, 0xfeff, DROPPED, 0}, {0xff01, 0xff5e, '!', 94},
    {0xff61, 0xff61, '.', 0},  {0x104a0, 0x104a9, '0', 10}, {0x1d7ce, 0x1d7ff, '0', 10},
    {0x1fbf0, 0x1fbf9, '0', 10}, {0xe0000, 0xe007f, DROPPED, 0}};

/* Bold, italic and other letters for formulas: A to Z and a to z, over and over. */
enum { FIRST_MATHS_LETTER = 0x1d400, LAST_MATHS_LETTER = 0x1d6a3 };

static uint8_t fold_code(uint32_t code) {
    if (code >= FIRST_MATHS_LETTER && code <= LAST_MATHS_LETTER) {
        const uint32_t place = (code - FIRST_MATHS_LETTER) % 52;
        return (uint8_t)(place < 26 ? 'A' + place : 'a' + place - 26);
    }
    size_t low = 0, high = sizeof FOLDS / sizeof *FOLDS;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (FOLDS[middle].last < code) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == sizeof FOLDS / sizeof *FOLDS || code < FOLDS[low].first) {
        return ' ';
    }
    if (code == 0x0441) {
        return 'c'; /* Cyrillic, behind its p */
    }
    const fold *found = &FOLDS[low];
    return (uint8_t)(found->period > 0 ? found->to + (code - found->first) % found->period : found->to);
}

/* Length of the UTF-8 character at `at`, 0 if there is none. */
static size_t decode(const uint8_t *at, size_t left, uint32_t *code) {
    const uint8_t lead = at[0];
    const size_t length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (length == 0 || left < length) {
        return 0;
    }
    *code = lead & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
        *code = *code << 6 | (at[i] & 0x3fu);
    }
    static const uint32_t SMALLEST[] = {0, 0, 0x80, 0x800, 0x10000};
    const bool is_surrogate = *code >= 0xd800 && *code <= 0xdfff;
    return *code < SMALLEST[length] || *code > 0x10ffff || is_surrogate ? 0 : length;
}

static int hex(uint8_t byte) {
    return byte >= '0' && byte <= '9'   ? byte - '0'
           : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
           : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                                        : -1;
}

/* The four digits behind \u; -1 if there are not four. */
static int32_t hex4(const uint8_t *at, size_t left) {
    int32_t code = 0;
    if (left < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        const int digit = hex(at[i]);
        if (digit < 0) {
            return -1;
        }
        code = code << 4 | digit;
    }
    return code;
}

static uint8_t *put(uint8_t *out, uint32_t code) {
    const uint8_t byte = code < 0x80 ? (uint8_t)code : fold_code(code);
    *out = byte;
    return byte == DROPPED && code >= 0x80 ? out : out + 1;
}

/* What an escape stands for: `at` is behind any number of backslashes. Returns how many bytes it takes. */
static size_t unescape(const uint8_t *at, size_t left, uint8_t **out) {
    if (left == 0) {
        *(*out)++ = '\\';
        return 0;
    }
    switch (at[0]) {
    case 'n':
    case 'r': *(*out)++ = '\n'; return 1;
    case 't':
    case 'b':
    case 'f': *(*out)++ = ' '; return 1;
    case '"':
    case '/': *(*out)++ = at[0]; return 1;
    case 'u': break;
    default: *(*out)++ = '\\'; return 0;
    }
    int32_t code = hex4(at + 1, left - 1);
    if (code < 0) {
        *(*out)++ = '\\';
        return 0;
    }
    size_t taken = 5;
    if (code >= 0xd800 && code <= 0xdbff) { /* the other half may have as many backslashes of its own */
        size_t next = taken;
        while (next < left && at[next] == '\\') {
            next++;
        }
        const int32_t low = next > taken && next < left && at[next] == 'u' ? hex4(at + next + 1, left - next - 1) : -1;
        if (low >= 0xdc00 && low <= 0xdfff) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            taken = next + 5;
        }
    }
    *out = put(*out, (uint32_t)code);
    return taken;
}

size_t sb_personal_plain(const uint8_t *text, size_t size) {
    size_t at = 0;
    for (; size - at >= BLOCK; at += BLOCK) {
        uint8_t special = 0; /* no early exit: compilers make one wide comparison of it */
        for (size_t i = 0; i < BLOCK; i++) {
            special |= (uint8_t)((text[at + i] >= 0x80) | (text[at + i] == '\\'));
        }
        if (special) {
            break;
        }
    }
    while (at < size && text[at] < 0x80 && text[at] != '\\') {
        at++;
    }
    return at;
}

size_t sb_personal_fold(const uint8_t *text, size_t size, uint8_t *out) {
    uint8_t *const begin = out;
    size_t at = 0;
    while (at < size) {
        if (text[at] == '\\') {
            do {
                at++;
            } while (at < size && text[at] == '\\');
            at += unescape(text + at, size - at, &out);
        } else if (text[at] >= 0x80) {
            uint32_t code;
            const size_t length = decode(text + at, size - at, &code);
            if (length == 0) {
                *out++ = ' ';
                at++;
            } else {
                out = put(out, code);
                at += length;
            }
        } else {
            const size_t plain = sb_personal_plain(text + at, size - at);
            memcpy(out, text + at, plain);
            out += plain;
            at += plain;
        }
    }
    return (size_t)(out - begin);
}
