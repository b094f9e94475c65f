"""Sizes that hashed features of words have; csrc/sb_words.h defines them."""

WORD_FEATURES = 12
WORD_COLUMNS = WORD_FEATURES + 2
WORD_BUCKETS = 1 << 20
