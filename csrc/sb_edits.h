/* The smallest byte edits that let a body name another model, and the places they go. */
#ifndef SB_EDITS_H
#define SB_EDITS_H

#include "sb_scan.h"

/* What comes in place of the bytes. core/scan.pyx gives each kind its text, in the same order. */
typedef enum {
    SB_EDIT_MODEL,         /* the model, as JSON */
    SB_EDIT_REMOVE,        /* nothing */
    SB_EDIT_USAGE_MEMBER,  /* "stream_options":{"include_usage":true}, */
    SB_EDIT_USAGE_VALUE,   /* {"include_usage":true} */
    SB_EDIT_USAGE_ONLY,    /* "include_usage":true */
    SB_EDIT_USAGE_LEADING, /* "include_usage":true, */
    SB_EDIT_KIND_COUNT
} sb_edit_kind;

typedef struct {
    uint32_t at;
    uint32_t length;
    sb_edit_kind kind;
} sb_edit;

#define SB_MAX_EDITS (SB_KEY_COUNT + 1)

/* Edits for a body that scanned without fault, left to right and disjoint, into out[0..SB_MAX_EDITS).
 * Returns their number: one for the value of `model`; one per member whose bit (1 << SB_KEY_...) is
 * set in `drop`, taking key, value and one comma; and, if include_usage and the body streams, one so
 * that it asks for token usage, unless it says something about that itself, be it under a key in
 * other letter case. SB_KEY_MODEL may not be in `drop`. */
size_t sb_edits(const sb_scan *scan, uint64_t drop, bool include_usage, sb_edit *out);

#endif
