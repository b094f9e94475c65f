#include "sb_vector.h"

#include <math.h>
#include <string.h>

#include "sb_simd.h"

/* Four floats: a register on every x86-64. Arrays of lanes written as plain loops end up on the stack, which
 * makes a dot product four times slower (measured with gcc 12); wider types do so where registers are narrow. */
typedef float quad __attribute__((vector_size(16)));
typedef float quad_anywhere __attribute__((vector_size(16), aligned(4), may_alias));

enum { QUADS = SB_LANES / 4, ROWS_AT_ONCE = 2 };

static float add_lanes(const quad *sums) {
    const quad eight[2] = {sums[0] + sums[2], sums[1] + sums[3]};
    const quad four = eight[0] + eight[1];
    return (four[0] + four[2]) + (four[1] + four[3]);
}

/* `rows` is a constant where this is inlined. Taking two rows at once reads the vector half as often and gives
 * the processor twice as many independent sums; it changes none of them. */
static inline void dot_rows(const float *matrix, size_t rows, size_t dims, const float *vector, float *out) {
    quad sums[ROWS_AT_ONCE][QUADS] = {0};
    size_t i = 0;
    for (; i + SB_LANES <= dims; i += SB_LANES) {
        for (size_t q = 0; q < QUADS; q++) {
            const quad x = *(const quad_anywhere *)(vector + i + 4 * q);
            for (size_t r = 0; r < rows; r++) {
                sums[r][q] += *(const quad_anywhere *)(matrix + r * dims + i + 4 * q) * x;
            }
        }
    }
    for (size_t r = 0; r < rows; r++) {
        float lanes[SB_LANES];
        memcpy(lanes, sums[r], sizeof lanes);
        for (size_t l = 0; i + l < dims; l++) {
            lanes[l] += matrix[r * dims + i + l] * vector[i + l];
        }
        memcpy(sums[r], lanes, sizeof lanes);
        out[r] = add_lanes(sums[r]);
    }
}

void sb_dots_f32(const float *matrix, size_t rows, size_t dims, const float *vector, float *out) {
    size_t r = 0;
    for (; r + ROWS_AT_ONCE <= rows; r += ROWS_AT_ONCE) {
        dot_rows(matrix + r * dims, ROWS_AT_ONCE, dims, vector, out + r);
    }
    if (r < rows) {
        dot_rows(matrix + r * dims, 1, dims, vector, out + r);
    }
}

/* Products of floats are exact in a double, and no sum of them can overflow one. */
static inline double dot_double(const float *a, const float *b, size_t dims) {
    double lanes[SB_LANES] = {0};
    size_t i = 0;
    for (; i + SB_LANES <= dims; i += SB_LANES) {
        for (size_t l = 0; l < SB_LANES; l++) {
            lanes[l] += (double)a[i + l] * (double)b[i + l];
        }
    }
    for (size_t l = 0; i + l < dims; l++) {
        lanes[l] += (double)a[i + l] * (double)b[i + l];
    }
    for (size_t half = SB_LANES / 2; half > 0; half /= 2) {
        for (size_t l = 0; l < half; l++) {
            lanes[l] += lanes[l + half];
        }
    }
    return lanes[0];
}

SB_CLONES
void sb_cosines_f32(const float *matrix, size_t rows, size_t dims, const float *vector, float *out) {
    const double own = sqrt(dot_double(vector, vector, dims));
    for (size_t r = 0; r < rows; r++) {
        const float *row = matrix + r * dims;
        /* The product of two roots: that of the squares overflows a double beyond 1e154. */
        const double length = own * sqrt(dot_double(row, row, dims));
        const double cosine = dot_double(row, vector, dims) / length;
        if (length == 0.0) {
            out[r] = 0.0f;
        } else if (!isfinite(length)) {
            out[r] = NAN;
        } else {
            out[r] = (float)(cosine > 1.0 ? 1.0 : cosine < -1.0 ? -1.0 : cosine);
        }
    }
}

SB_CLONES
void sb_normalize_f32(const float *vector, size_t dims, float *out) {
    const double length = sqrt(dot_double(vector, vector, dims));
    if (!isfinite(length)) {
        for (size_t i = 0; i < dims; i++) {
            out[i] = NAN;
        }
        return;
    }
    const double scale = length == 0.0 ? 0.0 : 1.0 / length;
    for (size_t i = 0; i < dims; i++) {
        out[i] = (float)((double)vector[i] * scale);
    }
}
