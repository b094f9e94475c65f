#include "sb_envelope.h"

#include <string.h>

/* ---- the message types, as far as a parser has to look into them ---- */

enum {
    REQUEST, HEADERS, HEADER_MAP, HEADER, TRAILERS, METADATA, STRUCTS_ENTRY, ANYS_ENTRY, ANY, STRUCT, VALUES_ENTRY, VALUE,
    LIST, NUMBERS, TYPE_COUNT
};

enum { REQUEST_METADATA = 8, REQUEST_ATTRIBUTES = 9, REQUEST_PROTOCOL = 11 };
enum { HEADERS_HEADERS = 1, HEADERS_ATTRIBUTES = 2, HEADERS_END_OF_STREAM = 3 };
enum { BODY_BODY = 1, BODY_END_OF_STREAM = 2 };
enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum { STRUCT_FIELDS = 1 };
enum { VALUE_NULL = 1, VALUE_NUMBER, VALUE_STRING, VALUE_BOOL, VALUE_STRUCT, VALUE_LIST };

/* envoy/service/ext_proc/v3/external_processor.proto, envoy/config/core/v3/base.proto,
 * google/protobuf/struct.proto and any.proto. A map is a list of entries {key = 1, value = 2}. */
static const sb_wire_message TYPES[TYPE_COUNT] = {
    [REQUEST] = {{SB_ENVELOPE_REQUEST_HEADERS, HEADERS}, {SB_ENVELOPE_RESPONSE_HEADERS, HEADERS},
                 {SB_ENVELOPE_REQUEST_BODY, NUMBERS}, {SB_ENVELOPE_RESPONSE_BODY, NUMBERS},
                 {SB_ENVELOPE_REQUEST_TRAILERS, TRAILERS}, {SB_ENVELOPE_RESPONSE_TRAILERS, TRAILERS},
                 {REQUEST_METADATA, METADATA}, {REQUEST_ATTRIBUTES, STRUCTS_ENTRY}, {REQUEST_PROTOCOL, NUMBERS}},
    [HEADERS] = {{HEADERS_HEADERS, HEADER_MAP}, {HEADERS_ATTRIBUTES, STRUCTS_ENTRY}},
    [HEADER_MAP] = {{1, HEADER}},
    [HEADER] = {{1, SB_WIRE_STRING}, {2, SB_WIRE_STRING}},
    [TRAILERS] = {{1, HEADER_MAP}},
    [METADATA] = {{1, STRUCTS_ENTRY}, {2, ANYS_ENTRY}},
    [STRUCTS_ENTRY] = {{ENTRY_KEY, SB_WIRE_STRING}, {ENTRY_VALUE, STRUCT}},
    [ANYS_ENTRY] = {{ENTRY_KEY, SB_WIRE_STRING}, {ENTRY_VALUE, ANY}},
    [ANY] = {{1, SB_WIRE_STRING}},
    [STRUCT] = {{STRUCT_FIELDS, VALUES_ENTRY}},
    [VALUES_ENTRY] = {{ENTRY_KEY, SB_WIRE_STRING}, {ENTRY_VALUE, VALUE}},
    [VALUE] = {{VALUE_STRING, SB_WIRE_STRING}, {VALUE_STRUCT, STRUCT}, {VALUE_LIST, LIST}},
    [LIST] = {{1, VALUE}},
    [NUMBERS] = {{0, 0}}, /* messages of numbers and bytes: HttpBody, ProtocolConfiguration */
};

/* ---- reading what is known to be valid ---- */

static sb_range payload(const sb_field *field) {
    return (sb_range){field->start, field->end};
}

static bool is_field(const sb_field *field, uint32_t number, sb_wire_type type) {
    return field->number == number && field->type == type;
}

/* Another kind takes the place of the one before; the same kind again adds to it. */
static void read_kind(const sb_wire *wire, const sb_field *field, sb_envelope *out) {
    const sb_envelope_kind kind = (sb_envelope_kind)field->number;
    const bool is_body = kind == SB_ENVELOPE_REQUEST_BODY || kind == SB_ENVELOPE_RESPONSE_BODY;
    const bool is_headers = kind == SB_ENVELOPE_REQUEST_HEADERS || kind == SB_ENVELOPE_RESPONSE_HEADERS;
    if (out->kind != kind) {
        out->kind = kind;
        out->end_of_stream = false;
        out->body = (sb_range){0, 0};
    }
    sb_wire inside = sb_wire_inside(wire, field);
    sb_field found;
    while (sb_wire_next(&inside, &found) > 0) {
        if (is_body && is_field(&found, BODY_BODY, SB_WIRE_BYTES)) {
            out->body = payload(&found);
        } else if ((is_body && is_field(&found, BODY_END_OF_STREAM, SB_WIRE_VARINT)) ||
                   (is_headers && is_field(&found, HEADERS_END_OF_STREAM, SB_WIRE_VARINT))) {
            out->end_of_stream = found.varint != 0;
        }
    }
}

/* The last key of a map's entry; empty if it has none. False if something else is in the entry than keys and
 * values: upb then takes the whole entry for an unknown field. */
static bool read_key(sb_wire entry, sb_range *key) {
    sb_field found;
    *key = (sb_range){0, 0};
    while (sb_wire_next(&entry, &found) > 0) {
        if (is_field(&found, ENTRY_KEY, SB_WIRE_BYTES)) {
            *key = payload(&found);
        } else if (!is_field(&found, ENTRY_VALUE, SB_WIRE_BYTES)) {
            return false;
        }
    }
    return true;
}

/* The last of a Value's alternatives, if that is the string. Values of one entry add up like messages. */
static sb_range read_text(sb_wire entry) {
    static const sb_wire_type types[] = {[VALUE_NULL] = SB_WIRE_VARINT,  [VALUE_NUMBER] = SB_WIRE_FIXED64,
                                         [VALUE_STRING] = SB_WIRE_BYTES, [VALUE_BOOL] = SB_WIRE_VARINT,
                                         [VALUE_STRUCT] = SB_WIRE_BYTES, [VALUE_LIST] = SB_WIRE_BYTES};
    sb_range text = {0, 0};
    sb_field found, inner;
    while (sb_wire_next(&entry, &found) > 0) {
        if (!is_field(&found, ENTRY_VALUE, SB_WIRE_BYTES)) {
            continue;
        }
        sb_wire value = sb_wire_inside(&entry, &found);
        while (sb_wire_next(&value, &inner) > 0) {
            if (inner.number >= VALUE_NULL && inner.number <= VALUE_LIST && inner.type == types[inner.number]) {
                text = inner.number == VALUE_STRING ? payload(&inner) : (sb_range){0, 0};
            }
        }
    }
    return text;
}

static void read_group(sb_wire entry, sb_envelope *out, sb_attribute *attributes, uint32_t capacity) {
    sb_field found, member;
    out->has_attributes = true;
    out->attribute_count = 0; /* a second group of the same name takes the place of the first */
    while (sb_wire_next(&entry, &found) > 0) {
        if (!is_field(&found, ENTRY_VALUE, SB_WIRE_BYTES)) {
            continue;
        }
        sb_wire members = sb_wire_inside(&entry, &found);
        while (sb_wire_next(&members, &member) > 0) {
            if (!is_field(&member, STRUCT_FIELDS, SB_WIRE_BYTES)) {
                continue;
            }
            const sb_wire inside = sb_wire_inside(&members, &member);
            sb_range name;
            if (!read_key(inside, &name)) {
                continue;
            }
            if (out->attribute_count < capacity) {
                attributes[out->attribute_count] = (sb_attribute){name, read_text(inside)};
            }
            out->attribute_count++;
        }
    }
}

bool sb_envelope_read(const uint8_t *message, size_t size, const char *group, size_t group_length, sb_envelope *out,
                      sb_attribute *attributes, uint32_t capacity) {
    memset(out, 0, sizeof *out);
    if (size > SB_WIRE_MAX_BYTES) {
        return false;
    }
    sb_wire wire = {.bytes = message, .end = (uint32_t)size, .depth = SB_WIRE_MAX_DEPTH};
    if (!sb_wire_is(wire, TYPES, REQUEST)) {
        return false;
    }
    sb_field field;
    while (sb_wire_next(&wire, &field) > 0) {
        if (field.type != SB_WIRE_BYTES) {
            continue;
        }
        if (field.number >= SB_ENVELOPE_REQUEST_HEADERS && field.number <= SB_ENVELOPE_RESPONSE_TRAILERS) {
            read_kind(&wire, &field, out);
        } else if (field.number == REQUEST_ATTRIBUTES) {
            const sb_wire entry = sb_wire_inside(&wire, &field);
            sb_range key;
            if (read_key(entry, &key) && key.end - key.start == group_length && memcmp(message + key.start, group, group_length) == 0) {
                read_group(entry, out, attributes, capacity);
            }
        }
    }
    return true;
}
