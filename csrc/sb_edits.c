#include "sb_edits.h"

_Static_assert(SB_KEY_COUNT <= 64, "`drop` has one bit per key");

static bool has(const sb_scan *scan, int key) {
    return scan->members[key].value_end != 0;
}

static bool is_dropped(const sb_scan *scan, uint64_t drop, int key) {
    return has(scan, key) && (drop >> key & 1) != 0;
}

/* Index of the first of the dropped members that the body ends with; member_count if it ends with one that stays. */
static uint32_t start_of_dropped_tail(const sb_scan *scan, uint64_t drop) {
    uint32_t tail = scan->member_count;
    for (bool grew = true; grew;) {
        grew = false;
        for (int key = 0; key < SB_KEY_COUNT; key++) {
            if (is_dropped(scan, drop, key) && scan->members[key].index + 1 == tail) {
                tail--;
                grew = true;
            }
        }
    }
    return tail;
}

static sb_edit replace_value(const sb_member *member, sb_edit_kind kind) {
    return (sb_edit){member->value_start, member->value_end - member->value_start, kind};
}

/* A member takes the comma after it along; one in the tail, which has none, the comma before it. */
static sb_edit remove_member(const sb_member *member, bool in_tail) {
    const uint32_t start = in_tail ? member->before : member->key_start;
    const uint32_t end = in_tail ? member->value_end : member->after + 1;
    return (sb_edit){start, end - start, SB_EDIT_REMOVE};
}

/* The edit that asks for usage in a streamed answer. False if none is needed or possible. */
static bool ask_for_usage(const sb_scan *scan, uint64_t drop, sb_edit *out) {
    const sb_member *options = &scan->members[SB_KEY_STREAM_OPTIONS];
    if (scan->odd_stream_options) {
        return false; /* ours beside it would be the pair that the scanner refuses */
    }
    if (!has(scan, SB_KEY_STREAM_OPTIONS) || is_dropped(scan, drop, SB_KEY_STREAM_OPTIONS)) {
        /* At the front, because the comma behind it is right whatever follows: `model` always stays. */
        *out = (sb_edit){scan->brace + 1, 0, SB_EDIT_USAGE_MEMBER};
        return true;
    }
    switch (scan->stream_options) {
    case SB_OPTIONS_NULL:
        *out = replace_value(options, SB_EDIT_USAGE_VALUE);
        return true;
    case SB_OPTIONS_EMPTY:
        *out = (sb_edit){options->value_start + 1, 0, SB_EDIT_USAGE_ONLY};
        return true;
    case SB_OPTIONS_FILLED:
        *out = (sb_edit){options->value_start + 1, 0, SB_EDIT_USAGE_LEADING};
        return true;
    case SB_OPTIONS_USAGE:
    case SB_OPTIONS_OTHER:
        break;
    }
    return false;
}

static size_t insert(sb_edit *edits, size_t count, sb_edit edit) {
    size_t i = count;
    while (i > 0 && edits[i - 1].at > edit.at) {
        edits[i] = edits[i - 1];
        i--;
    }
    edits[i] = edit;
    return count + 1;
}

size_t sb_edits(const sb_scan *scan, uint64_t drop, bool include_usage, sb_edit *out) {
    size_t count = 0;
    sb_edit usage;
    /* The insertion comes first: a removal at the same place must follow it. */
    if (include_usage && scan->stream && ask_for_usage(scan, drop, &usage)) {
        count = insert(out, count, usage);
    }
    count = insert(out, count, replace_value(&scan->members[SB_KEY_MODEL], SB_EDIT_MODEL));
    if (drop != 0) {
        const uint32_t tail = start_of_dropped_tail(scan, drop);
        for (int key = 0; key < SB_KEY_COUNT; key++) {
            if (is_dropped(scan, drop, key)) {
                const sb_member *member = &scan->members[key];
                count = insert(out, count, remove_member(member, member->index >= tail));
            }
        }
    }
    return count;
}
