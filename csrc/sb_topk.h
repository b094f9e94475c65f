/* Indices of the k largest scores, best first, into out[0..min(k, n)).
 * Ties go to the lower index, and -0 ties with 0. NaN ranks below every number.
 * Caller owns both arrays; n <= INT32_MAX. Time n log k. No allocation, no globals. */
#ifndef SB_TOPK_H
#define SB_TOPK_H

#include <stddef.h>
#include <stdint.h>

void sb_topk_f32(const float *scores, size_t n, size_t k, int32_t *out);

#endif
