/* What a router needs to know about one LLM request body, found in one pass without copying.
 *
 * Understands OpenAI chat completions, completions, responses and embeddings, and Anthropic
 * messages, all at once: keys of one dialect do not mean something else in another, so the body is
 * not told which it is. Unknown keys, item types and part types are validated and passed over.
 * No allocation, no globals; the caller owns the body and the span array. */
#ifndef SB_SCAN_H
#define SB_SCAN_H

#include "sb_json.h"

/* Members of the body that somebody reads, edits or removes. A second one of the same name is
 * refused: whoever reads the body after us might take the other. At most 64, see sb_edits. */
#define SB_BODY_KEYS(X)                                  \
    X(MODEL, "model")                                    \
    X(STREAM, "stream")                                  \
    X(STREAM_OPTIONS, "stream_options")                  \
    X(MESSAGES, "messages")                              \
    X(INPUT, "input")                                    \
    X(PROMPT, "prompt")                                  \
    X(SYSTEM, "system")                                  \
    X(INSTRUCTIONS, "instructions")                      \
    X(TOOLS, "tools")                                    \
    X(FUNCTIONS, "functions")                            \
    X(TOOL_CHOICE, "tool_choice")                        \
    X(RESPONSE_FORMAT, "response_format")                \
    X(TEXT, "text")                                      \
    X(OUTPUT_FORMAT, "output_format")                    \
    X(OUTPUT_CONFIG, "output_config")                    \
    X(MAX_TOKENS, "max_tokens")                          \
    X(MAX_COMPLETION_TOKENS, "max_completion_tokens")    \
    X(MAX_OUTPUT_TOKENS, "max_output_tokens")            \
    X(METADATA, "metadata")                              \
    X(MODELS, "models")                                  \
    X(PROVIDER, "provider")                              \
    X(ROUTING_PREFERENCE, "routing_preference")          \
    X(ROUTING_PREFERENCES, "routing_preferences")        \
    X(USER, "user")                                      \
    X(N, "n")                                            \
    X(PREVIOUS_RESPONSE_ID, "previous_response_id")      \
    X(CONVERSATION, "conversation")                      \
    X(MODALITIES, "modalities")                          \
    X(PARALLEL_TOOL_CALLS, "parallel_tool_calls")        \
    X(REASONING_EFFORT, "reasoning_effort")              \
    X(REASONING, "reasoning")                            \
    X(THINKING, "thinking")

enum {
#define SB_KEY(name, text) SB_KEY_##name,
    SB_BODY_KEYS(SB_KEY)
#undef SB_KEY
    SB_KEY_COUNT
};

/* Spelling of a member, 0 <= key < SB_KEY_COUNT. */
const char *sb_key_name(int key);

typedef enum { SB_ROLE_SYSTEM, SB_ROLE_USER, SB_ROLE_ASSISTANT, SB_ROLE_TOOL, SB_ROLE_OTHER } sb_role;

/* A piece of text the model will read, between the quotes of its JSON string. */
typedef struct {
    sb_string text;
    uint32_t turn; /* counts messages, `system`, `instructions`, `prompt` and a string `input`, in document order */
    uint32_t role; /* sb_role */
} sb_span;

/* One member of the body. `before` and `after` are what separates it from its neighbours: a comma
 * each, or the brace of the body. value_end is 0 if the body has no such member. */
typedef struct {
    uint32_t key_start; /* opening quote of the key */
    uint32_t value_start;
    uint32_t value_end;
    uint32_t before;
    uint32_t after;
    uint32_t index; /* 0 for the first member of the body, known or not */
} sb_member;

typedef enum { SB_OPTIONS_OTHER, SB_OPTIONS_NULL, SB_OPTIONS_EMPTY, SB_OPTIONS_FILLED, SB_OPTIONS_USAGE } sb_options;

#define SB_NO_TURN UINT32_MAX
#define SB_MAX_TOKENS_UNSET (-1)

typedef struct {
    sb_fault fault; /* SB_OK, or why the rest of this struct means nothing */
    uint32_t fault_at;
    const char *fault_key; /* static name of the key given twice; NULL for other faults */

    sb_member members[SB_KEY_COUNT];
    uint32_t member_count; /* of the body, unknown ones included */
    uint32_t brace;        /* opening brace of the body */

    sb_string model;
    bool stream;
    bool json_schema;
    sb_options stream_options;
    bool odd_stream_options;   /* the body has that key in other letter case, as `Stream_Options`, and only so */
    int32_t max_output_tokens; /* largest of the three limits; beyond INT32_MAX it is INT32_MAX */

    uint32_t messages; /* objects in `messages`; objects and strings in a list `input` */
    uint32_t turns;    /* turns of the user; a message of nothing but tool results is not one */
    uint32_t tools;
    uint32_t tool_calls;
    uint32_t tool_results;
    uint32_t bound; /* thinking and reasoning in the history, which its maker signed or encrypted */
    uint32_t images;
    uint32_t audio;
    uint32_t files;
    uint32_t image_bytes; /* size of those parts, as JSON: what is inside may be data or an address */
    uint32_t audio_bytes;
    uint32_t file_bytes;
    uint32_t roles[SB_ROLE_OTHER + 1]; /* messages by sb_role; `system`, `instructions` and `prompt` are none */
    uint32_t token_ids;       /* numbers in `prompt` or `input`, where a client sends tokens */
    uint32_t tool_call_bytes; /* size of the calls in the history, as JSON */
    uint32_t text_bytes;      /* sum over all spans */
    uint32_t depth;           /* deepest nesting; the body is 1 */

    uint32_t last_user_turn; /* sb_span.turn, or SB_NO_TURN */
    uint32_t span_count;     /* found, which may be more than fitted */
} sb_scan;

/* Scan body[0..size) into `out`, and the text spans in document order into spans[0..capacity).
 * If out->span_count > capacity the rest did not fit: call again with room for all of them. */
void sb_scan_body(const uint8_t *body, size_t size, uint32_t max_depth, sb_scan *out, sb_span *spans, uint32_t capacity);

#endif
