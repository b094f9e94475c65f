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

int sb_read_key(sb_walk *w, const sb_string *key, const sb_name *names, int count, uint64_t *seen) {
    const int found = find(w, key, names, count);
    if (found >= 0) {
        if (*seen >> found & 1) {
            const uint32_t at = key->start - 1;
            sb_complain(w, SB_DUPLICATE_KEY, at);
            if (w->out->fault_at == at) {
                w->out->fault_key = names[found].text;
            }
        }
        *seen |= UINT64_C(1) << found;
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
