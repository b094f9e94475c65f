#include "sb_walk.h"

/* Messages, their content and its parts. The nesting of these functions is that of the grammar, never
 * of the input: what a client nests deeper goes through sb_json_skip. */

enum { MESSAGE_ROLE, MESSAGE_CONTENT, MESSAGE_TYPE, MESSAGE_TOOL_CALLS, MESSAGE_FUNCTION_CALL, MESSAGE_OUTPUT };
static const sb_name MESSAGE_NAMES[] = {SB_NAME("role"),       SB_NAME("content"),       SB_NAME("type"),
                                        SB_NAME("tool_calls"), SB_NAME("function_call"), SB_NAME("output")};

enum { PART_TYPE, PART_TEXT, PART_CONTENT };
static const sb_name PART_NAMES[] = {SB_NAME("type"), SB_NAME("text"), SB_NAME("content")};

/* ---- content: a string, null, or a list of parts ---- */

/* What a message held, which decides whose turn it was. */
typedef struct {
    uint32_t results;  /* tool results */
    uint32_t others;   /* anything else: text, images, ... */
    uint32_t wrong_at; /* place of content that is neither string, list nor null */
    bool wrong;
    bool flat; /* do not look into tool results */
} content;

static bool read_content(sb_walk *w, sb_role role, content *seen);

static bool read_part(sb_walk *w, sb_role role, content *seen) {
    sb_json *json = &w->json;
    const uint32_t start = json->at;
    sb_string key, type = {0}, text = {0};
    uint32_t text_at = 0, content_at = 0;
    uint64_t keys = 0;
    int more;
    if (!sb_json_enter(json)) {
        return false;
    }
    for (bool first = true; (more = sb_json_next_member(json, first, &key)) > 0; first = false) {
        bool ok;
        switch (sb_read_key(w, &key, PART_NAMES, SB_LENGTH(PART_NAMES), &keys)) {
        case PART_TYPE:
            ok = sb_read_string(w, &type, SB_TYPE_NOT_A_STRING, true);
            break;
        case PART_TEXT:
            text_at = json->at;
            ok = sb_json_peek(json) == '"' ? sb_json_string(json, &text) : sb_json_skip(json);
            break;
        case PART_CONTENT:
            content_at = json->at;
            ok = sb_json_skip(json);
            break;
        default:
            ok = sb_json_skip(json);
        }
        if (!ok) {
            return false;
        }
    }
    if (more < 0) {
        return false;
    }

    sb_scan *out = w->out;
    const bool is_result = sb_ends_with(w, &type, "tool_result");
    *(is_result ? &seen->results : &seen->others) += 1;
    if (type.text_bytes == 0 || sb_equals(w, &type, "text") || sb_equals(w, &type, "input_text") ||
        sb_equals(w, &type, "output_text")) {
        if (text.end != 0) {
            sb_emit(w, &text, role);
        } else if (text_at != 0 && json->body[text_at] != 'n') {
            sb_complain(w, SB_TEXT_NOT_A_STRING, text_at);
        }
    } else if (sb_equals(w, &type, "image_url") || sb_equals(w, &type, "input_image") || sb_equals(w, &type, "image") ||
               sb_equals(w, &type, "computer_screenshot")) {
        out->images++;
        out->image_bytes += json->at - start;
    } else if (sb_equals(w, &type, "input_audio") || sb_equals(w, &type, "audio")) {
        out->audio++;
        out->audio_bytes += json->at - start;
    } else if (sb_equals(w, &type, "file") || sb_equals(w, &type, "input_file") || sb_equals(w, &type, "document")) {
        out->files++;
        out->file_bytes += json->at - start;
    } else if (sb_ends_with(w, &type, "thinking")) {
        out->bound++;
    } else if (sb_ends_with(w, &type, "tool_use")) {
        out->tool_calls++;
        out->tool_call_bytes += json->at - start;
    } else if (is_result) {
        out->tool_results++;
        /* Only now is the type sure, since keys come in any order: go back to the content. A result
         * inside a result stays unread, which is what keeps this from nesting with the input. */
        if (content_at != 0 && !seen->flat) {
            const uint32_t after = json->at;
            content inner = {.flat = true};
            json->at = content_at;
            json->depth++;
            if (!read_content(w, SB_ROLE_TOOL, &inner)) {
                return false;
            }
            json->depth--;
            json->at = after;
        }
    }
    return true;
}

static bool read_content(sb_walk *w, sb_role role, content *seen) {
    sb_json *json = &w->json;
    sb_string text;
    int more;
    switch (sb_json_peek(json)) {
    case '"':
        seen->others++;
        if (!sb_json_string(json, &text)) {
            return false;
        }
        sb_emit(w, &text, role);
        return true;
    case '[':
        break;
    default:
        if (sb_json_peek(json) != 'n' && !seen->wrong) {
            seen->wrong = true;
            seen->wrong_at = json->at;
        }
        return sb_json_skip(json);
    }
    if (!sb_json_enter(json)) {
        return false;
    }
    for (bool first = true; (more = sb_json_next_element(json, first)) > 0; first = false) {
        bool ok;
        switch (sb_json_peek(json)) {
        case '{':
            ok = read_part(w, role, seen);
            break;
        case '"':
            seen->others++;
            ok = sb_json_string(json, &text);
            if (ok) {
                sb_emit(w, &text, role);
            }
            break;
        default:
            sb_complain(w, SB_PART_WRONG_TYPE, json->at);
            ok = sb_json_skip(json);
        }
        if (!ok) {
            return false;
        }
    }
    return more == 0;
}

/* ---- messages, and the items of a list `input` ---- */

static bool read_call(sb_walk *w, int key) {
    sb_json *json = &w->json;
    const uint32_t start = json->at;
    uint32_t calls = 0;
    if (key == MESSAGE_FUNCTION_CALL && sb_json_peek(json) == '{') {
        calls = 1;
    }
    if (!(key == MESSAGE_TOOL_CALLS ? sb_count_elements(w, &calls) : sb_json_skip(json))) {
        return false;
    }
    w->out->tool_calls += calls;
    w->out->tool_call_bytes += calls > 0 ? json->at - start : 0;
    return true;
}

/* The output of a call: text, a list of parts, or one part. */
static bool read_output(sb_walk *w) {
    content ignored = {.flat = true};
    return sb_json_peek(&w->json) == '{' ? read_part(w, SB_ROLE_TOOL, &ignored)
                                         : read_content(w, SB_ROLE_TOOL, &ignored);
}

static sb_role role_of(const sb_walk *w, const sb_string *role, const content *seen) {
    if (sb_equals(w, role, "user")) {
        /* Anthropic sends tool results as the user's; nobody typed them. */
        return seen->results > 0 && seen->others == 0 ? SB_ROLE_TOOL : SB_ROLE_USER;
    }
    if (sb_equals(w, role, "assistant")) {
        return SB_ROLE_ASSISTANT;
    }
    if (sb_equals(w, role, "system") || sb_equals(w, role, "developer")) {
        return SB_ROLE_SYSTEM;
    }
    return sb_equals(w, role, "tool") || sb_equals(w, role, "function") ? SB_ROLE_TOOL : SB_ROLE_OTHER;
}

bool sb_read_message(sb_walk *w, bool is_item) {
    enum { UNDECIDED = SB_ROLE_OTHER + 1 };
    sb_json *json = &w->json;
    sb_scan *out = w->out;
    const uint32_t start = json->at;
    const uint32_t first_span = out->span_count;
    sb_string key, role = {0}, type = {0};
    content seen = {0};
    uint64_t keys = 0;
    int more;
    sb_begin_turn(w);
    out->messages++;
    if (!sb_json_enter(json)) {
        return false;
    }
    for (bool first = true; (more = sb_json_next_member(json, first, &key)) > 0; first = false) {
        const int found = sb_read_key(w, &key, MESSAGE_NAMES, SB_LENGTH(MESSAGE_NAMES), &keys);
        bool ok;
        switch (found) {
        case MESSAGE_ROLE:
            ok = sb_read_string(w, &role, SB_ROLE_NOT_A_STRING, false);
            break;
        case MESSAGE_CONTENT:
            ok = read_content(w, (sb_role)UNDECIDED, &seen);
            break;
        case MESSAGE_TYPE:
            ok = is_item ? sb_read_string(w, &type, SB_TYPE_NOT_A_STRING, true) : sb_json_skip(json);
            break;
        case MESSAGE_TOOL_CALLS:
        case MESSAGE_FUNCTION_CALL:
            ok = read_call(w, found);
            break;
        case MESSAGE_OUTPUT:
            ok = is_item ? read_output(w) : sb_json_skip(json);
            break;
        default:
            ok = sb_json_skip(json);
        }
        if (!ok) {
            return false;
        }
    }
    if (more < 0) {
        return false;
    }

    /* Keys come in any order: only here is the role of the text known. */
    const sb_role decided = role_of(w, &role, &seen);
    out->roles[decided]++;
    for (uint32_t i = first_span; i < out->span_count && i < w->capacity; i++) {
        if (w->spans[i].role == UNDECIDED) {
            w->spans[i].role = decided;
        }
    }
    if (decided == SB_ROLE_USER) {
        sb_count_user_turn(w);
    }
    if (sb_equals(w, &role, "tool") || sb_equals(w, &role, "function") || sb_ends_with(w, &type, "_call_output")) {
        out->tool_results++;
    }
    if (sb_equals(w, &type, "reasoning")) {
        out->bound++;
    }
    if (sb_ends_with(w, &type, "_call")) {
        out->tool_calls++;
        out->tool_call_bytes += json->at - start;
    }
    if (seen.wrong && (type.text_bytes == 0 || sb_equals(w, &type, "message"))) {
        sb_complain(w, SB_CONTENT_WRONG_TYPE, seen.wrong_at);
    }
    return true;
}

bool sb_read_messages(sb_walk *w) {
    sb_json *json = &w->json;
    int more;
    if (sb_json_peek(json) != '[') {
        sb_complain(w, SB_MESSAGES_NOT_A_LIST, json->at);
        return sb_json_skip(json);
    }
    if (!sb_json_enter(json)) {
        return false;
    }
    for (bool first = true; (more = sb_json_next_element(json, first)) > 0; first = false) {
        bool ok;
        if (sb_json_peek(json) == '{') {
            ok = sb_read_message(w, false);
        } else {
            sb_complain(w, SB_MESSAGE_NOT_AN_OBJECT, json->at);
            ok = sb_json_skip(json);
        }
        if (!ok) {
            return false;
        }
    }
    return more == 0;
}

bool sb_read_system(sb_walk *w) {
    content ignored = {.flat = true};
    sb_begin_turn(w);
    return read_content(w, SB_ROLE_SYSTEM, &ignored);
}
