#include "sb_wordpiece.h"

#include "sb_utf8.h"

enum {
    LONG = 63,      /* tokens of so many bytes and more share a bit */
    MOST_FORMS = 8, /* characters that one of the text can become, and some to spare */
    MOST_BYTES = 4 * (SB_WORDPIECE_MAX_CHARS + MOST_FORMS),
};

/* A word as it is being read: normalized, and with the places in the text that its bytes are from. */
typedef struct {
    uint8_t bytes[MOST_BYTES];
    uint32_t ends[MOST_BYTES]; /* of the character of the text that a byte is of; only kept where ends are wanted */
    size_t size;
    size_t chars;   /* beyond max_chars they are counted, not kept */
    size_t ordered; /* where the run of combining characters begins that the next one is put into */
    uint32_t end;   /* of the last character of the text in it */
} word;

static size_t start_of(const uint8_t *s) {
    return ((size_t)s[0] * 33 ^ (size_t)s[1] << 4) & (SB_WORDPIECE_STARTS - 1);
}

bool sb_wordpiece_add(sb_wordpiece_set *set, const uint8_t *token, size_t length, uint32_t id) {
    if (length == 1) {
        const bool is_new = set->bytes[token[0]] == SB_TOKENS_NONE;
        set->bytes[token[0]] = is_new ? id : set->bytes[token[0]];
        return is_new;
    }
    set->lengths[start_of(token)] |= UINT64_C(1) << (length < LONG ? length : LONG);
    return sb_tokens_add(&set->tokens, token, length, id);
}

void sb_wordpiece_ready(sb_wordpiece *wordpiece) {
    memset(wordpiece->special_at, 0, sizeof wordpiece->special_at);
    for (size_t i = 0; i < wordpiece->special_count; i++) {
        wordpiece->special_at[wordpiece->specials[i].bytes[0]] = true;
    }
    memset(wordpiece->plain, 0, sizeof wordpiece->plain);
    for (uint32_t byte = 0; byte < 0x80; byte++) {
        const uint32_t properties = sb_fold_properties(byte);
        if ((properties & ~(uint32_t)SB_FOLD_LOWERS) == 0 && !wordpiece->special_at[byte]) {
            const bool lowers = wordpiece->lower && (properties & SB_FOLD_LOWERS);
            wordpiece->plain[byte] = (uint8_t)(lowers ? sb_fold_lower(byte).codes[0] : byte);
        }
    }
}

/* Number of the longest token that begins s[0..size), size >= 1, and its length; or SB_TOKENS_NONE. */
static uint32_t longest_token(const sb_wordpiece_set *set, const uint8_t *s, size_t size, size_t *length) {
    if (size > 1) {
        uint64_t lengths = set->lengths[start_of(s)];
        if (size < LONG) {
            lengths &= (UINT64_C(2) << size) - 1;
        } else if (lengths >> LONG) {
            for (size_t most = size < set->tokens.longest ? size : set->tokens.longest; most >= LONG; most--) {
                const uint32_t id = sb_tokens_find(&set->tokens, s, most);
                if (id != SB_TOKENS_NONE) {
                    *length = most;
                    return id;
                }
            }
            lengths &= (UINT64_C(1) << LONG) - 1;
        }
        while (lengths != 0) {
            const size_t most = (size_t)(63 - __builtin_clzll(lengths));
            const uint32_t id = sb_tokens_find(&set->tokens, s, most);
            if (id != SB_TOKENS_NONE) {
                *length = most;
                return id;
            }
            lengths ^= UINT64_C(1) << most;
        }
    }
    *length = 1;
    return set->bytes[s[0]];
}

static void put(sb_wordpiece_run *run, uint32_t id, uint32_t end) {
    if (run->out != NULL) {
        run->out[run->tokens] = (int32_t)id;
    }
    if (run->ends != NULL) {
        const int32_t before = run->tokens > 0 ? run->ends[run->tokens - 1] : 0;
        run->ends[run->tokens] = (int32_t)end > before ? (int32_t)end : before; /* putting in order can turn them */
    }
    run->tokens++;
}

/* The word is complete: put its tokens, and begin the next. */
static void finish(const sb_wordpiece *wordpiece, word *w, sb_wordpiece_run *run) {
    const size_t before = run->tokens;
    bool covered = w->chars <= wordpiece->max_chars;
    for (size_t at = 0, length; covered && at < w->size; at += length) {
        const sb_wordpiece_set *set = at == 0 ? &wordpiece->first : &wordpiece->rest;
        const uint32_t id = longest_token(set, w->bytes + at, w->size - at, &length);
        if (id == SB_TOKENS_NONE) {
            covered = false;
        } else {
            put(run, id, run->ends != NULL ? w->ends[at + length - 1] : 0);
        }
    }
    if (!covered) {
        run->tokens = before;
        put(run, wordpiece->unknown, w->end);
    }
    w->size = w->chars = w->ordered = 0;
}

/* A character as it is after normalizing, from the one of the text that ends at `end`. */
static void add(const sb_wordpiece *wordpiece, word *w, sb_wordpiece_run *run, uint32_t code, uint32_t end) {
    const uint32_t properties = sb_fold_properties(code);
    const bool alone = properties & SB_FOLD_PUNCTUATION;
    if (alone && w->chars > 0) {
        finish(wordpiece, w, run);
    }
    w->end = end;
    if (w->chars++ < wordpiece->max_chars) {
        uint8_t bytes[4];
        const size_t length = sb_code_write(code, bytes);
        size_t at = w->size;
        if (wordpiece->strip && (properties & SB_FOLD_COMBINES)) {
            /* Behind those of its run that have no higher order. Between them are only such that combine and stay. */
            const uint32_t order = sb_fold_order(code);
            while (at > w->ordered) {
                size_t left = at - 1;
                while ((w->bytes[left] & 0xc0) == 0x80) {
                    left--;
                }
                if (sb_fold_order(sb_code_at(w->bytes, w->size, left).code) <= order) {
                    break;
                }
                at = left;
            }
            memmove(w->bytes + at + length, w->bytes + at, w->size - at);
            memmove(w->ends + at + length, w->ends + at, (w->size - at) * sizeof *w->ends);
        }
        memcpy(w->bytes + at, bytes, length);
        for (size_t i = 0; run->ends != NULL && i < length; i++) {
            w->ends[at + i] = end;
        }
        w->size += length;
    }
    if (!(properties & SB_FOLD_COMBINES)) {
        w->ordered = w->size;
    }
    if (alone) {
        finish(wordpiece, w, run);
    }
}

static void add_lower(const sb_wordpiece *wordpiece, word *w, sb_wordpiece_run *run, uint32_t code, uint32_t end) {
    if (!wordpiece->lower || !(sb_fold_properties(code) & SB_FOLD_LOWERS)) {
        add(wordpiece, w, run, code, end);
        return;
    }
    const sb_form form = sb_fold_lower(code);
    for (uint32_t i = 0; i < form.count; i++) {
        add(wordpiece, w, run, form.codes[i], end);
    }
}

/* A character of the text that is neither dropped nor white space. */
static void read(const sb_wordpiece *wordpiece, word *w, sb_wordpiece_run *run, uint32_t code, uint32_t end) {
    const uint32_t properties = sb_fold_properties(code);
    const bool alone = wordpiece->chinese && (properties & SB_FOLD_CHINESE);
    if (alone && w->chars > 0) {
        finish(wordpiece, w, run);
    }
    if (wordpiece->strip && (properties & SB_FOLD_STRIPS)) {
        const sb_form form = sb_fold_strip(code);
        if (form.count == 0 && !(properties & SB_FOLD_COMBINES)) {
            w->ordered = w->size;
        }
        for (uint32_t i = 0; i < form.count; i++) {
            add_lower(wordpiece, w, run, form.codes[i], end);
        }
    } else {
        add_lower(wordpiece, w, run, code, end);
    }
    if (alone && w->chars > 0) {
        finish(wordpiece, w, run);
    }
}

/* Bytes that are plain in a word, from text[at] on. Returns where they end. */
static size_t read_plain(const sb_wordpiece *wordpiece, word *w, const sb_wordpiece_run *run, size_t at) {
    const uint8_t *const text = run->text;
    const size_t begin = at, room = w->chars < wordpiece->max_chars ? wordpiece->max_chars - w->chars : 0;
    const size_t kept = run->size - at < room ? run->size : at + room;
    uint8_t *const out = w->bytes + w->size;
    for (uint8_t byte; at < kept && (byte = wordpiece->plain[text[at]]) != 0; at++) {
        out[at - begin] = byte;
    }
    for (size_t i = 0; run->ends != NULL && i < at - begin; i++) {
        w->ends[w->size + i] = (uint32_t)(begin + i + 1);
    }
    w->size += at - begin;
    while (at < run->size && wordpiece->plain[text[at]] != 0) {
        at++;
    }
    if (at > begin) {
        w->chars += at - begin;
        w->ordered = w->size;
        w->end = (uint32_t)at;
    }
    return at;
}

static const sb_special *special_at(const sb_wordpiece *wordpiece, const sb_wordpiece_run *run, size_t at) {
    for (size_t i = 0; i < wordpiece->special_count; i++) {
        const sb_special *special = &wordpiece->specials[i];
        if (special->length <= run->size - at && memcmp(special->bytes, run->text + at, special->length) == 0) {
            return special;
        }
    }
    return NULL;
}

sb_wordpiece_status sb_wordpiece_encode(const sb_wordpiece *wordpiece, sb_wordpiece_run *run) {
    const size_t most = wordpiece->max_chars + MOST_FORMS;
    word w;
    w.size = w.chars = w.ordered = 0;
    w.end = 0;
    size_t at = run->at;
    while (at < run->size) {
        if (w.chars == 0) {
            run->at = at;
            if ((run->out != NULL || run->ends != NULL) && run->room - run->tokens < most) {
                run->wanted = most;
                return SB_WORDPIECE_WANTS_ROOM;
            }
        }
        at = read_plain(wordpiece, &w, run, at);
        if (at == run->size) {
            break;
        }
        if (wordpiece->special_at[run->text[at]]) {
            const sb_special *special = special_at(wordpiece, run, at);
            if (special != NULL) {
                if (w.chars > 0) {
                    finish(wordpiece, &w, run);
                }
                at += special->length;
                put(run, special->id, (uint32_t)at);
                continue;
            }
        }
        const sb_code c = sb_code_at(run->text, run->size, at);
        at += c.length;
        if (c.code == SB_NO_CODE) {
            continue;
        }
        const uint32_t properties = sb_fold_properties(c.code);
        if (properties & SB_FOLD_SPACE) {
            if (w.chars > 0) {
                finish(wordpiece, &w, run);
            }
        } else if (!(properties & SB_FOLD_DROPPED)) {
            read(wordpiece, &w, run, c.code, (uint32_t)at);
        }
    }
    if (w.chars > 0) {
        finish(wordpiece, &w, run);
    }
    run->at = at;
    return SB_WORDPIECE_DONE;
}
