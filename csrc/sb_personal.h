/* Personal data that has a form: addresses of people and machines, numbers with checksums, numbers told by the words
 * before them. One pass over the bytes of a request, linear in their number whatever they are.
 *
 * sb_personal_fold makes one byte of each character, so that spelling hides nothing: JSON's escapes are resolved (a
 * request's body can be read as it is, strings inside strings too), digits, letters, dashes, dots and blanks of other
 * forms become ASCII's, what does not show is dropped, other letters become SB_OTHER_LETTER and all else a blank.
 * sb_personal_find reads what it makes.
 *
 * A word character is a letter, a digit or "_". A run of digits starts a number unless a word character stands before
 * it, or "-" or "." behind a digit, or "/" behind a word character. A number ends before anything but a word character
 * or "." and a digit.
 *
 * email           a@b.cc; "%40" and "&#64;" count as "@"; not the names of pictures (a@2x.png) and git's remotes
 * credit_card     12 to 19 digits by Luhn's checksum, of a known issuer's range and length or behind a word such as "card":
 *                 together, or 4 to 6 and groups of 3 to 6 (but the last) with one separator, 1 to 3 of blank, "-", "."
 * iban            a country's code and length, blanks or "-" between, by ISO 7064's checksum
 * phone           "+" or "00" and 8 to 15 digits; ten digits as written in North America; groups that begin with a trunk
 *                 0; 7 to 15 digits behind a word such as "phone", in groups also behind "number"
 * ssn             ddd-dd-dddd of numbers the United States may give out; other separators or none behind "SSN"
 * ip_address      IPv4 in four numbers, no loopback, no mask, nor four digits (a version) without a word such as "IP";
 *                 IPv6 of at least three groups
 * driver_license  5 to 18 letters and digits, 4 of them digits, behind "driver's license", "driving licence"
 * passport        the same behind "passport"
 *
 * Words count within SB_CONTEXT_BYTES before a number. */
#ifndef SB_PERSONAL_H
#define SB_PERSONAL_H

#include <stddef.h>
#include <stdint.h>

enum { SB_OTHER_LETTER = 0xff, SB_CONTEXT_BYTES = 48 };

enum {
    SB_EMAIL = 1,
    SB_CREDIT_CARD = 2,
    SB_IBAN = 4,
    SB_PHONE = 8,
    SB_SSN = 16,
    SB_IP_ADDRESS = 32,
    SB_DRIVER_LICENSE = 64,
    SB_PASSPORT = 128
};

/* Where folding changes something: the first such byte, or `size`. */
size_t sb_personal_plain(const uint8_t *text, size_t size);

/* Write the folded text to out[0..size); return its length. Bytes that are no UTF-8 become blanks. */
size_t sb_personal_fold(const uint8_t *text, size_t size, uint8_t *out);

/* Kinds of `wanted` that the folded text holds, as bits; stops when it has them all. */
uint32_t sb_personal_find(const uint8_t *text, size_t size, uint32_t wanted);

#endif
