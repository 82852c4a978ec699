// Transposing in registers, 16 x 16 words at a time, a word being a float or two bfloat16: one number at a time took more than twice
// as long, reading from memory included.
#pragma once

#include <algorithm>

#include "vectors.h"

// Row i, column j to row j, column i. Rows exchange halves of their runs of 2, 4, 8 and 16.
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
    for (int i = 0; i < LANES; i++)
        for (int j = 0; j < i; j++) {
            uint32_t word = rows[i][j];
            rows[i][j] = rows[j][i];
            rows[j][i] = word;
        }
#endif
}

// The first `count` numbers from memory (none where it is negative), zeros behind them.
template <typename Vector, typename T>
inline Vector some(const T* from, int64_t count) {
    Vector numbers{};
    if (count >= LANES)
        memcpy(&numbers, from, sizeof numbers);
    else if (count > 0)
        memcpy(&numbers, from, count * (sizeof numbers / LANES));
    return numbers;
}

// 16 columns of two rows beside each other; zeros where there is no row or column.
inline Words row_pairs(const bfloat16* row, int64_t stride, int64_t rows, int64_t columns) {
    Halves even = some<Halves>(row, rows > 0 ? columns : 0), odd = some<Halves>(row + stride, rows > 1 ? columns : 0);
    return __builtin_convertvector(even, Words) | __builtin_convertvector(odd, Words) << 16;
}

// 16 columns of 16 pairs of rows, transposed: 16 x 32.
inline void transpose_pairs(bfloat16* to, int64_t to_stride, const bfloat16* from, int64_t stride, int64_t rows, int64_t columns) {
    Words words[LANES];
    for (int i = 0; i < LANES; i++) words[i] = row_pairs(from + 2 * i * stride, stride, rows - 2 * i, columns);
    transpose_16(words);
    for (int i = 0; i < LANES; i++) memcpy(to + i * to_stride, words + i, sizeof words[i]);
}
