#include "sb_walk.h"

#include <string.h>

#include "sb_text.h"

void sb_complain(sb_walk *w, sb_fault fault, uint32_t at) {
    if (w->out->fault == SB_OK || at < w->out->fault_at) {
        w->out->fault = fault;
        w->out->fault_at = at;
        w->out->fault_key = NULL;
    }
}

enum { LONGEST_NAME = 64 };

/* Points at the string's unescaped bytes, in the body or in `room`; NULL if it is longer than any name. */
static const uint8_t *short_text(const sb_walk *w, const sb_string *string, uint8_t room[LONGEST_NAME]) {
    const uint8_t *raw = w->json.body + string->start;
    const uint32_t length = string->end - string->start;
    if (string->text_bytes > LONGEST_NAME) {
        return NULL;
    }
    if (string->text_bytes == length) {
        return raw;
    }
    (void)sb_text_unescape(raw, length, room);
    return room;
}

static int find(const sb_walk *w, const sb_string *string, const sb_name *names, int count) {
    uint8_t room[LONGEST_NAME];
    const uint8_t *text = short_text(w, string, room);
    for (int i = 0; text != NULL && i < count; i++) {
        if (names[i].length == string->text_bytes && memcmp(names[i].text, text, names[i].length) == 0) {
            return i;
        }
    }
    return -1;
}

/* As Go's encoding/json compares: ASCII without case, and the two letters beyond it that fold to ASCII. */
static bool is_folded(const uint8_t *text, uint32_t length, const sb_name *name) {
    uint32_t matched = 0;
    for (uint32_t i = 0; i < length; i++, matched++) {
        uint8_t byte = text[i];
        if (byte == 0xc5 && text[i + 1] == 0xbf) { /* U+017F, long s; text is UTF-8, so there is a next byte */
            byte = 's';
            i++;
        } else if (byte == 0xe2 && text[i + 1] == 0x84 && text[i + 2] == 0xaa) { /* U+212A, Kelvin */
            byte = 'k';
            i += 2;
        } else if (byte >= 'A' && byte <= 'Z') {
            byte |= 0x20;
        }
        if (matched == name->length || (uint8_t)name->text[matched] != byte) {
            return false;
        }
    }
    return matched == name->length;
}

/* The name a key is in other letter case, or -1. */
static int find_folded(const sb_walk *w, const sb_string *key, const sb_name *names, int count) {
    uint8_t room[LONGEST_NAME];
    const uint8_t *text = short_text(w, key, room);
    bool may_fold = false;
    for (uint32_t i = 0; text != NULL && i < key->text_bytes; i++) {
        may_fold |= text[i] >= 0x80 || (text[i] >= 'A' && text[i] <= 'Z');
    }
    for (int i = 0; may_fold && i < count; i++) {
        if (is_folded(text, key->text_bytes, &names[i])) {
            return i;
        }
    }
    return -1;
}

int sb_read_key(sb_walk *w, const sb_string *key, const sb_name *names, int count, uint64_t *seen) {
    const int found = find(w, key, names, count);
    const int name = found >= 0 ? found : find_folded(w, key, names, count);
    if (name >= 0) {
        if (*seen >> name & 1) {
            const uint32_t at = key->start - 1;
            sb_complain(w, found >= 0 ? SB_DUPLICATE_KEY : SB_KEY_IN_OTHER_CASE, at);
            if (w->out->fault_at == at) {
                w->out->fault_key = names[name].text;
            }
        }
        *seen |= UINT64_C(1) << name;
    }
    return found;
}

bool sb_equals(const sb_walk *w, const sb_string *string, const char *word) {
    const sb_name one = {word, (uint32_t)strlen(word)};
    return find(w, string, &one, 1) == 0;
}

bool sb_ends_with(const sb_walk *w, const sb_string *string, const char *suffix) {
    uint8_t room[LONGEST_NAME];
    const uint8_t *text = short_text(w, string, room);
    const size_t length = strlen(suffix);
    return text != NULL && string->text_bytes >= length &&
           memcmp(text + string->text_bytes - length, suffix, length) == 0;
}

bool sb_read_string(sb_walk *w, sb_string *out, sb_fault otherwise, bool null_is_fine) {
    const uint8_t byte = sb_json_peek(&w->json);
    if (byte == '"') {
        return sb_json_string(&w->json, out);
    }
    if (!(byte == 'n' && null_is_fine)) {
        sb_complain(w, otherwise, w->json.at);
    }
    return sb_json_skip(&w->json);
}

void sb_emit(sb_walk *w, const sb_string *text, sb_role role) {
    sb_scan *out = w->out;
    if (out->span_count < w->capacity) {
        w->spans[out->span_count] = (sb_span){.text = *text, .turn = w->turn, .role = role};
    }
    out->span_count++;
    out->text_bytes += text->text_bytes;
}

void sb_begin_turn(sb_walk *w) {
    w->turn++;
}

void sb_count_user_turn(sb_walk *w) {
    w->out->turns++;
    w->out->last_user_turn = w->turn;
}

bool sb_count_elements(sb_walk *w, uint32_t *count) {
    sb_json *json = &w->json;
    int more;
    if (sb_json_peek(json) != '[') {
        return sb_json_skip(json);
    }
    if (!sb_json_enter(json)) {
        return false;
    }
    for (bool first = true; (more = sb_json_next_element(json, first)) > 0; first = false) {
        if (!sb_json_skip(json)) {
            return false;
        }
        ++*count;
    }
    return more == 0;
}
