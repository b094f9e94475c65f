/* Shapes of code and of formulas in a text; each is looked for around a byte that may belong to it.
 *
 * The private half of sb_surface.c, whose header defines the shapes; nothing else includes it. However often
 * a shape begins in a text and does not end, no byte is read more than a few times. */
#ifndef SB_SHAPES_H
#define SB_SHAPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What was found up to now. */
typedef struct {
    bool code;
    bool maths;
    bool weak_maths; /* shapes that code has too */
    size_t searched; /* see is_query */
} shapes;

static bool between(uint32_t code, uint32_t first, uint32_t last) {
    return code - first <= last - first;
}

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

/* `searched` is how far earlier SELECTs found neither FROM nor ";": each byte is read once, however many there are. */
static bool is_query(const text *t, size_t select, size_t *searched) {
    enum { REACH = 400 };
    if (!follows(t, select, "SELECT") || is_name(peek(t, select - 1)) || !is_space(peek(t, select + 6))) {
        return false;
    }
    const size_t first = select + 7;
    size_t at = *searched > first ? *searched : first;
    for (; at < first + REACH && at < t->size && t->bytes[at] != ';'; at++) {
        if (at > first && is_space(t->bytes[at]) && follows(t, at + 1, "FROM") && is_space(peek(t, at + 5))) {
            return true;
        }
    }
    *searched = at;
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

static void look_around(const text *t, size_t at, shapes *found) {
    switch (t->bytes[at]) {
    case '`': found->code |= follows(t, at, "```"); break;
    case '(': found->code |= follows(t, at, "();"); break;
    case '&': found->code |= follows(t, at, "&&"); break;
    case '{': found->code |= opens_block(t, at); break;
    case 'S': found->code |= is_query(t, at, &found->searched); break;
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

static void look_around_wide(const text *t, size_t at, uint32_t code, shapes *found) {
    if (between(code, 0x2200, 0x22ff)) {
        found->maths = true;
    } else if (code == 0xd7 || code == 0xf7) {
        found->weak_maths |= is_between_numbers(t, at, 2);
    }
}

#endif
