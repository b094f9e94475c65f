/* Weighted means of the rows of an embedding table: the vector of a text from the ids of its tokens.
 *
 *     out = sum_i weight[i] * scale[id[i]] * row[id[i]] / sum_i weight[i]
 *
 * Products and sums are float32, in this order: rows are taken in fours, (x0 + x1) + (x2 + x3) is added to the
 * sum, and the last one to three rows one by one. The sum of the weights and the division are double.
 * |error| <= (count / 4 + 6) * 2^-24 * sum |weight * scale * row| / sum weight, as long as no sum overflows.
 *
 * The caller owns every array; ids may change meanwhile without harm to memory. No allocation, no globals. */
#ifndef SB_POOL_H
#define SB_POOL_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const void *values;  /* rows * dims, float or int8_t */
    const float *scales; /* one for each row, or NULL: 1 for all */
    size_t rows;
    size_t dims;
} sb_table;

typedef enum {
    SB_POOL_OK,
    SB_POOL_EMPTY, /* no ids, or no weight on any: out is all 0 */
    SB_POOL_ID,    /* *at is the index of an id outside [0, rows) */
    SB_POOL_WEIGHT /* *at is the index of a weight that is negative, infinite or NaN */
} sb_pool_result;

/* weights: one for each id, or NULL: 1 for all. out[0..dims) is unspecified after SB_POOL_ID and SB_POOL_WEIGHT. */
sb_pool_result sb_pool_f32(const sb_table *table, const int32_t *ids, const float *weights, size_t count, float *out,
                           size_t *at);
sb_pool_result sb_pool_i8(const sb_table *table, const int32_t *ids, const float *weights, size_t count, float *out,
                          size_t *at);

/* The same sum in parts, not divided: what sb_pool_i8 adds for these ids is added to sum[0..dims), and the number of
 * ids to *total. Parts of a multiple of 4 ids, but for the last, have the bits of one call for all. SB_POOL_OK, or
 * SB_POOL_ID with *at. */
sb_pool_result sb_pool_more_i8(const sb_table *table, const int32_t *ids, size_t count, float *sum, double *total,
                               size_t *at);
sb_pool_result sb_pool_more_f32(const sb_table *table, const int32_t *ids, size_t count, float *sum, double *total,
                                size_t *at);

#endif
