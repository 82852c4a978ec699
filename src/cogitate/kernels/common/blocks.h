// Products of small matrices that lie in a core's cache, c = a b or c += a b, as attention in training is made of. All sides are multiples
// of SIDE, filled up with zeros.
//
// a stands row by row. b does, too, in float; in bfloat16 the rows 2 i and 2 i + 1 stand interleaved ("pairs"), as the tile
// registers and the vector products of pairs want them.
#pragma once

#include "pairs.h"
#include "tiles.h"
#include "vectors.h"

constexpr int SIDE = 32;

inline int padded(int size) { return (size + SIDE - 1) / SIDE * SIDE; }

// Where row i, column n of b stands.
template <typename T>
inline size_t place(int i, int n, int64_t stride) {
    return sizeof(T) == 2 ? (i / 2) * 2 * stride + 2 * n + (i & 1) : i * stride + n;
}

// c (rows, columns) = a (rows, depth) b (depth, columns), added to what is there where ADD.
template <bool ADD>
inline void multiply(const float* a, int64_t a_stride, const float* b, int64_t b_stride, float* c, int64_t c_stride,
                     int rows, int columns, int depth) {
#ifdef __AVX512F__
    constexpr int M = 8, V = 2;
#else
    constexpr int M = 4, V = 1;
#endif
    for (int n = 0; n < columns; n += V * LANES)
        for (int m = 0; m < rows; m += M) {
            Floats sums[M][V];
            for (int r = 0; r < M; r++)
                for (int v = 0; v < V; v++) sums[r][v] = ADD ? load(c + (m + r) * c_stride + n + v * LANES) : Floats{};
            for (int i = 0; i < depth; i++) {
                Floats right[V];
                for (int v = 0; v < V; v++) right[v] = load(b + i * b_stride + n + v * LANES);
                for (int r = 0; r < M; r++)
                    for (int v = 0; v < V; v++) sums[r][v] += right[v] * a[(m + r) * a_stride + i];
            }
            for (int r = 0; r < M; r++)
                for (int v = 0; v < V; v++) store(c + (m + r) * c_stride + n + v * LANES, sums[r][v]);
        }
}

#ifdef HAS_TILES

struct alignas(64) AllTiles {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

template <bool ADD>
inline void multiply(const bfloat16* a, int64_t a_stride, const bfloat16* b, int64_t b_stride, float* c, int64_t c_stride,
                     int rows, int columns, int depth) {
    for (int m = 0; m < rows; m += 32)
        for (int n = 0; n < columns; n += 32) {
            float* to = c + m * c_stride + n;
            if (ADD) {
                _tile_loadd(0, to, c_stride * 4);
                _tile_loadd(1, to + 16, c_stride * 4);
                _tile_loadd(2, to + 16 * c_stride, c_stride * 4);
                _tile_loadd(3, to + 16 * c_stride + 16, c_stride * 4);
            } else {
                _tile_zero(0);
                _tile_zero(1);
                _tile_zero(2);
                _tile_zero(3);
            }
            for (int i = 0; i < depth; i += 32) {
                const bfloat16 *left = a + m * a_stride + i, *right = b + i * b_stride + 2 * n;
                _tile_loadd(4, left, a_stride * 2);
                _tile_loadd(5, left + 16 * a_stride, a_stride * 2);
                _tile_loadd(6, right, b_stride * 4);
                _tile_loadd(7, right + 32, b_stride * 4);
                _tile_dpbf16ps(0, 4, 6);
                _tile_dpbf16ps(1, 4, 7);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
            _tile_stored(0, to, c_stride * 4);
            _tile_stored(1, to + 16, c_stride * 4);
            _tile_stored(2, to + 16 * c_stride, c_stride * 4);
            _tile_stored(3, to + 16 * c_stride + 16, c_stride * 4);
        }
}

// A thread multiplies blocks between these.
template <typename T>
struct BlockProducts {
    BlockProducts() {
        static const AllTiles configuration;
        if (sizeof(T) == 2) _tile_loadconfig(&configuration);
    }
    ~BlockProducts() {
        if (sizeof(T) == 2) _tile_release();
    }
};

#else

template <bool ADD>
inline void multiply(const bfloat16* a, int64_t a_stride, const bfloat16* b, int64_t b_stride, float* c, int64_t c_stride,
                     int rows, int columns, int depth) {
    for (int m = 0; m < rows; m += ROWS_OF_PAIRS)
        for (int n = 0; n < columns; n += VECTORS_OF_PAIRS * LANES)
            multiply_pairs(a + m * a_stride, a_stride, b + 2 * n, 2 * b_stride, 2 * LANES, c + m * c_stride + n, c_stride, LANES,
                           depth, ADD);
}

template <typename T>
struct BlockProducts {};

#endif
