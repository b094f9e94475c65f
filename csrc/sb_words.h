/* What a linear model sees of each word of a text: hashed features of the word and of those around it.
 *
 * A token is a run of ASCII letters and digits and bytes from 0x80 on, or any other byte but a blank, a tab or a
 * carriage return by itself. Letters count as small ones (ASCII's, and those of UTF-8's Latin-1 block), digits as "0".
 *
 * Its shape is 4 times a kind and 0 to 3 for a length of 1, 2, 3 or more bytes. Kinds: 0 small letters, 1 one capital
 * and then small ones, 2 capitals, 3 digits, 4 letters and digits, 5 a newline, 6 anything else, 7 capitals amid small ones.
 *
 * Feature f of a token is a hash of f and of what it looks at, below SB_WORD_BUCKETS:
 *     0 the word        1 its first 3 bytes   2 its last 3          3 its last 2
 *     4 its shape and whether a sentence begins (a newline, ".", "!", "?", ":" or nothing before it)
 *     5 the word before 6 the word behind     7 the shapes of before, itself, behind
 *     8 the two before  9 the word before and its shape             10 its shape and the word behind
 *     11 the word after the next
 * Beyond the text's ends there are empty tokens of shape 31.
 *
 * Two columns follow: the word's own hash, all 32 bits of it, and its shape. */
#ifndef SB_WORDS_H
#define SB_WORDS_H

#include <stddef.h>
#include <stdint.h>

enum { SB_WORD_FEATURES = 12, SB_WORD_COLUMNS = SB_WORD_FEATURES + 2, SB_WORD_BUCKETS = 1 << 20 };

/* How many tokens text[0..size) has. */
size_t sb_words_count(const uint8_t *text, size_t size);

/* Write SB_WORD_COLUMNS numbers for each of the tokens, in order, to out; there are as many as sb_words_count says. */
void sb_words_features(const uint8_t *text, size_t size, int32_t *out);

#endif
