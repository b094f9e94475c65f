#include "sb_surface.h"

#include <string.h>

/* ---- the lexicon ---- */

static size_t hash_word(const char *word, size_t length) {
    uint32_t hash = 2166136261u; /* FNV-1a: the words are ours, nobody can choose them to collide */
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (uint8_t)word[i]) * 16777619u;
    }
    return hash ^ hash >> 15;
}

static sb_lexicon_slot *slot_of(const sb_lexicon *lexicon, const char *word, size_t length) {
    size_t i = hash_word(word, length) & lexicon->mask;
    while (lexicon->slots[i].length != 0 &&
           (lexicon->slots[i].length != length || memcmp(lexicon->slots[i].word, word, length) != 0)) {
        i = (i + 1) & lexicon->mask;
    }
    return &lexicon->slots[i];
}

void sb_lexicon_add(sb_lexicon *lexicon, const char *word, size_t length, uint8_t classes) {
    sb_lexicon_slot *slot = slot_of(lexicon, word, length);
    slot->length = (uint8_t)length;
    slot->classes |= classes;
    memcpy(slot->word, word, length);
}

/* ---- code points ---- */

typedef enum { SEPARATOR, LETTER, DIGIT, UNDERSCORE, APOSTROPHE, QUESTION, HALF_WORD } kind;

static bool between(uint32_t code, uint32_t first, uint32_t last) {
    return code - first <= last - first;
}

static kind ascii_kind(uint8_t byte) {
    if (between(byte | 0x20u, 'a', 'z')) {
        return LETTER;
    }
    if (between(byte, '0', '9')) {
        return DIGIT;
    }
    switch (byte) {
    case '_': return UNDERSCORE;
    case '\'': return APOSTROPHE;
    case '?': return QUESTION;
    default: return SEPARATOR;
    }
}

static kind wide_kind(uint32_t code) {
    if (code == 0x2019) {
        return APOSTROPHE; /* what phones type in "don't" */
    }
    if (code == 0xff1f || code == 0x061f) {
        return QUESTION;
    }
    if (code < 0xc0 || code == 0xd7 || code == 0xf7 || between(code, 0x2000, 0x2bff) || between(code, 0x3000, 0x303f) ||
        between(code, 0xfe30, 0xfe4f) || between(code, 0xff00, 0xff0f) || between(code, 0xff1a, 0xff20) ||
        code == 0xfffd || between(code, 0x1f000, 0x1faff)) {
        return SEPARATOR;
    }
    if (between(code, 0x0e00, 0x0eff) || between(code, 0x1000, 0x109f) || between(code, 0x1100, 0x11ff) ||
        between(code, 0x1780, 0x17ff) || between(code, 0x3040, 0x30ff) || between(code, 0x31f0, 0x31ff) ||
        between(code, 0x3400, 0x9fff) || between(code, 0xac00, 0xd7af) || between(code, 0xf900, 0xfaff) ||
        between(code, 0x20000, 0x3ffff)) {
        return HALF_WORD;
    }
    return LETTER;
}

/* Decodes the sequence at `at`, which is valid; returns its length. */
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

/* ---- shapes; each looks around a byte that may belong to one ---- */

/* Places are offsets: one step before the first byte wraps around, which `peek` answers like the end. */
typedef struct {
    const uint8_t *bytes;
    size_t size;
} text;

/* Byte at `at`, or 0 outside the text: no shape has a NUL in it. */
static uint8_t peek(const text *t, size_t at) {
    return at < t->size ? t->bytes[at] : 0;
}

static bool follows(const text *t, size_t at, const char *word) {
    const size_t length = strlen(word);
    return at <= t->size && t->size - at >= length && memcmp(t->bytes + at, word, length) == 0;
}

static bool is_letter(uint8_t byte) {
    return between(byte | 0x20u, 'a', 'z');
}

static bool is_digit(uint8_t byte) {
    return between(byte, '0', '9');
}

static bool is_name(uint8_t byte) {
    return is_letter(byte) || is_digit(byte) || byte == '_';
}

static bool is_blank(uint8_t byte) {
    return byte == ' ' || byte == '\t';
}

static bool is_space(uint8_t byte) {
    return is_blank(byte) || byte == '\n';
}

static bool is_one_of(uint8_t byte, const char *set) {
    return byte != 0 && strchr(set, byte) != NULL;
}

static bool opens_block(const text *t, size_t brace) {
    size_t at = brace + 1;
    while (is_blank(peek(t, at))) {
        at++;
    }
    at += peek(t, at) == '\r';
    return peek(t, at) == '\n';
}

static bool is_code_line(const text *t, size_t line) {
    static const char *const directives[] = {"#include", "#define"};
    static const char *const definitions[] = {"def ", "fn ", "func ", "function ", "class "};
    while (is_blank(peek(t, line))) {
        line++;
    }
    for (size_t i = 0; i < sizeof directives / sizeof *directives; i++) {
        if (follows(t, line, directives[i])) {
            return is_one_of(peek(t, line + strlen(directives[i])), " \t<\"");
        }
    }
    for (size_t i = 0; i < sizeof definitions / sizeof *definitions; i++) {
        if (follows(t, line, definitions[i])) {
            size_t at = line + strlen(definitions[i]);
            if (!is_name(peek(t, at)) || is_digit(peek(t, at))) {
                return false;
            }
            while (is_name(peek(t, at))) {
                at++;
            }
            return peek(t, at) == '(';
        }
    }
    return false;
}

static bool is_query(const text *t, size_t select) {
    enum { REACH = 400 };
    if (!follows(t, select, "SELECT") || is_name(peek(t, select - 1)) || !is_space(peek(t, select + 6))) {
        return false;
    }
    const size_t first = select + 7;
    for (size_t at = first; at < first + REACH && at < t->size && t->bytes[at] != ';'; at++) {
        if (at > first && is_space(t->bytes[at]) && follows(t, at + 1, "FROM") && is_space(peek(t, at + 5))) {
            return true;
        }
    }
    return false;
}

static bool is_tex_command(const text *t, size_t backslash) {
    static const char *const commands[] = {"frac", "int", "sum", "prod", "sqrt", "lim", "partial", "infty"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (follows(t, backslash + 1, commands[i]) && !is_letter(peek(t, backslash + 1 + strlen(commands[i])))) {
            return true;
        }
    }
    return false;
}

static bool is_inline_formula(const text *t, size_t dollar) {
    enum { LONGEST = 200 };
    size_t at = dollar + 1;
    bool has_operator = false;
    while (at < t->size && at <= dollar + LONGEST && t->bytes[at] != '$' && t->bytes[at] != '\n') {
        has_operator = has_operator || is_one_of(t->bytes[at], "\\^_=+*<>");
        at++;
    }
    const uint8_t first = peek(t, dollar + 1), last = peek(t, at - 1), after = peek(t, at + 1);
    return peek(t, at) == '$' && at > dollar + 1 && !is_blank(first) && !is_blank(last) && !is_letter(after) &&
           !is_digit(after) && (has_operator || !is_digit(first));
}

static bool is_between_numbers(const text *t, size_t operator, size_t length) {
    size_t left = operator - 1, right = operator + length;
    left -= peek(t, left) == ' ';
    right += peek(t, right) == ' ';
    return is_digit(peek(t, left)) && is_digit(peek(t, right));
}

static bool is_division(const text *t, size_t slash) {
    return peek(t, slash - 1) == ' ' && peek(t, slash + 1) == ' ' && is_between_numbers(t, slash, 1);
}

static bool is_equation(const text *t, size_t equals) {
    size_t right = equals + 1;
    right += peek(t, right) == ' ';
    const uint8_t next = peek(t, right);
    if (!(is_digit(next) || next == '(' || next == '-' || (is_letter(next) && !is_name(peek(t, right + 1))))) {
        return false;
    }
    size_t left = equals - 1;
    left -= peek(t, left) == ' ';
    if (peek(t, left) == ')') {
        return true;
    }
    const size_t last = left;
    left -= is_letter(peek(t, left));
    while (is_digit(peek(t, left))) {
        left--;
    }
    return left != last && (left >= t->size || is_one_of(t->bytes[left], " \t\n\r(^+*"));
}

typedef struct {
    bool code;
    bool maths;
    bool weak_maths; /* shapes that code has too */
} shapes;

static void look_around(const text *t, size_t at, shapes *found) {
    switch (t->bytes[at]) {
    case '`': found->code |= follows(t, at, "```"); break;
    case '(': found->code |= follows(t, at, "();"); break;
    case '&': found->code |= follows(t, at, "&&"); break;
    case '{': found->code |= opens_block(t, at); break;
    case 'S': found->code |= is_query(t, at); break;
    case '\n': found->code |= is_code_line(t, at + 1); break;
    case '\\': found->maths |= is_tex_command(t, at); break;
    case '$': found->maths |= is_inline_formula(t, at); break;
    case '+': case '*': case '^': case '>': found->weak_maths |= is_between_numbers(t, at, 1); break;
    case '/': found->weak_maths |= is_division(t, at); break;
    case '<':
        found->weak_maths |= is_between_numbers(t, at, 1);
        found->code |= peek(t, at + 1) == '/' && is_letter(peek(t, at + 2));
        break;
    case '=':
        found->weak_maths |= is_equation(t, at);
        found->code |= peek(t, at + 1) == '>';
        break;
    default: break;
    }
}

static void look_at_wide(const text *t, size_t at, uint32_t code, shapes *found) {
    if (between(code, 0x2200, 0x22ff)) {
        found->maths = true;
    } else if (code == 0xd7 || code == 0xf7) {
        found->weak_maths |= is_between_numbers(t, at, 2);
    }
}

/* ---- words ---- */

typedef struct {
    uint32_t length;        /* bytes in `letters`, or more than fit */
    bool is_ascii;
    bool counts;            /* holds a letter or digit */
    bool open;
    char letters[SB_LEXICON_WORD_BYTES + 1];
} word;

static void extend(word *w, kind k, uint32_t code) {
    w->open = true;
    w->counts |= k == LETTER || k == DIGIT;
    if (k == APOSTROPHE) {
        code = '\'';
        if (w->length == 0) {
            return; /* an opening quote */
        }
    }
    if (code >= 0x80) {
        w->is_ascii = false;
    }
    if (w->length <= SB_LEXICON_WORD_BYTES) {
        w->letters[w->length++] = (char)(between(code, 'A', 'Z') ? code | 0x20 : code);
    } else if (k != APOSTROPHE) {
        w->is_ascii = false; /* longer than any word of a lexicon */
    }
}

static void close(word *w, const sb_lexicon *lexicon, sb_surface *out) {
    if (w->counts) {
        out->words++;
        while (w->length > 0 && w->letters[w->length - 1] == '\'') {
            w->length--; /* a closing quote */
        }
        if (w->is_ascii && w->length > 0 && w->length <= SB_LEXICON_WORD_BYTES) {
            const uint8_t classes = slot_of(lexicon, w->letters, w->length)->classes;
            out->hard_keywords += (classes & SB_CLASS_HARD) != 0;
            out->negations += (classes & SB_CLASS_NEGATION) != 0;
        }
    }
    w->length = 0;
    w->is_ascii = true;
    w->counts = w->open = false;
}

void sb_surface_count(const uint8_t *bytes, size_t size, const sb_lexicon *lexicon, sb_surface *out) {
    const text t = {bytes, size};
    word current = {.is_ascii = true};
    uint32_t half_words = 0;
    kind previous = SEPARATOR;
    shapes found = {.code = is_code_line(&t, 0)};
    memset(out, 0, sizeof *out);
    for (size_t at = 0; at < size;) {
        uint32_t code = bytes[at];
        size_t length = 1;
        kind k;
        if (code < 0x80) {
            k = ascii_kind((uint8_t)code);
            if (k == SEPARATOR || code == 'S') {
                look_around(&t, at, &found);
            }
        } else {
            length = decode(bytes + at, &code);
            k = wide_kind(code);
            look_at_wide(&t, at, code, &found);
        }
        if (previous == QUESTION && k != QUESTION) {
            out->questions += k != LETTER && k != DIGIT && k != UNDERSCORE;
        }
        out->numbers += k == DIGIT && previous != DIGIT;
        if (k == LETTER || k == DIGIT || k == UNDERSCORE || k == APOSTROPHE) {
            extend(&current, k, code);
        } else if (current.open) {
            close(&current, lexicon, out);
        }
        half_words += k == HALF_WORD;
        previous = k;
        at += length;
    }
    close(&current, lexicon, out);
    out->questions += previous == QUESTION;
    out->words += (half_words + 1) / 2;
    out->code = found.code;
    out->maths = found.maths || (found.weak_maths && !found.code);
}
