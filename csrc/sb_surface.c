#include "sb_surface.h"

#include <string.h>

#include "sb_shapes.h"

/* The text is read in blocks of 64 bytes: a table gives each byte its classes, each class of a block becomes 64 bits,
 * one a byte, and words and numbers then come from arithmetic on those. Only bytes that may be part of something else
 * (a shape, a question, a code point that needs decoding) are looked at one by one. */
enum { BLOCK_BYTES = 64 };

/* ---- bits ---- */

static unsigned count_bits(uint64_t bits) {
    bits -= bits >> 1 & UINT64_C(0x5555555555555555);
    bits = (bits & UINT64_C(0x3333333333333333)) + (bits >> 2 & UINT64_C(0x3333333333333333));
    bits = (bits + (bits >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return (unsigned)(bits * UINT64_C(0x0101010101010101) >> 56);
}

/* Index of the lowest bit set; there is one. */
static inline unsigned lowest_bit(uint64_t bits) {
#ifdef __GNUC__
    return (unsigned)__builtin_ctzll(bits);
#else
    return count_bits((bits - 1) & ~bits);
#endif
}

/* The first of eight bytes lowest, whatever the machine's order; compilers make one load of it. */
static inline uint64_t load_eight(const uint8_t *at) {
    return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24 |
           (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 | (uint64_t)at[7] << 56;
}

/* ---- the lexicon ---- */

static uint8_t lower(uint8_t byte) {
    return (uint8_t)(byte - 'A') < 26 ? byte | 0x20 : byte;
}

/* Of the first eight bytes and the length, ASCII case ignored: most words have no more, and the lexicon is ours, so
 * that nobody can choose words that collide. `readable` bytes from `word` on may be read, which spares a copy. */
static inline uint32_t hash_word(const uint8_t *word, size_t length, size_t readable) {
    uint64_t head = 0;
    if (readable >= 8) {
        const size_t kept = length < 8 ? length : 8;
        head = load_eight(word) & ~UINT64_C(0) >> (64 - 8 * kept);
    } else {
        for (size_t i = 0; i < length; i++) {
            head |= (uint64_t)word[i] << 8 * i;
        }
    }
    /* The bit that tells cases apart; no two other bytes of words become alike by it. */
    head |= UINT64_C(0x2020202020202020);
    return (uint32_t)((head + length) * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

static inline uint32_t home_bit(uint32_t hash) {
    return UINT32_C(1) << (hash >> 27);
}

/* Where the word is, or the empty slot it would go to. */
static sb_lexicon_slot *slot_of(const sb_lexicon *lexicon, uint32_t hash, const char *word, size_t length) {
    size_t i = hash & lexicon->mask;
    while (lexicon->slots[i].length != 0 &&
           (lexicon->slots[i].length != length || memcmp(lexicon->slots[i].word, word, length) != 0)) {
        i = (i + 1) & lexicon->mask;
    }
    return &lexicon->slots[i];
}

void sb_lexicon_add(sb_lexicon *lexicon, const char *word, size_t length, uint8_t classes) {
    const uint32_t hash = hash_word((const uint8_t *)word, length, length);
    sb_lexicon_slot *slot = slot_of(lexicon, hash, word, length);
    slot->length = (uint8_t)length;
    slot->classes |= classes;
    memcpy(slot->word, word, length);
    lexicon->slots[hash & lexicon->mask].at_home |= home_bit(hash);
}

/* False for nearly every word that is not in the lexicon, and cheaper than to search for it. */
static inline bool may_be_known(const sb_lexicon *lexicon, uint32_t hash) {
    return lexicon->slots[hash & lexicon->mask].at_home & home_bit(hash);
}

/* ---- bytes ---- */

enum {
    WORD = 1,    /* belongs to a word: letter, digit, underscore, apostrophe */
    DIGIT = 2,
    PAIR = 4,    /* first of two bytes that are a letter */
    HALF = 8,    /* first byte of half a word */
    WIDE = 16,   /* first byte of what has to be decoded; and "?", which has wide forms */
    CODE = 32,   /* may be in a shape of code */
    MATHS = 64,  /* may be in a formula */
    WEAK = 128   /* may be in a formula that only counts outside code */
};

/* Short names, for the table alone. */
enum {
    o = 0, W = WORD, D = WORD | DIGIT, S = WORD | CODE, P = PAIR, H = HALF, X = WIDE, C = CODE, M = MATHS, K = WEAK,
    B = CODE | WEAK
};

/* Where a lead byte is P or H, `wide_kind` would say so of everything it can begin; all others are X. What follows a
 * lead byte has no class. */
static const uint8_t CLASSES[256] = {
    o, o, o, o, o, o, o, o, o, o, C, o, o, o, o, o, /* \n */
    o, o, o, o, o, o, o, o, o, o, o, o, o, o, o, o,
    o, o, o, o, M, o, C, W, C, o, K, K, o, o, o, K, /* $ & ' ( * + slash */
    D, D, D, D, D, D, D, D, D, D, o, o, B, B, K, X, /* 0-9 < = > ? */
    o, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, /* A-O */
    W, W, W, S, W, W, W, W, W, W, W, o, M, o, K, W, /* P-Z, \ ^ _ */
    C, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, /* ` a-o */
    W, W, W, W, W, W, W, W, W, W, W, C, o, o, o, o, /* p-z { */
    o, o, o, o, o, o, o, o, o, o, o, o, o, o, o, o,
    o, o, o, o, o, o, o, o, o, o, o, o, o, o, o, o,
    o, o, o, o, o, o, o, o, o, o, o, o, o, o, o, o,
    o, o, o, o, o, o, o, o, o, o, o, o, o, o, o, o,
    o, o, X, X, P, P, P, P, P, P, P, P, P, P, P, P, /* C2, C3: U+0080-00FF, signs among them */
    P, P, P, P, P, P, P, P, X, P, P, P, P, P, P, P, /* D8: U+0600-063F, a question mark among them */
    X, X, X, X, H, H, H, H, H, H, X, H, H, X, X, X, /* E4-E9: U+4000-9FFF; EB, EC: U+B000-CFFF */
    X, X, X, X, X, o, o, o, o, o, o, o, o, o, o, o,
};

/* The classes of a block's bytes, eight to an integer: put together in registers, they cost no stores. */
typedef struct {
    uint64_t eights[BLOCK_BYTES / 8];
    uint8_t seen; /* every class that one of the bytes has */
} block_classes;

static inline block_classes classify(const uint8_t *bytes) {
    block_classes classes;
    uint64_t seen = 0;
    for (unsigned i = 0; i < BLOCK_BYTES / 8; i++) {
        uint64_t eight = 0;
        for (unsigned j = 0; j < 8; j++) {
            eight |= (uint64_t)CLASSES[bytes[8 * i + j]] << 8 * j;
        }
        classes.eights[i] = eight;
        seen |= eight;
    }
    seen |= seen >> 32;
    seen |= seen >> 16;
    classes.seen = (uint8_t)(seen | seen >> 8);
    return classes;
}

/* Bit i: whether byte i has one of the `wanted` classes. */
static inline uint64_t bytes_with(const block_classes *classes, uint8_t wanted) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t bits = 0;
    if (!(classes->seen & wanted)) {
        return 0;
    }
    for (unsigned i = 0; i < BLOCK_BYTES / 8; i++) {
        const uint64_t hits = classes->eights[i] & ones * wanted;
        const uint64_t tops = (((hits & ones * 0x7f) + ones * 0x7f) | hits) >> 7 & ones; /* 1 for each byte not 0 */
        bits |= (tops * UINT64_C(0x0102040810204080) >> 56) << 8 * i; /* bit 0 of byte n moves to bit 56 + n */
    }
    return bits;
}

/* ---- code points ---- */

typedef enum { SEPARATOR, LETTER, APOSTROPHE, QUESTION, HALF_WORD } kind;

static kind wide_kind(uint32_t code) {
    if (between(code, 0x3040, 0x30ff)) {
        return HALF_WORD; /* kana first: no other script has as many code points to decode */
    }
    if (code == 0x2019) {
        return APOSTROPHE; /* what phones type in "don't" */
    }
    if (code == 0xff1f || code == 0x061f) {
        return QUESTION;
    }
    if (code < 0xc0 || code == 0xd7 || code == 0xf7 || between(code, 0x2000, 0x2bff) || between(code, 0x3000, 0x303f) ||
        between(code, 0xfe30, 0xfe4f) || between(code, 0xff00, 0xff0f) || between(code, 0xff1a, 0xff20) ||
        code == 0xfffd || between(code, 0x1f000, 0x1faff)) {
        return SEPARATOR;
    }
    if (between(code, 0x0e00, 0x0eff) || between(code, 0x1000, 0x109f) || between(code, 0x1100, 0x11ff) ||
        between(code, 0x1780, 0x17ff) || between(code, 0x31f0, 0x31ff) || between(code, 0x3400, 0x9fff) ||
        between(code, 0xac00, 0xd7af) || between(code, 0xf900, 0xfaff) || between(code, 0x20000, 0x3ffff)) {
        return HALF_WORD;
    }
    return LETTER;
}

/* Decodes the sequence at `at`, which is valid; returns its length. */
static size_t decode(const uint8_t *at, uint32_t *code) {
    if (at[0] < 0xe0) {
        *code = (at[0] & 0x1fu) << 6 | (at[1] & 0x3fu);
        return 2;
    }
    if (at[0] < 0xf0) {
        *code = (at[0] & 0x0fu) << 12 | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu);
        return 3;
    }
    *code = (at[0] & 0x07u) << 18 | (at[1] & 0x3fu) << 12 | (at[2] & 0x3fu) << 6 | (at[3] & 0x3fu);
    return 4;
}

/* ---- words ---- */

typedef struct {
    text text;
    const sb_lexicon *lexicon;
    sb_surface *out;
    shapes found;
    uint32_t half_words;
    size_t word_start;  /* of the word that the last block ended in the middle of */
    uint64_t in_word;   /* 1 if it did, 0 if not */
    uint64_t in_number; /* likewise */
    uint64_t spill;     /* bytes of this block that belong to a letter begun in the last one */
    bool has_curly;     /* there may be a U+2019 in the words that end in this block */
} counter;

static bool begins_sentence(const text *t, size_t at) {
    enum { MOST_MARKS = 16 };
    const size_t word = at;
    while (at > 0 && word - at < MOST_MARKS && is_one_of(t->bytes[at - 1], " \t\"'([*#>-")) {
        at--;
    }
    return at == 0 || t->bytes[at - 1] == '\n' || (at < word && is_one_of(t->bytes[at - 1], ".!?:;"));
}

static void count_keyword(counter *c, uint32_t hash, const uint8_t *word, size_t length, size_t at) {
    char letters[SB_LEXICON_WORD_BYTES];
    if (length > sizeof letters) {
        return;
    }
    for (size_t i = 0; i < length; i++) {
        letters[i] = (char)lower(word[i]);
    }
    const uint8_t classes = slot_of(c->lexicon, hash, letters, length)->classes;
    c->out->hard_keywords += (classes & SB_CLASS_HARD) != 0;
    c->out->negations += (classes & SB_CLASS_NEGATION) != 0;
    c->out->asking += (classes & SB_CLASS_ASKING) != 0;
    if (classes & SB_CLASS_INSTRUCTION) {
        c->out->instructions += begins_sentence(&c->text, at);
    }
}

/* `at` is where the run of word bytes begins in the text, quotes included; `word` may be in a copy of it. */
static inline void count_if_known(counter *c, const uint8_t *word, size_t length, size_t readable, size_t at) {
    const uint32_t hash = hash_word(word, length, readable);
    if (may_be_known(c->lexicon, hash)) {
        count_keyword(c, hash, word, length, at);
    }
}

enum { CURLY_LEAD = 0xe2 };

/* Asked of what begins a code point in a word; valid UTF-8 has two bytes more after this one. */
static bool is_curly(const uint8_t *at) {
    return at[0] == CURLY_LEAD && at[1] == 0x80 && at[2] == 0x99;
}

static bool has_letter(const uint8_t *at, const uint8_t *end) {
    while (at < end && (*at == '_' || *at == '\'')) {
        at++;
    }
    return at < end;
}

static void count_word(counter *c, size_t start, size_t end) {
    const uint8_t *const bytes = c->text.bytes;
    const size_t at = start;
    while (start < end && bytes[start] == '\'') {
        start++; /* an opening quote */
    }
    while (end > start && bytes[end - 1] == '\'') {
        end--;
    }
    if (start == end || (bytes[start] == '_' && !has_letter(bytes + start, bytes + end))) {
        return;
    }
    c->out->words++;
    count_if_known(c, bytes + start, end - start, c->text.size - start, at);
}

/* The same for a word with U+2019, what phones type in "don't": read from a copy that has apostrophes instead. */
static void count_curly_word(counter *c, size_t start, size_t end) {
    const uint8_t *const bytes = c->text.bytes;
    uint8_t straight[SB_LEXICON_WORD_BYTES] = {0};
    size_t length = 0, kept = 0; /* with the apostrophes at the end and without; either may be more than fits */
    bool counts = false;
    for (size_t at = start; at < end;) {
        const bool curly = is_curly(bytes + at);
        const uint8_t byte = curly ? '\'' : bytes[at];
        at += curly ? 3 : 1;
        if (byte == '\'' && length == 0) {
            continue;
        }
        if (length < sizeof straight) {
            straight[length] = byte;
        }
        length++;
        kept = byte == '\'' ? kept : length;
        counts |= byte != '\'' && byte != '_';
    }
    if (counts) {
        c->out->words++;
        count_if_known(c, straight, kept, sizeof straight, start);
    }
}

static inline void count_any_word(counter *c, size_t start, size_t end) {
    if (c->has_curly && memchr(c->text.bytes + start, CURLY_LEAD, end - start) != NULL) {
        count_curly_word(c, start, end);
    } else {
        count_word(c, start, end);
    }
}

/* Words begin where a bit of `words` is unlike the one before, and end where that is so again. */
static void count_words(counter *c, size_t block, uint64_t words) {
    const uint64_t before = words << 1 | c->in_word;
    uint64_t starts = words & ~before, ends = before & ~words;
    if (c->in_word && ends != 0) {
        count_any_word(c, c->word_start, block + lowest_bit(ends));
        ends &= ends - 1;
    }
    for (; ends != 0; ends &= ends - 1) {
        count_any_word(c, block + lowest_bit(starts), block + lowest_bit(ends));
        starts &= starts - 1;
    }
    if (starts != 0) {
        c->word_start = block + lowest_bit(starts);
    }
    c->in_word = words >> 63;
    c->has_curly = c->has_curly && c->in_word;
}

/* A question mark counts unless the text goes on right behind it, with another mark or as in "?page=2". */
static bool ends_question(const text *t, size_t after) {
    const uint8_t next = peek(t, after);
    uint32_t code;
    if (next < 0x80) {
        return next != '?' && !is_name(next);
    }
    (void)decode(t->bytes + after, &code);
    const kind k = wide_kind(code);
    return k != QUESTION && k != LETTER;
}

/* Decodes what begins at byte `i` of the block; if it belongs to a word, its bytes in the block go to `words`. */
static void look_at_wide(counter *c, size_t block, unsigned i, uint64_t *words) {
    const size_t at = block + i;
    uint32_t code;
    const size_t length = decode(c->text.bytes + at, &code);
    const uint64_t bytes = (UINT64_C(1) << length) - 1;
    switch (wide_kind(code)) {
    case APOSTROPHE:
        c->has_curly = true;
        /* fall through */
    case LETTER:
        *words |= bytes << i;
        c->spill |= bytes >> 1 >> (63 - i);
        break;
    case HALF_WORD: c->half_words++; break;
    case QUESTION: c->out->questions += ends_question(&c->text, at + length); break;
    case SEPARATOR: look_around_wide(&c->text, at, code, &c->found); break;
    }
}

/* Classes of bytes worth a look: once the text is known to be code, or to hold a formula, fewer are. */
static uint8_t wanted_classes(const shapes *found) {
    return (uint8_t)(WIDE | (found->code ? 0 : CODE) | (found->maths ? 0 : MATHS) |
                     (found->code || found->maths || found->weak_maths ? 0 : WEAK));
}

static void look_at_bytes(counter *c, size_t block, uint64_t looks, uint64_t *words) {
    for (; looks != 0; looks &= looks - 1) {
        const unsigned i = lowest_bit(looks);
        const uint8_t byte = c->text.bytes[block + i];
        if (byte >= 0x80) {
            look_at_wide(c, block, i, words);
        } else if (byte == '?') {
            c->out->questions += ends_question(&c->text, block + i + 1);
        } else {
            look_around(&c->text, block + i, &c->found);
        }
    }
}

/* The block at offset `block` of the text; its 64 bytes are at `bytes`, which may be a copy. */
static void count_block(counter *c, size_t block, const uint8_t *bytes) {
    const block_classes classes = classify(bytes);
    const uint64_t pairs = bytes_with(&classes, PAIR), digits = bytes_with(&classes, DIGIT);
    uint64_t words = bytes_with(&classes, WORD) | pairs | pairs << 1 | c->spill;
    c->spill = pairs >> 63;
    c->half_words += count_bits(bytes_with(&classes, HALF));
    c->out->numbers += count_bits(digits & ~(digits << 1 | c->in_number));
    c->in_number = digits >> 63;
    look_at_bytes(c, block, bytes_with(&classes, wanted_classes(&c->found)), &words);
    count_words(c, block, words);
}

void sb_surface_count(const uint8_t *bytes, size_t size, const sb_lexicon *lexicon, sb_surface *out) {
    counter c = {.text = {bytes, size}, .lexicon = lexicon, .out = out};
    size_t block = 0;
    memset(out, 0, sizeof *out);
    c.found.code = is_code_line(&c.text, 0);
    for (; size - block >= BLOCK_BYTES; block += BLOCK_BYTES) {
        count_block(&c, block, bytes + block);
    }
    /* What is left, and NULs behind it: at least one, which ends a word that the text ends in. */
    uint8_t rest[BLOCK_BYTES] = {0};
    for (size_t at = block; at < size; at++) {
        rest[at - block] = bytes[at];
    }
    count_block(&c, block, rest);
    out->words += (c.half_words + 1) / 2;
    out->code = c.found.code;
    out->maths = c.found.maths || (c.found.weak_maths && !c.found.code);
}
