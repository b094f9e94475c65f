#include "sb_pool.h"

#include <math.h>

#include "sb_simd.h"

enum { ROWS_AT_ONCE = 4 };

/* Where a row starts, how much it counts for, and the weight in that. Each id and weight is read once: what was
 * checked is what is used, even if another thread writes to the array. */
typedef struct {
    size_t row;
    float factor;
} taken;

static inline sb_pool_result take(const sb_table *table, const int32_t *ids, const float *weights, size_t i, taken *out,
                                  double *total) {
    const int32_t id = *(const volatile int32_t *)(ids + i);
    const float weight = weights != NULL ? *(const volatile float *)(weights + i) : 1.0f;
    if (id < 0 || (size_t)id >= table->rows) {
        return SB_POOL_ID;
    }
    if (!(weight >= 0.0f && weight <= 3.402823466e38f)) {
        return SB_POOL_WEIGHT;
    }
    out->row = (size_t)id * table->dims;
    out->factor = table->scales != NULL ? weight * table->scales[id] : weight;
    *total += (double)weight;
    return SB_POOL_OK;
}

static void divide(float *sum, size_t dims, double total) {
    const double scale = total > 0.0 ? 1.0 / total : 0.0;
    for (size_t d = 0; d < dims; d++) {
        sum[d] = total > 0.0 ? (float)((double)sum[d] * scale) : 0.0f; /* no weight on an infinite row is NaN */
    }
}

/* The loops over a row have functions of their own because `restrict` only helps on a parameter. */
#define SB_POOL(NAME, VALUE)                                                                                           \
    static inline void NAME##_four(const VALUE *restrict a, const VALUE *restrict b, const VALUE *restrict c,          \
                                   const VALUE *restrict d, const taken *rows, size_t dims, float *restrict sum) {     \
        const float fa = rows[0].factor, fb = rows[1].factor, fc = rows[2].factor, fd = rows[3].factor;                \
        for (size_t i = 0; i < dims; i++) {                                                                            \
            sum[i] += (fa * (float)a[i] + fb * (float)b[i]) + (fc * (float)c[i] + fd * (float)d[i]);                   \
        }                                                                                                              \
    }                                                                                                                  \
    static inline void NAME##_one(const VALUE *restrict a, float factor, size_t dims, float *restrict sum) {           \
        for (size_t i = 0; i < dims; i++) {                                                                            \
            sum[i] += factor * (float)a[i];                                                                            \
        }                                                                                                              \
    }                                                                                                                  \
    static inline sb_pool_result NAME##_rows(const sb_table *table, const int32_t *ids, const float *weights,          \
                                             size_t count, float *sum, double *total, size_t *at) {                    \
        const VALUE *values = table->values;                                                                           \
        for (size_t i = 0; i < count;) {                                                                               \
            taken rows[ROWS_AT_ONCE];                                                                                  \
            const size_t some = count - i < ROWS_AT_ONCE ? 1 : ROWS_AT_ONCE;                                           \
            for (size_t k = 0; k < some; k++) {                                                                        \
                const sb_pool_result result = take(table, ids, weights, i + k, &rows[k], total);                       \
                if (result != SB_POOL_OK) {                                                                            \
                    *at = i + k;                                                                                       \
                    return result;                                                                                     \
                }                                                                                                      \
            }                                                                                                          \
            if (some == ROWS_AT_ONCE) {                                                                                \
                NAME##_four(values + rows[0].row, values + rows[1].row, values + rows[2].row, values + rows[3].row,    \
                            rows, table->dims, sum);                                                                   \
            } else {                                                                                                   \
                NAME##_one(values + rows[0].row, rows[0].factor, table->dims, sum);                                    \
            }                                                                                                          \
            i += some;                                                                                                 \
        }                                                                                                              \
        return SB_POOL_OK;                                                                                             \
    }                                                                                                                  \
    SB_CLONES                                                                                                          \
    sb_pool_result sb_pool_##NAME(const sb_table *table, const int32_t *ids, const float *weights, size_t count,       \
                                  float *out, size_t *at) {                                                            \
        double total = 0.0;                                                                                            \
        for (size_t d = 0; d < table->dims; d++) {                                                                     \
            out[d] = 0.0f;                                                                                             \
        }                                                                                                              \
        const sb_pool_result result = NAME##_rows(table, ids, weights, count, out, &total, at);                        \
        if (result != SB_POOL_OK) {                                                                                    \
            return result;                                                                                             \
        }                                                                                                              \
        divide(out, table->dims, total);                                                                               \
        return total > 0.0 ? SB_POOL_OK : SB_POOL_EMPTY;                                                               \
    }                                                                                                                  \
    SB_CLONES                                                                                                          \
    sb_pool_result sb_pool_more_##NAME(const sb_table *table, const int32_t *ids, size_t count, float *sum,            \
                                       double *total, size_t *at) {                                                    \
        return NAME##_rows(table, ids, NULL, count, sum, total, at);                                                   \
    }

SB_POOL(f32, float)
SB_POOL(i8, int8_t)
