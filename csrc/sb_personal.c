#include "sb_personal.h"

#include "sb_personal_checks.h"
#include "sb_personal_finder.h"

#include <string.h>

enum {
    BLOCK = 32,
    MAX_LOCAL = 64,   /* of an e-mail address, RFC 5321 */
    MAX_DOMAIN = 253, /* RFC 1035 */
    MIN_CARD = 12,
    MAX_CARD = 19,
    MIN_PHONE = 7,
    MAX_PHONE = 15, /* ITU-T E.164 */
    MAX_IPV6 = 45,
    MAX_DOCUMENT = 18
};

static bool is_card_gap(uint8_t byte) {
    return byte == ' ' || byte == '-' || byte == '.';
}

static bool is_phone_gap(uint8_t byte) {
    return is_card_gap(byte) || byte == '/' || byte == '(' || byte == ')';
}

enum { MAX_GAP = 3 };

/* Length of a run of 1 to MAX_GAP bytes between digits; 0 if there is none. */
static size_t gap_at(const finder *f, size_t at, bool (*is_gap)(uint8_t)) {
    size_t length = 0;
    while (length <= MAX_GAP && is_gap(peek(f, at + length))) {
        length++;
    }
    return length > 0 && length <= MAX_GAP && is_digit(peek(f, at + length)) ? length : 0;
}

static uint8_t upper(uint8_t byte) {
    return byte >= 'a' && byte <= 'z' ? (uint8_t)(byte & ~0x20) : byte;
}

/* ---- kinds ---- */

static bool is_local_part(uint8_t byte) {
    return is_alnum(byte) || byte == '.' || byte == '_' || byte == '%' || byte == '+' || byte == '-' || byte == '\'';
}

static bool is_file_ending(const uint8_t *word, size_t length) {
    static const char ENDINGS[][5] = {"png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "ts", "json"};
    for (size_t e = 0; e < sizeof ENDINGS / sizeof *ENDINGS; e++) {
        size_t same = 0;
        while (same < length && ENDINGS[e][same] != 0 && lower(word[same]) == (uint8_t)ENDINGS[e][same]) {
            same++;
        }
        if (same == length && (same == sizeof ENDINGS[e] || ENDINGS[e][same] == 0)) {
            return true;
        }
    }
    return false;
}

/* `at` is the end of the local part, `domain` the start of the other. */
static bool is_email(const finder *f, size_t at, size_t domain) {
    size_t start = at;
    while (start > 0 && at - start < MAX_LOCAL && is_local_part(f->text[start - 1])) {
        start--;
    }
    if (start == at || f->text[at - 1] == '.') {
        return false;
    }
    size_t label = domain, end = domain;
    bool has_dot = false;
    for (;;) {
        end = label;
        while (end < f->size && end - domain < MAX_DOMAIN && (is_alnum(f->text[end]) || f->text[end] == '-')) {
            end++;
        }
        if (end == label || peek(f, end) != '.' || !is_alnum(peek(f, end + 1)) || end - domain >= MAX_DOMAIN) {
            break;
        }
        has_dot = true;
        label = end + 1;
    }
    if (!has_dot || end - label < 2) {
        return false;
    }
    for (size_t i = label; i < end; i++) {
        if (!is_letter(f->text[i])) {
            return false;
        }
    }
    const bool is_remote = peek(f, end) == ':' && at - start == 3 && memcmp(f->text + start, "git", 3) == 0;
    return !is_remote && !is_file_ending(f->text + label, end - label);
}

static bool starts_card(finder *f, size_t at, size_t first) {
    uint8_t digits[MAX_CARD];
    const size_t start = at;
    size_t count = 0, run = first, gap = 0;
    if (first < 4) {
        return false;
    }
    for (;;) {
        if (count + run > MAX_CARD) {
            return false;
        }
        for (size_t i = 0; i < run; i++) {
            digits[count++] = (uint8_t)(f->text[at + i] - '0');
        }
        const size_t end = at + run;
        if (count >= MIN_CARD && ends_number(f, end) && sb_passes_luhn(digits, count) &&
            (sb_is_issued(digits, count) || sb_personal_is_about(f, start, ABOUT_CARD))) {
            return true;
        }
        const size_t length = gap_at(f, end, is_card_gap);
        if (run < 3 || run > 6 || length == 0 || (f->text[end] == '.' && first != 4) || (gap > 0 && (length != gap || memcmp(f->text + at - gap, f->text + end, gap) != 0))) {
            return false;
        }
        gap = length;
        at = end + gap;
        run = run_of_digits(f, at);
    }
}

static unsigned number_of(const finder *f, size_t at, size_t count) {
    unsigned value = 0;
    for (size_t i = 0; i < count; i++) {
        value = value * 10 + (f->text[at + i] - '0');
    }
    return value;
}

static bool is_ssn(finder *f, size_t at, size_t first) {
    const size_t step = first == 3 ? 1 : 0;
    const uint8_t gap = peek(f, at + 3);
    if (first != 3 && first != 9) {
        return false;
    }
    if (step == 1 && ((gap != '-' && gap != ' ' && gap != '.') || run_of_digits(f, at + 4) != 2 ||
                      peek(f, at + 6) != gap || run_of_digits(f, at + 7) != 4)) {
        return false;
    }
    const size_t end = at + 9 + 2 * step;
    const unsigned area = number_of(f, at, 3), group = number_of(f, at + 3 + step, 2),
                   serial = number_of(f, at + 5 + 2 * step, 4);
    if (area == 0 || area == 666 || area >= 900 || group == 0 || serial == 0 || !ends_number(f, end) ||
        (peek(f, end) == '-' && is_digit(peek(f, end + 1)))) {
        return false;
    }
    return (step == 1 && gap == '-') || sb_personal_is_about(f, at, ABOUT_SSN);
}

/* End of four numbers with dots; 0 if they are none. */
static size_t ipv4_end(const finder *f, size_t at) {
    for (int i = 0; i < 4; i++) {
        const size_t run = run_of_digits(f, at);
        if (run == 0 || run > 3 || number_of(f, at, run) > 255 || (run > 1 && f->text[at] == '0')) {
            return 0;
        }
        at += run;
        if (i < 3 && peek(f, at++) != '.') {
            return 0;
        }
    }
    return ends_number(f, at) ? at : 0;
}

static bool is_ipv4(finder *f, size_t at) {
    const size_t end = ipv4_end(f, at);
    if (end == 0) {
        return false;
    }
    const unsigned first = number_of(f, at, run_of_digits(f, at));
    if (first == 0 || first == 127 || first == 255) {
        return false;
    }
    return end - at > 7 || sb_personal_is_about(f, at, ABOUT_IP);
}

static bool is_ipv6(finder *f, size_t colon) {
    size_t start = colon, end = colon, groups = 0, run = 0, gaps = 0;
    bool has_digit = false;
    while (start > 0 && colon - start <= 4 && is_hex(f->text[start - 1])) {
        start--;
    }
    const uint8_t before = behind(f, start, 1);
    while (end < f->size && end - start < MAX_IPV6 && (is_hex(f->text[end]) || f->text[end] == ':')) {
        end++;
    }
    f->ipv6_until = end;
    if (is_word(before) || before == ':' || is_word(peek(f, end))) {
        return false;
    }
    if (f->text[end - 1] == ':' && end - start > 1 && f->text[end - 2] != ':') {
        end--; /* what follows is said of it */
    }
    for (size_t i = start; i < end; i++) {
        if (f->text[i] != ':') {
            has_digit |= is_digit(f->text[i]);
            groups += run == 0;
            if (++run > 4) {
                return false;
            }
            continue;
        }
        const bool is_pair = i > start && f->text[i - 1] == ':';
        gaps += is_pair;
        if (i == start && peek(f, i + 1) != ':') {
            return false;
        }
        run = 0;
    }
    return has_digit && (gaps == 0 ? groups == 8 : gaps == 1 && groups >= 3 && groups <= 7);
}

static bool is_north_american(const finder *f, size_t at, size_t first) {
    if (first == 1 && f->text[at] == '1' && gap_at(f, at + 1, is_card_gap) == 1) {
        at += 2;
        first = run_of_digits(f, at);
    } else if (first == 1 && f->text[at] == '1' && peek(f, at + 2) == '(' && is_digit(peek(f, at + 3))) {
        at += 3;
        first = run_of_digits(f, at);
    }
    if (first != 3) {
        return false;
    }
    const bool in_brackets = behind(f, at, 1) == '(' && peek(f, at + 3) == ')';
    size_t next = at + 3;
    uint8_t gap = peek(f, next);
    if (in_brackets) {
        next += peek(f, next + 1) == ' ' ? 2 : 1;
        gap = '-';
    } else if (gap == '-' || gap == '.' || gap == ' ') {
        next++;
    } else {
        return false;
    }
    const uint8_t last = peek(f, next + 3);
    if (run_of_digits(f, next) != 3 || (last != '-' && last != '.' && last != ' ') ||
        run_of_digits(f, next + 4) != 4) {
        return false;
    }
    if (gap != '-' && (last != gap || f->text[at] < '2' || f->text[next] < '2')) {
        return false;
    }
    const size_t end = next + 8;
    if (peek(f, end) == 'x' && is_digit(peek(f, end + 1))) {
        return true;
    }
    return ends_number(f, end) && !(peek(f, end) == '-' && is_digit(peek(f, end + 1)));
}

enum { MAX_GROUPS = 8 };

static bool is_phone(finder *f, size_t at, size_t first) {
    size_t lengths[MAX_GROUPS], groups = 0, total = 0, next = at, run = first;
    const uint8_t before = behind(f, at, 1);
    const size_t sign = before == '(' ? 2 : 1;
    const uint8_t ahead = behind(f, at, sign + 1);
    const bool is_plus = behind(f, at, sign) == '+' && !is_word(ahead) && ahead != ')'; /* no sum */
    if (is_plus && before == '+' && first == 1 && f->text[at] == '0') {
        return false;
    }
    if (!is_plus && is_north_american(f, at, first)) {
        return true;
    }
    uint8_t gap = 0;
    bool same_gap = true, has_single = false, is_plain = true;
    for (;;) {
        has_single = has_single || run == 1;
        total += run;
        if (total > MAX_PHONE || groups == MAX_GROUPS) {
            return false;
        }
        lengths[groups++] = run;
        const size_t end = next + run;
        const size_t length = gap_at(f, end, is_phone_gap);
        const bool is_over = length == 0 && ends_number(f, end);
        if (is_plus && total >= 8 && (is_over || (length > 0))) {
            return true;
        }
        if (is_over) {
            break;
        }
        if (length == 0) {
            return false;
        }
        same_gap = same_gap && length == 1 && (gap == 0 || gap == f->text[end]);
        gap = f->text[end];
        is_plain = is_plain && (gap == ' ' || gap == '-');
        next = end + length;
        run = run_of_digits(f, next);
    }
    if (is_plus || total < MIN_PHONE || ipv4_end(f, at) != 0) {
        return false;
    }
    const uint8_t second = peek(f, at + 1);
    if (f->text[at] == '0' && first >= 2 && first <= 5 && groups >= 2 && same_gap) {
        bool is_even = true;
        for (size_t i = 1; i < groups; i++) {
            is_even = is_even && lengths[i] >= 2 && lengths[i] <= 7;
        }
        if (is_even && second != '0' && total >= 9 && total <= 11) {
            return true;
        }
        if (is_even && second == '0' && first >= 4 && groups >= 3 && total >= 10) {
            return true;
        }
    }
    const bool is_date = groups == 3 && ((first == 4 && lengths[1] <= 2 && lengths[2] <= 2) ||
                                         (first <= 2 && lengths[1] <= 2 && lengths[2] == 4));
    const bool is_years = groups == 2 && first == 4 && lengths[1] == 4 && f->text[at] <= '2';
    const bool is_social = groups == 3 && first == 3 && lengths[1] == 2 && lengths[2] == 4;
    if (is_date || is_years || is_social || has_single || before == '$') {
        return false;
    }
    return sb_personal_is_about(f, at, groups >= 2 && is_plain ? ABOUT_PHONE | ABOUT_NUMBER : ABOUT_PHONE);
}

/* `at` is the first digit behind two letters that begin a word. */
static bool is_iban(const finder *f, size_t at) {
    uint8_t number[34];
    const size_t start = at - 2;
    number[0] = upper(f->text[start]);
    number[1] = upper(f->text[start + 1]);
    const size_t length = sb_account_length(number[0], number[1]);
    size_t count = 2;
    for (; count < length && at < f->size; at++) {
        const uint8_t byte = f->text[at];
        if (is_alnum(byte) && byte != SB_OTHER_LETTER) {
            number[count++] = upper(byte);
        } else if ((byte != ' ' && byte != '-') || !is_alnum(f->text[at - 1])) {
            return false;
        }
    }
    return length > 0 && count == length && is_digit(number[3]) && !is_word(peek(f, at)) && sb_passes_mod97(number, length);
}

/* `at` is the first digit of a word of letters and digits. */
static bool is_document(finder *f, size_t at, uint32_t about) {
    size_t start = at, digits = 0;
    while (start > 0 && at - start < 3 && is_letter(f->text[start - 1])) {
        start--;
    }
    if (is_word(behind(f, start, 1)) || behind(f, start, 1) == '-') {
        return false;
    }
    size_t end = start, count = 0;
    while (end < f->size && end - start <= MAX_DOCUMENT + 4 && (is_alnum(f->text[end]) || f->text[end] == '-')) {
        digits += is_digit(f->text[end]);
        count += f->text[end] != '-';
        end++;
    }
    return count >= 5 && count <= MAX_DOCUMENT && digits >= 4 && sb_personal_is_about(f, start, about);
}

static bool wants(const finder *f, uint32_t kind) {
    return (f->wanted & ~f->found & kind) != 0;
}

static void look_at_digits(finder *f, size_t at) {
    const uint8_t before = behind(f, at, 1);
    if (is_digit(before)) {
        return;
    }
    const size_t first = run_of_digits(f, at);
    if (wants(f, SB_EMAIL)) {
        if (first >= 2 && before == '%' && f->text[at] == '4' && f->text[at + 1] == '0' && is_email(f, at - 1, at + 2)) {
            f->found |= SB_EMAIL;
        }
        if (first == 2 && before == '#' && behind(f, at, 2) == '&' && f->text[at] == '6' && f->text[at + 1] == '4' &&
            peek(f, at + 2) == ';' && is_email(f, at - 2, at + 3)) {
            f->found |= SB_EMAIL;
        }
    }
    if (wants(f, SB_IBAN) && at >= 2 && first >= 2 && is_letter(before) && is_letter(f->text[at - 2]) &&
        !is_word(behind(f, at, 3)) && is_iban(f, at)) {
        f->found |= SB_IBAN;
    }
    if (wants(f, SB_DRIVER_LICENSE) && is_document(f, at, ABOUT_LICENSE)) {
        f->found |= SB_DRIVER_LICENSE;
    }
    if (wants(f, SB_PASSPORT) && is_document(f, at, ABOUT_PASSPORT)) {
        f->found |= SB_PASSPORT;
    }
    if (!starts_number(f, at)) {
        return;
    }
    if (wants(f, SB_CREDIT_CARD) && starts_card(f, at, first)) {
        f->found |= SB_CREDIT_CARD;
    }
    if (wants(f, SB_SSN) && is_ssn(f, at, first)) {
        f->found |= SB_SSN;
    }
    if (wants(f, SB_IP_ADDRESS) && is_ipv4(f, at)) {
        f->found |= SB_IP_ADDRESS;
    }
    if (wants(f, SB_PHONE) && is_phone(f, at, first)) {
        f->found |= SB_PHONE;
    }
}

static void look_at(finder *f, size_t at) {
    const uint8_t byte = f->text[at];
    if (is_digit(byte)) {
        look_at_digits(f, at);
    } else if (byte == '@') {
        if (wants(f, SB_EMAIL) && is_email(f, at, at + 1)) {
            f->found |= SB_EMAIL;
        }
    } else if (byte == ':' && at >= f->ipv6_until && wants(f, SB_IP_ADDRESS) && is_ipv6(f, at)) {
        f->found |= SB_IP_ADDRESS;
    }
}

uint32_t sb_personal_find(const uint8_t *text, size_t size, uint32_t wanted) {
    finder f = {.text = text, .size = size, .wanted = wanted};
    for (size_t at = 0; at < size && f.found != wanted; at += BLOCK) {
        const size_t end = size - at < BLOCK ? size : at + BLOCK;
        uint8_t looks = 0;
        for (size_t i = at; i < end; i++) {
            looks |= (uint8_t)((uint8_t)(text[i] - '0') <= '@' - '0'); /* digits, colons, at signs, and a few others */
        }
        if (looks) {
            for (size_t i = at; i < end; i++) {
                look_at(&f, i);
            }
        }
    }
    return f.found & wanted;
}
