/* A strict JSON reader (RFC 8259) that hands out positions and copies nothing.
 *
 * It walks a body front to back, one token at a time: the caller descends into what it knows and
 * skips the rest, and every byte is validated either way. Containers are counted, not recursed
 * into, so nesting costs no stack. No allocation, no globals. Offsets are bytes from the start of
 * the body, ends exclusive. */
#ifndef SB_JSON_H
#define SB_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SB_MAX_BODY_BYTES (256u * 1024u * 1024u)
#define SB_MAX_DEPTH 256u

/* Why a body was refused. core/faults.py gives each number its sentence, in the same order. */
typedef enum {
    SB_OK = 0,
    /* Not JSON. The first one ends the walk. */
    SB_EMPTY,
    SB_BOM,
    SB_TOO_LARGE,
    SB_TOO_DEEP,
    SB_ENDS_EARLY,
    SB_EXPECTED_VALUE,
    SB_EXPECTED_KEY,
    SB_EXPECTED_KEY_OR_END,
    SB_EXPECTED_COLON,
    SB_EXPECTED_COMMA_OR_BRACE,
    SB_EXPECTED_COMMA_OR_BRACKET,
    SB_EXPECTED_DIGIT,
    SB_CONTROL_CHARACTER,
    SB_BAD_ESCAPE,
    SB_BAD_UTF8,
    SB_TRAILING_BYTES,
    /* JSON, but not a request. The walk goes on; the one nearest the start is reported. */
    SB_NOT_AN_OBJECT,
    SB_DUPLICATE_KEY,
    SB_MODEL_MISSING,
    SB_MODEL_NOT_A_STRING,
    SB_MODEL_EMPTY,
    SB_STREAM_NOT_A_BOOLEAN,
    SB_MESSAGES_NOT_A_LIST,
    SB_MESSAGE_NOT_AN_OBJECT,
    SB_ROLE_NOT_A_STRING,
    SB_TYPE_NOT_A_STRING,
    SB_TEXT_NOT_A_STRING,
    SB_CONTENT_WRONG_TYPE,
    SB_PART_WRONG_TYPE,
    SB_KEY_IN_OTHER_CASE,
    SB_FAULT_COUNT
} sb_fault;

typedef struct {
    const uint8_t *body;
    uint32_t size;
    uint32_t at;        /* next byte to read */
    uint32_t depth;     /* containers open at `at` */
    uint32_t deepest;   /* most containers ever open */
    uint32_t max_depth; /* 1..SB_MAX_DEPTH */
    uint32_t separator; /* the comma or closing bracket that sb_json_next_* last consumed */
    sb_fault fault;     /* SB_OK until something is not JSON */
    uint32_t fault_at;
} sb_json;

/* A string between its quotes. It contains escapes if text_bytes < end - start. */
typedef struct {
    uint32_t start;
    uint32_t end;
    uint32_t text_bytes; /* length once unescaped to UTF-8, lone surrogates as U+FFFD */
} sb_string;

/* Start reading `size` bytes; 1 <= max_depth <= SB_MAX_DEPTH. The body must outlive `json`. */
void sb_json_begin(sb_json *json, const uint8_t *body, size_t size, uint32_t max_depth);

/* True if only white space is left; otherwise the fault says what follows the value. */
bool sb_json_finish(sb_json *json);

/* First byte of the value at `at`, or 0 at the end of the body. Valid values never start with 0. */
static inline uint8_t sb_json_peek(const sb_json *json) {
    return json->at < json->size ? json->body[json->at] : 0;
}

/* Open the object or array whose bracket is at `at`. False if that is too deep. */
bool sb_json_enter(sb_json *json);

/* Move to the next member of the object, or element of the array, that was entered last; `first`
 * says that none has been read yet. 1: `at` is the first byte of a value (of the value, not the
 * key). 0: the container was closed. -1: fault. */
int sb_json_next_member(sb_json *json, bool first, sb_string *key);
int sb_json_next_element(sb_json *json, bool first);

/* Read the string whose opening quote is at `at`. */
bool sb_json_string(sb_json *json, sb_string *out);

/* Whether text[0..size) is UTF-8 as strings must be: nothing overlong, no surrogates. */
bool sb_utf8_is_valid(const uint8_t *text, size_t size);

/* Read any value, whatever it holds. */
bool sb_json_skip(sb_json *json);

#endif
