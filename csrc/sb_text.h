/* JSON string contents as plain UTF-8. */
#ifndef SB_TEXT_H
#define SB_TEXT_H

#include "sb_scan.h"

/* Unescape the inside of a string that sb_json_string accepted, raw[0..size), into out, which has
 * room for the string's text_bytes. Returns how many were written. Surrogate pairs become one
 * character, lone surrogates U+FFFD: the result is always valid UTF-8. */
size_t sb_text_unescape(const uint8_t *raw, size_t size, uint8_t *out);

/* All text of a body, or only what the user wrote in the last user turn: the spans in order, one
 * newline between two. `scan` and `spans` are what sb_scan_body found in `body`, all spans present.
 * sb_text_size says how many bytes sb_text_write will put into `out`. */
size_t sb_text_size(const sb_scan *scan, const sb_span *spans, bool last_user);
void sb_text_write(const uint8_t *body, const sb_scan *scan, const sb_span *spans, bool last_user, uint8_t *out);

/* Where the same text stands in the body, or NULL if it is in several pieces or has escapes. */
const uint8_t *sb_text_in_place(const uint8_t *body, const sb_scan *scan, const sb_span *spans, bool last_user);

#endif
