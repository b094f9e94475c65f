/* Logits into probabilities. sb_simd.h defines the order of the sum.
 *
 * exp is computed here, not by libm, whose last bit differs between versions and processors: a decision replayed
 * elsewhere must find the same scores. `out` may be `logits` itself. No allocation, no globals. */
#ifndef SB_HEAD_H
#define SB_HEAD_H

#include <stddef.h>

/* e^x for x <= 0 within 2 units in the last place; 0 below -104, NaN for NaN. */
float sb_exp_of_negative(float x);

/* out[i] = e^logit[i] / sum e^logit, the largest logit subtracted first: no finite input overflows.
 * |relative error| <= (|logit - largest| + count / 16 + 12) * 2^-23 where the result is a normal number. -INFINITY
 * gives 0. Where there is no distribution (a NaN, +INFINITY, or nothing but -INFINITY) every value is NaN. */
void sb_softmax_f32(const float *logits, size_t count, float *out);

/* out[i] = 1 / (1 + e^-logit[i]), through e^-|logit|, which cannot overflow. |relative error| <= 6 * 2^-23 where the
 * result is a normal number. 0 and 1 at the infinities; NaN for NaN. */
void sb_sigmoid_f32(const float *logits, size_t count, float *out);

#endif
