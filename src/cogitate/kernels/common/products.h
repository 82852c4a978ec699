// Matrix products of few rows with weights that were laid out for it once: y = x W^T + b for tens to hundreds of rows.
//
// Weights stand in panels of PANEL outputs, [panel][input][output], the last panel only as wide as it must be; bfloat16 ones in
// pairs of inputs, [panel][input / 2][output][2] (decode_weights.py lays them out). A panel meets ROWS rows at a time, whose
// sums stay in registers. Each sum runs over the inputs in the same order whatever the other rows are: results do not depend
// on the batch. Weights of fewer bits (groups.h) are widened to W panel by panel. At 16 rows this is 1.2 to 1.5 times as fast as MKL's sgemm, which lays out the weights at every call; at
// 256 rows equal. Where the processor multiplies tiles of bfloat16 (AMX), tiles.h takes over.
#pragma once

#include <algorithm>

#include "groups.h"
#include "pairs.h"
#include "quad_products.h"
#include "tiles.h"
#include "vectors.h"

#ifdef __AVX512F__
constexpr int ROWS = 8, VECTORS = 3;  // 24 sums, 3 weights and an input: most of 32 registers
#elif defined(__AVX2__)
constexpr int ROWS = 6, VECTORS = 1;  // 12 sums where a vector is two registers, 2 weights and an input: most of 16
#else
constexpr int ROWS = 4, VECTORS = 1;
#endif
constexpr int PANEL = VECTORS * LANES;

extern "C" {
struct Matrix {
    const void* weights;
    const float* bias;  // null: none
    int32_t inputs, outputs;
    int32_t bits;  // 8 or 4: in groups; 0: numbers of their own type
    int32_t input_bits;  // 8: inputs are rounded, and the groups stand as quads.h has them; 0: inputs as they are
};
}

constexpr int SUMMED_AT_ONCE = 512, SUMMED_TOGETHER = 64;  // inputs; longer float sums lose digits, so they are made of short ones

// sums[m][outputs] += weights x[m] of the inputs first .. last - 1, for V vectors of outputs and M rows.
template <int M, int V, typename X>
inline void accumulate_part(const float* weights, const X* const* x, int first, int last, Floats (&sums)[M][V]) {
    for (int i = first; i < last; i++) {
        Floats weight[V];
        for (int v = 0; v < V; v++) weight[v] = load(weights + size_t(i) * (V * LANES) + v * LANES);
        for (int m = 0; m < M; m++)
            for (int v = 0; v < V; v++) sums[m][v] += weight[v] * to_float(x[m][i]);
    }
}

// Router weights are float whatever x is.
template <int M, int V, typename X>
inline void accumulate(const float* weights, const X* const* x, int depth, Floats (&sums)[M][V]) {
    if (depth <= SUMMED_AT_ONCE) return accumulate_part(weights, x, 0, depth, sums);
    for (int first = 0; first < depth; first += SUMMED_TOGETHER) {
        Floats part[M][V] = {};
        accumulate_part(weights, x, first, std::min(depth, first + SUMMED_TOGETHER), part);
        for (int m = 0; m < M; m++)
            for (int v = 0; v < V; v++) sums[m][v] += part[m][v];
    }
}

template <int M, int V>
inline void accumulate(const bfloat16* weights, const bfloat16* const* x, int depth, Floats (&sums)[M][V]) {
    const bfloat16* at[M];
    for (int m = 0; m < M; m++) at[m] = x[m];
    for (int i = 0; i < depth; i += 2) {
        const bfloat16* right[V];
        for (int v = 0; v < V; v++) right[v] = weights + size_t(i) * (V * LANES) + v * 2 * LANES;
        add_pairs(sums, at, right);
        for (int m = 0; m < M; m++) at[m] += 2;
    }
}

template <typename W, typename X, int M, int V>
inline void tile(const W* weights, const float* bias, const X* const* x, int depth, const Target& to) {
    Floats sums[M][V] = {};
    accumulate<M, V>(weights, x, depth, sums);
    for (int m = 0; m < M; m++)
        for (int v = 0; v < V; v++) to.put(m, v, sums[m][v], bias);
}

template <typename W, typename X, int V>
void panel_rows(const W* weights, const float* bias, const X* const* x, int rows, int depth, Target to) {
    constexpr int M = sizeof(W) == 2 ? ROWS_OF_PAIRS : ROWS;
    for (; rows >= M; rows -= M, x += M, to.out += M * to.stride) tile<W, X, M, V>(weights, bias, x, depth, to);
    switch (rows) {
        case 7: return tile<W, X, 7, V>(weights, bias, x, depth, to);
        case 6: return tile<W, X, 6, V>(weights, bias, x, depth, to);
        case 5: return tile<W, X, 5, V>(weights, bias, x, depth, to);
        case 4: return tile<W, X, 4, V>(weights, bias, x, depth, to);
        case 3: return tile<W, X, 3, V>(weights, bias, x, depth, to);
        case 2: return tile<W, X, 2, V>(weights, bias, x, depth, to);
        case 1: return tile<W, X, 1, V>(weights, bias, x, depth, to);
    }
}

// Rows of inputs: consecutive ones, `stride` apart, or those that `index` names.
template <typename X>
struct Inputs {
    const X* x;
    int64_t stride;
    const int32_t* index = nullptr;
    char* rounded = nullptr;  // the same rows in 8 bits (quads.h), for matrices that take them so

    const X* row(int n) const { return x + stride * (index ? index[n] : n); }

    // The rows from `first` on, of so many numbers.
    Inputs from(int first, int inputs) const {
        return {x + first * stride, stride, index, rounded ? rounded + first * row_bytes(inputs) : nullptr};
    }
};

constexpr int CHUNK = 64;  // rows of a piece of work

// Inputs as they are laid out, with zero weights for those that are not there.
template <typename W>
int depth_of(int inputs) {
    int step = sizeof(W) == 2 ? tiles::DEPTH : 1;
    return (inputs + step - 1) / step * step;
}

// A panel of a matrix in groups, widened in this thread's own memory.
template <typename W>
const W* widened(const Matrix& matrix, int panel, int depth) {
    int64_t all = (matrix.outputs + LANES - 1) / LANES * LANES, groups = (matrix.inputs + GROUP - 1) / GROUP;
    int width = int(std::min<int64_t>(PANEL, all - panel * PANEL));
    W* memory = reinterpret_cast<W*>(scratch<6>(size_t(groups) * GROUP * width * sizeof(W) / sizeof(float)));
    const uint8_t* from = static_cast<const uint8_t*>(matrix.weights) + panel * PANEL * groups * group_bytes(matrix.bits);
    widen(matrix.bits, from, width, depth, memory);
    return memory;
}

// A product of rounded inputs. The pieces of work are those of others.
inline void rounded_product(const Matrix& matrix, char* rounded, const int32_t* index, int rows, float* out, int64_t out_stride,
                            bool add) {
    int panels = (matrix.outputs + PANEL - 1) / PANEL, chunks = (rows + CHUNK - 1) / CHUNK, groups = groups_of(matrix.inputs);
    int64_t stride = row_bytes(matrix.inputs), bytes = strip_bytes(matrix.bits, groups);
    int together = panels >= 8 ? chunks : 1;  // a panel is read from memory by one thread
#pragma omp for schedule(dynamic, together) nowait
    for (int piece = 0; piece < panels * chunks; piece++) {
        int panel = piece / chunks, first = piece % chunks * CHUNK, count = std::min(CHUNK, rows - first);
        char* x = rounded + first * stride;
        if (index) {
            x = reinterpret_cast<char*>(scratch<8>((CHUNK + LANES) * stride / sizeof(float)));
            for (int n = 0; n < count; n++) memcpy(x + n * stride, rounded + index[first + n] * stride, stride);
        }
        for (int at = panel * PANEL; at < std::min(matrix.outputs, (panel + 1) * PANEL); at += LANES) {
            Strip strip = read_strip(matrix.bits, static_cast<const uint8_t*>(matrix.weights) + at / LANES * bytes, groups);
            Target to{out + first * out_stride + at, out_stride, std::min(LANES, matrix.outputs - at), add};
            strip_rows(strip, matrix.bias ? matrix.bias + at : nullptr, x, stride, count, groups, to);
        }
    }
}

// out[n] = matrix x[n] + bias, or added to what is there. Within a parallel region the threads share the pieces of work, and
// do not wait for each other at the end. With bfloat16 weights up to tiles::DEPTH - 1 inputs beyond a row are read.
template <typename W, typename X>
void product(const Matrix& matrix, const Inputs<X>& inputs, int rows, float* out, int64_t out_stride, bool add) {
    if (matrix.input_bits) return rounded_product(matrix, inputs.rounded, inputs.index, rows, out, out_stride, add);
    const W* weights = static_cast<const W*>(matrix.weights);
    int depth = depth_of<W>(matrix.inputs);
    int panels = (matrix.outputs + PANEL - 1) / PANEL, chunks = (rows + CHUNK - 1) / CHUNK;
    int wide = -1;  // the panel that this thread has widened last
    const W* wide_weights = nullptr;
    int together = panels >= 8 ? chunks : 1;  // a panel is read from memory by one thread
#pragma omp for schedule(dynamic, together) nowait
    for (int piece = 0; piece < panels * chunks; piece++) {
        int panel = piece / chunks, first = piece % chunks * CHUNK, count = std::min(CHUNK, rows - first);
        int columns = std::min(PANEL, matrix.outputs - panel * PANEL);
        if (matrix.bits && panel != wide) wide_weights = widened<W>(matrix, panel, depth), wide = panel;
        const W* from = matrix.bits ? wide_weights : weights + size_t(panel) * depth * PANEL;
        const float* bias = matrix.bias ? matrix.bias + panel * PANEL : nullptr;
        Target to{out + first * out_stride + panel * PANEL, out_stride, columns, add};
        const X* x[CHUNK];
        for (int n = 0; n < count; n++) x[n] = inputs.row(first + n);
        if (tiles::usable<W, X>()) {
            tiles::panel_rows(from, bias, x, inputs.index ? 0 : inputs.stride, count, depth, to);
            continue;
        }
        switch ((columns + LANES - 1) / LANES) {
#ifdef __AVX512F__
            case 3: panel_rows<W, X, 3>(from, bias, x, count, depth, to); break;
            case 2: panel_rows<W, X, 2>(from, bias, x, count, depth, to); break;
#endif
            case 1: panel_rows<W, X, 1>(from, bias, x, count, depth, to); break;
        }
    }
}
