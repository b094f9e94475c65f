#include "sb_scan.h"

#include <string.h>

#include "sb_walk.h"

static const sb_name BODY_NAMES[] = {
#define SB_KEY(id, text) SB_NAME(text),
    SB_BODY_KEYS(SB_KEY)
#undef SB_KEY
};

static const sb_name FORMAT_NAMES[] = {SB_NAME("type")};
static const sb_name FORMAT_HOLDER_NAMES[] = {SB_NAME("format")};
static const sb_name OPTIONS_NAMES[] = {SB_NAME("include_usage")};

const char *sb_key_name(int key) {
    return BODY_NAMES[key].text;
}

/* ---- `input` and `prompt` ---- */

static bool is_number(uint8_t byte) {
    return byte == '-' || (byte >= '0' && byte <= '9');
}

static bool read_token_ids(sb_walk *w) {
    sb_json *json = &w->json;
    int more;
    if (!sb_json_enter(json)) {
        return false;
    }
    for (bool first = true; (more = sb_json_next_element(json, first)) > 0; first = false) {
        w->out->token_ids += is_number(sb_json_peek(json));
        if (!sb_json_skip(json)) {
            return false;
        }
    }
    return more == 0;
}

static bool read_user_text(sb_walk *w) {
    sb_string text;
    if (!sb_json_string(&w->json, &text)) {
        return false;
    }
    sb_emit(w, &text, SB_ROLE_USER);
    return true;
}

/* `input`: every entry is a message. `prompt`: all of it is one turn of the user. */
static bool read_prompt(sb_walk *w, bool is_input) {
    sb_json *json = &w->json;
    bool has_text = false;
    int more;
    if (sb_json_peek(json) == '"') {
        sb_begin_turn(w);
        sb_count_user_turn(w);
        return read_user_text(w);
    }
    if (sb_json_peek(json) != '[') {
        return sb_json_skip(json);
    }
    if (!sb_json_enter(json)) {
        return false;
    }
    for (bool first = true; (more = sb_json_next_element(json, first)) > 0; first = false) {
        const uint8_t byte = sb_json_peek(json);
        bool ok;
        if (byte == '{' && is_input) {
            ok = sb_read_message(w, true);
        } else if (byte == '"') {
            if (is_input || !has_text) {
                sb_begin_turn(w);
                sb_count_user_turn(w);
            }
            has_text = true;
            w->out->messages += is_input;
            w->out->roles[SB_ROLE_USER] += is_input;
            ok = read_user_text(w);
        } else if (byte == '[') {
            ok = read_token_ids(w);
        } else {
            w->out->token_ids += is_number(byte);
            ok = sb_json_skip(json);
        }
        if (!ok) {
            return false;
        }
    }
    return more == 0;
}

/* ---- the other members ---- */

static bool read_model(sb_walk *w) {
    const uint32_t at = w->json.at;
    if (!sb_read_string(w, &w->out->model, SB_MODEL_NOT_A_STRING, false)) {
        return false;
    }
    if (w->out->model.end != 0 && w->out->model.text_bytes == 0) {
        sb_complain(w, SB_MODEL_EMPTY, at);
    }
    return true;
}

static bool read_stream(sb_walk *w) {
    const uint8_t byte = sb_json_peek(&w->json);
    if (byte != 't' && byte != 'f' && byte != 'n') {
        sb_complain(w, SB_STREAM_NOT_A_BOOLEAN, w->json.at);
    }
    w->out->stream = byte == 't';
    return sb_json_skip(&w->json);
}

static bool read_stream_options(sb_walk *w) {
    sb_json *json = &w->json;
    sb_string key;
    uint64_t keys = 0;
    int more;
    w->out->stream_options = sb_json_peek(json) == 'n' ? SB_OPTIONS_NULL : SB_OPTIONS_OTHER;
    if (sb_json_peek(json) != '{') {
        return sb_json_skip(json);
    }
    w->out->stream_options = SB_OPTIONS_EMPTY;
    if (!sb_json_enter(json)) {
        return false;
    }
    for (bool first = true; (more = sb_json_next_member(json, first, &key)) > 0; first = false) {
        sb_read_key(w, &key, OPTIONS_NAMES, SB_LENGTH(OPTIONS_NAMES), &keys);
        /* In any letter case: some provider would read it, and a second one beside it is ambiguous. */
        w->out->stream_options = keys != 0 ? SB_OPTIONS_USAGE : SB_OPTIONS_FILLED;
        if (!sb_json_skip(json)) {
            return false;
        }
    }
    return more == 0;
}

/* {"type": "json_schema", ...} demands a schema; {"type": "json_object"} does not. */
static bool read_format(sb_walk *w) {
    sb_json *json = &w->json;
    sb_string key, type = {0};
    uint64_t keys = 0;
    int more;
    if (sb_json_peek(json) != '{') {
        return sb_json_skip(json);
    }
    if (!sb_json_enter(json)) {
        return false;
    }
    for (bool first = true; (more = sb_json_next_member(json, first, &key)) > 0; first = false) {
        const bool is_type = sb_read_key(w, &key, FORMAT_NAMES, SB_LENGTH(FORMAT_NAMES), &keys) == 0;
        if (!(is_type ? sb_read_string(w, &type, SB_TYPE_NOT_A_STRING, true) : sb_json_skip(json))) {
            return false;
        }
    }
    w->out->json_schema |= sb_equals(w, &type, "json_schema");
    return more == 0;
}

/* `text` of responses and `output_config` of messages hold their format one level down. */
static bool read_format_holder(sb_walk *w) {
    sb_json *json = &w->json;
    sb_string key;
    uint64_t keys = 0;
    int more;
    if (sb_json_peek(json) != '{') {
        return sb_json_skip(json);
    }
    if (!sb_json_enter(json)) {
        return false;
    }
    for (bool first = true; (more = sb_json_next_member(json, first, &key)) > 0; first = false) {
        const bool is_format = sb_read_key(w, &key, FORMAT_HOLDER_NAMES, SB_LENGTH(FORMAT_HOLDER_NAMES), &keys) == 0;
        if (!(is_format ? read_format(w) : sb_json_skip(json))) {
            return false;
        }
    }
    return more == 0;
}

/* Only plain non-negative integers limit anything; whatever else a client sends, its provider will judge. */
static bool read_limit(sb_walk *w) {
    const uint32_t start = w->json.at;
    if (!sb_json_skip(&w->json)) {
        return false;
    }
    int64_t limit = 0;
    for (uint32_t i = start; i < w->json.at; i++) {
        const uint8_t byte = w->json.body[i];
        if (byte < '0' || byte > '9') {
            return true;
        }
        limit = limit * 10 + (byte - '0');
        limit = limit > INT32_MAX ? INT32_MAX : limit;
    }
    if (limit > w->out->max_output_tokens) {
        w->out->max_output_tokens = (int32_t)limit;
    }
    return true;
}

static bool read_member(sb_walk *w, int key) {
    switch (key) {
    case SB_KEY_MODEL: return read_model(w);
    case SB_KEY_STREAM: return read_stream(w);
    case SB_KEY_STREAM_OPTIONS: return read_stream_options(w);
    case SB_KEY_MESSAGES: return sb_read_messages(w);
    case SB_KEY_INPUT: return read_prompt(w, true);
    case SB_KEY_PROMPT: return read_prompt(w, false);
    case SB_KEY_SYSTEM:
    case SB_KEY_INSTRUCTIONS: return sb_read_system(w);
    case SB_KEY_TOOLS:
    case SB_KEY_FUNCTIONS: return sb_count_elements(w, &w->out->tools);
    case SB_KEY_RESPONSE_FORMAT:
    case SB_KEY_OUTPUT_FORMAT: return read_format(w);
    case SB_KEY_TEXT:
    case SB_KEY_OUTPUT_CONFIG: return read_format_holder(w);
    case SB_KEY_MAX_TOKENS:
    case SB_KEY_MAX_COMPLETION_TOKENS:
    case SB_KEY_MAX_OUTPUT_TOKENS: return read_limit(w);
    default: return sb_json_skip(&w->json);
    }
}

static bool read_body(sb_walk *w) {
    sb_json *json = &w->json;
    sb_scan *out = w->out;
    sb_string key;
    uint64_t keys = 0;
    int more;
    if (sb_json_peek(json) != '{') {
        sb_complain(w, SB_NOT_AN_OBJECT, json->at);
        return sb_json_skip(json) && sb_json_finish(json);
    }
    out->brace = json->at;
    if (!sb_json_enter(json)) {
        return false;
    }
    sb_member *previous = NULL;
    json->separator = out->brace;
    for (bool first = true; (more = sb_json_next_member(json, first, &key)) > 0; first = false) {
        if (previous != NULL) {
            previous->after = json->separator;
            previous = NULL;
        }
        const uint32_t before = json->separator, start = json->at;
        const int found = sb_read_key(w, &key, BODY_NAMES, SB_LENGTH(BODY_NAMES), &keys);
        if (!read_member(w, found)) {
            return false;
        }
        if (found >= 0) {
            previous = &out->members[found];
            *previous = (sb_member){.key_start = key.start - 1, .value_start = start, .value_end = json->at,
                                    .before = before, .index = out->member_count};
        }
        out->member_count++;
    }
    if (more < 0) {
        return false;
    }
    if (previous != NULL) {
        previous->after = json->separator;
    }
    out->odd_stream_options =
        (keys >> SB_KEY_STREAM_OPTIONS & 1) != 0 && out->members[SB_KEY_STREAM_OPTIONS].value_end == 0;
    if (out->fault == SB_OK && out->members[SB_KEY_MODEL].value_end == 0) {
        sb_complain(w, SB_MODEL_MISSING, out->brace);
    }
    return sb_json_finish(json);
}

void sb_scan_body(const uint8_t *body, size_t size, uint32_t max_depth, sb_scan *out, sb_span *spans,
                  uint32_t capacity) {
    sb_walk w = {.out = out, .spans = spans, .capacity = capacity};
    memset(out, 0, sizeof *out);
    out->max_output_tokens = SB_MAX_TOKENS_UNSET;
    out->last_user_turn = SB_NO_TURN;
    sb_json_begin(&w.json, body, size, max_depth);
    if (w.json.fault != SB_OK || !read_body(&w)) {
        out->fault = w.json.fault;
        out->fault_at = w.json.fault_at;
        out->fault_key = NULL;
    }
    out->depth = w.json.deepest;
}
