/* What Envoy's ext_proc filter wraps a request in, read from the bytes of the gRPC message.
 *
 * The message is envoy.service.ext_proc.v3.ProcessingRequest. Only positions come back: the body, which
 * is nearly all of it, stays where it is. Everything Envoy's generated class would refuse is refused. */
#ifndef SB_ENVELOPE_H
#define SB_ENVELOPE_H

#include "sb_wire.h"

/* Bytes of the message, end exclusive. */
typedef struct {
    uint32_t start;
    uint32_t end;
} sb_range;

/* One attribute, as far as it is a string; others have an empty text. */
typedef struct {
    sb_range name;
    sb_range text;
} sb_attribute;

/* ProcessingRequest.request, by field number. */
typedef enum {
    SB_ENVELOPE_NOTHING = 0,
    SB_ENVELOPE_REQUEST_HEADERS = 2,
    SB_ENVELOPE_RESPONSE_HEADERS = 3,
    SB_ENVELOPE_REQUEST_BODY = 4,
    SB_ENVELOPE_RESPONSE_BODY = 5,
    SB_ENVELOPE_REQUEST_TRAILERS = 6,
    SB_ENVELOPE_RESPONSE_TRAILERS = 7
} sb_envelope_kind;

typedef struct {
    sb_envelope_kind kind;
    bool end_of_stream;       /* of headers and bodies */
    sb_range body;            /* of bodies */
    bool has_attributes;      /* the group is there, however empty */
    uint32_t attribute_count; /* found, which may be more than fitted */
} sb_envelope;

/* Read message[0..size) into `out`, and the attributes of `group` in order into
 * attributes[0..capacity); of two with one name the later holds. If out->attribute_count > capacity the
 * rest did not fit: call again with room for all of them. False if the message is malformed. */
bool sb_envelope_read(const uint8_t *message, size_t size, const char *group, size_t group_length, sb_envelope *out,
                      sb_attribute *attributes, uint32_t capacity);

#endif
