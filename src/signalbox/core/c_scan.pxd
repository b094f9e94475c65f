# csrc/sb_json.h and sb_scan.h as they are, for any kernel to cimport
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t


cdef extern from "sb_json.h" nogil:
    enum:
        SB_MAX_DEPTH
        SB_OK
        SB_FAULT_COUNT

    ctypedef struct sb_string:
        uint32_t start
        uint32_t end
        uint32_t text_bytes


cdef extern from "sb_scan.h" nogil:
    enum:
        SB_KEY_MODEL
        SB_KEY_COUNT

    const char *sb_key_name(int key) noexcept

    ctypedef struct sb_span:
        sb_string text
        uint32_t turn
        uint32_t role

    ctypedef struct sb_member:
        uint32_t key_start
        uint32_t value_start
        uint32_t value_end
        uint32_t before
        uint32_t after
        uint32_t index

    ctypedef struct sb_scan:
        int fault
        uint32_t fault_at
        const char *fault_key
        sb_member *members
        sb_string model
        bint stream
        bint json_schema
        int32_t max_output_tokens
        uint32_t messages
        uint32_t turns
        uint32_t tools
        uint32_t tool_calls
        uint32_t tool_results
        uint32_t bound
        uint32_t images
        uint32_t audio
        uint32_t files
        uint32_t image_bytes
        uint32_t audio_bytes
        uint32_t file_bytes
        uint32_t *roles
        uint32_t token_ids
        uint32_t tool_call_bytes
        uint32_t text_bytes
        uint32_t depth
        uint32_t span_count

    void sb_scan_body(const uint8_t *body, size_t size, uint32_t max_depth, sb_scan *out, sb_span *spans,
                      uint32_t capacity) noexcept
