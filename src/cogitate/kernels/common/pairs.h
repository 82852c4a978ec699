// Products of bfloat16 by vectors: a word holds two numbers that are multiplied with two others, and both products are added to a
// float. AVX-512 has an instruction for it; elsewhere the halves of each word become floats first.
#pragma once

#include "vectors.h"

#ifdef __AVX512F__
constexpr int ROWS_OF_PAIRS = 8, VECTORS_OF_PAIRS = 2;
#else
constexpr int ROWS_OF_PAIRS = 4, VECTORS_OF_PAIRS = 1;
#endif

// sums[m][v] += the pair at x[m] times the pairs at right[v].
template <int M, int V>
inline void add_pairs(Floats (&sums)[M][V], const bfloat16* const (&x)[M], const bfloat16* const (&right)[V]) {
#ifdef __AVX512BF16__
    Words words[V];
    for (int v = 0; v < V; v++) words[v] = read<Words>(right[v]);
    for (int m = 0; m < M; m++) {
        int32_t pair;
        memcpy(&pair, x[m], sizeof pair);
        __m512bh pairs = (__m512bh)_mm512_set1_epi32(pair);
        for (int v = 0; v < V; v++) sums[m][v] = (Floats)_mm512_dpbf16_ps((__m512)sums[m][v], (__m512bh)words[v], pairs);
    }
#else
    Floats first[V], second[V];
    for (int v = 0; v < V; v++) load_pairs(right[v], first[v], second[v]);
    for (int m = 0; m < M; m++)
        for (int v = 0; v < V; v++) {
            sums[m][v] += first[v] * to_float(x[m][0]);
            sums[m][v] += second[v] * to_float(x[m][1]);
        }
#endif
}

// c = a b, or added to what is there, for ROWS_OF_PAIRS rows and VECTORS_OF_PAIRS vectors of columns.
//
// b: pairs of rows `b_row` apart, in vectors `b_vector` apart; c: rows `c_row` apart, in vectors `c_vector` apart.
inline void multiply_pairs(const bfloat16* a, int64_t a_row, const bfloat16* b, int64_t b_row, int64_t b_vector, float* c,
                           int64_t c_row, int64_t c_vector, int depth, bool add) {
    constexpr int M = ROWS_OF_PAIRS, V = VECTORS_OF_PAIRS;
    Floats sums[M][V];
    const bfloat16* x[M];
    for (int m = 0; m < M; m++) {
        x[m] = a + m * a_row;
        for (int v = 0; v < V; v++) sums[m][v] = add ? load(c + m * c_row + v * c_vector) : Floats{};
    }
    for (int i = 0; i < depth; i += 2, b += b_row) {
        const bfloat16* right[V];
        for (int v = 0; v < V; v++) right[v] = b + v * b_vector;
        add_pairs(sums, x, right);
        for (int m = 0; m < M; m++) x[m] += 2;
    }
    for (int m = 0; m < M; m++)
        for (int v = 0; v < V; v++) store(c + m * c_row + v * c_vector, sums[m][v]);
}
