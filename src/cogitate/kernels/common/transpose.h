// Transposing in registers, 16 x 16 words at a time, a word being a float or two bfloat16: one number at a time took more than twice
// as long, reading from memory included.
#pragma once

#include <algorithm>

#include "vectors.h"

// Row i, column j to row j, column i. Rows exchange halves of their runs of 2, 4, 8 and 16; elsewhere four rows of four at a time.
inline void transpose_16(Words (&rows)[LANES]) {
#ifdef __AVX512F__
    const Ints lane{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#pragma GCC unroll 4
    for (int half = 1; half < LANES; half *= 2) {
        Ints second = (lane & half) != 0;
        __m512i lower = (__m512i)(second ? lane - half + LANES : lane), upper = (__m512i)(second ? lane + LANES : lane + half);
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++)
            if (!(i & half)) {
                __m512i a = (__m512i)rows[i], b = (__m512i)rows[i + half];
                rows[i] = (Words)_mm512_permutex2var_epi32(a, lower, b);
                rows[i + half] = (Words)_mm512_permutex2var_epi32(a, upper, b);
            }
    }
#else
    typedef uint32_t Four __attribute__((vector_size(16)));
    auto interleave = [](Four a, Four b, Four& low, Four& high) {
#ifdef __clang__
        low = __builtin_shufflevector(a, b, 0, 4, 1, 5), high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
#else
        low = __builtin_shuffle(a, b, Four{0, 4, 1, 5}), high = __builtin_shuffle(a, b, Four{2, 6, 3, 7});
#endif
    };
    Four from[LANES][LANES / 4], to[LANES][LANES / 4];
    memcpy(from, rows, sizeof from);
    for (int i = 0; i < LANES; i += 4)
        for (int j = 0; j < LANES; j += 4) {
            Four half[4];
            for (int k = 0; k < 2; k++) interleave(from[i + k][j / 4], from[i + k + 2][j / 4], half[2 * k], half[2 * k + 1]);
            for (int k = 0; k < 2; k++) interleave(half[k], half[k + 2], to[j + 2 * k][i / 4], to[j + 2 * k + 1][i / 4]);
        }
    memcpy(rows, to, sizeof to);
#endif
}

// 16 columns of two rows beside each other; zeros where there is no row or column.
inline Words row_pairs(const bfloat16* row, int64_t stride, int64_t rows, int64_t columns) {
    Halves even = read_some<Halves>(row, rows > 0 ? columns : 0), odd = read_some<Halves>(row + stride, rows > 1 ? columns : 0);
    return converted<Words>(even) | converted<Words>(odd) << 16;
}

// 16 columns of 16 pairs of rows, transposed: 16 x 32.
inline void transpose_pairs(bfloat16* to, int64_t to_stride, const bfloat16* from, int64_t stride, int64_t rows, int64_t columns) {
    Words words[LANES];
    for (int i = 0; i < LANES; i++) words[i] = row_pairs(from + 2 * i * stride, stride, rows - 2 * i, columns);
    transpose_16(words);
    for (int i = 0; i < LANES; i++) write(to + i * to_stride, words[i]);
}
