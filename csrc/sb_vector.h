/* Dot products, cosines and unit vectors of float32 vectors. sb_simd.h defines the order of every sum.
 *
 * A matrix is `rows` vectors of `dims` values one after the other. The caller owns every array, and `out`
 * overlaps none of the others. dims and rows may be 0: empty sums are 0. No allocation, no globals. */
#ifndef SB_VECTOR_H
#define SB_VECTOR_H

#include <stddef.h>

/* out[r] = row r . vector, in float32: |error| <= (dims / 16 + 6) * 2^-24 * sum |a[i] * b[i]|, as long as no
 * partial sum overflows; NaN and infinity go the way of IEEE 754. */
void sb_dots_f32(const float *matrix, size_t rows, size_t dims, const float *vector, float *out);

/* out[r] = row r . vector / (|row r| |vector|), summed in double, within [-1, 1]: no finite input overflows, and
 * the error is at most 2^-23. 0 where either has no length; NaN where either holds a NaN or an infinity. */
void sb_cosines_f32(const float *matrix, size_t rows, size_t dims, const float *vector, float *out);

/* out = vector / |vector|, the length summed in double: no finite input overflows, and each value is within
 * 2^-23 of the exact one. All 0 if the vector has no length; all NaN if it holds a NaN or an infinity.
 * `out` may be `vector` itself. */
void sb_normalize_f32(const float *vector, size_t dims, float *out);

#endif
