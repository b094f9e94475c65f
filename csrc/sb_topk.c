#include "sb_topk.h"

#include <stdbool.h>

static bool is_better(const float *scores, int32_t a, int32_t b) {
    const float x = scores[a], y = scores[b];
    const bool x_missing = x != x, y_missing = y != y;
    if (x_missing != y_missing) {
        return y_missing;
    }
    if (x_missing || x == y) {
        return a < b;
    }
    return x > y;
}

/* heap[0] is the worst of heap[0..size); the place at `hole` is refilled from below, `index` put where it belongs. */
static void sink(const float *scores, int32_t *heap, size_t size, size_t hole, int32_t index) {
    for (size_t child; (child = 2 * hole + 1) < size; hole = child) {
        if (child + 1 < size && is_better(scores, heap[child], heap[child + 1])) {
            child++;
        }
        if (!is_better(scores, index, heap[child])) {
            break;
        }
        heap[hole] = heap[child];
    }
    heap[hole] = index;
}

void sb_topk_f32(const float *scores, size_t n, size_t k, int32_t *out) {
    const size_t m = k < n ? k : n;
    if (m == 0) {
        return;
    }
    for (size_t i = 0; i < m; i++) {
        out[i] = (int32_t)i;
    }
    for (size_t i = m / 2; i-- > 0;) {
        sink(scores, out, m, i, out[i]);
    }
    for (size_t i = m; i < n; i++) {
        if (is_better(scores, (int32_t)i, out[0])) {
            sink(scores, out, m, 0, (int32_t)i);
        }
    }
    for (size_t size = m; size > 1; size--) {
        const int32_t worst = out[0];
        sink(scores, out, size - 1, 0, out[size - 1]);
        out[size - 1] = worst;
    }
}
