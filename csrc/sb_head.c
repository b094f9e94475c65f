#include "sb_head.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "sb_simd.h"

static inline float power_of_two(int32_t exponent) {
    const uint32_t bits = (uint32_t)(exponent + 127) << 23;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* x = k ln 2 + r with |r| <= ln 2 / 2, so e^x = 2^k e^r. Without branches, so that loops over it become SIMD. */
static inline float exp_of_negative(float x) {
    const float log2_e = 1.44269504f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    const float round = 12582912.0f;                 /* 1.5 * 2^23: adding it leaves an integer in the low bits */
    const float bounded = x < -104.0f ? -104.0f : x; /* e^-104 is less than half the smallest float; keeps NaN */
    const float shifted = bounded * log2_e + round;
    const float k = shifted - round;
    /* ln2_high has 9 bits and k at most 8, so the first product is exact. */
    const float r = (bounded - k * ln2_high) - k * ln2_low;
    /* The series to r^7: what is left out is below 2^-27 of the result. */
    float p = 1.0f / 5040.0f;
    p = p * r + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    int32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    /* k out of the low bits rather than by a cast, which is undefined for NaN. For a NaN this is some number of
     * no meaning, masked to stay in range; p is NaN then and stays it. */
    const int32_t exponent = (bits & 0x1ff) - ((bits & 0x100) << 1);
    /* In two steps: 2^-150 is no float, and a result that is subnormal should be rounded once. */
    const int32_t half = exponent >> 1;
    return p * power_of_two(half) * power_of_two(exponent - half);
}

float sb_exp_of_negative(float x) {
    return exp_of_negative(x);
}

static inline float fold_lanes(float *lanes) {
    for (size_t half = SB_LANES / 2; half > 0; half /= 2) {
        for (size_t l = 0; l < half; l++) {
            lanes[l] += lanes[l + half];
        }
    }
    return lanes[0];
}

SB_CLONES
void sb_softmax_f32(const float *logits, size_t count, float *out) {
    float largest = -INFINITY, lanes[SB_LANES] = {0};
    for (size_t i = 0; i < count; i++) {
        largest = logits[i] > largest ? logits[i] : largest;
    }
    for (size_t i = 0; i < count; i++) {
        out[i] = exp_of_negative(logits[i] - largest);
    }
    for (size_t i = 0; i < count; i += SB_LANES) {
        for (size_t l = 0; l < SB_LANES && i + l < count; l++) {
            lanes[l] += out[i + l];
        }
    }
    const float total = fold_lanes(lanes);
    for (size_t i = 0; i < count; i++) {
        out[i] /= total;
    }
}

SB_CLONES
void sb_sigmoid_f32(const float *logits, size_t count, float *out) {
    for (size_t i = 0; i < count; i++) {
        const float x = logits[i];
        const float e = exp_of_negative(x > 0.0f ? -x : x);
        out[i] = (x > 0.0f ? 1.0f : e) / (1.0f + e);
    }
}
