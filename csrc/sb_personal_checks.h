/* Numbers that prove themselves: checksums, and the registries of who gives out numbers of which length. */
#ifndef SB_PERSONAL_CHECKS_H
#define SB_PERSONAL_CHECKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Luhn's checksum (ISO/IEC 7812-1, annex B) of digits as numbers 0 to 9. */
bool sb_passes_luhn(const uint8_t *digits, size_t count);

/* Whether an issuer of cards gives out numbers of `count` digits (4 to 31) that begin so. */
bool sb_is_issued(const uint8_t *digits, size_t count);

/* How long account numbers of a country (two upper case letters) are in the registry of ISO 13616; 0: unknown. */
size_t sb_account_length(uint8_t first, uint8_t second);

/* ISO/IEC 7064's checksum of an account number in upper case letters and digits, without blanks. */
bool sb_passes_mod97(const uint8_t *number, size_t length);

#endif
