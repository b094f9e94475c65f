/* Random sizes and hostile floats through the scoring kernels, against scalar twins that follow the documented
 * order one value at a time: every bit must agree, whatever the compiler made of the kernels.
 *
 * Usage: fuzz_score [--runs N] [--seed S]; built with sanitizers and, by `make twins`, for each instruction set. */

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sb_head.h"
#include "sb_pool.h"
#include "sb_simd.h"
#include "sb_topk.h"
#include "sb_vector.h"

static uint64_t state = 1;

static uint64_t random_below(uint64_t bound) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (state * UINT64_C(2685821657736338717) >> 33) % bound;
}

static void require(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "broken promise: %s\n", what);
        abort();
    }
}

/* Exactly `size` bytes, so that the sanitizer sees the first one too many. */
static void *allocate(size_t size) {
    void *memory = malloc(size > 0 ? size : 1);
    require(memory != NULL, "memory for the fuzzer");
    return memory;
}

static float random_float(bool hostile) {
    static const float special[] = {0.0f, -0.0f, 1e-45f, -1e-40f, 3.4e38f, -3.4e38f, INFINITY, -INFINITY, NAN, 1.0f};
    if (hostile && random_below(8) == 0) {
        return special[random_below(sizeof special / sizeof *special)];
    }
    if (hostile && random_below(8) == 0) {
        const uint32_t bits = (uint32_t)random_below(UINT64_C(1) << 31) << 1 | (uint32_t)random_below(2);
        float value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    return ((float)random_below(2000001) - 1000000.0f) / 70000.0f;
}

static float *random_floats(size_t count, bool hostile) {
    float *values = allocate(count * sizeof *values);
    for (size_t i = 0; i < count; i++) {
        values[i] = random_float(hostile);
    }
    return values;
}

/* NaN is one value here: its sign and payload depend on which operand came first, and nobody reads them. */
static void require_same(const float *found, const float *expected, size_t count, const char *what) {
    for (size_t i = 0; i < count; i++) {
        require((isnan(found[i]) && isnan(expected[i])) || memcmp(found + i, expected + i, sizeof *found) == 0, what);
    }
}

/* ---- the scalar twins; volatile keeps the compiler from making SIMD of them too ---- */

static float twin_dot(const float *a, const float *b, size_t dims) {
    volatile float lanes[SB_LANES] = {0};
    for (size_t i = 0; i < dims; i++) {
        lanes[i % SB_LANES] += a[i] * b[i];
    }
    for (size_t half = SB_LANES / 2; half > 0; half /= 2) {
        for (size_t l = 0; l < half; l++) {
            lanes[l] += lanes[l + half];
        }
    }
    return lanes[0];
}

static double twin_dot_double(const float *a, const float *b, size_t dims) {
    volatile double lanes[SB_LANES] = {0};
    for (size_t i = 0; i < dims; i++) {
        lanes[i % SB_LANES] += (double)a[i] * (double)b[i];
    }
    for (size_t half = SB_LANES / 2; half > 0; half /= 2) {
        for (size_t l = 0; l < half; l++) {
            lanes[l] += lanes[l + half];
        }
    }
    return lanes[0];
}

static float twin_cosine(const float *a, const float *b, size_t dims) {
    const double length = sqrt(twin_dot_double(b, b, dims)) * sqrt(twin_dot_double(a, a, dims));
    const double cosine = twin_dot_double(a, b, dims) / length;
    return !isfinite(length) ? NAN : length == 0.0 ? 0.0f : (float)fmin(1.0, fmax(-1.0, cosine));
}

static void twin_softmax(const float *logits, size_t count, float *out) {
    volatile float largest = -INFINITY, lanes[SB_LANES] = {0};
    for (size_t i = 0; i < count; i++) {
        largest = logits[i] > largest ? logits[i] : largest;
    }
    for (size_t i = 0; i < count; i++) {
        out[i] = sb_exp_of_negative(logits[i] - largest);
        lanes[i % SB_LANES] += out[i];
    }
    for (size_t half = SB_LANES / 2; half > 0; half /= 2) {
        for (size_t l = 0; l < half; l++) {
            lanes[l] += lanes[l + half];
        }
    }
    for (size_t i = 0; i < count; i++) {
        out[i] = out[i] / lanes[0];
    }
}

static float value_at(const sb_table *table, bool is_int8, size_t row, size_t d) {
    return is_int8 ? (float)((const int8_t *)table->values)[row * table->dims + d]
                   : ((const float *)table->values)[row * table->dims + d];
}

static float twin_pool(const sb_table *table, bool is_int8, const int32_t *ids, const float *weights, size_t count,
                       size_t d) {
    volatile float sum = 0.0f;
    double total = 0.0;
    for (size_t i = 0; i < count;) {
        const size_t some = count - i < 4 ? 1 : 4;
        volatile float x[4] = {0};
        for (size_t k = 0; k < some; k++) {
            const float weight = weights != NULL ? weights[i + k] : 1.0f;
            const size_t row = (size_t)ids[i + k];
            const volatile float factor = table->scales != NULL ? weight * table->scales[row] : weight;
            x[k] = factor * value_at(table, is_int8, row, d);
            total += (double)weight;
        }
        const volatile float left = x[0] + x[1], right = x[2] + x[3];
        const volatile float both = left + right;
        sum += some == 4 ? both : x[0];
        i += some;
    }
    return total > 0.0 ? (float)((double)sum * (1.0 / total)) : 0.0f;
}

/* ---- one run each ---- */

static void check_vectors(bool hostile) {
    const size_t rows = random_below(8), dims = random_below(100);
    float *matrix = random_floats(rows * dims, hostile), *vector = random_floats(dims, hostile);
    float *found = allocate(rows * sizeof *found), *expected = allocate(rows * sizeof *expected);
    sb_dots_f32(matrix, rows, dims, vector, found);
    for (size_t r = 0; r < rows; r++) {
        expected[r] = twin_dot(matrix + r * dims, vector, dims);
    }
    require_same(found, expected, rows, "dot products have the bits of their twin");
    sb_cosines_f32(matrix, rows, dims, vector, found);
    for (size_t r = 0; r < rows; r++) {
        expected[r] = twin_cosine(matrix + r * dims, vector, dims);
    }
    require_same(found, expected, rows, "cosines have the bits of their twin");
    float *unit = allocate(dims * sizeof *unit);
    const double length = sqrt(twin_dot_double(vector, vector, dims));
    const double scale = length == 0.0 ? 0.0 : 1.0 / length;
    sb_normalize_f32(vector, dims, unit);
    for (size_t d = 0; d < dims; d++) {
        const float value = isfinite(length) ? (float)((double)vector[d] * scale) : NAN;
        require_same(unit + d, &value, 1, "unit vectors have the bits of their twin");
    }
    free(unit);
    free(expected);
    free(found);
    free(vector);
    free(matrix);
}

static void check_heads(bool hostile) {
    const size_t count = random_below(100), k = random_below(110);
    float *logits = random_floats(count, hostile);
    float *found = allocate(count * sizeof *found), *expected = allocate(count * sizeof *expected);
    sb_softmax_f32(logits, count, found);
    twin_softmax(logits, count, expected);
    require_same(found, expected, count, "softmax has the bits of its twin");
    sb_sigmoid_f32(logits, count, found);
    for (size_t i = 0; i < count; i++) {
        const volatile float e = sb_exp_of_negative(logits[i] > 0.0f ? -logits[i] : logits[i]);
        expected[i] = (logits[i] > 0.0f ? 1.0f : e) / (1.0f + e);
    }
    require_same(found, expected, count, "sigmoid has the bits of its twin");
    const size_t some = k < count ? k : count;
    int32_t *best = allocate(some * sizeof *best);
    sb_topk_f32(logits, count, k, best);
    for (size_t i = 0; i < some; i++) {
        size_t better = 0;
        const float own = logits[best[i]];
        for (size_t j = 0; j < count; j++) {
            const bool ties = logits[j] == own || (isnan(own) && isnan(logits[j]));
            better += ties ? j < (size_t)best[i] : isnan(own) || logits[j] > own;
        }
        require(better == i, "the i-th best score has i better ones");
    }
    free(best);
    free(expected);
    free(found);
    free(logits);
}

static void check_pool(bool hostile) {
    const size_t rows = 1 + random_below(20), dims = 1 + random_below(80), count = random_below(30);
    const bool is_int8 = random_below(2), scaled = random_below(2), weighted = random_below(2);
    float *floats = random_floats(rows * dims, hostile), *scales = random_floats(rows, hostile);
    int8_t *bytes = allocate(rows * dims);
    for (size_t i = 0; i < rows * dims; i++) {
        bytes[i] = (int8_t)(random_below(256) - 128);
    }
    int32_t *ids = allocate(count * sizeof *ids);
    float *weights = allocate(count * sizeof *weights), *found = allocate(dims * sizeof *found);
    size_t bad = count, at = count;
    double total = 0.0;
    for (size_t i = 0; i < count; i++) {
        ids[i] = (int32_t)random_below(rows);
        weights[i] = hostile && random_below(200) == 0 ? random_float(true) : (float)random_below(5) / 3.0f;
        if (hostile && random_below(100) == 0) {
            ids[i] = (int32_t)(uint32_t)(random_below(UINT64_C(1) << 31) << 1);
        }
        const bool outside = ids[i] < 0 || (size_t)ids[i] >= rows;
        const bool wrong = outside || (weighted && !(weights[i] >= 0.0f && isfinite(weights[i])));
        bad = bad == count && wrong ? i : bad;
        total += weighted ? (double)weights[i] : 1.0;
    }
    const sb_table table = {is_int8 ? (const void *)bytes : (const void *)floats, scaled ? scales : NULL, rows, dims};
    const float *weigh = weighted ? weights : NULL;
    const sb_pool_result result = (is_int8 ? sb_pool_i8 : sb_pool_f32)(&table, ids, weigh, count, found, &at);
    if (bad < count) {
        require((result == SB_POOL_ID || result == SB_POOL_WEIGHT) && at == bad, "the first bad id or weight is named");
    } else {
        require(result == (total > 0.0 ? SB_POOL_OK : SB_POOL_EMPTY), "only nothing is empty");
        for (size_t d = 0; d < dims; d++) {
            const float value = twin_pool(&table, is_int8, ids, weigh, count, d);
            require_same(found + d, &value, 1, "pooling has the bits of its twin");
        }
    }
    free(found);
    free(weights);
    free(ids);
    free(bytes);
    free(scales);
    free(floats);
}

int main(int argc, char **argv) {
    uint64_t runs = 20000;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--runs") == 0) {
            runs = strtoull(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--seed") == 0) {
            state = strtoull(argv[i + 1], NULL, 10) * 2 + 1; /* never 0, which would stay 0 */
        }
    }
    for (uint64_t i = 0; i < runs; i++) {
        check_vectors(i % 2);
        check_heads(i % 2);
        check_pool(i % 2);
    }
    printf("%llu runs of each scoring kernel, all to the bit of its scalar twin\n", (unsigned long long)runs);
    return 0;
}
