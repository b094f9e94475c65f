/* Protobuf's wire format, read strictly and without copying: fields one by one, and whether a whole
 * message is what its generated class would accept. No allocation, no globals.
 * Source: protobuf.dev/programming-guides/encoding; where it leaves a choice, upb decides. */
#ifndef SB_WIRE_H
#define SB_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SB_WIRE_MAX_BYTES 0x7fffffffu /* protobuf's own limit */
#define SB_WIRE_MAX_DEPTH 100         /* messages and groups inside each other; protobuf's default */

typedef enum {
    SB_WIRE_VARINT,
    SB_WIRE_FIXED64,
    SB_WIRE_BYTES,
    SB_WIRE_GROUP,
    SB_WIRE_GROUP_END,
    SB_WIRE_FIXED32
} sb_wire_type;

/* Bytes of one message: the next to read, and where it ends. */
typedef struct {
    const uint8_t *bytes;
    uint32_t at;
    uint32_t end;
    int depth; /* messages and groups that may still be opened */
} sb_wire;

/* One field. `varint` is set for SB_WIRE_VARINT, the payload [start, end) for SB_WIRE_BYTES. */
typedef struct {
    uint32_t number;
    sb_wire_type type;
    uint64_t varint;
    uint32_t start;
    uint32_t end;
} sb_field;

/* 1: a field was read, a group as a whole. 0: the message is over. -1: it is malformed. */
int sb_wire_next(sb_wire *wire, sb_field *field);

/* The payload of a field that is a message, ready to read. */
sb_wire sb_wire_inside(const sb_wire *wire, const sb_field *field);

/* A field of a message type whose payload has to be looked at: a string, which must be UTF-8, or a
 * message. Numbers, bytes and unknown fields are right whenever the wire is. Number 0 ends a list. */
enum { SB_WIRE_STRING = -1, SB_WIRE_MOST_CHECKED = 10 };
typedef struct {
    uint8_t number;
    int8_t kind; /* SB_WIRE_STRING, or the index of the message's type */
} sb_wire_rule;
typedef sb_wire_rule sb_wire_message[SB_WIRE_MOST_CHECKED];

/* Whether the rest of `wire` is a message of types[index]. */
bool sb_wire_is(sb_wire wire, const sb_wire_message *types, int index);

#endif
