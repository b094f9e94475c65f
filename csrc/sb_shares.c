#include "sb_shares.h"

#include <string.h>

#include "sb_surface.h"

/* ---- scripts ---- */

typedef struct {
    uint32_t first;
    uint32_t last;
    uint8_t script; /* SB_SCRIPT_COUNT: no letters */
} range;

/* Sorted, without gaps in what matters: a code point in none of them is a letter of another script.
 * Unicode 15 blocks, narrowed to letters where punctuation and digits are in the block too. */
static const range RANGES[] = {
    {0x0000, 0x00a9, SB_SCRIPT_COUNT}, {0x00aa, 0x00aa, SB_LATIN},        {0x00ab, 0x00b9, SB_SCRIPT_COUNT},
    {0x00ba, 0x00ba, SB_LATIN},        {0x00bb, 0x00bf, SB_SCRIPT_COUNT}, {0x00c0, 0x00d6, SB_LATIN},
    {0x00d7, 0x00d7, SB_SCRIPT_COUNT}, {0x00d8, 0x00f6, SB_LATIN},        {0x00f7, 0x00f7, SB_SCRIPT_COUNT},
    {0x00f8, 0x02af, SB_LATIN},        {0x02b0, 0x036f, SB_SCRIPT_COUNT}, {0x0370, 0x03ff, SB_GREEK},
    {0x0400, 0x052f, SB_CYRILLIC},     {0x0591, 0x05cf, SB_SCRIPT_COUNT}, {0x05d0, 0x05f2, SB_HEBREW},
    {0x05f3, 0x061f, SB_SCRIPT_COUNT}, {0x0620, 0x064a, SB_ARABIC},       {0x064b, 0x066d, SB_SCRIPT_COUNT},
    {0x066e, 0x06d3, SB_ARABIC},       {0x06d4, 0x06f9, SB_SCRIPT_COUNT}, {0x06fa, 0x06ff, SB_ARABIC},
    {0x0750, 0x077f, SB_ARABIC},       {0x08a0, 0x08ff, SB_ARABIC},       {0x0900, 0x0963, SB_DEVANAGARI},
    {0x0964, 0x0970, SB_SCRIPT_COUNT}, {0x0971, 0x097f, SB_DEVANAGARI},   {0x0e01, 0x0e3a, SB_THAI},
    {0x0e3f, 0x0e3f, SB_SCRIPT_COUNT}, {0x0e40, 0x0e4e, SB_THAI},         {0x0e4f, 0x0e5b, SB_SCRIPT_COUNT},
    {0x1100, 0x11ff, SB_HANGUL},       {0x1c80, 0x1c8f, SB_CYRILLIC},     {0x1e00, 0x1eff, SB_LATIN},
    {0x1f00, 0x1fff, SB_GREEK},        {0x2000, 0x2c5f, SB_SCRIPT_COUNT}, {0x2c60, 0x2c7f, SB_LATIN},
    {0x2de0, 0x2dff, SB_CYRILLIC},     {0x2e00, 0x3004, SB_SCRIPT_COUNT}, {0x3005, 0x3007, SB_CJK},
    {0x3008, 0x3040, SB_SCRIPT_COUNT}, {0x3041, 0x3096, SB_KANA},         {0x3097, 0x309c, SB_SCRIPT_COUNT},
    {0x309d, 0x309f, SB_KANA},         {0x30a0, 0x30a0, SB_SCRIPT_COUNT}, {0x30a1, 0x30fa, SB_KANA},
    {0x30fb, 0x30fb, SB_SCRIPT_COUNT}, {0x30fc, 0x30ff, SB_KANA},         {0x3130, 0x318f, SB_HANGUL},
    {0x31f0, 0x31ff, SB_KANA},         {0x3200, 0x33ff, SB_SCRIPT_COUNT}, {0x3400, 0x4dbf, SB_CJK},
    {0x4dc0, 0x4dff, SB_SCRIPT_COUNT}, {0x4e00, 0x9fff, SB_CJK},          {0xa640, 0xa69f, SB_CYRILLIC},
    {0xa720, 0xa7ff, SB_LATIN},        {0xa8e0, 0xa8ff, SB_DEVANAGARI},   {0xa960, 0xa97f, SB_HANGUL},
    {0xac00, 0xd7af, SB_HANGUL},       {0xd800, 0xf8ff, SB_SCRIPT_COUNT}, {0xf900, 0xfaff, SB_CJK},
    {0xfb00, 0xfb06, SB_LATIN},        {0xfb1d, 0xfb4f, SB_HEBREW},       {0xfb50, 0xfdff, SB_ARABIC},
    {0xfe00, 0xfe6f, SB_SCRIPT_COUNT}, {0xfe70, 0xfefc, SB_ARABIC},       {0xfefd, 0xff20, SB_SCRIPT_COUNT},
    {0xff21, 0xff3a, SB_LATIN},        {0xff3b, 0xff40, SB_SCRIPT_COUNT}, {0xff41, 0xff5a, SB_LATIN},
    {0xff5b, 0xff65, SB_SCRIPT_COUNT}, {0xff66, 0xff9d, SB_KANA},         {0xff9e, 0xff9f, SB_SCRIPT_COUNT},
    {0xffa0, 0xffdc, SB_HANGUL},       {0xffdd, 0xffff, SB_SCRIPT_COUNT}, {0x1d400, 0x1d7ff, SB_SCRIPT_COUNT},
    {0x1f000, 0x1faff, SB_SCRIPT_COUNT}, {0x20000, 0x3ffff, SB_CJK},      {0x40000, 0x10ffff, SB_SCRIPT_COUNT},
};

static const range *range_of(uint32_t code) {
    static const range other = {0xffffffff, 0, SB_OTHER_SCRIPT}; /* holds nothing, so it is looked up each time */
    size_t low = 0, high = sizeof RANGES / sizeof *RANGES;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (code > RANGES[middle].last) {
            low = middle + 1;
        } else if (code < RANGES[middle].first) {
            high = middle;
        } else {
            return &RANGES[middle];
        }
    }
    return &other;
}

static size_t decode(const uint8_t *at, uint32_t *code) {
    if (at[0] < 0xe0) {
        *code = (at[0] & 0x1fu) << 6 | (at[1] & 0x3fu);
        return 2;
    }
    if (at[0] < 0xf0) {
        *code = (at[0] & 0x0fu) << 12 | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu);
        return 3;
    }
    *code = (at[0] & 0x07u) << 18 | (at[1] & 0x3fu) << 12 | (at[2] & 0x3fu) << 6 | (at[3] & 0x3fu);
    return 4;
}

static bool is_letter(uint8_t byte) {
    return (uint8_t)((byte | 0x20) - 'a') < 26;
}

static void count_scripts(const uint8_t *text, size_t size, sb_shares *out) {
    enum { BLOCK = 64 };
    uint32_t counts[SB_SCRIPT_COUNT + 1] = {0};
    const range *last = RANGES;
    size_t at = 0;
    while (at < size) {
        /* Branch-free over a fixed block, so that compilers turn it into vector instructions. */
        if (size - at >= BLOCK) {
            uint8_t letters = 0, wide = 0;
            for (size_t i = at; i < at + BLOCK; i++) {
                letters = (uint8_t)(letters + is_letter(text[i]));
                wide |= text[i];
            }
            if (wide < 0x80) {
                counts[SB_LATIN] += letters;
                at += BLOCK;
                continue;
            }
        }
        const size_t end = size - at < BLOCK ? size : at + BLOCK;
        while (at < end) {
            if (text[at] < 0x80) {
                counts[SB_LATIN] += is_letter(text[at++]);
                continue;
            }
            uint32_t code;
            at += decode(text + at, &code);
            if (code < last->first || code > last->last) {
                last = range_of(code); /* text stays in one script for a while */
            }
            counts[last->script]++;
        }
    }
    memcpy(out->letters, counts, sizeof out->letters);
}

/* ---- lines ---- */

typedef struct {
    const uint8_t *at;
    size_t size;
} line;

static bool is_name(uint8_t byte) {
    return is_letter(byte) || (byte >= '0' && byte <= '9') || byte == '_';
}

static bool is_one_of(uint8_t byte, const char *set) {
    return byte != 0 && strchr(set, byte) != NULL;
}

static line trimmed(const uint8_t *at, size_t size) {
    while (size > 0 && is_one_of(at[0], " \t")) {
        at++;
        size--;
    }
    while (size > 0 && is_one_of(at[size - 1], " \t\r")) {
        size--;
    }
    return (line){at, size};
}

static bool starts_with(const line *l, const char *word) {
    const size_t length = strlen(word);
    return l->size >= length && memcmp(l->at, word, length) == 0;
}

static bool starts_with_word(const line *l, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const size_t length = strlen(words[i]);
        if (starts_with(l, words[i]) && (l->size == length || !is_name(l->at[length]))) {
            return true;
        }
    }
    return false;
}

/* NAME = ..., NAME += ..., NAME["key"].field := ... */
static bool assigns(const line *l) {
    size_t at = 0;
    if (l->size == 0 || !(is_letter(l->at[0]) || l->at[0] == '_')) {
        return false;
    }
    while (at < l->size && (is_name(l->at[at]) || is_one_of(l->at[at], ".[]\"'"))) {
        at++;
    }
    at += at < l->size && l->at[at] == ' ';
    at += at < l->size && is_one_of(l->at[at], "-+*/|&:");
    return at < l->size && l->at[at] == '=' && (at + 1 == l->size || l->at[at + 1] != '=');
}

static bool calls(const line *l) {
    size_t at = 0;
    if (l->size == 0 || l->at[l->size - 1] != ')' || !(is_letter(l->at[0]) || l->at[0] == '_')) {
        return false;
    }
    while (is_name(l->at[at]) || l->at[at] == '.') {
        at++; /* the ")" at the end stops this */
    }
    return l->at[at] == '(';
}

static bool is_code(const line *l) {
    static const char *const always[] = {"return", "import", "#include", "#define"};
    static const char *const keywords[] = {
        "async", "await", "case", "catch", "class", "const", "def", "elif", "else", "except", "finally", "fn", "for",
        "from", "func", "function", "if", "let", "match", "private", "public", "static", "struct", "switch", "try",
        "var", "while", "with", "SELECT", "INSERT", "UPDATE", "DELETE", "WHERE", "JOIN"};
    if (l->size == 0) {
        return false;
    }
    const uint8_t last = l->at[l->size - 1];
    return starts_with(l, "//") || is_one_of(last, ";{}") || (l->at[0] == '<' && last == '>') ||
           starts_with_word(l, always, sizeof always / sizeof *always) ||
           (is_one_of(last, ":(),]") && starts_with_word(l, keywords, sizeof keywords / sizeof *keywords)) ||
           assigns(l) || calls(l);
}

static bool is_maths(const uint8_t *at, size_t size) {
    sb_lexicon_slot none = {0};
    const sb_lexicon no_words = {&none, 0};
    sb_surface counts;
    sb_surface_count(at, size, &no_words, &counts);
    return counts.maths;
}

void sb_shares_count(const uint8_t *text, size_t size, bool has_code, bool has_maths, sb_shares *out) {
    bool fenced = false;
    memset(out, 0, sizeof *out);
    count_scripts(text, size, out);
    if (!has_code && !has_maths) {
        return;
    }
    for (size_t at = 0; at < size;) {
        const uint8_t *newline = memchr(text + at, '\n', size - at);
        const size_t length = newline == NULL ? size - at : (size_t)(newline - (text + at)) + 1;
        const line inside = trimmed(text + at, length - (newline != NULL));
        const bool fence = starts_with(&inside, "```");
        if (has_code && (fence || fenced || is_code(&inside))) {
            out->code_bytes += length;
        } else if (has_maths && is_maths(text + at, length)) {
            out->maths_bytes += length;
        }
        fenced ^= fence;
        at += length;
    }
}
