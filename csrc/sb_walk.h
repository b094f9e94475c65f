/* What the parts of the scanner share: the state of one walk over a body, and reading what it knows.
 *
 * Internal to csrc. Functions that return bool return false when the body is not JSON; the fault is
 * then in walk->json and the walk is over. */
#ifndef SB_WALK_H
#define SB_WALK_H

#include "sb_scan.h"

typedef struct {
    sb_json json;
    sb_scan *out;
    sb_span *spans;
    uint32_t capacity;
    uint32_t turn; /* number of the turn being read */
} sb_walk;

/* A spelling to compare keys and values with; at most 64 bytes. */
typedef struct {
    const char *text;
    uint32_t length;
} sb_name;

#define SB_NAME(text) {text, sizeof(text) - 1}
#define SB_LENGTH(table) ((int)(sizeof(table) / sizeof((table)[0])))

/* The body is JSON but wrong at `at`. The walk goes on, because a later byte that is not JSON matters
 * more; of several complaints the one nearest the start stands. */
void sb_complain(sb_walk *w, sb_fault fault, uint32_t at);

/* Index of a key in `names`, or -1. `seen` has a bit for each name: the second of its kind is complained about,
 * in other letter case too, because there are providers who match keys without regard to it. */
int sb_read_key(sb_walk *w, const sb_string *key, const sb_name *names, int count, uint64_t *seen);

/* Compare a string, unescaped. */
bool sb_equals(const sb_walk *w, const sb_string *string, const char *word);
bool sb_ends_with(const sb_walk *w, const sb_string *string, const char *suffix);

/* Read a value that should be a string into `out`; complain `otherwise` and leave `out` if it is something else. */
bool sb_read_string(sb_walk *w, sb_string *out, sb_fault otherwise, bool null_is_fine);

/* Read any value; if it is an array, add the number of its elements to `count`. */
bool sb_count_elements(sb_walk *w, uint32_t *count);

void sb_begin_turn(sb_walk *w);

/* The turn that began last is the user's. */
void sb_count_user_turn(sb_walk *w);

/* Record a text of the turn that began last. */
void sb_emit(sb_walk *w, const sb_string *text, sb_role role);

/* ---- sb_messages.c ---- */

/* The value of `messages`. */
bool sb_read_messages(sb_walk *w);

/* The object at the reader: an entry of `messages`, or an item of a list `input`, which has a type. */
bool sb_read_message(sb_walk *w, bool is_item);

/* System text: a string, null or a list of parts. */
bool sb_read_system(sb_walk *w);

#endif
