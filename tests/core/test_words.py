from __future__ import annotations

from types import ModuleType

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from signalbox import core
from signalbox.core import reference
from signalbox.core.word_buckets import WORD_BUCKETS, WORD_COLUMNS, WORD_FEATURES

texts = st.text(alphabet="ab AB19.,\n\t'é É ñ Ж日:!-", max_size=40).map(str.encode)


@given(texts | st.binary(max_size=60))
@settings(max_examples=400)
@example(b"")
@example(b"\xc3")
@example(b"a\xc3\x89\x80")
def test_features_agree_with_the_reference(text: bytes) -> None:
    found = core.word_features(text)
    assert found.dtype == np.int32
    assert np.array_equal(found, reference.word_features(text))
    buckets = found[:, :WORD_FEATURES]
    assert found.size == 0 or (buckets.min() >= 0 and buckets.max() < WORD_BUCKETS)


def test_a_word_is_seen_by_itself_and_by_what_is_around_it(twin: ModuleType) -> None:
    one, other = twin.word_features(b"Dear Ann Lee ,"), twin.word_features(b"dear ANN smith\t,")
    assert one.shape == (4, WORD_COLUMNS)
    same = one == other
    assert same[1, [0, 1, 2, 3, 5, 8, 12]].all()  # the word and what stands before it, whatever the letters' size
    assert not same[1, [4, 6, 7, 9, 10, 13]].any()  # its shape, and what stands behind
    assert same[1, 11]  # the comma


def test_digits_are_digits_and_capitals_of_latin_are_capitals(twin: ModuleType) -> None:
    assert (twin.word_features(b"12 Oak") == twin.word_features(b"97 Oak")).all()
    assert (twin.word_features("Éva".encode())[0, :4] == twin.word_features("éva".encode())[0, :4]).all()
    assert twin.word_features("Éva".encode())[0, 4] == twin.word_features(b"Eeva")[0, 4]
