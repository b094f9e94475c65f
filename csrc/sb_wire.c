#include "sb_wire.h"

#include "sb_json.h"

/* Reads a varint of at most `longest` bytes. */
static bool read_varint(sb_wire *wire, uint32_t longest, uint64_t *value) {
    *value = 0;
    for (uint32_t i = 0; i < longest; i++) {
        if (wire->at == wire->end) {
            return false;
        }
        const uint8_t byte = wire->bytes[wire->at++];
        *value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

static bool skip_bytes(sb_wire *wire, uint64_t count) {
    if (count > wire->end - wire->at) {
        return false;
    }
    wire->at += (uint32_t)count;
    return true;
}

static bool read_tag(sb_wire *wire, sb_field *field) {
    uint64_t tag;
    if (!read_varint(wire, 5, &tag) || tag > UINT32_MAX || tag >> 3 == 0 || (tag & 7) > SB_WIRE_FIXED32) {
        return false;
    }
    field->number = (uint32_t)(tag >> 3);
    field->type = (sb_wire_type)(tag & 7);
    return true;
}

/* The payload of a field that is no group and no end of one. */
static bool read_payload(sb_wire *wire, sb_field *field) {
    uint64_t size;
    switch (field->type) {
    case SB_WIRE_VARINT: return read_varint(wire, 10, &field->varint);
    case SB_WIRE_FIXED64: return skip_bytes(wire, 8);
    case SB_WIRE_FIXED32: return skip_bytes(wire, 4);
    default: break;
    }
    if (!read_varint(wire, 5, &size)) {
        return false;
    }
    field->start = wire->at;
    if (!skip_bytes(wire, size)) {
        return false;
    }
    field->end = wire->at;
    return true;
}

/* Groups went out of use before proto3; a parser still has to find their end. Open ones are kept on a
 * stack of our own, because a client's nesting must not become ours. */
static bool skip_group(sb_wire *wire, uint32_t number) {
    uint32_t open[SB_WIRE_MAX_DEPTH];
    int depth = 0;
    sb_field field;
    if (wire->depth < 1) {
        return false;
    }
    open[depth++] = number;
    while (depth > 0) {
        if (!read_tag(wire, &field)) {
            return false;
        }
        if (field.type == SB_WIRE_GROUP) {
            if (depth == wire->depth) {
                return false;
            }
            open[depth++] = field.number;
        } else if (field.type == SB_WIRE_GROUP_END) {
            if (open[--depth] != field.number) {
                return false;
            }
        } else if (!read_payload(wire, &field)) {
            return false;
        }
    }
    return true;
}

int sb_wire_next(sb_wire *wire, sb_field *field) {
    if (wire->at == wire->end) {
        return 0;
    }
    if (!read_tag(wire, field) || field->type == SB_WIRE_GROUP_END) {
        return -1;
    }
    if (field->type == SB_WIRE_GROUP) {
        return skip_group(wire, field->number) ? 1 : -1;
    }
    return read_payload(wire, field) ? 1 : -1;
}

sb_wire sb_wire_inside(const sb_wire *wire, const sb_field *field) {
    return (sb_wire){.bytes = wire->bytes, .at = field->start, .end = field->end, .depth = wire->depth - 1};
}

bool sb_wire_is(sb_wire wire, const sb_wire_message *types, int index) {
    sb_field field;
    int more;
    while ((more = sb_wire_next(&wire, &field)) > 0) {
        if (field.type != SB_WIRE_BYTES) {
            continue;
        }
        for (const sb_wire_rule *rule = types[index]; rule->number != 0; rule++) {
            if (rule->number != field.number) {
                continue;
            }
            if (rule->kind == SB_WIRE_STRING) {
                if (!sb_utf8_is_valid(wire.bytes + field.start, field.end - field.start)) {
                    return false;
                }
            } else if (wire.depth == 0 || !sb_wire_is(sb_wire_inside(&wire, &field), types, rule->kind)) {
                return false; /* the recursion ends at SB_WIRE_MAX_DEPTH */
            }
        }
    }
    return more == 0;
}
