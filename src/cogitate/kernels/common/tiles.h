// Matrix products in bfloat16 by the tile registers of recent Intel processors (AMX): 16 rows, 16 outputs, 32 inputs at once.
// The weights of a panel stand as the tiles want them, pairs of inputs beside each other.
#pragma once

#include <algorithm>

#include "vectors.h"

#if defined(__AMX_BF16__) && defined(__AVX512F__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#define HAS_TILES 1
#endif

// Where the results of one panel go.
struct Target {
    float* out;
    int64_t stride;
    int columns;  // of this panel
    bool add;     // to what is there

    // 16 results of row m, from output v * 16 of the panel on.
    void put(int m, int v, Floats total, const float* bias) const {
        float* to = out + m * stride + v * LANES;
        int count = std::min(LANES, columns - v * LANES);
        if (count == LANES) {
            if (bias) total += load(bias + v * LANES);
            store(to, add ? load(to) + total : total);
            return;
        }
        float totals[LANES];
        store(totals, total);
        for (int c = 0; c < count; c++) {
            float result = totals[c] + (bias ? bias[v * LANES + c] : 0.0f);
            to[c] = add ? to[c] + result : result;
        }
    }
};

namespace tiles {

#ifdef HAS_TILES

constexpr int DEPTH = 32;

// Linux gives a process the tile registers when it asks for them.
inline bool permitted() {
    static const bool answer = syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18 /* XTILEDATA */) == 0;
    return answer;
}

template <typename W, typename X>
bool usable() {
    return std::is_same_v<W, bfloat16> && std::is_same_v<X, bfloat16> && permitted();
}

struct alignas(64) Configuration {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// sums[v] += 16 rows times V * 16 outputs; sums in tiles 0 .. V - 1, rows in 3, weights in 4.
template <int V>
inline void multiply(const bfloat16* weights, const bfloat16* x, int64_t stride, int depth, float (*sums)[LANES][LANES]) {
    _tile_zero(0);
    if (V > 1) _tile_zero(1);
    if (V > 2) _tile_zero(2);
    for (int i = 0; i < depth; i += DEPTH) {
        const bfloat16* panel = weights + size_t(i) * (V * LANES);
        _tile_loadd(3, x + i, stride * 2);
        _tile_loadd(4, panel, V * LANES * 4);
        _tile_dpbf16ps(0, 3, 4);
        if (V > 1) {
            _tile_loadd(4, panel + 2 * LANES, V * LANES * 4);
            _tile_dpbf16ps(1, 3, 4);
        }
        if (V > 2) {
            _tile_loadd(4, panel + 4 * LANES, V * LANES * 4);
            _tile_dpbf16ps(2, 3, 4);
        }
    }
    _tile_stored(0, sums[0], 64);
    if (V > 1) _tile_stored(1, sums[1], 64);
    if (V > 2) _tile_stored(2, sums[2], 64);
}

// The same for 32 rows, whose sums are in tiles 0 .. 2 and 3 .. 5: weights, which do not fit into the nearest cache, come once.
template <int V>
inline void multiply_two(const bfloat16* weights, const bfloat16* x, int64_t stride, int depth, float (*sums)[LANES][LANES]) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(5);
    for (int i = 0; i < depth; i += DEPTH) {
        const bfloat16 *panel = weights + size_t(i) * (V * LANES), *upper = x + i, *lower = upper + LANES * stride;
        for (int line = 0; line < V * LANES; line++) __builtin_prefetch(panel + 2 * DEPTH * V * LANES + line * 2 * LANES, 0, 3);
        _tile_loadd(7, panel, V * LANES * 4);
        _tile_loadd(6, upper, stride * 2);
        _tile_dpbf16ps(0, 6, 7);
        _tile_loadd(6, lower, stride * 2);
        _tile_dpbf16ps(3, 6, 7);
        if (V > 1) {
            _tile_loadd(7, panel + 2 * LANES, V * LANES * 4);
            _tile_dpbf16ps(4, 6, 7);
            _tile_loadd(6, upper, stride * 2);
            _tile_dpbf16ps(1, 6, 7);
        }
        if (V > 2) {
            _tile_loadd(7, panel + 4 * LANES, V * LANES * 4);
            _tile_dpbf16ps(2, 6, 7);
            _tile_loadd(6, lower, stride * 2);
            _tile_dpbf16ps(5, 6, 7);
        }
    }
    _tile_stored(0, sums[0], 64);
    _tile_stored(3, sums[V], 64);
    if (V > 1) _tile_stored(1, sums[1], 64);
    if (V > 1) _tile_stored(4, sums[V + 1], 64);
    if (V > 2) _tile_stored(2, sums[2], 64);
    if (V > 2) _tile_stored(5, sums[V + 2], 64);
}

template <int V>
void rows_of_panel(const bfloat16* weights, const float* bias, const bfloat16* const* x, int64_t stride, int rows, int depth,
                   Target to) {
    alignas(64) float sums[2 * V][LANES][LANES];
    int first = 0;
    for (; stride && rows - first >= 2 * LANES; first += 2 * LANES, to.out += 2 * LANES * to.stride) {
        multiply_two<V>(weights, x[first], stride, depth, sums);
        for (int m = 0; m < 2 * LANES; m++)
            for (int v = 0; v < V; v++) to.put(m, v, load(sums[m / LANES * V + v][m % LANES]), bias);
    }
    for (; first < rows; first += LANES, to.out += LANES * to.stride) {
        int count = std::min(LANES, rows - first);
        const bfloat16* from = x[first];
        int64_t from_stride = stride;
        if (!stride || count < LANES) {  // scattered, or fewer than a tile has
            bfloat16* together = reinterpret_cast<bfloat16*>(scratch<5>(LANES * depth / 2 + LANES));
            memset(together, 0, LANES * depth * sizeof(bfloat16));
            for (int m = 0; m < count; m++) memcpy(together + m * depth, x[first + m], depth * sizeof(bfloat16));
            from = together, from_stride = depth;
        }
        multiply<V>(weights, from, from_stride, depth, sums);
        for (int m = 0; m < count; m++)
            for (int v = 0; v < V; v++) to.put(m, v, load(sums[v][m]), bias);
    }
}

inline void panel_rows(const bfloat16* weights, const float* bias, const bfloat16* const* x, int64_t stride, int rows, int depth,
                       const Target& to) {
    static const Configuration configuration;
    _tile_loadconfig(&configuration);  // every time: PyTorch's own products use the tiles, too
    switch ((to.columns + LANES - 1) / LANES) {
        case 3: return rows_of_panel<3>(weights, bias, x, stride, rows, depth, to);
        case 2: return rows_of_panel<2>(weights, bias, x, stride, rows, depth, to);
        case 1: return rows_of_panel<1>(weights, bias, x, stride, rows, depth, to);
    }
}

// To be called by every thread after its last product.
inline void release() { _tile_release(); }

#else

constexpr int DEPTH = 2;

inline bool permitted() { return true; }  // none are used

inline void release() {}

template <typename W, typename X>
constexpr bool usable() {
    return false;
}

#endif

template <typename W, typename X>
void panel_rows(const W*, const float*, const X* const*, int64_t, int, int, const Target&) {}  // never called

}  // namespace tiles
