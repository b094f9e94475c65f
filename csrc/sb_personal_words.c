#include "sb_personal_finder.h"

typedef struct {
    const char *words; /* lower case */
    uint8_t length;
    uint8_t about;
} clue;

#define CLUE(words, about) {words, sizeof(words) - 1, about}

static const clue CLUES[] = {
    CLUE("phone", ABOUT_PHONE), CLUE("phones", ABOUT_PHONE), CLUE("telephone", ABOUT_PHONE), CLUE("tel", ABOUT_PHONE),
    CLUE("telefon", ABOUT_PHONE), CLUE("telefono", ABOUT_PHONE), CLUE("telefone", ABOUT_PHONE),
    CLUE("mobile", ABOUT_PHONE), CLUE("cell", ABOUT_PHONE), CLUE("cellphone", ABOUT_PHONE), CLUE("fax", ABOUT_PHONE),
    CLUE("whatsapp", ABOUT_PHONE), CLUE("dial", ABOUT_PHONE), CLUE("sms", ABOUT_PHONE), CLUE("contact", ABOUT_PHONE),
    CLUE("reach", ABOUT_PHONE), CLUE("handy", ABOUT_PHONE), CLUE("voicemail", ABOUT_PHONE),
    CLUE("hotline", ABOUT_PHONE), CLUE("call me", ABOUT_PHONE), CLUE("call us", ABOUT_PHONE),
    CLUE("call him", ABOUT_PHONE), CLUE("call her", ABOUT_PHONE), CLUE("call at", ABOUT_PHONE),
    CLUE("call on", ABOUT_PHONE), CLUE("text me", ABOUT_PHONE), CLUE("message to", ABOUT_PHONE),
    CLUE("messages to", ABOUT_PHONE), CLUE("my number", ABOUT_PHONE), CLUE("his number", ABOUT_PHONE),
    CLUE("her number", ABOUT_PHONE), CLUE("number", ABOUT_NUMBER), CLUE("registered", ABOUT_NUMBER),
    CLUE("ssn", ABOUT_SSN), CLUE("ssns", ABOUT_SSN), CLUE("social security", ABOUT_SSN), CLUE("ip", ABOUT_IP),
    CLUE("ips", ABOUT_IP), CLUE("ipv4", ABOUT_IP), CLUE("address", ABOUT_IP), CLUE("addr", ABOUT_IP),
    CLUE("host", ABOUT_IP), CLUE("server", ABOUT_IP), CLUE("passport", ABOUT_PASSPORT),
    CLUE("passports", ABOUT_PASSPORT), CLUE("driver's license", ABOUT_LICENSE), CLUE("driver license", ABOUT_LICENSE),
    CLUE("drivers license", ABOUT_LICENSE), CLUE("driver's licence", ABOUT_LICENSE),
    CLUE("driving licence", ABOUT_LICENSE), CLUE("driving license", ABOUT_LICENSE), CLUE("card", ABOUT_CARD),
    CLUE("cards", ABOUT_CARD), CLUE("credit", ABOUT_CARD), CLUE("debit", ABOUT_CARD), CLUE("cc", ABOUT_CARD),
    CLUE("visa", ABOUT_CARD), CLUE("mastercard", ABOUT_CARD), CLUE("amex", ABOUT_CARD), CLUE("maestro", ABOUT_CARD),
};

static bool says(const finder *f, size_t at, const clue *c) {
    if (f->size - at < c->length || is_word(peek(f, at + c->length))) {
        return false;
    }
    for (size_t i = 0; i < c->length; i++) {
        if (lower(f->text[at + i]) != (uint8_t)c->words[i]) {
            return false;
        }
    }
    return true;
}

static void read_word(finder *f, size_t at) {
    for (size_t i = 0; i < sizeof CLUES / sizeof *CLUES; i++) {
        if (says(f, at, &CLUES[i])) {
            for (unsigned kind = 0; kind < ABOUT_KINDS; kind++) {
                if (CLUES[i].about >> kind & 1) {
                    f->last[kind] = at + 1;
                }
            }
        }
    }
}

bool sb_personal_is_about(finder *f, size_t at, uint32_t about) {
    const size_t from = at < SB_CONTEXT_BYTES ? 0 : at - SB_CONTEXT_BYTES;
    for (size_t i = f->words_until > from ? f->words_until : from; i < at; i++) {
        if (is_letter(f->text[i]) && !is_word(behind(f, i, 1))) {
            read_word(f, i);
        }
    }
    f->words_until = f->words_until > at ? f->words_until : at;
    for (unsigned kind = 0; kind < ABOUT_KINDS; kind++) {
        if ((about >> kind & 1) && f->last[kind] > from && f->last[kind] <= at) {
            return true;
        }
    }
    return false;
}
